#ifndef VOUCH_BENCH_STORAGE_RIVALS_OWN_CONNECTION_H_
#define VOUCH_BENCH_STORAGE_RIVALS_OWN_CONNECTION_H_

#include <sqlite3.h>

#include <cstdint>
#include <string>

#include "bench/storage/table.h"
#include "bench/support/rivals/bare_sqlite.h"

namespace vouch::bench {

// The floor: a connection that a thread has to itself, statements prepared once.
class OwnConnection {
 public:
  explicit OwnConnection(const std::string& path) : db_(path, /*full=*/true) {}
  ~OwnConnection() {
    for (sqlite3_stmt* statement : {select_, range_}) sqlite3_finalize(statement);
  }
  OwnConnection(const OwnConnection&) = delete;
  OwnConnection& operator=(const OwnConnection&) = delete;

  std::string Select(int64_t key) { return SelectWith(select_, key); }
  int64_t Range(int64_t key) { return RangeWith(range_, key); }

  static std::string SelectWith(sqlite3_stmt* select, int64_t key) {
    sqlite3_bind_int64(select, 1, key);
    std::string text;
    if (sqlite3_step(select) == SQLITE_ROW) text = Text(select);
    sqlite3_reset(select);
    return text;
  }
  static int64_t RangeWith(sqlite3_stmt* range, int64_t key) {
    sqlite3_bind_int64(range, 1, key);
    int64_t bytes = 0;
    while (sqlite3_step(range) == SQLITE_ROW) bytes += static_cast<int64_t>(Text(range).size());
    sqlite3_reset(range);
    return bytes;
  }

 private:
  static std::string Text(sqlite3_stmt* row) {
    return reinterpret_cast<const char*>(sqlite3_column_text(row, 0));
  }

  BareSqlite db_;
  sqlite3_stmt* const select_ = db_.Prepare(kSelect);
  sqlite3_stmt* const range_ = db_.Prepare(kRange);
};

// The same connection with a new statement for each query.
class PrepareEachTime {
 public:
  explicit PrepareEachTime(const std::string& path) : db_(path, /*full=*/true) {}

  std::string Select(int64_t key) {
    sqlite3_stmt* const select = db_.Prepare(kSelect);
    std::string text = OwnConnection::SelectWith(select, key);
    sqlite3_finalize(select);
    return text;
  }
  int64_t Range(int64_t key) {
    sqlite3_stmt* const range = db_.Prepare(kRange);
    const int64_t bytes = OwnConnection::RangeWith(range, key);
    sqlite3_finalize(range);
    return bytes;
  }

 private:
  BareSqlite db_;
};

}  // namespace vouch::bench

#endif  // VOUCH_BENCH_STORAGE_RIVALS_OWN_CONNECTION_H_
