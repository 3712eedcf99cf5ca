// How many receipts a second an audit checks, rows included: every unit created a row of its own.

#include <memory>

#include "bench/support/scratch.h"
#include "benchmark/benchmark.h"
#include "storage/migrations/migration.h"
#include "uow/audit.h"
#include "uow/engine.h"

namespace vouch::bench {
namespace {

constexpr int kUnits = 20'000;

void AuditLedger(benchmark::State& state) {
  const Scratch scratch;
  const auto schema = Require(storage::MigrationSet::FromSql(
      "bench", {{.version = 1, .name = "t", .up = "CREATE TABLE t(id INTEGER PRIMARY KEY, x)"}}));
  const auto engine = *Require(uow::Engine::Open({.path = scratch.File("audit.db"),
                                                  .migrations = {*schema},
                                                  .synchronous = storage::Synchronous::kNormal}));
  for (int i = 0; i < kUnits; ++i) {
    Require(engine
                ->Run({.actor_id = "bench"},
                      [](uow::UnitOfWork& unit) {
                        return unit.Execute("INSERT INTO t(x) VALUES ('some text of a row')");
                      })
                .status());
  }
  auto reader = Require(engine->Read());
  for (auto _ : state) {
    const auto report = Require(uow::Audit(**reader, {}));
    if (!report->verified) state.SkipWithError("the audit found something");
  }
  state.counters["receipts_per_second"] = benchmark::Counter(
      static_cast<double>(state.iterations()) * kUnits, benchmark::Counter::kIsRate);
}
BENCHMARK(AuditLedger)->Name("uow/audit_20000/vouch")->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace vouch::bench
