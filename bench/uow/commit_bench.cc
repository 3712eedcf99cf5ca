// Units of one inserted row, committed as fast as the threads can, against the same row without any
// record of it, and against the record that is usually kept. Each has a new file. What is timed
// includes the checkpoints it caused, and the ledger is 20,000 units long when it begins.
// Time: a commit's share of the wall time.
// p50, p99, p999, max: of one commit, its wait included. slowest_share: commits of the thread that
// had fewest, over the mean. cpu_ns: processor time a commit. log_pages: pages a commit wrote to
// the log (SQLite's counter), where the contestant has it. file_bytes: how much the file grew by a
// commit.

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "bench/support/crowd.h"
#include "bench/support/percentiles.h"
#include "bench/support/remarks.h"
#include "bench/support/scratch.h"
#include "bench/uow/contestants.h"
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

constexpr std::chrono::milliseconds kLength(1500);

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Commits {
  int64_t count = 0;
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
    if (!window.opened()) continue;
    commits.nanoseconds.push_back(Seconds(Clock::now() - start) * 1e9);
    commits.count += window.over() ? 0 : 1;
  }
  return commits;
}

void Report(benchmark::State& state, const Gathered<Commits>& all, int threads, double cpu) {
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
  state.counters["cpu_ns"] = cpu * 1e9 / sum;
}

template <typename Contestant>
void Commit(benchmark::State& state, bool full, int threads) {
  const Scratch scratch;
  const std::string path = scratch.File("commits.db");
  Contestant contestant(path, full, threads);
  for (auto _ : state) {
    const double before = CpuSeconds();
    const auto all = Gather(threads, kLength, [&contestant](int thread, const Window& window) {
      return CommitMany(contestant, thread, window);
    });
    // The ramp's processor time is its share of the whole.
    const double cpu = (CpuSeconds() - before) * all.seconds / (all.seconds + 0.05);
    Report(state, all, threads, cpu);
  }
}

template <typename Contestant>
void Register(const std::string& name, bool full) {
  for (const int threads : {1, 2, 4, 8, 16, 64}) {
    OneWindow(benchmark::RegisterBenchmark(
        (name + "/threads:" + std::to_string(threads)).c_str(),
        [full, threads](benchmark::State& state) { Commit<Contestant>(state, full, threads); }));
  }
}

[[maybe_unused]] const bool registered = [] {
  for (const bool full : {true, false}) {
    const std::string name = full ? "uow/commit_full" : "uow/commit_normal";
    DescribeCase(name, "commit",
                 "a row of 100 bytes a transaction, as fast as all threads can, synchronous " +
                     std::string(full ? "FULL" : "NORMAL"));
    Register<Units>(name + "/vouch", full);
    Register<UnitsAnyThread>(name + "/vouch_any_thread", full);
    Register<UnitsUngrouped>(name + "/vouch_ungrouped", full);
    Register<UnitsInContext>(name + "/vouch_context", full);
    Register<UnitsInRandomContext>(name + "/vouch_random_context", full);
    Register<UnitsWithoutReceipts>(name + "/vouch_no_receipts", full);
    Register<UnitsWithoutReceiptsAnyThread>(name + "/vouch_no_receipts_any_thread", full);
    Register<BareBusyTimeout>(name + "/bare_busy_timeout", full);
    Register<BareMutex>(name + "/bare_mutex", full);
    Register<NaiveRecord>(name + "/naive_record", full);
#ifdef VOUCH_BENCH_SOCI
    Register<SociTransaction>(name + "/soci", full);
#endif
#ifdef VOUCH_BENCH_POCO
    Register<PocoTransaction>(name + "/poco", full);
#endif
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
