// BareSqlite: the C interface of SQLite as a careful user writes it, without any library: one
// connection a thread, statements prepared once, WAL, busy_timeout, automatic checkpoints.

#ifndef VOUCH_BENCH_SUPPORT_RIVALS_BARE_SQLITE_H_
#define VOUCH_BENCH_SUPPORT_RIVALS_BARE_SQLITE_H_

#include <sqlite3.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace vouch::bench {

// What vouch's default profile sets on a connection, beside the log and its durability. Rivals that
// are compared in something else get the same.
constexpr const char* kSettings[] = {"PRAGMA cache_size = -64000", "PRAGMA mmap_size = 268435456",
                                     "PRAGMA temp_store = MEMORY", "PRAGMA foreign_keys = ON"};

class BareSqlite {
 public:
  BareSqlite(const std::string& path, bool full) {
    Check(sqlite3_open_v2(path.c_str(), &db_,
                          SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                          nullptr));
    sqlite3_busy_timeout(db_, 5000);
    Run("PRAGMA journal_mode = WAL");
    Run(full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
    for (const char* setting : kSettings) Run(setting);
  }
  ~BareSqlite() { sqlite3_close_v2(db_); }
  BareSqlite(const BareSqlite&) = delete;
  BareSqlite& operator=(const BareSqlite&) = delete;

  void Run(const char* sql) { Check(sqlite3_exec(db_, sql, nullptr, nullptr, nullptr)); }
  sqlite3_stmt* Prepare(const char* sql) {
    sqlite3_stmt* statement = nullptr;
    Check(sqlite3_prepare_v3(db_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr));
    return statement;
  }
  // Steps a statement that gives no rows, and makes it ready for the next time.
  void Step(sqlite3_stmt* statement) {
    const int code = sqlite3_step(statement);
    if (code != SQLITE_DONE) Check(code);
    sqlite3_reset(statement);
  }

 private:
  void Check(int code) {
    if (code == SQLITE_OK) return;
    std::fprintf(stderr, "bench: sqlite: %s\n", sqlite3_errmsg(db_));
    std::abort();
  }

  sqlite3* db_ = nullptr;
};

}  // namespace vouch::bench

#endif  // VOUCH_BENCH_SUPPORT_RIVALS_BARE_SQLITE_H_
