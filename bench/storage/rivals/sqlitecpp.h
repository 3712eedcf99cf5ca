#ifndef VOUCH_BENCH_STORAGE_RIVALS_SQLITECPP_H_
#define VOUCH_BENCH_STORAGE_RIVALS_SQLITECPP_H_

#include <SQLiteCpp/SQLiteCpp.h>

#include <cstdint>
#include <string>

#include "bench/storage/table.h"

namespace vouch::bench {

// SqliteCppSession is SQLiteCpp with its statements kept, which is how its manual has them used again.
class SqliteCppSession {
 public:
  explicit SqliteCppSession(const std::string& path) : db_(path, SQLite::OPEN_READWRITE) {
    for (const char* setting : kSettings) db_.exec(setting);
  }

  std::string Select(int64_t key) {
    select_.reset();
    select_.bind(1, key);
    return select_.executeStep() ? select_.getColumn(0).getString() : std::string();
  }
  int64_t Range(int64_t key) {
    range_.reset();
    range_.bind(1, key);
    int64_t bytes = 0;
    while (range_.executeStep()) {
      bytes += static_cast<int64_t>(range_.getColumn(0).getString().size());
    }
    return bytes;
  }

 private:
  SQLite::Database db_;
  SQLite::Statement select_{db_, kSelect};
  SQLite::Statement range_{db_, kRange};
};

}  // namespace vouch::bench

#endif  // VOUCH_BENCH_STORAGE_RIVALS_SQLITECPP_H_
