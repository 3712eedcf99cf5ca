// A row by its key from SQLite, each time with a connection from a pool of eight. Ours and the
// pools without a database library lend a connection with a prepared statement; the others are used
// as their manuals show, which for all but soci_lease means a new statement each time.
// no_pool: each thread has a connection and a statement to itself.
// Time: a select's share of the wall time, all threads together.

#include <memory>
#include <vector>

#include "bench/pool/contestants.h"
#include "bench/support/crowd.h"
#include "bench/support/remarks.h"
#include "benchmark/benchmark.h"

namespace vouch::bench {
namespace {

constexpr int kSlots = 8;

template <typename Pool>
void PointSelect(benchmark::State& state) {
  Pool pool(kSlots, SelectDatabase());
  for (auto _ : state) {
    ReportTurns(state, TakeTurns(static_cast<int>(state.range(0)), [&pool](int thread, int64_t n) {
                  auto lease = pool.Acquire();
                  benchmark::DoNotOptimize(lease->Select(KeyOf(thread, n)));
                }));
  }
}

void OwnConnection(benchmark::State& state) {
  std::vector<std::unique_ptr<Reader>> readers;
  for (int t = 0; t < state.range(0); ++t) {
    readers.push_back(std::make_unique<Reader>(SelectDatabase()));
  }
  for (auto _ : state) {
    ReportTurns(
        state, TakeTurns(static_cast<int>(state.range(0)), [&readers](int thread, int64_t n) {
          benchmark::DoNotOptimize(readers[static_cast<size_t>(thread)]->Select(KeyOf(thread, n)));
        }));
  }
}

void OnThreads(benchmark::internal::Benchmark* bench) {
  OneWindow(bench)->ArgName("threads")->ArgsProduct({{1, 2, 8, 64}});
}

[[maybe_unused]] const bool registered = [] {
  DescribeCase("pool/point_select", "select",
               "A row by its key from SQLite (10,000 rows) with a connection from a pool of 8: "
               "wall time a select, all threads together. Database libraries are used as their "
               "manuals show, a statement each time; ours and the plain pools lend a connection "
               "with its statement. no_pool: a connection and a statement for each thread.");
  ForEachContestant<Reader>([]<typename Pool>(const std::string& name) {
    OnThreads(
        benchmark::RegisterBenchmark(("pool/point_select/" + name).c_str(), PointSelect<Pool>));
  });
  OnThreads(benchmark::RegisterBenchmark("pool/point_select/no_pool", OwnConnection));
  return true;
}();

}  // namespace
}  // namespace vouch::bench
