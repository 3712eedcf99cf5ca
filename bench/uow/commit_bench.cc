// Units of one inserted row, committed as fast as the threads can, against the same row without any
// record of it, and against the record that is usually kept. Each file has 100,000 such commits in
// it when the time begins, and what is timed includes the checkpoints it caused.
// Time: a commit's share of the wall time.
// p50, p99, p999, max: of one commit, its wait included. slowest_share: commits of the thread that
// had fewest, over the mean. cpu_ns: processor time a commit. log_pages, written_bytes, syncs: what
// a commit asked of the disk, checkpoints included. file_bytes: how much the file grew by a commit.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/support/crowd.h"
#include "bench/support/percentiles.h"
#include "bench/support/remarks.h"
#include "bench/support/scratch.h"
#include "bench/uow/contestants.h"
#include "bench/uow/disk.h"
#include "bench/uow/rivals/bare.h"
#include "bench/uow/rivals/naive.h"
#ifdef VOUCH_BENCH_POCO
#include "bench/uow/rivals/poco.h"
#endif
#ifdef VOUCH_BENCH_SOCI
#include "bench/uow/rivals/soci.h"
#endif

namespace vouch::bench {
namespace {

constexpr std::chrono::milliseconds kLength(1000);

struct Commits {
  int64_t count = 0;  // In the window,
  int64_t all = 0;    // and with those before and after.
  std::vector<double> nanoseconds;
};

// What began in the window counts for the percentiles, whenever it ended.
template <typename Contestant>
Commits CommitMany(Contestant& contestant, int thread, const Window& window) {
  Commits commits;
  commits.nanoseconds.reserve(100'000);
  while (!window.over()) {
    const Clock::time_point start = Clock::now();
    contestant.Commit(thread);
    ++commits.all;
    if (!window.opened()) continue;
    commits.nanoseconds.push_back(Seconds(Clock::now() - start) * 1e9);
    commits.count += window.over() ? 0 : 1;
  }
  return commits;
}

void Report(benchmark::State& state, const Gathered<Commits>& all, int threads) {
  double sum = 0, least = 1e18;
  std::vector<std::vector<double>> times;
  for (const Commits& commits : all.results) {
    sum += static_cast<double>(commits.count);
    least = std::min(least, static_cast<double>(commits.count));
    times.push_back(commits.nanoseconds);
  }
  const Percentiles<double> percentiles(Flatten(times));
  state.SetIterationTime(all.seconds / sum);
  state.counters["per_s"] = sum / all.seconds;
  state.counters["p50_ns"] = percentiles.At(0.5);
  state.counters["p99_ns"] = percentiles.At(0.99);
  state.counters["p999_ns"] = percentiles.At(0.999);
  state.counters["max_ns"] = percentiles.Max();
  state.counters["slowest_share"] = least * threads / sum;
  state.counters["cpu_ns"] = all.cpu_seconds * 1e9 / sum;
}

void ReportDisk(benchmark::State& state, const DiskUse& before, const DiskUse& after,
                std::uintmax_t growth, const Gathered<Commits>& all) {
  double commits = 0;
  for (const Commits& each : all.results) commits += static_cast<double>(each.all);
  const auto per_commit = [commits](auto amount) { return static_cast<double>(amount) / commits; };
  state.counters["log_pages"] = per_commit(after.log_pages - before.log_pages);
  state.counters["written_bytes"] = per_commit(after.written_bytes - before.written_bytes);
  state.counters["syncs"] = per_commit(after.syncs - before.syncs);
  state.counters["file_bytes"] = per_commit(growth);
}

// A file with kEarlierCommits in it, made once.
template <typename Contestant>
const std::string& Earlier() {
  static const Scratch scratch;
  static const std::string path = [] {
    const EmulatedSync none(std::chrono::microseconds(0));
    std::string made = scratch.File("earlier.db");
    Contestant contestant(made, /*full=*/false, /*threads=*/1);
    for (int i = 0; i < kEarlierCommits; ++i) contestant.Commit(0);
    return made;
  }();
  return path;
}

struct Conditions {
  bool full = true;
  int threads = 1;
  std::optional<std::chrono::microseconds> sync = std::nullopt;
};

template <typename Contestant>
void Commit(benchmark::State& state, const Conditions& conditions) {
  const Scratch scratch;
  const std::string path = scratch.File("commits.db");
  std::filesystem::copy_file(Earlier<typename Contestant::Earlier>(), path);
  sync();  // The copy is not theirs to wait for.
  const EmulatedSync emulated(conditions.sync);
  const std::uintmax_t size = std::filesystem::file_size(path);
  for (auto _ : state) {
    auto contestant = std::make_unique<Contestant>(path, conditions.full, conditions.threads);
    const DiskUse before = DiskUseNow();
    const auto all =
        Gather(conditions.threads, kLength, [&contestant](int thread, const Window& window) {
          return CommitMany(*contestant, thread, window);
        });
    const DiskUse after = DiskUseNow();
    contestant.reset();  // What is still in the log goes to the file.
    Report(state, all, conditions.threads);
    ReportDisk(state, before, after, std::filesystem::file_size(path) - size, all);
  }
}

template <typename Contestant>
void Register(const std::string& name, const Conditions& conditions) {
  OneWindow(benchmark::RegisterBenchmark(
      (name + "/threads:" + std::to_string(conditions.threads)).c_str(),
      [conditions](benchmark::State& state) { Commit<Contestant>(state, conditions); }));
}

// Contestants that are compared run one after the other: the machine is not always as fast.
void RegisterUsual(const std::string& name, const Conditions& conditions) {
  Register<Units>(name + "/vouch", conditions);
  Register<BareBusyTimeout>(name + "/bare_busy_timeout", conditions);
  Register<UnitsUngrouped>(name + "/vouch_ungrouped", conditions);
  Register<UnitsAnyThread>(name + "/vouch_any_thread", conditions);
  Register<UnitsInContext>(name + "/vouch_context", conditions);
  Register<NaiveRecord>(name + "/naive_record", conditions);
}

void RegisterAll(const std::string& name, bool full) {
  for (const int threads : {1, 2, 4, 8, 16, 64}) {
    const Conditions conditions = {.full = full, .threads = threads};
    RegisterUsual(name, conditions);
    Register<UnitsInRandomContext>(name + "/vouch_random_context", conditions);
    Register<UnitsWithoutReceipts>(name + "/vouch_no_receipts", conditions);
    Register<UnitsWithoutReceiptsAnyThread>(name + "/vouch_no_receipts_any_thread", conditions);
    Register<BareMutex>(name + "/bare_mutex", conditions);
#ifdef VOUCH_BENCH_SOCI
    Register<SociTransaction>(name + "/soci", conditions);
#endif
#ifdef VOUCH_BENCH_POCO
    Register<PocoTransaction>(name + "/poco", conditions);
#endif
  }
}

// Disks that sync faster and slower than this one.
void RegisterEmulated(std::chrono::microseconds sync) {
  const std::string length = std::to_string(sync.count());
  const std::string name = "uow/commit_sync_" + length + "us";
  DescribeCase(name, "commit",
               "synchronous FULL on a disk that syncs in " + length +
                   " µs: a sync is a sleep, and no disk waits");
  for (const int threads : {1, 8, 64}) {
    RegisterUsual(name, {.full = true, .threads = threads, .sync = sync});
  }
}

[[maybe_unused]] const bool registered = [] {
  for (const bool full : {true, false}) {
    const std::string name = full ? "uow/commit_full" : "uow/commit_normal";
    DescribeCase(name, "commit",
                 "a row of 100 bytes a transaction, as fast as all threads can, synchronous " +
                     std::string(full ? "FULL" : "NORMAL"));
    RegisterAll(name, full);
  }
  for (const int microseconds : {0, 200, 1000}) {
    RegisterEmulated(std::chrono::microseconds(microseconds));
  }
  RemarkOn("vouch", "a unit with its receipt; no context");
  RemarkOn("vouch_any_thread", "the same; a unit that waits may be run by another's thread");
  RemarkOn("vouch_ungrouped", "the same, grouping switched off");
  RemarkOn("vouch_context",
           "with context: 4 bands, 50 spaces, 5,000 actors by Zipf's law, random correlation ids");
  RemarkOn("vouch_random_context", "the worst: every context column random");
  RemarkOn("vouch_no_receipts", "no record either: the pool and the group commit alone");
  RemarkOn("vouch_no_receipts_any_thread", "the same; another's thread may run it");
  RemarkOn("soci", "no record: soci::transaction, a session for each thread");
  RemarkOn("poco", "no record: Poco::Data::Transaction, a session for each thread");
  RemarkOn("bare_busy_timeout",
           "no record: SQLite's C interface, a connection for each thread, BEGIN IMMEDIATE");
  RemarkOn("bare_mutex", "the same behind one mutex");
  RemarkOn(
      "naive_record",
      "the same context recorded as usual: random text ids, plain indexes, INSERT then UPDATE, "
      "a SHA-256 of the row; a connection for each thread, busy_timeout");
  return true;
}();

}  // namespace
}  // namespace vouch::bench
