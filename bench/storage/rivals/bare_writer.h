#ifndef VOUCH_BENCH_STORAGE_RIVALS_BARE_WRITER_H_
#define VOUCH_BENCH_STORAGE_RIVALS_BARE_WRITER_H_

#include <sqlite3.h>

#include <cstdint>
#include <string>

#include "bench/support/rivals/bare_sqlite.h"

namespace vouch::bench {

// A connection that runs one statement, with one parameter or none, in transactions of its own.
class BareWriter {
 public:
  BareWriter(const std::string& path, bool full, const char* sql)
      : db_(path, full), statement_(db_.Prepare(sql)) {}
  ~BareWriter() {
    for (sqlite3_stmt* statement : {begin_, statement_, commit_}) sqlite3_finalize(statement);
  }
  BareWriter(const BareWriter&) = delete;
  BareWriter& operator=(const BareWriter&) = delete;

  void Bind(int64_t key) { sqlite3_bind_int64(statement_, 1, key); }
  // False when the file was locked for longer than the busy timeout.
  bool Commit() {
    const bool begun = sqlite3_step(begin_) == SQLITE_DONE;
    sqlite3_reset(begin_);
    if (!begun) return false;
    db_.Step(statement_);
    db_.Step(commit_);
    return true;
  }

 private:
  BareSqlite db_;
  sqlite3_stmt* const begin_ = db_.Prepare("BEGIN IMMEDIATE");
  sqlite3_stmt* const statement_;
  sqlite3_stmt* const commit_ = db_.Prepare("COMMIT");
};

}  // namespace vouch::bench

#endif  // VOUCH_BENCH_STORAGE_RIVALS_BARE_WRITER_H_
