// Ways to read rows, under one face, so that all run the same workload. A contestant is made of the
// path of a database and a number of threads, and has
//   Select(thread, key)  the text of a row, as a string of the caller's
//   Range(thread, key)   the same of kRangeRows rows from there on: how many bytes they have
// All have the same settings on their connections.

#ifndef VOUCH_BENCH_STORAGE_CONTESTANTS_H_
#define VOUCH_BENCH_STORAGE_CONTESTANTS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/storage/rivals/own_connection.h"
#include "bench/storage/table.h"
#include "bench/support/crowd.h"
#include "bench/support/scratch.h"
#include "benchmark/benchmark.h"
#include "storage/sqlite/database.h"
#include "storage/status_macros.h"
#include "storage/transaction.h"
#ifdef VOUCH_BENCH_SQLITECPP
#include "bench/storage/rivals/sqlitecpp.h"
#endif
#ifdef VOUCH_BENCH_SOCI
#include "bench/storage/rivals/soci.h"
#endif
#ifdef VOUCH_BENCH_POCO
#include "bench/storage/rivals/poco.h"
#endif

namespace vouch::bench {

constexpr int kReaders = 8;

inline std::unique_ptr<storage::Database> OpenDatabase(const std::string& path,
                                                       const storage::Profile& profile = {}) {
  return *Require(storage::Database::Open(
      {.path = path, .profile = profile, .min_readers = kReaders, .max_readers = kReaders}));
}

inline storage::Profile ProfileOf(bool full) {
  storage::Profile profile;
  profile.synchronous = full ? storage::Synchronous::kFull : storage::Synchronous::kNormal;
  return profile;
}

// Runs one statement in a write transaction of its own.
template <typename... Args>
absl::Status Commit(storage::Database& database, const char* sql, const Args&... args) {
  VOUCH_ASSIGN_OR_RETURN(const storage::WriteLease writer, database.Write(absl::Seconds(5)));
  VOUCH_ASSIGN_OR_RETURN(storage::Transaction transaction,
                         storage::Transaction::Begin(*writer, storage::TransactionMode::kWrite));
  VOUCH_RETURN_IF_ERROR(writer->Execute(sql, args...));
  return transaction.Commit();
}

// A lease of a pool of kReaders for each query, statements from the connection's cache.
class Vouch {
 public:
  Vouch(const std::string& path, int /*threads*/, const storage::Profile& profile = {})
      : database_(OpenDatabase(path, profile)) {}

  storage::Database& database() { return *database_; }

  std::string Select(int /*thread*/, int64_t key) { return *Require(TrySelect(key)); }
  int64_t Range(int /*thread*/, int64_t key) { return *Require(TryRange(key)); }

 private:
  absl::StatusOr<std::string> TrySelect(int64_t key) {
    VOUCH_ASSIGN_OR_RETURN(const storage::ReadLease reader, database_->Read());
    return reader->QueryValue<std::string>(kSelect, key);
  }
  absl::StatusOr<int64_t> TryRange(int64_t key) {
    VOUCH_ASSIGN_OR_RETURN(const storage::ReadLease reader, database_->Read());
    VOUCH_ASSIGN_OR_RETURN(const storage::StatementPtr range, reader->Prepare(kRange));
    VOUCH_RETURN_IF_ERROR(range->Bind(1, key));
    int64_t bytes = 0;
    VOUCH_RETURN_IF_ERROR(range->ForEach([&](const storage::Row& row) {
      bytes += static_cast<int64_t>(row.Get<std::string>(0).size());
    }));
    return bytes;
  }

  const std::unique_ptr<storage::Database> database_;
};

// For those without a pool: each thread has a session to itself.
template <typename Session>
class PerThread {
 public:
  PerThread(const std::string& path, int threads) {
    for (int i = 0; i < threads; ++i) sessions_.push_back(std::make_unique<Session>(path));
  }
  std::string Select(int thread, int64_t key) { return Of(thread).Select(key); }
  int64_t Range(int thread, int64_t key) { return Of(thread).Range(key); }

 private:
  Session& Of(int thread) { return *sessions_[static_cast<size_t>(thread)]; }

  std::vector<std::unique_ptr<Session>> sessions_;
};

// Calls visit.operator()<Contestant>(name) for each contestant, ours first.
template <typename Visit>
void ForEachContestant(const Visit& visit) {
  visit.template operator()<Vouch>("vouch");
  visit.template operator()<PerThread<OwnConnection>>("own_connection");
  visit.template operator()<PerThread<PrepareEachTime>>("prepare_each_time");
#ifdef VOUCH_BENCH_SQLITECPP
  visit.template operator()<PerThread<SqliteCppSession>>("sqlitecpp");
#endif
#ifdef VOUCH_BENCH_SOCI
  visit.template operator()<PerThread<SociSession>>("soci");
#endif
#ifdef VOUCH_BENCH_POCO
  visit.template operator()<PerThread<PocoSession>>("poco");
#endif
}

// One window of time in which each of `threads` calls turn(thread, n) over and over. cpu_ns: of the
// processor's time, which other work on the machine disturbs less than the wall's.
template <typename Turn>
void Measure(benchmark::State& state, const Turn& turn) {
  for (auto _ : state) {
    const auto turns = TakeTurns(static_cast<int>(state.range(0)), turn);
    state.counters["cpu_ns"] = turns.cpu_seconds * 1e9 / ReportTurns(state, turns);
  }
}

inline void OnThreads(benchmark::internal::Benchmark* bench, std::vector<int64_t> threads) {
  OneWindow(bench)->ArgName("threads")->ArgsProduct({std::move(threads)});
}

}  // namespace vouch::bench

#endif  // VOUCH_BENCH_STORAGE_CONTESTANTS_H_
