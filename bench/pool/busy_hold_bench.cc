// More threads than resources, and holds of 2 to 3 µs in which the processor works, as a query
// does: four resources, 8, 16 and 64 threads. no_pool: the same work with nothing to wait for.
// Time: a turn's share of the wall time.

#include <cstdint>

#include "bench/pool/contestants.h"
#include "bench/support/crowd.h"
#include "bench/support/remarks.h"
#include "benchmark/benchmark.h"

namespace vouch::bench {
namespace {

constexpr int kSlots = 4;

// A chain of multiplications, each of which needs the one before: the same on every machine but for
// the clock rate.
void Work(int64_t seed) {
  auto x = static_cast<uint64_t>(seed);
  for (int i = 0; i < 2000; ++i) x = x * 6364136223846793005 + 1442695040888963407;
  benchmark::DoNotOptimize(x);
}

template <typename Pool>
void BusyHold(benchmark::State& state) {
  Pool pool(kSlots, SelectDatabase());
  for (auto _ : state) {
    ReportTurns(state, TakeTurns(static_cast<int>(state.range(0)), [&pool](int, int64_t n) {
                  auto lease = pool.Acquire();
                  lease->Touch();
                  Work(n);
                }));
  }
}

void WorkAlone(benchmark::State& state) {
  for (auto _ : state) {
    ReportTurns(state,
                TakeTurns(static_cast<int>(state.range(0)), [](int, int64_t n) { Work(n); }));
  }
}

void OnThreads(benchmark::internal::Benchmark* bench) {
  OneWindow(bench)->ArgName("threads")->ArgsProduct({{8, 16, 64}});
}

[[maybe_unused]] const bool registered = [] {
  DescribeCase("pool/busy_hold", "turn",
               "More threads than the 4 resources, held for 2 to 3 µs of computing: wall time a "
               "turn, all threads together. no_pool: the same computing with nothing to wait for.");
  ForEachContestant<Item>([]<typename Pool>(const std::string& name) {
    OnThreads(benchmark::RegisterBenchmark(("pool/busy_hold/" + name).c_str(), BusyHold<Pool>));
  });
  OnThreads(benchmark::RegisterBenchmark("pool/busy_hold/no_pool", WorkAlone));
  return true;
}();

}  // namespace
}  // namespace vouch::bench
