// Opening a database of 100,000 rows for one writer and eight readers, with every setting made and
// read back, and closing it again. Time: the median of opening; p99_ns: the 99th percentile.

#include <memory>
#include <vector>

#include "bench/storage/contestants.h"
#include "bench/support/percentiles.h"
#include "bench/support/remarks.h"

namespace vouch::bench {
namespace {

constexpr int kOpens = 300;

struct BareConnections {
  explicit BareConnections(const std::string& path) {
    for (int i = 0; i < kReaders + 1; ++i) {
      connections.push_back(std::make_unique<BareSqlite>(path, /*full=*/true));
    }
  }

  std::vector<std::unique_ptr<BareSqlite>> connections;
};

// `open` returns what closes the database when it is destroyed.
template <typename Open>
void MeasureOpen(benchmark::State& state, const Open& open) {
  const std::string& path = SharedTable();
  for (auto _ : state) {
    std::vector<int64_t> samples;
    for (int i = 0; i < kOpens; ++i) {
      const Clock::time_point start = Clock::now();
      const auto opened = open(path);
      samples.push_back(std::chrono::nanoseconds(Clock::now() - start).count());
    }
    const Percentiles<int64_t> opens(std::move(samples));
    state.SetIterationTime(static_cast<double>(opens.At(0.5)) * 1e-9);
    state.counters["p99_ns"] = static_cast<double>(opens.At(0.99));
  }
}

[[maybe_unused]] const bool registered = [] {
  DescribeCase("storage/open", "p50",
               "Opening a database, one writer and eight readers, whose file another connection "
               "has open: the median and the 99th percentile of 300. own_connection makes nine "
               "connections and their settings, and checks nothing.");
  OneWindow(benchmark::RegisterBenchmark("storage/open/vouch", [](benchmark::State& state) {
    MeasureOpen(state, [](const std::string& path) { return OpenDatabase(path); });
  }));
  OneWindow(
      benchmark::RegisterBenchmark("storage/open/own_connection", [](benchmark::State& state) {
        MeasureOpen(state, [](const std::string& path) { return BareConnections(path); });
      }));
  return true;
}();

}  // namespace
}  // namespace vouch::bench
