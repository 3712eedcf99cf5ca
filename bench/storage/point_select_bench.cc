// A row of 100,000 by its key, each time through a lease of the pool and the statement cache.
// Time: a select's share of the wall time, all threads together.

#include "bench/storage/contestants.h"
#include "bench/support/remarks.h"

namespace vouch::bench {
namespace {

template <typename Contestant>
void PointSelect(benchmark::State& state) {
  Contestant contestant(SharedTable(), static_cast<int>(state.range(0)));
  Measure(state, [&contestant](int thread, int64_t n) {
    benchmark::DoNotOptimize(contestant.Select(thread, KeyOf(thread, n)));
  });
}

[[maybe_unused]] const bool registered = [] {
  DescribeCase("storage/point_select", "select",
               "A row of 100,000 by its key, each in a transaction of its own: wall time a select, "
               "all threads together.");
  ForEachContestant([]<typename Contestant>(const std::string& name) {
    OnThreads(benchmark::RegisterBenchmark(("storage/point_select/" + name).c_str(),
                                           PointSelect<Contestant>),
              {1, 2, 8});
  });
  return true;
}();

}  // namespace
}  // namespace vouch::bench
