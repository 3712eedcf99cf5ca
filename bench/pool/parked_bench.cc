// What waiting costs: 32 threads wait a second each for a pool that nobody gives anything back to.
// Time: processor time a waiter burns in that second, its way in and out included; cpu_percent: the
// same as a part of the second.

#include <cstdlib>
#include <ctime>
#include <numeric>
#include <thread>
#include <vector>

#include "bench/pool/contestants.h"
#include "bench/support/crowd.h"
#include "bench/support/remarks.h"
#include "benchmark/benchmark.h"

namespace vouch::bench {
namespace {

constexpr int kSlots = 2;
constexpr int kThreads = 32;
constexpr std::chrono::seconds kWait(1);

double ThreadCpuSeconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

template <typename Pool>
void Parked(benchmark::State& state) {
  Pool pool(kSlots, SelectDatabase());
  const decltype(pool.Acquire()) held[] = {pool.Acquire(), pool.Acquire()};
  for (auto _ : state) {
    std::vector<double> burnt(kThreads);
    {
      std::vector<std::jthread> threads;
      for (double& mine : burnt) {
        threads.emplace_back([&pool, &mine] {
          const double before = ThreadCpuSeconds();
          if (pool.AcquireWithin(kWait)) std::abort();  // there is none to be had
          mine = ThreadCpuSeconds() - before;
        });
      }
    }
    const double mean = std::accumulate(burnt.begin(), burnt.end(), 0.0) / kThreads;
    state.SetIterationTime(mean);
    state.counters["cpu_percent"] = 100 * mean / Seconds(kWait);
  }
}

[[maybe_unused]] const bool registered = [] {
  DescribeCase("pool/parked", "processor time",
               "32 threads wait a second each for an exhausted pool: processor time a waiter "
               "burns meanwhile, its way in and out included, and in per cent of the second.");
  ForEachContestant<Item>([]<typename Pool>(const std::string& name) {
    if constexpr (CanWait<Pool>) {
      OneWindow(benchmark::RegisterBenchmark(("pool/parked/" + name).c_str(), Parked<Pool>));
    }
  });
  return true;
}();

}  // namespace
}  // namespace vouch::bench
