// A crowd: threads that do the same thing over and over while a window of time is open.
//
// A fixed time and not a fixed number of turns: with a number of turns the favoured threads of an
// unfair pool go home early, and the rest of the run measures a smaller crowd.

#ifndef VOUCH_BENCH_SUPPORT_CROWD_H_
#define VOUCH_BENCH_SUPPORT_CROWD_H_

#include <time.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <latch>
#include <numeric>
#include <thread>
#include <type_traits>
#include <vector>

#include "benchmark/benchmark.h"

namespace vouch::bench {

using Clock = std::chrono::steady_clock;

inline double Seconds(Clock::duration length) {
  return std::chrono::duration<double>(length).count();
}

// Not yet open while the threads come up to speed, then open, then over. The threads read it
// between their turns: a shared line that changes twice.
class Window {
 public:
  bool opened() const { return phase_.load(std::memory_order_relaxed) >= kOpen; }
  bool over() const { return phase_.load(std::memory_order_relaxed) == kOver; }

  void Open() { phase_.store(kOpen, std::memory_order_relaxed); }
  void Close() { phase_.store(kOver, std::memory_order_relaxed); }

 private:
  enum Phase { kRamp, kOpen, kOver };
  std::atomic<Phase> phase_{kRamp};
};

template <typename Result>
struct Gathered {
  std::vector<Result> results;  // one a thread
  double seconds = 0;           // how long the window was open
  double cpu_seconds = 0;       // that all threads used meanwhile
};

// Of all threads of this process.
inline double CpuSeconds() {
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + 1e-9 * static_cast<double>(used.tv_nsec);
}

// Runs body(thread, window) on each of the threads. It loops until the window is over and returns
// what it saw.
template <typename Body>
auto Gather(int threads, std::chrono::milliseconds length, Body body) {
  using Result = std::invoke_result_t<Body, int, const Window&>;
  Gathered<Result> all{std::vector<Result>(static_cast<size_t>(threads))};
  Window window;
  std::latch ready(threads + 1);
  std::vector<std::jthread> crowd;
  for (int t = 0; t < threads; ++t) {
    crowd.emplace_back([&, t] {
      ready.arrive_and_wait();
      all.results[static_cast<size_t>(t)] = body(t, window);
    });
  }
  ready.arrive_and_wait();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const Clock::time_point start = Clock::now();
  const double cpu_start = CpuSeconds();
  window.Open();
  std::this_thread::sleep_for(length);
  all.seconds = Seconds(Clock::now() - start);
  all.cpu_seconds = CpuSeconds() - cpu_start;
  window.Close();
  crowd.clear();  // joins
  return all;
}

// Calls turn(thread, n), n = 0, 1, …, on each thread and returns how many turns each made in the
// window. A turn counts where it ends.
template <typename Turn>
Gathered<int64_t> TakeTurns(int threads, Turn turn,
                            std::chrono::milliseconds length = std::chrono::milliseconds(300)) {
  return Gather(threads, length, [turn](int thread, const Window& window) {
    int64_t n = 0;
    while (!window.opened()) turn(thread, n++);
    const int64_t before = n;
    while (!window.over()) turn(thread, n++);
    return n - before;
  });
}

// One iteration is one window; its time is a turn's share of the wall time, all threads together.
// Returns how many turns there were.
inline double ReportTurns(benchmark::State& state, const Gathered<int64_t>& turns) {
  const auto sum =
      static_cast<double>(std::accumulate(turns.results.begin(), turns.results.end(), int64_t{0}));
  state.SetIterationTime(turns.seconds / sum);
  return sum;
}

// For benchmarks that time themselves and are repeated from outside.
inline benchmark::internal::Benchmark* OneWindow(benchmark::internal::Benchmark* bench) {
  return bench->UseManualTime()->Iterations(1);
}

}  // namespace vouch::bench

#endif  // VOUCH_BENCH_SUPPORT_CROWD_H_
