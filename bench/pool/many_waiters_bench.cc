// 2,000 threads share 50 resources, touch them and give them back at once.
// Time: a turn's share of the wall time.

#include "bench/pool/contestants.h"
#include "bench/pool/crowd.h"
#include "bench/support/remarks.h"
#include "benchmark/benchmark.h"

namespace vouch::bench {
namespace {

constexpr int kSlots = 50;
constexpr int kThreads = 2000;

template <typename Pool>
void ManyWaiters(benchmark::State& state) {
  Pool pool(kSlots, SelectDatabase());
  for (auto _ : state) {
    ReportTurns(state, TakeTurns(kThreads, [&pool](int, int64_t) {
                  auto lease = pool.Acquire();
                  lease->Touch();
                  benchmark::ClobberMemory();
                }));
  }
}

[[maybe_unused]] const bool registered = [] {
  DescribeCase("pool/many_waiters", "turn",
               "2,000 threads share 50 resources and hold them for next to nothing: wall time a "
               "turn.");
  ForEachContestant<Item>([]<typename Pool>(const std::string& name) {
    OneWindow(
        benchmark::RegisterBenchmark(("pool/many_waiters/" + name).c_str(), ManyWaiters<Pool>));
  });
  return true;
}();

}  // namespace
}  // namespace vouch::bench
