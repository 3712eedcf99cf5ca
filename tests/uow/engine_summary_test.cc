// What an engine tells of a unit that has ended: its summary, event and stores' metrics; and what it
// says and does when the unit did not find what it expected.

#include <stdexcept>
#include <string>
#include <vector>

#include "storage/sqlite/connection.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"
#include "uow/engine.h"
#include "uow/failure.h"

namespace vouch::uow {
namespace {

using test::StatusIs;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class EngineSummaryTest : public ::testing::Test {
 protected:
  EngineOptions Options() {
    return {.path = path_,
            .stores = {{.name = "ones", .tables = {"t"}}, {.name = "twos", .tables = {"u"}}},
            .migrations = {*storage::MigrationSet::FromSql(
                "t", {{.version = 1,
                       .name = "t",
                       .up = "CREATE TABLE t(id INTEGER PRIMARY KEY, x UNIQUE);"
                             "CREATE TABLE u(id INTEGER PRIMARY KEY, version INTEGER)",
                       .down = "DROP TABLE u; DROP TABLE t"}})},
            .busy_timeout = absl::Milliseconds(10),
            .record_failures_within = absl::ZeroDuration(),
            .retry = {.first_delay = absl::Milliseconds(1)},
            .on_event =
                [this](const UnitEvent& event) {
                  events_.push_back(event);
                  if (throws_) throw std::runtime_error("no");
                },
            .log = [this](LogLevel, std::string_view line) { log_.emplace_back(line); }};
  }
  std::unique_ptr<Engine> Open() {
    auto engine = Engine::Open(Options());
    EXPECT_OK(engine);
    return *std::move(engine);
  }
  std::string ErrorType(Engine& engine) {
    auto reader = engine.Read();
    EXPECT_OK(reader);
    return (*reader)
        ->QueryValue<std::string>("SELECT error_type FROM unit_of_work ORDER BY seq DESC")
        .value_or("none");
  }

  test::TemporaryDirectory directory_;
  std::string path_ = directory_.File("app.db");
  std::vector<UnitEvent> events_;
  std::vector<std::string> log_;
  bool throws_ = false;
};

absl::Status Insert(UnitOfWork& unit, int x) {
  return unit.Execute("INSERT INTO t(x) VALUES (?1)", x);
}

TEST_F(EngineSummaryTest, ACommittedUnitHasASummaryAnEventAndMetrics) {
  auto engine = Open();
  TransactionSummary summary;
  ASSERT_OK_AND_ASSIGN(
      const Receipt receipt,
      engine->Run({.envelope_id = "e", .summary = &summary}, [](UnitOfWork& unit) -> absl::Status {
        VOUCH_RETURN_IF_ERROR(Insert(unit, 1));
        VOUCH_RETURN_IF_ERROR(Insert(unit, 2));
        return unit.retries() == 0 ? absl::AbortedError("again")
                                   : unit.Execute("INSERT INTO u VALUES (1, 1)");
      }));
  EXPECT_EQ(summary.uow_id, receipt.uow_id);
  EXPECT_EQ(summary.envelope_id, "e");
  EXPECT_EQ(summary.status, UnitStatus::kCommitted);
  EXPECT_EQ(summary.committed, receipt.committed);
  EXPECT_EQ(summary.writes_count, 3);
  EXPECT_EQ(summary.total_bytes, receipt.bytes_written);
  EXPECT_EQ(summary.retries, 1);
  EXPECT_EQ(summary.stores_count(), 2);
  EXPECT_EQ(summary.total_duration, receipt.execution_time + receipt.commit_time);
  EXPECT_EQ(summary.stores[0].commit_time, receipt.commit_time);
  EXPECT_GT(summary.stores[0].begin_time, absl::ZeroDuration());
  ASSERT_THAT(events_, SizeIs(1));
  EXPECT_EQ(events_[0].type, UnitEventType::kCommitted);
  EXPECT_EQ(events_[0].uow_id, receipt.uow_id);
  EXPECT_THAT(events_[0].stores, ElementsAre("ones", "twos"));
  const std::vector<StoreMetrics> metrics = engine->store_metrics();
  ASSERT_THAT(metrics, SizeIs(2));
  EXPECT_EQ(metrics[0].write_count, 2);
  EXPECT_EQ(metrics[0].retries, 1);
}

TEST_F(EngineSummaryTest, AFailedAndARolledBackUnitAreToldToo) {
  auto engine = Open();
  ASSERT_OK(engine->Run({}, [](UnitOfWork& unit) { return Insert(unit, 1); }));
  TransactionSummary summary;
  EXPECT_FALSE(
      engine->Run({.summary = &summary}, [](UnitOfWork& unit) { return Insert(unit, 1); }).ok());
  EXPECT_EQ(summary.status, UnitStatus::kFailed);
  EXPECT_THAT(summary.last_error, HasSubstr("UNIQUE"));
  ASSERT_THAT(summary.stores, SizeIs(1));
  EXPECT_EQ(summary.stores[0].store, "ones");
  EXPECT_EQ(summary.stores[0].error_count, 1);
  EXPECT_GT(summary.stores[0].rollback_time, absl::ZeroDuration());
  EXPECT_GT(summary.total_duration, absl::ZeroDuration());
  {
    ASSERT_OK_AND_ASSIGN(InteractiveUnit unit, engine->Begin({.summary = &summary}));
    ASSERT_OK(unit.Rollback());
  }
  EXPECT_EQ(summary.status, UnitStatus::kRolledBack);
  ASSERT_THAT(events_, SizeIs(3));
  EXPECT_EQ(events_[1].type, UnitEventType::kRolledBack);
  EXPECT_EQ(events_[1].status, UnitStatus::kFailed);
  EXPECT_EQ(events_[2].status, UnitStatus::kRolledBack);
}

TEST_F(EngineSummaryTest, ADuplicateHasASummaryAndNoEvent) {
  auto engine = Open();
  TransactionSummary summary;
  const RunOptions options{.uow_id = "01KAJ000000000000000000001", .summary = &summary};
  const auto function = [](UnitOfWork& unit) { return Insert(unit, 1); };
  ASSERT_OK_AND_ASSIGN(const Receipt first, engine->Run(options, function));
  summary = {};
  ASSERT_OK(engine->Run(options, function));
  EXPECT_EQ(summary.uow_id, first.uow_id);
  EXPECT_EQ(summary.committed, first.committed);
  EXPECT_THAT(events_, SizeIs(1));
  EXPECT_EQ(engine->store_metrics()[0].units, 1);
}

TEST_F(EngineSummaryTest, WhatAListenerThrowsReachesOnlyTheLog) {
  throws_ = true;
  auto engine = Open();
  ASSERT_OK(engine->Run({}, [](UnitOfWork& unit) { return Insert(unit, 1); }));
  EXPECT_THAT(log_, Contains(HasSubstr("on_event threw")));
}

// ---- Versions, locks ----

TEST_F(EngineSummaryTest, AnotherVersionThanExpectedFailsTheUnitAtOnce) {
  auto engine = Open();
  ASSERT_OK(engine->Run(
      {}, [](UnitOfWork& unit) { return unit.Execute("INSERT INTO u VALUES (1, 7)"); }));
  int runs = 0;
  const auto update = [&](int expected, int id) {
    return engine->Run({}, [&runs, expected, id](UnitOfWork& unit) -> absl::Status {
      ++runs;
      VOUCH_RETURN_IF_ERROR(
          unit.ExpectVersion(expected, "SELECT version FROM u WHERE id = ?1", id));
      return unit.Execute("UPDATE u SET version = version + 1 WHERE id = ?1", id);
    });
  };
  ASSERT_OK(update(7, 1));
  runs = 0;
  const auto stale = update(7, 1);
  EXPECT_THAT(stale, StatusIs(absl::StatusCode::kAborted, HasSubstr("expected 7, found 8")));
  EXPECT_EQ(runs, 1);
  ASSERT_TRUE(VersionConflictOf(stale.status()).has_value());
  EXPECT_EQ(VersionConflictOf(stale.status())->found, 8);
  EXPECT_EQ(ErrorType(*engine), "constraint_violation");
  EXPECT_THAT(update(7, 2),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("expected 7, found none")));
  EXPECT_FALSE(VersionConflictOf(absl::AbortedError("other")).has_value());
  // A query that is wrong is no conflict.
  EXPECT_THAT(engine->Run({}, [](UnitOfWork& unit) { return unit.ExpectVersion(1, "SELEC"); }),
              testing::Not(StatusIs(absl::StatusCode::kAborted)));
}

TEST_F(EngineSummaryTest, ALockThatAnotherHoldsIsRecordedAsADeadlock) {
  auto engine = Open();
  ASSERT_OK_AND_ASSIGN(auto other, storage::SqliteConnection::Open({.path = path_}));
  ASSERT_OK_AND_ASSIGN(auto transaction,
                       storage::Transaction::Begin(*other, storage::TransactionMode::kWrite));
  EXPECT_THAT(
      engine->Run({.retry = RetryOptions{.max_retries = 1, .first_delay = absl::Milliseconds(1)}},
                  [](UnitOfWork& unit) { return Insert(unit, 1); }),
      StatusIs(absl::StatusCode::kUnavailable));
  ASSERT_OK(transaction.Rollback());
  EXPECT_EQ(engine->stats().unrecorded, 1);
  ASSERT_OK(engine->Run({}, [](UnitOfWork& unit) { return Insert(unit, 1); }));
  ASSERT_OK_AND_ASSIGN(auto reader, engine->Read());
  EXPECT_THAT(reader->QueryValue<std::string>(
                  "SELECT error_type || retry_count FROM unit_of_work WHERE status = 'failed'"),
              test::IsOkAndHolds("deadlock1"));
}

}  // namespace
}  // namespace vouch::uow
