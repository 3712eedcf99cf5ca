// 2,000 threads share 50 resources, touch them and give them back at once.
// Time: a turn's share of the wall time. starved: threads that had no turn in the window. The two
// belong together: a pool is quickest here when the few threads that run keep the resources among
// themselves, and no resource goes to a thread that first has to be woken.

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "bench/pool/contestants.h"
#include "bench/support/crowd.h"
#include "bench/support/remarks.h"
#include "benchmark/benchmark.h"

namespace vouch::bench {
namespace {

constexpr int kSlots = 50;
constexpr int kThreads = 2000;

// Threads that are always ready to run get the processor a few milliseconds at a time: in this
// window each of them should have had it once.
constexpr std::chrono::milliseconds kWindow{4000};

template <typename Pool>
void ManyWaiters(benchmark::State& state) {
  Pool pool(kSlots, SelectDatabase());
  for (auto _ : state) {
    const Gathered<int64_t> turns = TakeTurns(
        kThreads,
        [&pool](int, int64_t) {
          auto lease = pool.Acquire();
          lease->Touch();
          benchmark::ClobberMemory();
        },
        kWindow);
    ReportTurns(state, turns);
    state.counters["starved"] =
        static_cast<double>(std::count(turns.results.begin(), turns.results.end(), 0));
  }
}

[[maybe_unused]] const bool registered = [] {
  DescribeCase("pool/many_waiters", "turn",
               "2,000 threads share 50 resources and hold them for next to nothing: wall time a "
               "turn. starved: threads that had no turn in the 4 s. A pool is quick here when the "
               "threads that happen to run keep the resources among themselves.");
  ForEachContestant<Item>([]<typename Pool>(const std::string& name) {
    OneWindow(
        benchmark::RegisterBenchmark(("pool/many_waiters/" + name).c_str(), ManyWaiters<Pool>));
  });
  return true;
}();

}  // namespace
}  // namespace vouch::bench
