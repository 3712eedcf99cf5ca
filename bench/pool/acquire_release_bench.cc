// Threads that take a resource of eight, touch it, and give it back, as fast as they can.
// Reported: items per second, all threads together; "wall_ns" is a pair's share of the wall time.

#include "bench/pool/contestants.h"
#include "benchmark/benchmark.h"

namespace vouch::bench {
namespace {

constexpr int kSlots = 8;

template <typename Contestant>
void AcquireRelease(benchmark::State& state) {
  static Contestant pool(kSlots);  // shared by the benchmark's threads
  for (auto _ : state) {
    auto lease = pool.Acquire();
    ++lease->uses;
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["wall_ns"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * 1e-9,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void OnThreads(benchmark::internal::Benchmark* bench) {
  for (const int threads : {1, 2, 4, 8, 16, 64}) bench->Threads(threads);
  bench->UseRealTime();
}

BENCHMARK_TEMPLATE(AcquireRelease, Vouch)->Name("pool/acquire_release/vouch")->Apply(OnThreads);
BENCHMARK_TEMPLATE(AcquireRelease, MutexAndCondition)
    ->Name("pool/acquire_release/mutex_cv")
    ->Apply(OnThreads);

}  // namespace
}  // namespace vouch::bench
