// Many more threads than resources: 64 threads share 4 and hold each for a sleep of 100 µs.
// Reported: items per second; the maximal and the 99.9th percentile wait as multiples of the fair
// share, which is the measured mean hold times threads / slots; and "busy", the part of the time in
// which a resource was held. A perfectly fair and quick pool has waits of 1 and busy of 1.

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#include "bench/pool/contestants.h"
#include "benchmark/benchmark.h"

namespace vouch::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kSlots = 4;
constexpr int kThreads = 64;
constexpr int kTurns = 100;

double Seconds(Clock::duration length) { return std::chrono::duration<double>(length).count(); }

struct Times {
  std::vector<double> waits;
  double held = 0;
};

template <typename Contestant>
Times TakeTurns(Contestant& pool) {
  Times times;
  for (int i = 0; i < kTurns; ++i) {
    const Clock::time_point asked = Clock::now();
    auto lease = pool.Acquire();
    const Clock::time_point got = Clock::now();
    std::this_thread::sleep_for(std::chrono::microseconds(100));
    ++lease->uses;
    times.held += Seconds(Clock::now() - got);
    times.waits.push_back(Seconds(got - asked));
  }
  return times;
}

template <typename Contestant>
std::vector<Times> Crowd(Contestant& pool) {
  std::vector<Times> times(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back(
        [&pool, &mine = times[static_cast<size_t>(t)]] { mine = TakeTurns(pool); });
  }
  for (std::thread& thread : threads) thread.join();
  return times;
}

template <typename Contestant>
void Exhausted(benchmark::State& state) {
  std::vector<double> waits;
  double held = 0;
  double elapsed = 0;
  for (auto _ : state) {
    Contestant pool(kSlots);
    const Clock::time_point start = Clock::now();
    const std::vector<Times> all = Crowd(pool);
    const double seconds = Seconds(Clock::now() - start);
    state.SetIterationTime(seconds);
    elapsed += seconds;
    for (const Times& times : all) {
      waits.insert(waits.end(), times.waits.begin(), times.waits.end());
      held += times.held;
    }
  }
  std::sort(waits.begin(), waits.end());
  const double mean_hold = held / static_cast<double>(waits.size());
  const double share = mean_hold * kThreads / kSlots;
  state.SetItemsProcessed(state.iterations() * kThreads * kTurns);
  state.counters["wait_max"] = waits.back() / share;
  state.counters["wait_p999"] = waits[waits.size() * 999 / 1000] / share;
  state.counters["busy"] = held / (elapsed * kSlots);
}

void InOneGo(benchmark::internal::Benchmark* bench) {
  bench->UseManualTime()->Iterations(3)->Unit(benchmark::kMillisecond);
}

BENCHMARK_TEMPLATE(Exhausted, Vouch)->Name("pool/exhausted/vouch")->Apply(InOneGo);
BENCHMARK_TEMPLATE(Exhausted, MutexAndCondition)->Name("pool/exhausted/mutex_cv")->Apply(InOneGo);

}  // namespace
}  // namespace vouch::bench
