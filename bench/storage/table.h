// The table that is read: t(id, x) of kRows rows, x a text of 100 bytes, in a file in WAL mode.

#ifndef VOUCH_BENCH_STORAGE_TABLE_H_
#define VOUCH_BENCH_STORAGE_TABLE_H_

#include <cstdint>
#include <string>

#include "bench/support/rivals/bare_sqlite.h"
#include "bench/support/scratch.h"

namespace vouch::bench {

constexpr int64_t kRows = 100'000;
constexpr int kRangeRows = 10;
constexpr char kSelect[] = "SELECT x FROM t WHERE id = ?1";
constexpr char kRange[] = "SELECT x FROM t WHERE id >= ?1 ORDER BY id LIMIT 10";
constexpr char kUpdate[] = "UPDATE t SET x = hex(randomblob(50)) WHERE id = ?1";

// A row for a thread's n-th query, all over the table.
inline int64_t KeyOf(int thread, int64_t n) {
  return (n * 7919 + thread * 1237) % (kRows - kRangeRows) + 1;
}

inline void MakeTable(const std::string& path) {
  BareSqlite db(path, /*full=*/false);
  db.Run("CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT)");
  db.Run(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)"
      " INSERT INTO t SELECT i, hex(randomblob(50)) FROM n");
}

// One that nobody changes, made once and removed at the end of the program. Held open until then:
// the last connection to close would remove the log, and the next would make it anew.
inline const std::string& SharedTable() {
  static const Scratch scratch;
  static const std::string path = (MakeTable(scratch.File("shared.db")), scratch.File("shared.db"));
  static const BareSqlite keeper(path, /*full=*/true);
  return path;
}

}  // namespace vouch::bench

#endif  // VOUCH_BENCH_STORAGE_TABLE_H_
