// The same record as it is usually kept: a row per transaction with a random text id and a plain
// index on each column that is asked for, inserted as pending and updated when done; a row per write
// with a SHA-256 of what was written. A connection a thread and busy_timeout.

#ifndef VOUCH_BENCH_UOW_RIVALS_NAIVE_H_
#define VOUCH_BENCH_UOW_RIVALS_NAIVE_H_

#include <memory>
#include <string>
#include <vector>

#include "bench/support/rivals/bare_sqlite.h"
#include "bench/uow/contestants.h"
#include "storage/sha256.h"
#include "uow/format.h"

namespace vouch::bench {

class NaiveConnection {
 public:
  NaiveConnection(const std::string& path, bool full) : db_(path, full) {}
  ~NaiveConnection() {
    for (sqlite3_stmt* statement : {begin_, pending_, insert_, write_, done_, commit_}) {
      sqlite3_finalize(statement);
    }
  }
  NaiveConnection(const NaiveConnection&) = delete;
  NaiveConnection& operator=(const NaiveConnection&) = delete;

  void Commit() {
    while (sqlite3_step(begin_) != SQLITE_DONE) sqlite3_reset(begin_);
    sqlite3_reset(begin_);
    const uow::RunOptions context = contexts_.Typical();
    const std::string id =
        absl::StrCat(absl::Hex(ids_(), absl::kZeroPad16), absl::Hex(ids_(), absl::kZeroPad16));
    const std::string now = storage::FormatUtcMillis(absl::Now());
    Bind(pending_, {id, now, context.space_id, context.actor_id, context.correlation_id,
                    std::string(uow::NameOf(*context.band))});
    Bind(insert_, {kPayload});
    const std::string checksum = storage::HexOf(storage::Sha256::Of(kPayload));
    Bind(write_, {id, "main", absl::StrCat("t/", ids_()), checksum});
    Bind(done_, {storage::FormatUtcMillis(absl::Now()),
                 storage::HexOf(storage::Sha256::Of(absl::StrCat(id, now, checksum))), id});
    db_.Step(commit_);
  }

 private:
  void Bind(sqlite3_stmt* statement, const std::vector<std::string>& values) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      sqlite3_bind_text(statement, static_cast<int>(i + 1), values[i].data(),
                        static_cast<int>(values[i].size()), SQLITE_STATIC);
    }
    db_.Step(statement);
  }

  BareSqlite db_;
  Contexts contexts_{NextSeed()};
  std::mt19937_64 ids_{NextSeed()};
  sqlite3_stmt* const begin_ = db_.Prepare("BEGIN IMMEDIATE");
  sqlite3_stmt* const pending_ = db_.Prepare(
      "INSERT INTO record(id, status, created, space, actor, correlation, band)"
      " VALUES (?1, 'pending', ?2, ?3, ?4, ?5, ?6)");
  sqlite3_stmt* const insert_ = db_.Prepare("INSERT INTO t(x) VALUES (?1)");
  sqlite3_stmt* const write_ =
      db_.Prepare("INSERT INTO record_write(record, store, row, checksum) VALUES (?1, ?2, ?3, ?4)");
  sqlite3_stmt* const done_ = db_.Prepare(
      "UPDATE record SET status = 'committed', committed = ?1, hash = ?2 WHERE id = ?3");
  sqlite3_stmt* const commit_ = db_.Prepare("COMMIT");
};

class NaiveRecord {
 public:
  using Earlier = NaiveRecord;

  NaiveRecord(const std::string& path, bool full, int threads) {
    BareSqlite(path, full)
        .Run(
            "CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, x);"
            "CREATE TABLE IF NOT EXISTS record(id TEXT PRIMARY KEY, status TEXT NOT NULL, created "
            "TEXT NOT NULL,"
            " committed TEXT, hash TEXT, space TEXT, actor TEXT, correlation TEXT, band TEXT);"
            "CREATE INDEX IF NOT EXISTS record_space ON record(space);"
            "CREATE INDEX IF NOT EXISTS record_actor ON record(actor);"
            "CREATE INDEX IF NOT EXISTS record_band ON record(band);"
            "CREATE INDEX IF NOT EXISTS record_status ON record(status, created);"
            "CREATE INDEX IF NOT EXISTS record_correlation ON record(correlation);"
            "CREATE TABLE IF NOT EXISTS record_write(id INTEGER PRIMARY KEY, record TEXT NOT NULL, "
            "store TEXT,"
            " row TEXT, checksum TEXT);"
            "CREATE INDEX IF NOT EXISTS record_write_record ON record_write(record)");
    for (int i = 0; i < threads; ++i) {
      connections_.push_back(std::make_unique<NaiveConnection>(path, full));
    }
  }

  void Commit(int thread) { connections_[static_cast<std::size_t>(thread)]->Commit(); }

 private:
  std::vector<std::unique_ptr<NaiveConnection>> connections_;
};

}  // namespace vouch::bench

#endif  // VOUCH_BENCH_UOW_RIVALS_NAIVE_H_
