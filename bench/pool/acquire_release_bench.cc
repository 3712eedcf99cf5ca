// Threads that take a resource of eight, touch it, and give it back, as fast as they can.
// Time: a pair's share of the wall time, all threads together.

#include "bench/pool/contestants.h"
#include "bench/support/crowd.h"
#include "bench/support/remarks.h"
#include "benchmark/benchmark.h"

namespace vouch::bench {
namespace {

constexpr int kSlots = 8;

template <typename Pool>
void AcquireRelease(benchmark::State& state) {
  Pool pool(kSlots, SelectDatabase());
  for (auto _ : state) {
    ReportTurns(state, TakeTurns(static_cast<int>(state.range(0)), [&pool](int, int64_t) {
                  auto lease = pool.Acquire();
                  lease->Touch();
                  benchmark::ClobberMemory();
                }));
  }
}

[[maybe_unused]] const bool registered = [] {
  DescribeCase("pool/acquire_release", "pair",
               "Taking a resource of 8, touching it and giving it back, again and again: wall time "
               "a pair, all threads together.");
  ForEachContestant<Item>([]<typename Pool>(const std::string& name) {
    OneWindow(benchmark::RegisterBenchmark(("pool/acquire_release/" + name).c_str(),
                                           AcquireRelease<Pool>))
        ->ArgName("threads")
        ->ArgsProduct({{1, 2, 4, 8, 16, 64}});
  });
  return true;
}();

}  // namespace
}  // namespace vouch::bench
