// One row a unit of work, with its receipt, against one row a bare transaction without any record,
// connection per thread and busy_timeout. Each benchmark has a new file; what is timed includes the
// checkpoints it caused.

#include <memory>
#include <string>

#include "bench/support/rivals/bare_sqlite.h"
#include "bench/support/scratch.h"
#include "benchmark/benchmark.h"
#include "storage/migrations/migration.h"
#include "uow/engine.h"

namespace vouch::bench {
namespace {

constexpr char kPayload[] =
    "a hundred bytes of text, which is what a small row of a service's table has in it, more or "
    "less";

class Units {
 public:
  explicit Units(bool full) {
    const auto schema = Require(storage::MigrationSet::FromSql(
        "bench", {{.version = 1, .name = "t", .up = "CREATE TABLE t(id INTEGER PRIMARY KEY, x)"}}));
    engine_ = *Require(uow::Engine::Open(
        {.path = scratch_.File("units.db"),
         .migrations = {*schema},
         .synchronous = full ? storage::Synchronous::kFull : storage::Synchronous::kNormal}));
  }

  void Loop(benchmark::State& state) {
    for (auto _ : state) {
      Require(engine_
                  ->Run({},
                        [](uow::UnitOfWork& unit) {
                          return unit.Execute("INSERT INTO t(x) VALUES (?1)", kPayload);
                        })
                  .status());
    }
  }

 private:
  Scratch scratch_;
  std::unique_ptr<uow::Engine> engine_;
};

class Bare {
 public:
  explicit Bare(bool full) : full_(full) {
    BareSqlite(path_, full_).Run("CREATE TABLE t(id INTEGER PRIMARY KEY, x)");
  }

  void Loop(benchmark::State& state) {
    BareSqlite db(path_, full_);
    sqlite3_stmt* begin = db.Prepare("BEGIN IMMEDIATE");
    sqlite3_stmt* insert = db.Prepare("INSERT INTO t(x) VALUES (?1)");
    sqlite3_stmt* commit = db.Prepare("COMMIT");
    for (auto _ : state) {
      db.Step(begin);
      sqlite3_bind_text(insert, 1, kPayload, sizeof kPayload - 1, SQLITE_STATIC);
      db.Step(insert);
      db.Step(commit);
    }
    for (sqlite3_stmt* statement : {begin, insert, commit}) sqlite3_finalize(statement);
  }

 private:
  Scratch scratch_;
  const std::string path_ = scratch_.File("bare.db");
  const bool full_;
};

// Made before a benchmark's threads start and gone after they have ended.
template <typename Contestant>
std::unique_ptr<Contestant>& Instance() {
  static std::unique_ptr<Contestant> instance;
  return instance;
}

template <typename Contestant>
void Register(const std::string& name, bool full) {
  benchmark::RegisterBenchmark(name.c_str(),
                               [](benchmark::State& state) {
                                 Instance<Contestant>()->Loop(state);
                                 state.SetItemsProcessed(state.iterations());
                               })
      ->Setup([](const benchmark::State& state) {
        Instance<Contestant>() = std::make_unique<Contestant>(state.range(0) != 0);
      })
      ->Teardown([](const benchmark::State&) { Instance<Contestant>().reset(); })
      ->Arg(full ? 1 : 0)
      ->ArgName("full")
      ->Threads(1)
      ->Threads(8)
      ->UseRealTime()
      ->Unit(benchmark::kMicrosecond);
}

[[maybe_unused]] const bool registered = [] {
  for (const bool full : {true, false}) {
    const std::string name = full ? "uow/commit_full/" : "uow/commit_normal/";
    Register<Units>(name + "vouch", full);
    Register<Bare>(name + "bare_transaction", full);
  }
  return true;
}();

}  // namespace
}  // namespace vouch::bench
