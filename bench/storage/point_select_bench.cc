// A row by its key, each time through a lease of the pool and the statement cache, against a
// connection and a statement that a thread keeps to itself.

#include <cstdint>
#include <memory>
#include <optional>

#include "bench/support/rivals/bare_sqlite.h"
#include "bench/support/scratch.h"
#include "benchmark/benchmark.h"
#include "storage/sqlite/database.h"
#include "storage/transaction.h"

namespace vouch::bench {
namespace {

constexpr std::int64_t kRows = 100'000;
constexpr char kSelect[] = "SELECT x FROM t WHERE id = ?1";

struct Data {
  Data() {
    auto writer = Require(database->Write());
    Require((*writer)->Execute("CREATE TABLE t(id INTEGER PRIMARY KEY, x)"));
    Require(
        (*writer)->Execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
                           " WHERE i < ?1) INSERT INTO t SELECT i, hex(randomblob(50)) FROM n",
                           kRows));
  }

  Scratch scratch;
  std::unique_ptr<storage::Database> database =
      *Require(storage::Database::Open({.path = scratch.File("select.db")}));
};

std::unique_ptr<Data>& Shared() {
  static std::unique_ptr<Data> data;
  return data;
}
void SetUp(const benchmark::State&) { Shared() = std::make_unique<Data>(); }
void TearDown(const benchmark::State&) { Shared().reset(); }

std::int64_t NextKey(std::int64_t key) { return (key * 7919 + 1) % kRows + 1; }

void ThroughThePool(benchmark::State& state) {
  storage::Database& database = *Shared()->database;
  std::int64_t key = state.thread_index();
  for (auto _ : state) {
    key = NextKey(key);
    auto reader = database.Read();
    auto statement = (*reader)->Prepare(kSelect);
    Require((*statement)->Bind(1, key));
    Require((*statement)->Step().status());
    benchmark::DoNotOptimize((*statement)->Get<std::string_view>(0));
  }
}

void OwnConnection(benchmark::State& state) {
  BareSqlite db(Shared()->scratch.File("select.db"), /*full=*/true);
  sqlite3_stmt* statement = db.Prepare(kSelect);
  std::int64_t key = state.thread_index();
  for (auto _ : state) {
    key = NextKey(key);
    sqlite3_bind_int64(statement, 1, key);
    if (sqlite3_step(statement) != SQLITE_ROW) state.SkipWithError("no row");
    benchmark::DoNotOptimize(sqlite3_column_text(statement, 0));
    sqlite3_reset(statement);
  }
  sqlite3_finalize(statement);
}

BENCHMARK(ThroughThePool)
    ->Name("storage/point_select/vouch")
    ->Setup(SetUp)
    ->Teardown(TearDown)
    ->Threads(1)
    ->Threads(2)
    ->Threads(8)
    ->UseRealTime();
BENCHMARK(OwnConnection)
    ->Name("storage/point_select/own_connection")
    ->Setup(SetUp)
    ->Teardown(TearDown)
    ->Threads(1)
    ->Threads(2)
    ->Threads(8)
    ->UseRealTime();

}  // namespace
}  // namespace vouch::bench
