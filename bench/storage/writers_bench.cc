// 64 threads insert rows, a row a transaction, as fast as they can.
// Time: a commit's share of the wall time.
// slowest_share: commits of the thread that had fewest, over the mean: 1 when all had the same.
// jain: Jain's index of the same. refused: transactions that found the file locked for 5 s.
// longest_ns: the longest that one transaction took, waiting included.

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "bench/storage/contestants.h"
#include "bench/storage/rivals/bare_writer.h"
#include "bench/support/remarks.h"

namespace vouch::bench {
namespace {

constexpr int kThreads = 64;
constexpr std::chrono::seconds kLength(3);
constexpr char kInsert[] = "INSERT INTO w(x) VALUES (hex(randomblob(50)))";

class QueuedWriters {
 public:
  QueuedWriters(const std::string& path, bool full)
      : database_(OpenDatabase(path, ProfileOf(full))) {}

  // False when it was refused for want of the lock.
  bool Insert(int /*thread*/) {
    const absl::Status status = Commit(*database_, kInsert);
    if (absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status)) return false;
    Require(status);
    return true;
  }

 private:
  const std::unique_ptr<storage::Database> database_;
};

// A connection for each thread, which wait for one another with SQLite's busy_timeout of 5 s.
class BusyTimeout {
 public:
  BusyTimeout(const std::string& path, bool full) {
    for (int i = 0; i < kThreads; ++i) {
      writers_.push_back(std::make_unique<BareWriter>(path, full, kInsert));
    }
  }

  bool Insert(int thread) { return writers_[static_cast<size_t>(thread)]->Commit(); }

 private:
  std::vector<std::unique_ptr<BareWriter>> writers_;
};

struct Commits {
  int64_t count = 0;
  int64_t refused = 0;
  Clock::duration longest{};
};

// What began in the window counts for `longest`, whenever it ended: else a thread that starves would
// not be seen.
template <typename Contestant>
Commits InsertMany(Contestant& contestant, int thread, const Window& window) {
  Commits commits;
  while (!window.over()) {
    const Clock::time_point start = Clock::now();
    const bool done = contestant.Insert(thread);
    if (!window.opened()) continue;
    commits.longest = std::max(commits.longest, Clock::now() - start);
    commits.refused += done ? 0 : 1;
    commits.count += done && !window.over() ? 1 : 0;
  }
  return commits;
}

void Report(benchmark::State& state, const Gathered<Commits>& all) {
  double sum = 0, squares = 0, refused = 0, least = 1e18;
  Clock::duration longest{};
  for (const Commits& commits : all.results) {
    const auto count = static_cast<double>(commits.count);
    sum += count;
    squares += count * count;
    least = std::min(least, count);
    refused += static_cast<double>(commits.refused);
    longest = std::max(longest, commits.longest);
  }
  state.SetIterationTime(all.seconds / sum);
  state.counters["commits_per_s"] = sum / all.seconds;
  state.counters["slowest_share"] = least * kThreads / sum;
  state.counters["jain"] = sum * sum / (kThreads * squares);
  state.counters["refused"] = refused;
  state.counters["longest_ns"] = Seconds(longest) * 1e9;
}

template <typename Contestant>
void Writers(benchmark::State& state, bool full) {
  const Scratch scratch;
  const std::string path = scratch.File("writers.db");
  BareSqlite(path, full).Run("CREATE TABLE w(id INTEGER PRIMARY KEY, x TEXT)");
  Contestant contestant(path, full);
  for (auto _ : state) {
    Report(state, Gather(kThreads, kLength, [&contestant](int thread, const Window& window) {
             return InsertMany(contestant, thread, window);
           }));
  }
}

template <typename Contestant>
void Register(const std::string& name, bool full) {
  OneWindow(benchmark::RegisterBenchmark(
      name.c_str(), [full](benchmark::State& state) { Writers<Contestant>(state, full); }));
}

[[maybe_unused]] const bool registered = [] {
  for (const bool full : {true, false}) {
    const std::string name = full ? "storage/writers_full" : "storage/writers_normal";
    DescribeCase(name, "commit",
                 "64 threads insert rows for 3 s, a row a transaction, synchronous " +
                     std::string(full ? "FULL" : "NORMAL") +
                     ": wall time a commit, all together. slowest_share: the commits of the thread "
                     "that had fewest, over the mean. jain: Jain's index of all. refused: "
                     "transactions that did not get the lock in 5 s. longest: one transaction, its "
                     "wait included.");
    Register<QueuedWriters>(name + "/vouch", full);
    Register<BusyTimeout>(name + "/busy_timeout", full);
  }
  RemarkOn("busy_timeout", "SQLite's C interface, a connection for each thread, BEGIN IMMEDIATE");
  return true;
}();

}  // namespace
}  // namespace vouch::bench
