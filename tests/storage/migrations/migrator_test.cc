#include "storage/migrations/migrator.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/migrations/sets.h"
#include "tests/storage/migrations/database.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temporary_directory.h"

namespace vouch::storage {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using vouch::test::FakeSteadyClock;
using vouch::test::FakeWallClock;
using vouch::test::StatusIs;
using vouch::test::TemporaryDirectory;

constexpr absl::StatusCode kFailedPrecondition = absl::StatusCode::kFailedPrecondition;
constexpr absl::StatusCode kInvalidArgument = absl::StatusCode::kInvalidArgument;

const MigrationSet& Shop() {
  static const MigrationSet& set = *new MigrationSet(
      SetOf("shop", {{.version = 1,
                      .name = "items",
                      .description = "What there is",
                      .up = "CREATE TABLE items(id INTEGER PRIMARY KEY, name TEXT);",
                      .down = "DROP TABLE items;",
                      .verify = "SELECT count(*) = 1 FROM sqlite_schema WHERE name = 'items';"},
                     {.version = 2,
                      .name = "price",
                      .up = "ALTER TABLE items ADD COLUMN price INTEGER DEFAULT 0;",
                      .down = "ALTER TABLE items DROP COLUMN price;"},
                     {.version = 3,
                      .name = "orders",
                      .up = "CREATE TABLE orders(id INTEGER PRIMARY KEY);",
                      .down = "DROP TABLE orders;"}}));
  return set;
}

// "shop 1 applied" and so on.
std::vector<std::string> States(Connection& connection, const MigrationSet& set) {
  std::vector<std::string> texts;
  const auto infos = Migrator(connection, set).Status();
  EXPECT_OK(infos);
  for (const MigrationInfo& info : infos.value_or(std::vector<MigrationInfo>())) {
    constexpr const char* kNames[] = {"pending", "applied", "rolled_back",
                                      "failed",  "edited",  "unknown"};
    texts.push_back(absl::StrCat(info.version, " ", info.name, " ",
                                 kNames[static_cast<std::size_t>(info.state)]));
  }
  return texts;
}

std::vector<std::int64_t> Versions(const absl::StatusOr<std::vector<MigrationResult>>& results) {
  EXPECT_OK(results);
  std::vector<std::int64_t> versions;
  if (!results.ok()) return versions;
  for (const MigrationResult& result : *results) {
    versions.push_back(result.direction == MigrationDirection::kUp ? result.version
                                                                   : -result.version);
  }
  return versions;
}

TEST(MigratorTest, UpDownAndUpAgain) {
  const auto connection = OpenDatabase();
  Migrator migrator(*connection, Shop());
  EXPECT_THAT(States(*connection, Shop()),
              ElementsAre("1 items pending", "2 price pending", "3 orders pending"));
  EXPECT_EQ(Count(*connection, "SELECT count(*) FROM sqlite_schema"), 0);

  EXPECT_THAT(Versions(migrator.Up(2)), ElementsAre(1, 2));
  EXPECT_THAT(States(*connection, Shop()),
              ElementsAre("1 items applied", "2 price applied", "3 orders pending"));
  EXPECT_THAT(Versions(migrator.Up()), ElementsAre(3));
  EXPECT_THAT(Versions(migrator.Up()), IsEmpty());

  EXPECT_THAT(Versions(migrator.Down(2)), ElementsAre(-3, -2));
  EXPECT_THAT(States(*connection, Shop()),
              ElementsAre("1 items applied", "2 price rolled_back", "3 orders rolled_back"));
  EXPECT_THAT(Versions(migrator.To(3)), ElementsAre(2, 3));
  EXPECT_THAT(Versions(migrator.To(0)), ElementsAre(-3, -2, -1));
  EXPECT_THAT(Schema(*connection), IsEmpty());
  EXPECT_THAT(Versions(migrator.Down()), IsEmpty());
}

TEST(MigratorTest, WithNothingToDoTakesNoLock) {
  const TemporaryDirectory folder;
  const auto connection = OpenDatabase(folder.File("a.db"));
  ASSERT_OK(Migrator(*connection, Shop()).Up());
  const auto other = OpenDatabase(folder.File("a.db"));
  ASSERT_OK_AND_ASSIGN(Transaction held, Transaction::Begin(*other, TransactionMode::kWrite));
  EXPECT_THAT(Versions(Migrator(*connection, Shop(), {.lock_timeout = absl::ZeroDuration()}).Up()),
              IsEmpty());
}

TEST(MigratorTest, WritesWhatHappenedIntoTheHistory) {
  const auto connection = OpenDatabase();
  FakeWallClock wall(absl::FromUnixMillis(1795219200123));
  FakeSteadyClock steady;
  Migrator migrator(*connection, Shop(),
                    {.applied_by = "zoë",
                     .progress =
                         [&](const MigrationEvent& event) {
                           if (event.kind != MigrationEvent::Kind::kBegun) return;
                           wall.Advance(absl::Seconds(1));
                         },
                     .wall_clock = &wall,
                     .steady_clock = &steady});
  ASSERT_OK(migrator.Up(1));
  const std::string checksum = Checksum(*Shop().Find(1));
  EXPECT_THAT(Rows(*connection, "SELECT * FROM shop_schema_migrations"),
              ElementsAre(absl::StrCat("1|items|What there is|2026-11-21T00:00:01.123Z|zoë|0|",
                                       checksum, "|applied|shop")));
  ASSERT_OK(migrator.Down());
  EXPECT_THAT(Rows(*connection, "SELECT version, applied_at, status FROM shop_schema_migrations"),
              ElementsAre("1|2026-11-21T00:00:01.123Z|rolled_back"));
  ASSERT_OK(migrator.Up(1));
  EXPECT_THAT(Rows(*connection, "SELECT version, applied_at, status FROM shop_schema_migrations"),
              ElementsAre("1|2026-11-21T00:00:03.123Z|applied"));
}

TEST(MigratorTest, MeasuresEachMigration) {
  const auto connection = OpenDatabase();
  // Advances by 100 ms at each look.
  class Ticking : public SteadyClock {
   public:
    TimePoint Now() override { return now_ += std::chrono::milliseconds(100); }

   private:
    TimePoint now_{};
  } steady;
  Migrator migrator(*connection, Shop(), {.steady_clock = &steady});
  ASSERT_OK_AND_ASSIGN(const std::vector<MigrationResult> done, migrator.Up(1));
  ASSERT_EQ(done.size(), 1u);
  EXPECT_GT(done[0].duration, absl::Milliseconds(100));
  ASSERT_OK_AND_ASSIGN(const std::vector<MigrationInfo> infos, migrator.Status());
  EXPECT_EQ(infos[0].duration, absl::Milliseconds(100));
  EXPECT_EQ(infos[1].duration, absl::ZeroDuration());
  EXPECT_EQ(infos[1].applied_at, "");
}

TEST(MigratorTest, TellsItsProgress) {
  const auto connection = OpenDatabase();
  const MigrationSet set =
      SetOf("s", {{.version = 1, .name = "a", .up = "CREATE TABLE a(x)", .down = "DROP TABLE a"},
                  {.version = 2, .name = "b", .up = "CREATE TABLE a(y)"}});
  std::vector<std::string> events;
  Migrator migrator(*connection, set, {.progress = [&](const MigrationEvent& event) {
    constexpr const char* kNames[] = {"begun", "done", "failed"};
    events.push_back(absl::StrCat(
        event.migration.direction == MigrationDirection::kUp ? "+" : "-", event.migration.version,
        " ", kNames[static_cast<std::size_t>(event.kind)], " ", event.status.ok() ? "" : "why"));
  }});
  EXPECT_FALSE(migrator.Up().ok());
  EXPECT_OK(migrator.Down());
  EXPECT_THAT(events, ElementsAre("+1 begun ", "+1 done ", "+2 begun ", "+2 failed why",
                                  "-1 begun ", "-1 done "));
}

// Property: a migration that fails at any of its statements, or at its verify query, leaves the
// database as it was, plus a row that says so; and it can be tried again.
// Method: a script of n statements that each leave their own trace, one of them broken in turn.
// A failure would show as a difference of schema or contents, or as a migration that stays stuck.
TEST(MigratorTest, FailingAnywhereLeavesNothingButAFailedRow) {
  const std::vector<std::string> statements = {
      "CREATE TABLE b(x INTEGER PRIMARY KEY)",
      "INSERT INTO b VALUES (1), (2)",
      "CREATE TRIGGER tr AFTER INSERT ON b BEGIN DELETE FROM a; INSERT INTO a VALUES (9, 9); END",
      "INSERT INTO b VALUES (3)",
      "ALTER TABLE a ADD COLUMN z TEXT DEFAULT 'z'",
      "UPDATE a SET y = y + 1",
      "ALTER TABLE a RENAME TO renamed",
      "CREATE INDEX i ON renamed(y)",
      "DROP TABLE b",
      "CREATE VIEW v AS SELECT * FROM renamed"};
  const std::vector<std::string> errors = {"SELEC 1",
                                           "INSERT INTO missing VALUES (1)",
                                           "INSERT OR ROLLBACK INTO one VALUES (1)",
                                           "INSERT INTO one VALUES (1)",
                                           "SELECT json('{')",
                                           "DELETE FROM parent"};
  const Migration first = {.version = 1,
                           .name = "first",
                           .up =
                               "CREATE TABLE a(x INTEGER PRIMARY KEY, y);"
                               "INSERT INTO a VALUES (1, 1), (2, 2);"
                               "CREATE TABLE one(x INTEGER PRIMARY KEY);"
                               "INSERT INTO one VALUES (1);"
                               "CREATE TABLE parent(x INTEGER PRIMARY KEY);"
                               "CREATE TABLE child(x REFERENCES parent);"
                               "INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1);"};
  for (std::size_t at = 0; at <= statements.size(); ++at) {
    for (std::size_t error = 0; error < errors.size() + 1; ++error) {
      const bool verify_fails = error == errors.size();
      if (verify_fails && at > 0) continue;
      std::string up;
      for (std::size_t i = 0; i <= statements.size(); ++i) {
        if (i == at && !verify_fails) absl::StrAppend(&up, errors[error], ";\n");
        if (i < statements.size()) absl::StrAppend(&up, statements[i], ";\n");
      }
      SCOPED_TRACE(absl::StrCat(verify_fails ? "verify" : errors[error], " at ", at));
      const MigrationSet broken =
          SetOf("s", {first,
                      {.version = 2,
                       .name = "second",
                       .up = up,
                       .verify = verify_fails ? "SELECT 1; SELECT 0;" : "SELECT 1;"}});
      const auto connection = OpenDatabase();
      ASSERT_OK(Migrator(*connection, broken).Up(1));
      const std::vector<std::string> schema = Schema(*connection);
      const std::vector<std::string> contents = Contents(*connection);

      const auto result = Migrator(*connection, broken).Up();
      EXPECT_THAT(result.status().message(), HasSubstr("apply migration s 2 (second): "));
      EXPECT_FALSE(connection->in_transaction());
      EXPECT_EQ(Schema(*connection), schema);
      EXPECT_EQ(Contents(*connection), contents);
      EXPECT_THAT(States(*connection, broken), ElementsAre("1 first applied", "2 second failed"));

      std::string fixed;
      for (const std::string& statement : statements) absl::StrAppend(&fixed, statement, ";\n");
      const MigrationSet whole = SetOf("s", {first, {.version = 2, .name = "second", .up = fixed}});
      EXPECT_THAT(Versions(Migrator(*connection, whole).Up()), ElementsAre(2));
      EXPECT_THAT(States(*connection, whole), ElementsAre("1 first applied", "2 second applied"));
    }
  }
}

TEST(MigratorTest, TheFirstMigrationMayFailToo) {
  const auto connection = OpenDatabase();
  const MigrationSet set = SetOf("", {{.version = 1, .name = "a", .up = "CREATE TABLE t(x); NO;"}});
  EXPECT_THAT(Migrator(*connection, set).Up(), StatusIs(kInvalidArgument));
  EXPECT_THAT(Schema(*connection), IsEmpty());
  EXPECT_THAT(States(*connection, set), ElementsAre("1 a failed"));
}

TEST(MigratorTest, AFailureAtCommitIsAFailureToo) {
  const auto connection = OpenDatabase();
  const MigrationSet set =
      SetOf("s", {{.version = 1,
                   .name = "a",
                   .up = "CREATE TABLE p(x INTEGER PRIMARY KEY);"
                         "CREATE TABLE c(x REFERENCES p DEFERRABLE INITIALLY DEFERRED);"
                         "INSERT INTO c VALUES (1);"}});
  EXPECT_FALSE(Migrator(*connection, set).Up().ok());
  EXPECT_FALSE(connection->in_transaction());
  EXPECT_THAT(Schema(*connection), IsEmpty());
  EXPECT_THAT(States(*connection, set), ElementsAre("1 a failed"));
}

TEST(MigratorTest, WhatWasAppliedBeforeAFailureStays) {
  const auto connection = OpenDatabase();
  const MigrationSet set =
      SetOf("s", {{.version = 1, .name = "a", .up = "CREATE TABLE a(x)"},
                  {.version = 2, .name = "b", .up = "CREATE TABLE b(x); CREATE TABLE a(x)"},
                  {.version = 3, .name = "c", .up = "CREATE TABLE c(x)"}});
  EXPECT_FALSE(Migrator(*connection, set).Up().ok());
  EXPECT_THAT(Schema(*connection), ElementsAre(HasSubstr("|a|")));
  EXPECT_THAT(States(*connection, set), ElementsAre("1 a applied", "2 b failed", "3 c pending"));
}

TEST(MigratorTest, AFailedDownChangesNothing) {
  const auto connection = OpenDatabase();
  const MigrationSet set = SetOf("s", {{.version = 1,
                                        .name = "a",
                                        .up = "CREATE TABLE a(x); CREATE TABLE b(x);",
                                        .down = "DROP TABLE a; DROP TABLE c;"}});
  ASSERT_OK(Migrator(*connection, set).Up());
  const std::vector<std::string> schema = Schema(*connection);
  for (const bool accept : {false, true}) {
    EXPECT_THAT(Migrator(*connection, set, {.accept_data_loss = accept}).Down(),
                StatusIs(kInvalidArgument, AllOf(HasSubstr("revert migration s 1 (a): "),
                                                 HasSubstr("no such table: c"))));
    EXPECT_EQ(Schema(*connection), schema);
    EXPECT_THAT(States(*connection, set), ElementsAre("1 a applied"));
  }
}

TEST(MigratorTest, ErrorsNameTheLineOfTheFile) {
  const auto connection = OpenDatabase();
  const MigrationFile files[] = {{.name = "0001_a.sql",
                                  .text = "-- vouch:migration v1\n"
                                          "-- vouch:up\n"
                                          "\n"
                                          "CREATE TABLE a(x);\n"
                                          "CREATE TABLE a(x);\n"}};
  ASSERT_OK_AND_ASSIGN(const MigrationSet set, MigrationSet::FromFiles("s", files));
  EXPECT_THAT(Migrator(*connection, set).Up(), StatusIs(kInvalidArgument, HasSubstr("line 5")));

  const MigrationFile unverified[] = {{.name = "0001_a.sql",
                                       .text = "-- vouch:migration v1\n"
                                               "-- vouch:up\n"
                                               "CREATE TABLE a(x);\n"
                                               "-- vouch:verify\n"
                                               "\n"
                                               "SELECT 1;\n"
                                               "SELECT 0;\n"}};
  ASSERT_OK_AND_ASSIGN(const MigrationSet other, MigrationSet::FromFiles("s", unverified));
  EXPECT_THAT(Migrator(*connection, other).Up(), FailsWith("verify at line 7 gave 0"));
}

TEST(MigratorTest, VerifyQueriesMustEachGiveOne) {
  struct Case {
    std::string verify;
    std::string message;  // Empty: it passes.
  };
  for (const Case& c : std::vector<Case>{
           {"SELECT 1", ""},
           {"SELECT 1, 0; WITH x AS (VALUES (1)) SELECT * FROM x; VALUES (1); -- ; SELECT 0", ""},
           {"SELECT ';' = ';'", ""},
           {"SELECT 0", "line 1 gave 0, not 1: SELECT 0"},
           {"SELECT 2", "gave 2"},
           {"SELECT 1;\nSELECT 1;\n\nSELECT 3", "line 4 gave 3"},
           {"SELECT '1'", "gave another value"},
           {"SELECT 1.0", "gave another value"},
           {"SELECT NULL", "gave another value"},
           {"SELECT 1 WHERE FALSE", "gave no row"},
           {"VALUES (1), (1)", "gave more than one row"},
           {"SELECT nothing", "nothing"},
           {"SELECT count(*) = 1 FROM t", "gave 0"}}) {
    SCOPED_TRACE(c.verify);
    const auto connection = OpenDatabase();
    const MigrationSet set =
        SetOf("s", {{.version = 1, .name = "a", .up = "CREATE TABLE t(x)", .verify = c.verify}});
    const auto result = Migrator(*connection, set).Up();
    if (c.message.empty()) {
      EXPECT_OK(result);
    } else {
      EXPECT_THAT(result, FailsWith(c.message));
      EXPECT_THAT(Schema(*connection), IsEmpty());
    }
  }
}

TEST(MigratorTest, ARollbackFromWithinLeavesNothing) {
  const auto connection = OpenDatabase();
  const MigrationSet set = SetOf(
      "s", {{.version = 1,
             .name = "a",
             .up = "CREATE TABLE t(x);"
                   "CREATE TRIGGER r BEFORE INSERT ON t BEGIN SELECT RAISE(ROLLBACK, 'no'); END;"
                   "INSERT INTO t VALUES (1);"
                   "CREATE TABLE u(x);"}});
  EXPECT_FALSE(Migrator(*connection, set).Up().ok());
  EXPECT_FALSE(connection->in_transaction());
  EXPECT_THAT(Schema(*connection), IsEmpty());
  EXPECT_THAT(States(*connection, set), ElementsAre("1 a failed"));
}

// A connection that behaves as an engine might at its worst.
class MeddlingConnection : public Connection {
 public:
  explicit MeddlingConnection(SqliteConnection& inner) : inner_(inner) {}

  std::string after_script;   // SQL that slips in after each script.
  absl::Status at_release;    // What releasing a savepoint answers instead.
  absl::Status after_commit;  // What a COMMIT that took place answers.

  absl::StatusOr<StatementPtr> Prepare(std::string_view sql) override {
    return inner_.Prepare(sql);
  }
  absl::Status ExecuteScript(std::string_view script) override {
    VOUCH_RETURN_IF_ERROR(inner_.ExecuteScript(script));
    return after_script.empty() ? absl::OkStatus() : inner_.ExecuteScript(after_script);
  }
  std::int64_t changes() const override { return inner_.changes(); }
  std::int64_t last_insert_id() const override { return inner_.last_insert_id(); }
  bool in_transaction() const override { return inner_.in_transaction(); }

 private:
  absl::Status Begin(TransactionMode mode) override {
    VOUCH_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(inner_, mode));
    transaction_.emplace(std::move(transaction));
    return absl::OkStatus();
  }
  absl::Status Commit() override {
    VOUCH_RETURN_IF_ERROR(transaction_->Commit());
    return std::exchange(after_commit, absl::OkStatus());
  }
  absl::Status Rollback() override {
    transaction_.reset();
    return absl::OkStatus();
  }
  absl::StatusOr<std::uint64_t> BeginSavepoint() override {
    VOUCH_ASSIGN_OR_RETURN(Savepoint savepoint, Savepoint::Begin(inner_));
    savepoint_.emplace(std::move(savepoint));
    return 1;
  }
  absl::Status ReleaseSavepoint(std::uint64_t) override {
    VOUCH_RETURN_IF_ERROR(at_release);
    return savepoint_->Release();
  }
  absl::Status RollbackSavepoint(std::uint64_t) override { return savepoint_->Rollback(); }

  SqliteConnection& inner_;
  std::optional<Transaction> transaction_;
  std::optional<Savepoint> savepoint_;
};

// Texts with transaction control are refused when a set is made. Should one get through, it is
// noticed after the script: the transaction is gone, or, when another was begun, its savepoint is.
TEST(MigratorTest, AScriptThatEndsItsTransactionIsFoundOut) {
  for (const std::string& slip : {std::string("COMMIT"), std::string("ROLLBACK"), std::string()}) {
    SCOPED_TRACE(slip);
    const auto inner = OpenDatabase();
    MeddlingConnection connection(*inner);
    connection.after_script = slip;
    if (slip.empty()) connection.at_release = absl::InvalidArgumentError("no such savepoint");
    EXPECT_THAT(Migrator(connection, Shop()).Up(1),
                StatusIs(kInvalidArgument, HasSubstr("ended the transaction")));
    EXPECT_FALSE(inner->in_transaction());
    EXPECT_THAT(States(connection, Shop()),
                ElementsAre("1 items failed", "2 price pending", "3 orders pending"));
  }
}

TEST(MigratorTest, ACommitWithoutAnAnswerIsNotCalledAFailureWhenItTookPlace) {
  const auto inner = OpenDatabase();
  MeddlingConnection connection(*inner);
  connection.after_commit = absl::UnknownError("commit: no answer");
  EXPECT_THAT(Migrator(connection, Shop()).Up(1), StatusIs(absl::StatusCode::kUnknown));
  EXPECT_THAT(States(connection, Shop()),
              ElementsAre("1 items applied", "2 price pending", "3 orders pending"));
  connection.after_commit = absl::UnknownError("commit: no answer");
  EXPECT_THAT(Migrator(connection, Shop()).Down(), StatusIs(absl::StatusCode::kUnknown));
  EXPECT_THAT(States(connection, Shop()),
              ElementsAre("1 items rolled_back", "2 price pending", "3 orders pending"));
}

TEST(MigratorTest, AnEditedMigrationStopsEverything) {
  const auto connection = OpenDatabase();
  ASSERT_OK(Migrator(*connection, Shop()).Up(2));
  std::vector<Migration> migrations = Shop().migrations();
  migrations[0].up += "-- a comment";
  const MigrationSet edited = SetOf("shop", migrations);
  EXPECT_THAT(Migrator(*connection, edited).Up(),
              StatusIs(kFailedPrecondition, HasSubstr("shop 1 (items)")));
  EXPECT_THAT(Migrator(*connection, edited).Down(),
              StatusIs(kFailedPrecondition, HasSubstr("shop 1 (items)")));
  EXPECT_THAT(States(*connection, edited),
              ElementsAre("1 items edited", "2 price applied", "3 orders pending"));
  EXPECT_THAT(Versions(Migrator(*connection, Shop()).Up()), ElementsAre(3));
}

TEST(MigratorTest, ANewerDatabaseIsRefused) {
  const auto connection = OpenDatabase();
  ASSERT_OK(Migrator(*connection, Shop()).Up());
  std::vector<Migration> fewer = Shop().migrations();
  fewer.pop_back();
  const MigrationSet older = SetOf("shop", fewer);
  EXPECT_THAT(
      Migrator(*connection, older).Up(),
      StatusIs(kFailedPrecondition,
               "database schema \"shop\" is newer (version 3) than this program knows (2)"));
  EXPECT_THAT(Migrator(*connection, older).Down(), StatusIs(kFailedPrecondition));
  EXPECT_THAT(States(*connection, older),
              ElementsAre("1 items applied", "2 price applied", "3 orders unknown"));
}

TEST(MigratorTest, SetsInOneDatabaseDoNotMeet) {
  const auto connection = OpenDatabase();
  ASSERT_OK(Migrator(*connection, Shop()).Up());
  ASSERT_OK(Migrator(*connection, CoreMigrations()).Up());
  ASSERT_OK(Migrator(*connection, MemoryMigrations()).Up());
  EXPECT_THAT(Versions(Migrator(*connection, CoreMigrations()).To(0)), ElementsAre(-4, -3, -2, -1));
  EXPECT_THAT(Versions(Migrator(*connection, Shop()).Up()), IsEmpty());
  EXPECT_THAT(Versions(Migrator(*connection, MemoryMigrations()).Up()), IsEmpty());
}

TEST(MigratorTest, DownRefusesToLoseData) {
  const auto connection = OpenDatabase();
  Migrator migrator(*connection, Shop());
  ASSERT_OK(migrator.Up(2));
  ASSERT_OK(
      connection->ExecuteScript("INSERT INTO items VALUES (1, 'a', 0), (2, 'b', 5), (3, 'c', 7)"));
  const std::vector<std::string> schema = Schema(*connection);
  const std::vector<std::string> contents = Contents(*connection);
  EXPECT_THAT(migrator.Down(),
              StatusIs(kFailedPrecondition, AllOf(HasSubstr("revert migration shop 2 (price)"),
                                                  HasSubstr("column items.price (2 rows)"))));
  EXPECT_EQ(Schema(*connection), schema);
  EXPECT_EQ(Contents(*connection), contents);
  EXPECT_THAT(States(*connection, Shop()),
              ElementsAre("1 items applied", "2 price applied", "3 orders pending"));

  // A column where everything is the default goes; its table does not.
  ASSERT_OK(connection->ExecuteScript("UPDATE items SET price = 0"));
  EXPECT_THAT(migrator.To(0), StatusIs(kFailedPrecondition, HasSubstr("table items (3 rows)")));
  EXPECT_THAT(States(*connection, Shop()),
              ElementsAre("1 items applied", "2 price rolled_back", "3 orders pending"));
  ASSERT_OK(connection->ExecuteScript("DELETE FROM items WHERE id > 1"));
  EXPECT_THAT(migrator.Down(), StatusIs(kFailedPrecondition, HasSubstr("table items (1 row)")));

  EXPECT_THAT(Versions(Migrator(*connection, Shop(), {.accept_data_loss = true}).Down()),
              ElementsAre(-1));
  EXPECT_THAT(Schema(*connection), IsEmpty());
}

TEST(MigratorTest, RowsThatUpPutThereAreNotALoss) {
  const auto connection = OpenDatabase();
  const MigrationSet set = SetOf("s", {{.version = 1,
                                        .name = "a",
                                        .default_rows = {{"plans", "id = 'free' AND price = 0"}},
                                        .up = "CREATE TABLE plans(id TEXT, price);"
                                              "INSERT INTO plans VALUES ('free', 0)",
                                        .down = "DROP TABLE plans"}});
  Migrator migrator(*connection, set);
  ASSERT_OK(migrator.Up());
  ASSERT_OK(migrator.Down());
  ASSERT_OK(migrator.Up());
  ASSERT_OK(connection->ExecuteScript("UPDATE plans SET price = 1"));
  EXPECT_THAT(migrator.Down(), StatusIs(kFailedPrecondition, HasSubstr("table plans (1 row)")));
}

TEST(MigratorTest, WaitsForTheLockAndThenGivesUp) {
  const TemporaryDirectory folder;
  const auto other = OpenDatabase(folder.File("a.db"));
  SqliteOptions options;
  options.path = folder.File("a.db");
  options.busy_timeout = absl::Milliseconds(1);
  ASSERT_OK_AND_ASSIGN(const auto connection, SqliteConnection::Open(options));
  std::optional<Transaction> held;
  {
    ASSERT_OK_AND_ASSIGN(Transaction begun, Transaction::Begin(*other, TransactionMode::kWrite));
    held.emplace(std::move(begun));
  }
  EXPECT_THAT(Migrator(*connection, Shop(), {.lock_timeout = absl::Milliseconds(30)}).Up(),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("write lock")));
  EXPECT_EQ(Count(*connection, "SELECT count(*) FROM sqlite_schema"), 0);

  std::thread release([&] {
    absl::SleepFor(absl::Milliseconds(50));
    held.reset();
  });
  EXPECT_THAT(Versions(Migrator(*connection, Shop()).Up()), ElementsAre(1, 2, 3));
  release.join();
}

// Property: however many migrators start at once, each migration runs once.
// Method: connections of their own on one file, released together; each migration adds a row to a
// table, so that running twice shows as an error or as two rows, and counts what it was told.
TEST(MigratorStressTest, ConcurrentMigratorsApplyEachMigrationOnce) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 8;
  std::vector<Migration> migrations = {
      {.version = 1, .name = "log", .up = "CREATE TABLE log(version INTEGER)"}};
  for (int version = 2; version <= 6; ++version) {
    migrations.push_back({.version = version,
                          .name = "m",
                          .up = absl::StrCat("INSERT INTO log VALUES (", version, ")"),
                          .down = absl::StrCat("INSERT INTO log VALUES (-", version, ")")});
  }
  const MigrationSet set = SetOf("s", migrations);
  for (int round = 0; round < kRounds; ++round) {
    const TemporaryDirectory folder;
    std::vector<std::unique_ptr<SqliteConnection>> connections;
    for (int i = 0; i < kThreads; ++i) connections.push_back(OpenDatabase(folder.File("a.db")));
    const auto all_at_once = [&](auto work) {
      std::atomic<int> ready{0};
      std::atomic<int> done{0};
      std::vector<std::thread> threads;
      for (const auto& connection : connections) {
        threads.emplace_back([&] {
          ++ready;
          while (ready < kThreads) std::this_thread::yield();
          const auto result = work(*connection);
          EXPECT_OK(result);
          if (result.ok()) done += static_cast<int>(result->size());
        });
      }
      for (std::thread& thread : threads) thread.join();
      return done.load();
    };
    EXPECT_EQ(all_at_once([&](Connection& c) { return Migrator(c, set).Up(); }), 6);
    EXPECT_THAT(Rows(*connections[0], "SELECT version FROM log ORDER BY version"),
                ElementsAre("2", "3", "4", "5", "6"));
    EXPECT_EQ(all_at_once([&](Connection& c) { return Migrator(c, set).To(4); }), 2);
    EXPECT_THAT(Rows(*connections[0], "SELECT version FROM log ORDER BY version LIMIT 2"),
                ElementsAre("-6", "-5"));
    EXPECT_EQ(Count(*connections[0], "SELECT count(*) FROM log"), 7);
  }
}

}  // namespace
}  // namespace vouch::storage
