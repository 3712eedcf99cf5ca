// Property: whatever tables there are, whatever statements units run on them, however they fail and
// however they are put together: the writes of a stored unit are the difference between the tables
// before and after it; a unit that failed has changed nothing that the next one sees; receipts
// verify, and the ledger audits clean.
//
// Method: RapidCheck makes schemas (keys of one and two columns, WITHOUT ROWID, STRICT, REAL and
// typeless columns, generated ones, defaults, triggers, cascades), units of statements and
// savepoints, ways to end, and batches of units that share a transaction; failures make batches run
// again, with and without savepoints around units. The model is the tables as a SELECT reads them:
// each stored unit must begin with what the one stored before it left. A case that fails is made
// smaller before it is shown.
//
// Failure looks like the script of the smallest case and what is wrong with it.
//
// VOUCH_TEST_SEED repeats a run, VOUCH_TEST_LONG makes twenty times as many cases.

#include <rapidcheck.h>

#include <array>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "storage/migrations/migration.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"
#include "tests/support/sweep.h"
#include "tests/uow/snapshot.h"
#include "uow/audit.h"
#include "uow/engine.h"

namespace vouch::uow {
namespace {

// From `low` to `high`, both included; smaller cases have lower ones.
int Draw(int low, int high) { return *rc::gen::inRange(low, high + 1); }

struct TableSpec {
  std::string name;
  bool composite = false;
  bool text_key = false;
  std::string sql = {};
};

struct UnitSpec {
  enum Ending { kCommits, kOwnError, kConstraint, kOrRollback };
  std::vector<std::string> steps;  // SQL, or one of the three words below.
  Ending ending = kCommits;
  bool any_thread = false;
  bool alone = false;
};
constexpr char kBegin[] = "SAVEPOINT";
constexpr char kRelease[] = "RELEASE";
constexpr char kRollback[] = "ROLLBACK TO";

struct Case {
  std::string schema;
  std::vector<std::string> tables;
  std::vector<std::vector<UnitSpec>> batches;

  std::string Describe() const {
    std::string text = schema;
    for (const auto& batch : batches) {
      absl::StrAppend(&text, "\n-- batch");
      for (const UnitSpec& unit : batch) {
        absl::StrAppend(&text, "\n-- unit ending ", static_cast<int>(unit.ending),
                        unit.any_thread ? " on any thread" : "", unit.alone ? " alone" : "", "\n",
                        absl::StrJoin(unit.steps, ";\n"));
      }
    }
    return text;
  }
};

// ---- What is made ---------------------------------------------------------------------------

TableSpec DrawTable(int number) {
  TableSpec table{.name = absl::StrCat("t", number)};
  // Others refer to the first.
  const int key = number == 0 ? 0 : Draw(0, 2);
  table.text_key = key == 1;
  table.composite = key == 2;
  const bool strict = Draw(0, 2) == 2;
  const bool rowless = Draw(0, 2) == 2;
  const std::array<const char*, 4> types = strict ? std::array{"INTEGER", "REAL", "TEXT", "ANY"}
                                                  : std::array{"", "REAL", "NUMERIC", "TEXT"};
  const auto type = [&] { return types[static_cast<std::size_t>(Draw(0, 3))]; };
  std::vector<std::string> parts;
  if (key == 0) {
    parts.emplace_back("k INTEGER PRIMARY KEY");
  } else {
    parts.push_back(absl::StrCat("k ", key == 1 || strict ? "TEXT" : type(), " NOT NULL"));
    if (key == 2) parts.emplace_back("l INTEGER NOT NULL");
  }
  parts.push_back(absl::StrCat("v ", type(), Draw(0, 3) == 3 ? " UNIQUE" : ""));
  parts.push_back(absl::StrCat("w ", type(), Draw(0, 1) == 1 ? " DEFAULT 7" : ""));
  switch (Draw(0, 3)) {
    case 1:
      parts.emplace_back("g TEXT AS (v || '!') VIRTUAL");
      break;
    case 2:
      parts.emplace_back("g TEXT AS (v || w) STORED");
      break;
    default:
      break;
  }
  if (number > 0 && Draw(0, 1) == 1) {
    parts.emplace_back("p INTEGER DEFAULT 1 REFERENCES t0(k) ON DELETE CASCADE ON UPDATE CASCADE");
  }
  if (key == 1) parts.emplace_back("PRIMARY KEY(k)");
  // A permuted key beside a REAL column does not qualify (uow/table.cc).
  if (key == 2) {
    parts.emplace_back(!rowless && Draw(0, 1) == 1 ? "PRIMARY KEY(l, k)" : "PRIMARY KEY(k, l)");
  }
  std::string options = rowless ? " WITHOUT ROWID" : "";
  if (strict) absl::StrAppend(&options, rowless ? ", " : " ", "STRICT");
  table.sql = absl::StrCat("CREATE TABLE ", table.name, "(", absl::StrJoin(parts, ", "), ")",
                           options, ";\n");
  return table;
}

std::string DrawValue() {
  constexpr std::array kValues = {"1",   "NULL",  "2.0", "'a'",  "-0.0",   "9007199254740993",
                                  "'5'", "x'00'", "''",  "1e99", "'x,/y'", "2.5"};
  return kValues[static_cast<std::size_t>(Draw(0, static_cast<int>(kValues.size()) - 1))];
}

std::string DrawKey(const TableSpec& table) {
  const int key = Draw(1, 4);
  if (table.text_key) return absl::StrCat("'k", key, "'");
  if (table.composite) return absl::StrCat("'c', ", key);
  return absl::StrCat(key);
}

std::string DrawStatement(const std::vector<TableSpec>& tables) {
  const TableSpec& table =
      tables[static_cast<std::size_t>(Draw(0, static_cast<int>(tables.size()) - 1))];
  const std::string columns = table.composite ? "(k, l, v, w)" : "(k, v, w)";
  const std::string row = absl::StrCat(table.name, columns, " VALUES (", DrawKey(table), ", ",
                                       DrawValue(), ", ", DrawValue(), ")");
  const std::string key = table.composite ? "(k, l)" : "k";
  const std::string where =
      absl::StrCat(" WHERE ", key, Draw(0, 1) == 1 ? " = " : " >= ", "(", DrawKey(table), ")");
  switch (Draw(0, 9)) {
    case 0:
    case 1:
      return "INSERT INTO " + row;
    case 2:
      return "REPLACE INTO " + row;
    case 3:
      return absl::StrCat("INSERT INTO ", row, " ON CONFLICT DO UPDATE SET v = excluded.v,",
                          " w = ", DrawValue());
    case 4:
      return absl::StrCat("UPDATE ", table.name, " SET v = ", DrawValue(), where);
    case 5:
      return absl::StrCat("UPDATE OR REPLACE ", table.name, " SET ",
                          table.composite  ? "l = l + 1"
                          : table.text_key ? "k = k || 'x'"
                                           : "k = k + 1",
                          where);
    case 6:
      return absl::StrCat("UPDATE OR FAIL ", table.name, " SET v = ", DrawValue());
    case 7:
      return absl::StrCat("DELETE FROM ", table.name, where);
    case 8:
      return absl::StrCat("DELETE FROM ", table.name);
    default:
      return absl::StrCat("INSERT INTO ", table.name, table.composite ? "(k, l)" : "(k)",
                          " VALUES (", DrawKey(table), ")");
  }
}

UnitSpec DrawUnit(const std::vector<TableSpec>& tables) {
  UnitSpec unit;
  int open = 0;
  for (int steps = Draw(0, 6); steps > 0; --steps) {
    const int kind = Draw(0, 7);
    if (kind == 7) {
      unit.steps.emplace_back(kBegin);
      ++open;
    } else if (kind >= 5 && open > 0) {
      unit.steps.emplace_back(kind == 6 ? kRollback : kRelease);
      --open;
    } else {
      unit.steps.push_back(DrawStatement(tables));
    }
  }
  for (; open > 0; --open) unit.steps.emplace_back(Draw(0, 1) == 1 ? kRollback : kRelease);
  const int ending = Draw(0, 8);
  unit.ending = ending < 6 ? UnitSpec::kCommits : static_cast<UnitSpec::Ending>(ending - 5);
  unit.any_thread = Draw(0, 1) == 1;
  unit.alone = Draw(0, 9) == 9;
  return unit;
}

Case DrawCase() {
  std::vector<TableSpec> tables;
  for (int number = 0, count = Draw(1, 3); number < count; ++number) {
    tables.push_back(DrawTable(number));
  }
  Case made;
  for (const TableSpec& table : tables) {
    made.tables.push_back(table.name);
    made.schema += table.sql;
  }
  made.tables.emplace_back("log");
  made.schema += "CREATE TABLE log(id INTEGER PRIMARY KEY, n INTEGER, v);\n";
  if (Draw(0, 1) == 1) {
    made.schema +=
        "CREATE TRIGGER inserted AFTER INSERT ON t0 BEGIN"
        " INSERT INTO log VALUES (new.k, 1, new.v) ON CONFLICT DO UPDATE SET n = n + 1; END;\n"
        "CREATE TRIGGER deleted AFTER DELETE ON t0 BEGIN"
        " DELETE FROM log WHERE id = old.k; END;\n";
  }
  for (int batches = Draw(1, 2); batches > 0; --batches) {
    auto& batch = made.batches.emplace_back();
    for (int units = Draw(1, 4); units > 0; --units) batch.push_back(DrawUnit(tables));
  }
  return made;
}

// ---- What comes of it -----------------------------------------------------------------------

class CaseRun {
 public:
  explicit CaseRun(const Case& one) : case_(one) {}

  // What is wrong; empty: nothing.
  absl::StatusOr<std::string> Check() {
    VOUCH_ASSIGN_OR_RETURN(auto set,
                           storage::MigrationSet::FromSql(
                               "case", {{.version = 1, .name = "tables", .up = case_.schema}}));
    VOUCH_ASSIGN_OR_RETURN(engine_, Engine::Open({.path = ":memory:",
                                                  .migrations = {set},
                                                  .max_readers = 1,
                                                  .group = {.max_time = absl::InfiniteDuration(),
                                                            .patience = absl::InfiniteDuration()},
                                                  .retry = {.max_retries = 0}}));
    Snapshot state;
    for (const auto& batch : case_.batches) {
      std::vector<Result> results = RunTogether(batch);
      for (std::size_t i = 0; i < results.size(); ++i) {
        const std::string wrong = CheckUnit(batch[i], results[i], state);
        if (!wrong.empty()) return absl::StrCat("unit ", i, ": ", wrong);
      }
    }
    VOUCH_ASSIGN_OR_RETURN(auto reader, engine_->Read());
    VOUCH_ASSIGN_OR_RETURN(const Snapshot last, TakeSnapshot(*reader, case_.tables));
    if (last != state) return "the tables are not what the last unit left";
    VOUCH_ASSIGN_OR_RETURN(const AuditReport report, Audit(*reader, {}));
    if (!report.verified) return "audit: " + report.findings.front().message;
    return "";
  }

  std::int64_t replays() const { return engine_->stats().replays; }
  std::int64_t writes() const { return writes_; }

 private:
  struct Result {
    absl::StatusOr<Receipt> receipt = absl::UnknownError("not run");
    Snapshot before;
    Snapshot after;
  };

  absl::Status RunUnit(const UnitSpec& spec, UnitOfWork& unit, Result& result) const {
    auto& connection = unit.connection();
    VOUCH_ASSIGN_OR_RETURN(result.before, TakeSnapshot(connection, case_.tables));
    std::vector<storage::Savepoint> savepoints;
    for (const std::string& step : spec.steps) {
      if (step == kBegin) {
        VOUCH_ASSIGN_OR_RETURN(auto savepoint, unit.BeginSavepoint());
        savepoints.push_back(std::move(savepoint));
      } else if (step == kRelease || step == kRollback) {
        VOUCH_RETURN_IF_ERROR(step == kRelease ? savepoints.back().Release()
                                               : savepoints.back().Rollback());
        savepoints.pop_back();
      } else {
        // A statement that fails is part of the property; the unit goes on.
        (void)unit.Execute(step);
      }
    }
    VOUCH_ASSIGN_OR_RETURN(result.after, TakeSnapshot(connection, case_.tables));
    switch (spec.ending) {
      case UnitSpec::kOwnError:
        return absl::NotFoundError("changed my mind");
      case UnitSpec::kConstraint:
        VOUCH_RETURN_IF_ERROR(unit.Execute("REPLACE INTO log(id) VALUES (99)"));
        return unit.Execute("INSERT INTO log(id) VALUES (99)");
      case UnitSpec::kOrRollback:
        VOUCH_RETURN_IF_ERROR(unit.Execute("REPLACE INTO log(id) VALUES (99)"));
        (void)unit.Execute("INSERT OR ROLLBACK INTO log(id) VALUES (99)");
        return absl::OkStatus();  // The engine has to notice.
      default:
        return absl::OkStatus();
    }
  }

  // In this order behind one that changes nothing, so that those who may share its transaction.
  std::vector<Result> RunTogether(const std::vector<UnitSpec>& batch) {
    std::vector<Result> results(batch.size());
    std::vector<std::jthread> threads;
    const auto first = engine_->Run({}, [&](UnitOfWork&) {
      if (!threads.empty()) return absl::OkStatus();  // Run again.
      for (std::size_t i = 0; i < batch.size(); ++i) {
        threads.emplace_back([&, i] {
          results[i].receipt =
              engine_->Run({.alone = batch[i].alone, .any_thread = batch[i].any_thread},
                           [&](UnitOfWork& unit) { return RunUnit(batch[i], unit, results[i]); });
        });
        while (engine_->stats().waiting <= static_cast<std::int64_t>(i)) std::this_thread::yield();
      }
      return absl::OkStatus();
    });
    threads.clear();
    if (!first.ok() && !results.empty()) results.front().receipt = first.status();
    return results;
  }

  // `state`: what the last stored unit left.
  std::string CheckUnit(const UnitSpec& spec, const Result& result, Snapshot& state) {
    if (spec.ending != UnitSpec::kCommits) {
      return result.receipt.ok() ? "stored although it failed" : "";
    }
    if (!result.receipt.ok()) return std::string(result.receipt.status().message());
    if (result.before != state) return "it saw something else than the unit before it left";
    state = result.after;
    auto reader = engine_->Read();
    if (!reader.ok()) return std::string(reader.status().message());
    const auto stored = ReadReceipt(**reader, result.receipt->seq);
    if (!stored.ok()) return std::string(stored.status().message());
    if (stored->stored_hash != storage::HexOf(result.receipt->hash) ||
        stored->receipt.bytes != result.receipt->bytes) {
      return "its receipt is not the one returned";
    }
    const auto captured = ChangesIn(*stored);
    writes_ += static_cast<std::int64_t>(captured.size());
    if (captured.size() != stored->writes.size()) return "a record is written twice";
    if (captured != Difference(result.before, result.after)) {
      return "its writes are not the difference of the tables";
    }
    return "";
  }

  const Case& case_;
  std::unique_ptr<Engine> engine_;
  std::int64_t writes_ = 0;
};

TEST(BatchPropertyTest, WritesAreTheDifferenceOfTheTablesWhateverTheBatch) {
  const test::Random random;
  const int cases = test::IsLongSweep() ? 40'000 : 2'000 / test::SweepStride(1);
  // RapidCheck reads its settings once, from here. Its own, if given, go first.
  ::setenv("RC_PARAMS", absl::StrCat("seed=", random.seed(), " max_success=", cases).c_str(),
           /*replace=*/0);
  std::int64_t replays = 0;
  std::int64_t writes = 0;
  EXPECT_TRUE(rc::check([&] {
    const Case one = DrawCase();
    CaseRun run(one);
    const absl::StatusOr<std::string> wrong = run.Check();
    const std::string why = wrong.ok() ? *wrong : std::string(wrong.status().message());
    if (!why.empty()) RC_FAIL(why + "\n" + one.Describe());
    replays += run.replays();
    writes += run.writes();
  }));
  EXPECT_GT(replays, cases / 20) << "too few batches ran again to prove anything";
  EXPECT_GT(writes, cases) << "the statements do too little to prove anything";
  std::cout << writes << " writes, " << replays << " replays" << std::endl;
}

}  // namespace
}  // namespace vouch::uow
