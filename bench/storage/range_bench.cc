// Ten rows of 100,000 from a key on, each time through a lease of the pool and the statement cache.
// Time: a range's share of the wall time, all threads together.

#include "bench/storage/contestants.h"
#include "bench/support/remarks.h"

namespace vouch::bench {
namespace {

template <typename Contestant>
void Range(benchmark::State& state) {
  Contestant contestant(SharedTable(), static_cast<int>(state.range(0)));
  Measure(state, [&contestant](int thread, int64_t n) {
    benchmark::DoNotOptimize(contestant.Range(thread, KeyOf(thread, n)));
  });
}

[[maybe_unused]] const bool registered = [] {
  DescribeCase("storage/range", "range",
               "Ten rows of 100,000 from a key on: wall time for the ten, all threads together.");
  ForEachContestant([]<typename Contestant>(const std::string& name) {
    OnThreads(benchmark::RegisterBenchmark(("storage/range/" + name).c_str(), Range<Contestant>),
              {1, 2, 8});
  });
  return true;
}();

}  // namespace
}  // namespace vouch::bench
