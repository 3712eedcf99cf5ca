// What the pools lend: an Item, whose use costs next to nothing, and a Reader, an SQLite connection
// with a statement. Both are made from the path of a database.

#ifndef VOUCH_BENCH_POOL_RESOURCES_H_
#define VOUCH_BENCH_POOL_RESOURCES_H_

#include <sqlite3.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "bench/support/rivals/bare_sqlite.h"
#include "bench/support/scratch.h"

namespace vouch::bench {

// On a cache line of its own.
class alignas(64) Item {
 public:
  explicit Item(const std::string& /*database*/) {}
  void Touch() { ++uses_; }

 private:
  int uses_ = 0;
};

constexpr int64_t kRows = 10'000;
constexpr char kSelect[] = "SELECT x FROM t WHERE id = ?";

// A row for a thread's n-th query, all over the table.
inline int64_t KeyOf(int thread, int64_t n) { return (n * 7919 + thread * 1237) % kRows + 1; }

// The path of a database with a table t(id, x) of kRows rows, in WAL mode. Made once; removed at
// the end of the program. Held open until then: the first readers of a file that nobody has open
// recover its log, and the others of that instant get "database is locked" from libraries that do
// not set a busy timeout.
inline const std::string& SelectDatabase() {
  static const Scratch scratch;
  static const std::string path = scratch.File("select.db");
  static BareSqlite* const keeper = [] {
    static BareSqlite db(path, /*full=*/false);
    db.Run("CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT)");
    db.Run(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)"
        " INSERT INTO t SELECT i, hex(randomblob(50)) FROM n");
    return &db;
  }();
  (void)keeper;
  return path;
}

// Opened with the flags and settings that the rivals' own sessions have, which are the defaults:
// what differs is the pool and how its user comes to a statement.
class Reader {
 public:
  explicit Reader(const std::string& database) {
    Check(sqlite3_open_v2(database.c_str(), &db_, SQLITE_OPEN_READWRITE, nullptr));
    Check(sqlite3_prepare_v2(db_, kSelect, -1, &select_, nullptr));
  }
  ~Reader() {
    sqlite3_finalize(select_);
    sqlite3_close_v2(db_);
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  void Touch() {}
  // The row's text, as a string of the caller's: what the other libraries give as well.
  std::string Select(int64_t key) {
    Check(sqlite3_bind_int64(select_, 1, key));
    if (sqlite3_step(select_) != SQLITE_ROW) Check(SQLITE_NOTFOUND);
    std::string text = reinterpret_cast<const char*>(sqlite3_column_text(select_, 0));
    sqlite3_reset(select_);
    return text;
  }

 private:
  void Check(int code) {
    if (code == SQLITE_OK) return;
    std::fprintf(stderr, "bench: sqlite: %s\n", sqlite3_errmsg(db_));
    std::abort();
  }

  sqlite3* db_ = nullptr;
  sqlite3_stmt* select_ = nullptr;
};

}  // namespace vouch::bench

#endif  // VOUCH_BENCH_POOL_RESOURCES_H_
