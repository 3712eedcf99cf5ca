#include "uow/engine.h"

#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "storage/sqlite/connection.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"
#include "tests/uow/audited.h"

namespace vouch::uow {
namespace {

using test::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

storage::MigrationSet Schema() {
  auto set = storage::MigrationSet::FromSql(
      "bank", {{.version = 1,
                .name = "accounts",
                .up = "CREATE TABLE accounts(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
                      " balance REAL CHECK (balance >= 0), parent INTEGER REFERENCES accounts(id)"
                      " DEFERRABLE INITIALLY DEFERRED);"
                      "CREATE TABLE notes(id INTEGER PRIMARY KEY, text TEXT);",
                .down = "DROP TABLE notes; DROP TABLE accounts"}});
  return *std::move(set);
}

class EngineTest : public ::testing::Test {
 protected:
  EngineOptions Options() {
    return {.path = path_,
            .migrations = {Schema()},
            .busy_timeout = absl::Milliseconds(50),
            .record_failures_within = absl::ZeroDuration(),
            .retry = {.first_delay = absl::Milliseconds(1)},
            .wall_clock = &wall_,
            .log = [this](LogLevel, std::string_view line) { log_.emplace_back(line); }};
  }

  std::unique_ptr<Engine> Open() {
    auto engine = Engine::Open(Options());
    EXPECT_OK(engine);
    return *std::move(engine);
  }

  static absl::Status AddAccount(UnitOfWork& unit, int id, const std::string& name,
                                 double balance) {
    return unit.Execute("INSERT INTO accounts(id, name, balance) VALUES (?1, ?2, ?3)", id, name,
                        balance);
  }

  void ExpectAudited() { uow::ExpectAudited(path_); }

  test::TemporaryDirectory directory_;
  std::string path_ = directory_.File("app.db");
  test::FakeWallClock wall_{absl::FromUnixMillis(1'790'000'000'123)};
  std::vector<std::string> log_;
};

TEST_F(EngineTest, CommitsAUnitWithItsReceipt) {
  auto engine = Open();
  ASSERT_OK_AND_ASSIGN(const Receipt first,
                       engine->Run({.actor_id = "u1"}, [](UnitOfWork& unit) -> absl::Status {
                         VOUCH_RETURN_IF_ERROR(AddAccount(unit, 1, "Zoë", 10.5));
                         return AddAccount(unit, 2, "bob", 9);
                       }));
  EXPECT_EQ(first.seq, 1);
  EXPECT_EQ(first.writes, 2);
  EXPECT_EQ(first.stores, 1);
  EXPECT_EQ(first.bytes_written, 8 + 4 + 8 + 8 + 3 + 8);
  EXPECT_EQ(first.prev, storage::Digest{});
  EXPECT_EQ(first.hash, storage::Sha256::Of(first.bytes));
  EXPECT_THAT(first.bytes, HasSubstr("actor 2:u1\n"));

  ASSERT_OK_AND_ASSIGN(const Receipt second, engine->Run({}, [](UnitOfWork& unit) {
    return unit.Execute("UPDATE accounts SET balance = 7 WHERE id = 2");
  }));
  EXPECT_EQ(second.seq, 2);
  EXPECT_EQ(second.prev, first.hash);

  ASSERT_OK_AND_ASSIGN(auto reader, engine->Read());
  ASSERT_OK_AND_ASSIGN(const StoredReceipt stored, ReadReceipt(*reader, first.uow_id));
  EXPECT_EQ(stored.receipt.bytes, first.bytes);
  EXPECT_EQ(stored.stored_hash, storage::HexOf(first.hash));
  ASSERT_THAT(stored.writes, SizeIs(2));
  EXPECT_EQ(stored.writes[0].store, "main");
  EXPECT_EQ(stored.writes[0].record_id, "accounts/1");
  EXPECT_EQ(stored.writes[0].operation, Operation::kCreate);
  ExpectAudited();
}

TEST_F(EngineTest, AUnitThatChangedNothingHasAReceiptWithoutWrites) {
  auto engine = Open();
  ASSERT_OK(engine->Run({}, [](UnitOfWork& unit) { return AddAccount(unit, 1, "a", 1); }));
  ASSERT_OK_AND_ASSIGN(const Receipt receipt, engine->Run({}, [](UnitOfWork& unit) -> absl::Status {
    VOUCH_RETURN_IF_ERROR(unit.Execute("UPDATE accounts SET balance = 5 WHERE id = 1"));
    return unit.Execute("UPDATE accounts SET balance = 1 WHERE id = 1");
  }));
  EXPECT_EQ(receipt.writes, 0);
  EXPECT_EQ(receipt.stores, 0);
  ExpectAudited();
}

TEST_F(EngineTest, AFailedStatementFailsTheUnitAndIsRecorded) {
  auto engine = Open();
  ASSERT_OK(engine->Run({}, [](UnitOfWork& unit) { return AddAccount(unit, 1, "a", 1); }));
  const auto failed = engine->Run({.space_id = "personal:home"}, [](UnitOfWork& unit) {
    VOUCH_RETURN_IF_ERROR(AddAccount(unit, 2, "b", 1));
    return AddAccount(unit, 3, "a", 1);
  });
  EXPECT_THAT(failed, StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("accounts.name")));

  ASSERT_OK_AND_ASSIGN(auto reader, engine->Read());
  ASSERT_OK_AND_ASSIGN(const StoredReceipt stored, ReadReceipt(*reader, std::int64_t{2}));
  EXPECT_EQ(stored.receipt.status, UnitStatus::kFailed);
  EXPECT_EQ(stored.receipt.writes, 0);
  EXPECT_THAT(stored.receipt.bytes,
              AllOf(HasSubstr("\nerror 20:constraint_violation\n"), HasSubstr("\nfailed 4:main\n"),
                    HasSubstr("\nspace 13:personal:home\n")));
  EXPECT_THAT(
      reader->QueryValue<std::string>("SELECT error_message FROM unit_of_work WHERE seq = 2"),
      test::IsOkAndHolds(HasSubstr("UNIQUE")));
  EXPECT_THAT(reader->QueryValue<int>("SELECT count(*) FROM accounts"), test::IsOkAndHolds(1));
  ExpectAudited();
}

TEST_F(EngineTest, TheCallersOwnErrorRollsBack) {
  auto engine = Open();
  const auto result = engine->Run({}, [](UnitOfWork& unit) -> absl::Status {
    VOUCH_RETURN_IF_ERROR(AddAccount(unit, 1, "a", 1));
    return absl::NotFoundError("no such customer");
  });
  EXPECT_THAT(result, StatusIs(absl::StatusCode::kNotFound, HasSubstr("no such customer")));
  ASSERT_OK_AND_ASSIGN(auto reader, engine->Read());
  ASSERT_OK_AND_ASSIGN(const StoredReceipt stored, ReadReceipt(*reader, std::int64_t{1}));
  EXPECT_EQ(stored.receipt.status, UnitStatus::kRolledBack);
  EXPECT_THAT(stored.receipt.bytes, HasSubstr("\ncommitted -\n"));
  EXPECT_THAT(reader->QueryValue<int>("SELECT count(*) FROM accounts"), test::IsOkAndHolds(0));
  ExpectAudited();
}

TEST_F(EngineTest, AnExceptionRollsBackAndContinues) {
  auto engine = Open();
  EXPECT_THROW((void)engine->Run({},
                                 [](UnitOfWork& unit) -> absl::Status {
                                   EXPECT_OK(AddAccount(unit, 1, "a", 1));
                                   throw std::runtime_error("caller's own");
                                 }),
               std::runtime_error);
  ASSERT_OK_AND_ASSIGN(auto reader, engine->Read());
  ASSERT_OK_AND_ASSIGN(const StoredReceipt stored, ReadReceipt(*reader, std::int64_t{1}));
  EXPECT_EQ(stored.receipt.status, UnitStatus::kRolledBack);
  EXPECT_EQ(engine->stats().rolled_back, 1);
  EXPECT_EQ(engine->stats().in_flight, 0);
}

TEST_F(EngineTest, AnAbortedUnitIsReplayedFromScratch) {
  auto engine = Open();
  int calls = 0;
  ASSERT_OK_AND_ASSIGN(const Receipt receipt,
                       engine->Run({}, [&](UnitOfWork& unit) -> absl::Status {
                         VOUCH_RETURN_IF_ERROR(AddAccount(unit, ++calls, "a", 1));
                         return calls < 3 ? absl::AbortedError("stale") : absl::OkStatus();
                       }));
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(receipt.retries, 2);
  EXPECT_EQ(receipt.seq, 1);
  ASSERT_OK_AND_ASSIGN(auto reader, engine->Read());
  EXPECT_THAT(reader->QueryValue<int>("SELECT retry_count FROM unit_of_work"),
              test::IsOkAndHolds(2));
  EXPECT_THAT(reader->QueryValue<int>("SELECT id FROM accounts"), test::IsOkAndHolds(3));
  ExpectAudited();
}

TEST_F(EngineTest, ALockHeldElsewhereIsWaitedForAndThenReported) {
  auto engine = Open();
  ASSERT_OK_AND_ASSIGN(auto other, storage::SqliteConnection::Open({.path = path_}));
  {
    ASSERT_OK_AND_ASSIGN(auto lock,
                         storage::Transaction::Begin(*other, storage::TransactionMode::kWrite));
    const auto result = engine->Run({}, [](UnitOfWork&) { return absl::OkStatus(); });
    EXPECT_THAT(result, StatusIs(absl::StatusCode::kUnavailable, HasSubstr("locked")));
    EXPECT_EQ(engine->stats().retries, 3);
    EXPECT_EQ(engine->stats().unrecorded, 1);
    ASSERT_OK(lock.Rollback());
  }
  ASSERT_OK_AND_ASSIGN(const Receipt receipt,
                       engine->Run({}, [](UnitOfWork&) { return absl::OkStatus(); }));
  EXPECT_EQ(receipt.seq, 2) << "the failure is recorded before the next unit";
  EXPECT_EQ(engine->stats().unrecorded, 0);
  ExpectAudited();
}

// By a thread of the engine's: neither another unit nor Close() does it here.
TEST_F(EngineTest, AFailureIsRecordedThoughNoOtherUnitComes) {
  EngineOptions options = Options();
  options.record_failures_within = absl::Milliseconds(1);
  options.log = nullptr;
  ASSERT_OK_AND_ASSIGN(auto engine, Engine::Open(options));
  EXPECT_FALSE(engine->Run({}, [](UnitOfWork&) { return absl::CancelledError("no"); }).ok());
  const auto recorded = [&] {
    auto reader = engine->Read();
    EXPECT_OK(reader);
    return *(*reader)->QueryValue<int>(
        "SELECT count(*) FROM unit_of_work WHERE status != 'pending'");
  };
  while (recorded() == 0) std::this_thread::yield();
  ASSERT_OK(engine->Close(absl::InfiniteDuration()));
  ExpectAudited();
}

// The lock is held for longer than the test takes, and would be waited for as long.
TEST_F(EngineTest, AFailingCallerDoesNotWaitForItsRecord) {
  EngineOptions options = Options();
  options.record_failures_within = absl::Milliseconds(1);
  options.busy_timeout = absl::Hours(1);
  options.retry.max_retries = 0;
  options.log = nullptr;
  ASSERT_OK_AND_ASSIGN(auto engine, Engine::Open(options));
  ASSERT_OK_AND_ASSIGN(auto other, storage::SqliteConnection::Open({.path = path_}));
  ASSERT_OK_AND_ASSIGN(auto lock,
                       storage::Transaction::Begin(*other, storage::TransactionMode::kWrite));
  const RunOptions run = {.timeout = absl::Milliseconds(1)};
  EXPECT_FALSE(engine->Run(run, [](UnitOfWork&) { return absl::OkStatus(); }).ok());
  EXPECT_EQ(engine->stats().unrecorded, 1);
  ASSERT_OK(lock.Rollback());
  ASSERT_OK(engine->Close(absl::InfiniteDuration()));
  EXPECT_EQ(engine->stats().unrecorded, 0);
  ExpectAudited();
}

TEST_F(EngineTest, RunningACommittedIdAgainDoesNothing) {
  auto engine = Open();
  const std::string id = "01KAJ000000000000000000001";
  int calls = 0;
  const auto unit = [&](UnitOfWork& work) {
    ++calls;
    return AddAccount(work, calls, std::to_string(calls), 1);
  };
  ASSERT_OK_AND_ASSIGN(const Receipt first, engine->Run({.uow_id = id}, unit));
  ASSERT_OK_AND_ASSIGN(const Receipt again, engine->Run({.uow_id = id}, unit));
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(again.was_duplicate);
  EXPECT_EQ(again.hash, first.hash);
  EXPECT_THAT(engine->Begin({.uow_id = id}).status(), StatusIs(absl::StatusCode::kAlreadyExists));
}

TEST_F(EngineTest, AFailedIdMayRunAgain) {
  auto engine = Open();
  const std::string id = "01KAJ000000000000000000001";
  EXPECT_FALSE(
      engine->Run({.uow_id = id}, [](UnitOfWork&) { return absl::NotFoundError(""); }).ok());
  ASSERT_OK_AND_ASSIGN(const Receipt receipt, engine->Run({.uow_id = id}, [](UnitOfWork& unit) {
    return AddAccount(unit, 1, "a", 1);
  }));
  EXPECT_EQ(receipt.seq, 2);
  ExpectAudited();
}

TEST_F(EngineTest, AnIdThatIsCommittedIsReadAsSuch) {
  auto engine = Open();
  const std::string id = "01KAJ000000000000000000001";
  ASSERT_OK(
      engine->Run({.uow_id = id}, [](UnitOfWork& unit) { return AddAccount(unit, 1, "a", 1); }));
  // Stopped before it was known to be committed, and so recorded as a failure.
  EXPECT_FALSE(engine
                   ->Run({.uow_id = id, .timeout = absl::ZeroDuration()},
                         [](UnitOfWork&) { return absl::OkStatus(); })
                   .ok());
  ASSERT_OK(engine->Run({}, [](UnitOfWork&) { return absl::OkStatus(); }));
  ASSERT_OK_AND_ASSIGN(auto reader, engine->Read());
  ASSERT_OK_AND_ASSIGN(const StoredReceipt stored, ReadReceipt(*reader, id));
  EXPECT_EQ(stored.receipt.status, UnitStatus::kCommitted);
}

TEST_F(EngineTest, AnIdThatIsNoUlidIsRefusedBeforeAnythingRuns) {
  auto engine = Open();
  for (const std::string id : {"x", "81KAJ000000000000000000001", "01kaj000000000000000000001"}) {
    const auto result = engine->Run({.uow_id = id}, [](UnitOfWork&) -> absl::Status {
      ADD_FAILURE() << "ran";
      return absl::OkStatus();
    });
    EXPECT_THAT(result, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("ULID")));
  }
  EXPECT_EQ(engine->stats().failed, 0);
}

TEST_F(EngineTest, InteractiveUnitsCommitOnceOrRollBack) {
  auto engine = Open();
  {
    ASSERT_OK_AND_ASSIGN(InteractiveUnit unit, engine->Begin({}));
    ASSERT_OK(AddAccount(*unit, 1, "a", 1));
    ASSERT_OK_AND_ASSIGN(const Receipt receipt, unit.Commit());
    EXPECT_EQ(receipt.writes, 1);
    EXPECT_THAT(unit.Commit(), StatusIs(absl::StatusCode::kFailedPrecondition));
    EXPECT_THAT(unit.Rollback(), StatusIs(absl::StatusCode::kFailedPrecondition));
  }
  {
    ASSERT_OK_AND_ASSIGN(InteractiveUnit unit, engine->Begin({}));
    ASSERT_OK(AddAccount(*unit, 2, "b", 1));
    ASSERT_OK(unit.Rollback());
    EXPECT_THAT(unit.Rollback(), StatusIs(absl::StatusCode::kFailedPrecondition));
  }
  {
    ASSERT_OK_AND_ASSIGN(InteractiveUnit abandoned, engine->Begin({}));
    ASSERT_OK(AddAccount(*abandoned, 3, "c", 1));
  }
  ASSERT_OK_AND_ASSIGN(auto reader, engine->Read());
  EXPECT_THAT(reader->QueryValue<int>("SELECT count(*) FROM accounts"), test::IsOkAndHolds(1));
  EXPECT_THAT(
      reader->QueryValue<std::string>(
          "SELECT group_concat(status) FROM (SELECT status FROM unit_of_work ORDER BY seq)"),
      test::IsOkAndHolds("committed,rolled_back,rolled_back"));
  EXPECT_EQ(engine->stats().in_flight, 0);
  ExpectAudited();
}

TEST_F(EngineTest, SavepointsLeaveNoTraceOfWhatTheyUndid) {
  auto engine = Open();
  ASSERT_OK_AND_ASSIGN(const Receipt receipt, engine->Run({}, [](UnitOfWork& unit) -> absl::Status {
    VOUCH_RETURN_IF_ERROR(AddAccount(unit, 1, "kept", 1));
    VOUCH_ASSIGN_OR_RETURN(auto outer, unit.BeginSavepoint());
    VOUCH_RETURN_IF_ERROR(AddAccount(unit, 2, "undone", 1));
    {
      VOUCH_ASSIGN_OR_RETURN(auto inner, unit.BeginSavepoint());
      VOUCH_RETURN_IF_ERROR(unit.Execute("UPDATE accounts SET balance = 50 WHERE id = 1"));
      VOUCH_RETURN_IF_ERROR(inner.Release());
    }
    VOUCH_RETURN_IF_ERROR(outer.Rollback());
    VOUCH_ASSIGN_OR_RETURN(auto kept, unit.BeginSavepoint());
    VOUCH_RETURN_IF_ERROR(AddAccount(unit, 3, "also kept", 1));
    return kept.Release();
  }));
  EXPECT_EQ(receipt.writes, 2);
  ASSERT_OK_AND_ASSIGN(auto reader, engine->Read());
  EXPECT_THAT(reader->QueryValue<double>("SELECT balance FROM accounts WHERE id = 1"),
              test::IsOkAndHolds(1.0));
  ExpectAudited();
}

TEST_F(EngineTest, AViolatedForeignKeyFailsTheUnitAtItsEnd) {
  auto engine = Open();
  const auto result = engine->Run({}, [](UnitOfWork& unit) {
    return unit.Execute("INSERT INTO accounts(id, name, parent) VALUES (1, 'a', 99)");
  });
  EXPECT_THAT(result, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("FOREIGN KEY")));
  ASSERT_OK_AND_ASSIGN(auto reader, engine->Read());
  EXPECT_THAT(reader->QueryValue<std::string>("SELECT error_type FROM unit_of_work"),
              test::IsOkAndHolds("constraint_violation"));
}

TEST_F(EngineTest, WhatEndsTheTransactionFailsTheUnitEvenIfTheFunctionIsContent) {
  auto engine = Open();
  ASSERT_OK(engine->Run({}, [](UnitOfWork& unit) { return AddAccount(unit, 1, "a", 1); }));
  const auto result =
      engine->Run({.retry = RetryOptions{.max_retries = 0}}, [](UnitOfWork& unit) -> absl::Status {
        EXPECT_OK(AddAccount(unit, 2, "b", 1));
        EXPECT_FALSE(
            unit.Execute("INSERT OR ROLLBACK INTO accounts(id, name) VALUES (3, 'a')").ok());
        // The next statement must not commit itself outside of any transaction.
        EXPECT_THAT(AddAccount(unit, 4, "d", 1), StatusIs(absl::StatusCode::kAborted));
        return absl::OkStatus();
      });
  EXPECT_THAT(result, StatusIs(absl::StatusCode::kAborted));
  ASSERT_OK_AND_ASSIGN(auto reader, engine->Read());
  EXPECT_THAT(reader->QueryValue<int>("SELECT count(*) FROM accounts"), test::IsOkAndHolds(1));
  ExpectAudited();
}

TEST_F(EngineTest, AUnitMayNotLeaveItsBounds) {
  auto engine = Open();
  const std::vector<std::string> refused = {"BEGIN",
                                            "COMMIT",
                                            "ROLLBACK",
                                            "SAVEPOINT x",
                                            "PRAGMA foreign_keys = OFF",
                                            "PRAGMA wal_checkpoint",
                                            "PRAGMA defer_foreign_keys = ON",
                                            "ATTACH ':memory:' AS other",
                                            "CREATE TABLE t(x)",
                                            "CREATE TEMP TABLE t(x)",
                                            "DROP TABLE notes",
                                            "ALTER TABLE notes ADD COLUMN x",
                                            "ALTER TABLE notes RENAME TO others",
                                            "ALTER TABLE notes RENAME COLUMN text TO words",
                                            "ALTER TABLE notes DROP COLUMN text",
                                            "CREATE INDEX i ON notes(text)",
                                            "CREATE VIEW v AS SELECT 1",
                                            "CREATE TRIGGER g DELETE ON notes BEGIN SELECT 1; END",
                                            "CREATE VIRTUAL TABLE f USING fts5(x)",
                                            "REINDEX",
                                            "ANALYZE",
                                            "DELETE FROM unit_of_work",
                                            "UPDATE uow_writes SET checksum = ''",
                                            "INSERT INTO uow_ledger VALUES ('x', 1, '')",
                                            "DELETE FROM core_schema_migrations",
                                            "UPDATE storage_pool_config SET max_connections = 1"};
  for (const std::string& sql : refused) {
    const auto result = engine->Run({}, [&](UnitOfWork& unit) { return unit.Execute(sql); });
    EXPECT_THAT(result, StatusIs(absl::StatusCode::kPermissionDenied)) << sql;
  }
  ASSERT_OK(engine->Run({}, [](UnitOfWork& unit) -> absl::Status {
    return unit.QueryValue<std::string>("PRAGMA journal_mode").status();
  }));
  ExpectAudited();
}

TEST_F(EngineTest, TablesOfNoStoreAreRefusedUnlessDeclared) {
  EngineOptions options = Options();
  options.stores = {{.name = "accounts", .tables = {"accounts"}}};
  {
    ASSERT_OK_AND_ASSIGN(auto engine, Engine::Open(options));
    const auto result = engine->Run(
        {}, [](UnitOfWork& unit) { return unit.Execute("INSERT INTO notes(text) VALUES ('x')"); });
    EXPECT_THAT(result, StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("notes")));
  }
  options.unreceipted_tables = {"notes"};
  ASSERT_OK_AND_ASSIGN(auto engine, Engine::Open(options));
  ASSERT_OK_AND_ASSIGN(const Receipt receipt, engine->Run({}, [](UnitOfWork& unit) {
    return unit.Execute("INSERT INTO notes(text) VALUES ('x')");
  }));
  EXPECT_EQ(receipt.writes, 0);
}

TEST_F(EngineTest, StoresAreChecked) {
  const auto open = [&](std::vector<StoreOptions> stores) {
    EngineOptions options = Options();
    options.stores = std::move(stores);
    return Engine::Open(std::move(options)).status();
  };
  using absl::StatusCode;
  EXPECT_THAT(open({{.name = "", .tables = {"notes"}}}), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(open({{.name = "vouch", .tables = {"notes"}}}),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("reserved")));
  EXPECT_THAT(open({{.name = "a", .tables = {"notes"}}, {.name = "a", .tables = {"accounts"}}}),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("twice")));
  EXPECT_THAT(open({{.name = "a", .tables = {"notes"}}, {.name = "b", .tables = {"NOTES"}}}),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("another store")));
  EXPECT_THAT(open({{.name = "a", .tables = {"nowhere"}}}), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(open({{.name = "a", .tables = {"unit_of_work"}}}),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("own")));
  EXPECT_THAT(open({{.name = "a", .tables = {"notes"}, .database = "other.db"}}),
              StatusIs(StatusCode::kUnimplemented, HasSubstr("other.db")));
}

TEST_F(EngineTest, RowsWithoutReceiptsAreRefusedAtOpen) {
  { auto engine = Open(); }
  ASSERT_OK_AND_ASSIGN(auto other, storage::SqliteConnection::Open({.path = path_}));
  ASSERT_OK(other->Execute("INSERT INTO notes(text) VALUES ('from elsewhere')"));
  EXPECT_THAT(Engine::Open(Options()).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("notes")));
}

TEST_F(EngineTest, AUnitWithinAUnitIsRefused) {
  auto engine = Open();
  const auto result = engine->Run({}, [&](UnitOfWork&) -> absl::Status {
    return engine->Run({}, [](UnitOfWork&) { return absl::OkStatus(); }).status();
  });
  EXPECT_THAT(result, StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("engine_test.cc")));
}

TEST_F(EngineTest, CloseWaitsForUnitsAndSaysWhatItLeft) {
  auto engine = Open();
  ASSERT_OK_AND_ASSIGN(std::optional<InteractiveUnit> unit, engine->Begin({}));
  ASSERT_OK(AddAccount(**unit, 1, "a", 1));
  EXPECT_THAT(engine->Close(absl::Milliseconds(1)),
              StatusIs(absl::StatusCode::kDeadlineExceeded,
                       AllOf(HasSubstr((*unit)->id()), HasSubstr("engine_test.cc"))));
  EXPECT_THAT(engine->Run({}, [](UnitOfWork&) { return absl::OkStatus(); }),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("closed")));
  ASSERT_OK(unit->Commit());
  unit.reset();
  EXPECT_OK(engine->Close(absl::Seconds(10)));
  EXPECT_OK(engine->Close(absl::Seconds(10)));
  EXPECT_FALSE(std::filesystem::exists(path_ + "-wal")) << "the last to close removes the log";
  ExpectAudited();
}

TEST_F(EngineTest, DurationsComeFromTheSteadyClockAndTimesFromTheWallClock) {
  test::FakeSteadyClock steady;
  EngineOptions options = Options();
  options.steady_clock = &steady;
  ASSERT_OK_AND_ASSIGN(auto engine, Engine::Open(options));
  ASSERT_OK_AND_ASSIGN(const Receipt receipt, engine->Run({}, [&](UnitOfWork& unit) {
    steady.Advance(absl::Milliseconds(40));
    wall_.Advance(absl::Milliseconds(2));
    return AddAccount(unit, 1, "a", 1);
  }));
  EXPECT_EQ(receipt.execution_time, absl::Milliseconds(40));
  EXPECT_THAT(receipt.bytes, AllOf(HasSubstr("created 2026-09-21T14:13:20.123Z\n"),
                                   HasSubstr("committed 2026-09-21T14:13:20.125Z\n")));
  ASSERT_OK_AND_ASSIGN(auto reader, engine->Read());
  EXPECT_THAT(reader->QueryValue<int>("SELECT total_execution_time_ms FROM unit_of_work"),
              test::IsOkAndHolds(40));
}

TEST_F(EngineTest, ADeadlineStopsARunningStatement) {
  auto engine = Open();
  const auto result =
      engine->Run({.timeout = absl::Milliseconds(20)}, [](UnitOfWork& unit) -> absl::Status {
        return unit
            .QueryValue<std::int64_t>(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1"
                " FROM n) SELECT count(*) FROM n")
            .status();
      });
  EXPECT_THAT(result, StatusIs(absl::StatusCode::kDeadlineExceeded));
  ASSERT_OK_AND_ASSIGN(auto reader, engine->Read());
  EXPECT_THAT(reader->QueryValue<std::string>("SELECT error_type FROM unit_of_work"),
              test::IsOkAndHolds("timeout"));
}

TEST_F(EngineTest, TwoEnginesOnOneFileKeepOneChain) {
  auto a = Open();
  auto b = Open();
  EXPECT_EQ(a->ledger_id(), b->ledger_id());
  for (int i = 0; i < 10; ++i) {
    Engine& engine = i % 2 == 0 ? *a : *b;
    ASSERT_OK_AND_ASSIGN(const Receipt receipt, engine.Run({}, [&](UnitOfWork& unit) {
      return AddAccount(unit, i, std::to_string(i), 1);
    }));
    EXPECT_EQ(receipt.seq, i + 1);
  }
  ExpectAudited();
}

TEST_F(EngineTest, ANewTableOfAnotherProcessIsReceiptedFromThenOn) {
  auto engine = Open();
  {
    ASSERT_OK_AND_ASSIGN(auto other, storage::SqliteConnection::Open({.path = path_}));
    ASSERT_OK(other->ExecuteScript("CREATE TABLE later(id INTEGER PRIMARY KEY, x)"));
  }
  ASSERT_OK_AND_ASSIGN(const Receipt receipt, engine->Run({}, [](UnitOfWork& unit) {
    return unit.Execute("INSERT INTO later(x) VALUES (1)");
  }));
  EXPECT_EQ(receipt.writes, 1);
  ExpectAudited();
}

TEST_F(EngineTest, MarksItsFilesAndRefusesThoseOfOthers) {
  const auto mark = [&](const std::string& sql) {
    auto connection = storage::SqliteConnection::Open({.path = path_});
    EXPECT_OK(connection);
    if (!sql.empty()) {
      EXPECT_OK((*connection)->Execute(sql));
    }
    return (*connection)->QueryValue<std::int32_t>("PRAGMA application_id").value_or(-1);
  };
  Open();
  EXPECT_EQ(mark(""), kApplicationId);
  Open();
  // As earlier versions made them.
  EXPECT_EQ(mark("PRAGMA application_id = 0"), 0);
  Open();
  EXPECT_EQ(mark(""), 0);

  EXPECT_EQ(mark("PRAGMA application_id = 12345"), 12345);
  EXPECT_THAT(
      Engine::Open(Options()),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               AllOf(HasSubstr(path_), HasSubstr("another application"), HasSubstr("12345"))));
  EngineOptions options = Options();
  options.application_id = 12345;
  EXPECT_OK(Engine::Open(options));
  options.application_id = 0;
  EXPECT_OK(Engine::Open(options));
}

TEST_F(EngineTest, WorksInMemory) {
  EngineOptions options = Options();
  options.path = ":memory:";
  ASSERT_OK_AND_ASSIGN(auto engine, Engine::Open(options));
  ASSERT_OK(engine->Run({}, [](UnitOfWork& unit) { return AddAccount(unit, 1, "a", 1); }));
  ASSERT_OK_AND_ASSIGN(auto reader, engine->Read());
  EXPECT_THAT(reader->QueryValue<int>("SELECT count(*) FROM accounts"), test::IsOkAndHolds(1));
  EXPECT_THAT(Audit(*reader, {})->findings, IsEmpty());
}

TEST_F(EngineTest, AnOldSchemaIsRefusedWhenMigratingIsOff) {
  EngineOptions options = Options();
  options.migrate = false;
  EXPECT_THAT(Engine::Open(options).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("migrate up")));
  { auto engine = Open(); }
  EXPECT_OK(Engine::Open(options));
}

}  // namespace
}  // namespace vouch::uow
