// 100 threads wait for a pool that nobody gives anything back to, all at once, 50 ms each time, 20
// times. bare_futex: a futex wait with the same timeout, the least that waiting can cost.
// Time: the median of how late they come back; late_p99_ns and late_max_ns: the rest of it.

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <barrier>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <thread>
#include <vector>

#include "bench/pool/contestants.h"
#include "bench/support/crowd.h"
#include "bench/support/percentiles.h"
#include "bench/support/remarks.h"
#include "benchmark/benchmark.h"

namespace vouch::bench {
namespace {

constexpr int kSlots = 2;
constexpr int kThreads = 100;
constexpr int kRounds = 20;
constexpr std::chrono::milliseconds kTimeout(50);

// wait() returns when the timeout has passed. Returns how late, in seconds.
template <typename Wait>
std::vector<double> Late(const Wait& wait) {
  std::vector<std::vector<double>> late(kThreads);
  std::barrier together(kThreads);
  {
    std::vector<std::jthread> threads;
    for (std::vector<double>& mine : late) {
      threads.emplace_back([&] {
        for (int round = 0; round < kRounds; ++round) {
          together.arrive_and_wait();
          const Clock::time_point start = Clock::now();
          wait();
          mine.push_back(Seconds(Clock::now() - start - kTimeout));
        }
      });
    }
  }
  return Flatten(late);
}

template <typename Wait>
void Report(benchmark::State& state, const Wait& wait) {
  for (auto _ : state) {
    const Percentiles<double> late(Late(wait));
    state.SetIterationTime(late.At(0.5));
    state.counters["late_p99_ns"] = late.At(0.99) * 1e9;
    state.counters["late_max_ns"] = late.Max() * 1e9;
  }
}

template <typename Pool>
void Timeout(benchmark::State& state) {
  Pool pool(kSlots, SelectDatabase());
  const decltype(pool.Acquire()) held[] = {pool.Acquire(), pool.Acquire()};
  Report(state, [&pool] {
    if (pool.AcquireWithin(kTimeout)) std::abort();  // there is none to be had
  });
}

void BareFutex(benchmark::State& state) {
  Report(state, [] {
    uint32_t word = 0;
    const timespec timeout{0, std::chrono::nanoseconds(kTimeout).count()};
    syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &timeout, nullptr, 0);
  });
}

[[maybe_unused]] const bool registered = [] {
  DescribeCase("pool/timeout", "late p50",
               "100 threads wait for an exhausted pool with a timeout of 50 ms, 20 times: how late "
               "they come back, median, 99th percentile and maximum. bare_futex: a futex "
               "wait with the same timeout and nothing around it.");
  ForEachContestant<Item>([]<typename Pool>(const std::string& name) {
    if constexpr (CanWait<Pool>) {
      OneWindow(benchmark::RegisterBenchmark(("pool/timeout/" + name).c_str(), Timeout<Pool>));
    }
  });
  OneWindow(benchmark::RegisterBenchmark("pool/timeout/bare_futex", BareFutex));
  return true;
}();

}  // namespace
}  // namespace vouch::bench
