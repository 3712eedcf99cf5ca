// Many more threads than resources: 64 threads share 4 and hold each for a sleep of 100 µs.
// Time: a turn's share of the wall time.
// wait_…: percentiles of the wait as multiples of the fair share, which is the measured mean hold
//   times threads / slots. A perfectly fair and quick pool has 1 everywhere.
// jain: Jain's index of the turns each thread had: 1 when all had the same, 1 / threads when one
//   had all. starved: threads that had none.
// busy: the part of the time in which a resource was held. sleep_late_ns: how much longer than
//   100 µs the sleeps took, which is the machine's doing, and in the fair share.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>
#include <vector>

#include "bench/pool/contestants.h"
#include "bench/support/crowd.h"
#include "bench/support/percentiles.h"
#include "bench/support/remarks.h"
#include "benchmark/benchmark.h"

namespace vouch::bench {
namespace {

constexpr int kSlots = 4;
constexpr int kThreads = 64;
constexpr std::chrono::microseconds kHold(100);

struct Turns {
  int64_t count = 0;          // that ended while the window was open
  double held = 0;            // by them, in seconds
  std::vector<double> waits;  // of which a part was in the window
};

// A wait counts even if it began before the window or ended after it: else a thread that starves
// would not be seen.
template <typename Pool>
Turns TakeTurns(Pool& pool, const Window& window) {
  Turns turns;
  while (!window.over()) {
    const Clock::time_point asked = Clock::now();
    auto lease = pool.Acquire();
    const Clock::time_point got = Clock::now();
    if (window.opened()) turns.waits.push_back(Seconds(got - asked));
    std::this_thread::sleep_for(kHold);
    lease->Touch();
    if (window.opened() && !window.over()) {
      ++turns.count;
      turns.held += Seconds(Clock::now() - got);
    }
  }
  return turns;
}

void Report(benchmark::State& state, const Gathered<Turns>& all) {
  double sum = 0, squares = 0, held = 0, starved = 0;
  std::vector<double> waits;
  for (const Turns& turns : all.results) {
    const auto count = static_cast<double>(turns.count);
    sum += count;
    squares += count * count;
    held += turns.held;
    starved += turns.count == 0 ? 1 : 0;
    waits.insert(waits.end(), turns.waits.begin(), turns.waits.end());
  }
  const Percentiles<double> sorted(std::move(waits));
  const double hold = held / sum;
  const double share = hold * kThreads / kSlots;
  state.SetIterationTime(all.seconds / sum);
  state.counters["wait_p50"] = sorted.At(0.5) / share;
  state.counters["wait_p99"] = sorted.At(0.99) / share;
  state.counters["wait_p999"] = sorted.At(0.999) / share;
  state.counters["wait_max"] = sorted.Max() / share;
  state.counters["jain"] = sum * sum / (kThreads * squares);
  state.counters["starved"] = starved;
  state.counters["busy"] = held / (all.seconds * kSlots);
  state.counters["sleep_late_ns"] = (hold - Seconds(kHold)) * 1e9;
}

template <typename Pool>
void Exhausted(benchmark::State& state) {
  Pool pool(kSlots, SelectDatabase());
  for (auto _ : state) {
    Report(state, Gather(kThreads, std::chrono::seconds(1),
                         [&pool](int, const Window& window) { return TakeTurns(pool, window); }));
  }
}

[[maybe_unused]] const bool registered = [] {
  DescribeCase(
      "pool/exhausted", "turn",
      "64 threads share 4 resources and hold each for a sleep of 100 µs, for a second. "
      "turn: its wall time, all together. wait: as multiples of the fair share, which is the "
      "measured mean hold × threads / slots. jain: Jain's fairness index of the threads' "
      "turns, 1 at best. starved: threads without a turn. busy: share of the time that "
      "resources were held. sleep_late: how much longer than asked the sleeps took.");
  ForEachContestant<Item>([]<typename Pool>(const std::string& name) {
    OneWindow(benchmark::RegisterBenchmark(("pool/exhausted/" + name).c_str(), Exhausted<Pool>));
  });
  return true;
}();

}  // namespace
}  // namespace vouch::bench
