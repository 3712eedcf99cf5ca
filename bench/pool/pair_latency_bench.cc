// How long single pairs of acquire and release take. A run of its own: every seventeenth pair stands
// between two reads of the clock, whose own cost, the median of reads with nothing between them, is
// subtracted. With more threads than processors the last percentiles show the scheduler as well.
// Time: the 99th percentile; p999_ns: the 99.9th. Not the median: it is below the clock's step on
// some machines, and acquire_release has the mean.

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "bench/pool/contestants.h"
#include "bench/support/crowd.h"
#include "bench/support/percentiles.h"
#include "bench/support/remarks.h"
#include "benchmark/benchmark.h"

namespace vouch::bench {
namespace {

constexpr int kSlots = 8;
// A prime: what a pool does every so many pairs is met as often as it happens.
constexpr int kPairsASample = 17;

// In nanoseconds, of each sampled pair.
using Samples = std::vector<int64_t>;

template <typename Pair>
int64_t Timed(const Pair& pair) {
  const Clock::time_point start = Clock::now();
  pair();
  return std::chrono::nanoseconds(Clock::now() - start).count();
}

int64_t ClockCost() {
  Samples samples(10'000);
  for (int64_t& sample : samples) sample = Timed([] {});
  return Percentiles(std::move(samples)).At(0.5);
}

template <typename Pair>
Samples SamplePairs(const Window& window, const Pair& pair) {
  Samples samples;
  samples.reserve(100'000);
  while (!window.opened()) pair();
  while (!window.over()) {
    for (int i = 1; i < kPairsASample; ++i) pair();
    samples.push_back(Timed(pair));
  }
  return samples;
}

template <typename Pool>
void PairLatency(benchmark::State& state) {
  Pool pool(kSlots, SelectDatabase());
  const auto pair = [&pool] {
    auto lease = pool.Acquire();
    lease->Touch();
    benchmark::ClobberMemory();
  };
  const int64_t clock_cost = ClockCost();
  const auto above_clock = [clock_cost](int64_t sample) {
    return static_cast<double>(std::max<int64_t>(sample - clock_cost, 0));
  };
  for (auto _ : state) {
    const Percentiles<int64_t> pairs(
        Flatten(Gather(static_cast<int>(state.range(0)), std::chrono::milliseconds(300),
                       [&pair](int, const Window& window) { return SamplePairs(window, pair); })
                    .results));
    state.SetIterationTime(above_clock(pairs.At(0.99)) * 1e-9);
    state.counters["p999_ns"] = above_clock(pairs.At(0.999));
  }
}

[[maybe_unused]] const bool registered = [] {
  DescribeCase(
      "pool/pair_latency", "p99",
      "The same, seen by one thread: the 99th and the 99.9th percentile of every 17th "
      "pair, less the cost of reading the clock. With more threads than processors the "
      "scheduler is in the last percentiles too. The time stamp counter of some processors "
      "goes in steps of 10 ns, and so do these.");
  benchmark::AddCustomContext("clock", std::to_string(ClockCost()) + " ns a read");
  ForEachContestant<Item>([]<typename Pool>(const std::string& name) {
    OneWindow(
        benchmark::RegisterBenchmark(("pool/pair_latency/" + name).c_str(), PairLatency<Pool>))
        ->ArgName("threads")
        ->ArgsProduct({{1, 2, 8, 64}});
  });
  return true;
}();

}  // namespace
}  // namespace vouch::bench
