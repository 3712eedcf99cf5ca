// One deadline and one stop token for the wait, the transaction's begin and its statements; and what
// becomes of a transaction that they ended: nothing of it is stored, and nothing after it either.

#include <atomic>
#include <stop_token>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/error.h"
#include "storage/sqlite/database.h"
#include "storage/transaction.h"
#include "tests/storage/sqlite/support.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace vouch::storage {
namespace {

using test::StatusIs;
using test::TemporaryDirectory;
using ::testing::HasSubstr;
using testing_support::ConnectionPtr;
using testing_support::Int;
using testing_support::OpenOrDie;
using testing_support::PlainDatabase;
using testing_support::Text;

constexpr auto kLate = absl::StatusCode::kDeadlineExceeded;
constexpr auto kCancelled = absl::StatusCode::kCancelled;
constexpr auto kAborted = absl::StatusCode::kAborted;

constexpr char kReadForEver[] =
    "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
constexpr char kWriteForEver[] =
    "INSERT INTO t WITH RECURSIVE n(i) AS (VALUES (100) UNION ALL SELECT i + 1 FROM n) "
    "SELECT i FROM n";

// Requests a stop when a statement has changed so many rows: in the middle of it, for sure.
class StopAt final : public ChangeSink {
 public:
  StopAt(int rows, std::stop_source& source) : rows_(rows), source_(source) {}
  void OnChange(const RowChange&) override {
    if (--rows_ == 0) source_.request_stop();
  }
  void OnUndone() override {}

 private:
  int rows_;
  std::stop_source& source_;
};

class DeadlineTest : public ::testing::Test {
 protected:
  DeadlineTest() { EXPECT_OK(connection_->Execute("CREATE TABLE t(a INTEGER PRIMARY KEY)")); }

  absl::StatusOr<Transaction> Begin() {
    return Transaction::Begin(*connection_, TransactionMode::kWrite);
  }
  absl::Status Insert(int a) { return connection_->Execute("INSERT INTO t VALUES (?1)", a); }
  std::string Rows() {
    return Text(*connection_, "SELECT ifnull(group_concat(a), '') FROM (SELECT a FROM t)");
  }

  TemporaryDirectory directory_;
  const std::string path_ = directory_.File("t.db");
  ConnectionPtr connection_ = OpenOrDie({.path = path_, .busy_timeout = absl::InfiniteDuration()});
  std::stop_source source_;
};

// ---- What we defend against -----------------------------------------------------------------

// SQLite ends the transaction with the write that was stopped, and autocommits what follows.
TEST_F(DeadlineTest, PlainSqliteCommitsWhatFollowsAStoppedWrite) {
  PlainDatabase plain(path_);
  ASSERT_EQ(plain.Run("BEGIN; INSERT INTO t VALUES (1)"), SQLITE_OK);
  sqlite3_progress_handler(
      plain.db(), 1000, [](void*) { return 1; }, nullptr);
  ASSERT_EQ(plain.Run(kWriteForEver), SQLITE_INTERRUPT);
  sqlite3_progress_handler(plain.db(), 0, nullptr, nullptr);
  ASSERT_EQ(plain.Run("INSERT INTO t VALUES (2)"), SQLITE_OK);
  EXPECT_EQ(Rows(), "2") << "the row before is gone, the row after is there";
}

// ---- The transaction's fate -----------------------------------------------------------------

TEST_F(DeadlineTest, NothingFollowsAStoppedWrite) {
  {
    ASSERT_OK_AND_ASSIGN(Transaction transaction, Begin());
    ASSERT_OK(Insert(1));
    StopAt sink(50, source_);
    connection_->SetChangeSink(&sink);
    connection_->SetStop(source_.get_token());
    EXPECT_THAT(connection_->Execute(kWriteForEver),
                StatusIs(kCancelled, HasSubstr("execute: cancelled: ")));
    connection_->SetChangeSink(nullptr);
    EXPECT_FALSE(connection_->in_transaction()) << "SQLite has ended it";
    EXPECT_THAT(Insert(2), StatusIs(kAborted));
    connection_->SetStop({});  // Whoever forgets the token does not get away with it either.
    EXPECT_THAT(Insert(3), StatusIs(kAborted));
    EXPECT_THAT(connection_->ExecuteScript("INSERT INTO t VALUES (4)"), StatusIs(kAborted));
    EXPECT_THAT(connection_->QueryValue<int>("SELECT 1"), StatusIs(kAborted));
    EXPECT_THAT(Savepoint::Begin(*connection_), StatusIs(kAborted));
    EXPECT_THAT(transaction.Commit(), StatusIs(kAborted));
    EXPECT_THAT(Insert(5), StatusIs(kAborted));
  }
  EXPECT_EQ(Rows(), "");
  EXPECT_OK(Insert(6));
}

TEST_F(DeadlineTest, AStoppedReadLeavesTheTransactionToItsGuard) {
  ASSERT_OK_AND_ASSIGN(Transaction transaction, Begin());
  ASSERT_OK(Insert(1));
  connection_->SetStop(source_.get_token());
  std::atomic<bool> reading{false};
  std::thread stopper([&] {
    while (!reading) std::this_thread::yield();
    source_.request_stop();
  });
  reading = true;
  EXPECT_THAT(connection_->QueryValue<int>(kReadForEver), StatusIs(kCancelled));
  stopper.join();
  EXPECT_TRUE(connection_->in_transaction());
  EXPECT_THAT(Insert(2), StatusIs(kCancelled, HasSubstr("cancelled before")));
  EXPECT_TRUE(connection_->in_transaction());
  EXPECT_OK(transaction.Commit()) << "COMMIT is not stopped";
  connection_->SetStop({});
  EXPECT_EQ(Rows(), "1");
}

TEST_F(DeadlineTest, AReadWithoutATransactionIsStopped) {
  ASSERT_OK_AND_ASSIGN(
      auto rows,
      connection_->Prepare(
          "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"));
  connection_->SetStop(source_.get_token());
  ASSERT_OK(rows->Step());
  source_.request_stop();
  EXPECT_THAT(rows->Step(), StatusIs(kCancelled)) << "between two rows";
  rows.reset();
  EXPECT_TRUE(connection_->MakeReusable());
  EXPECT_OK(Insert(1)) << "the next holder has a token of its own";
}

TEST_F(DeadlineTest, NothingBeginsOnceItIsCancelled) {
  source_.request_stop();
  connection_->SetStop(source_.get_token());
  EXPECT_THAT(Begin(), StatusIs(kCancelled, HasSubstr("begin: cancelled")));
  EXPECT_THAT(Insert(1), StatusIs(kCancelled));
  connection_->SetStop({});
  EXPECT_EQ(Rows(), "");
}

TEST_F(DeadlineTest, NeitherStopsRollback) {
  {
    ASSERT_OK_AND_ASSIGN(Transaction transaction, Begin());
    ASSERT_OK_AND_ASSIGN(Savepoint savepoint, Savepoint::Begin(*connection_));
    ASSERT_OK(Insert(1));
    source_.request_stop();
    connection_->SetStop(source_.get_token());
    EXPECT_OK(savepoint.Rollback());
    EXPECT_OK(transaction.Rollback());
  }
  EXPECT_FALSE(connection_->in_transaction());
}

// ---- Waiting for another process ------------------------------------------------------------

TEST_F(DeadlineTest, AWaitForALockEndsAtTheDeadlineAndSaysSo) {
  PlainDatabase other(path_);
  ASSERT_EQ(other.Run("BEGIN IMMEDIATE"), SQLITE_OK);
  connection_->SetDeadline(std::chrono::steady_clock::now() + std::chrono::milliseconds(5));
  const auto begun = Begin();
  EXPECT_THAT(begun, StatusIs(kLate, HasSubstr("begin: ")));
  EXPECT_EQ(NativeCode(begun.status()), SQLITE_BUSY);
  EXPECT_FALSE(connection_->in_transaction());
}

TEST_F(DeadlineTest, TheBusyTimeoutIsNotTheDeadline) {
  const ConnectionPtr hasty = OpenOrDie({.path = path_, .busy_timeout = absl::ZeroDuration()});
  PlainDatabase other(path_);
  ASSERT_EQ(other.Run("BEGIN IMMEDIATE"), SQLITE_OK);
  hasty->SetDeadline(std::chrono::steady_clock::now() + std::chrono::hours(1));
  EXPECT_THAT(Transaction::Begin(*hasty, TransactionMode::kWrite),
              StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(DeadlineTest, AWaitForALockEndsWhenItIsCancelled) {
  PlainDatabase other(path_);
  ASSERT_EQ(other.Run("BEGIN IMMEDIATE"), SQLITE_OK);
  connection_->SetStop(source_.get_token());
  std::thread stopper([&] { source_.request_stop(); });
  EXPECT_THAT(Begin(), StatusIs(kCancelled));
  stopper.join();
}

// ---- A lease's ------------------------------------------------------------------------------

class LeaseDeadlineTest : public ::testing::Test {
 protected:
  LeaseDeadlineTest() {
    auto database =
        Database::Open({.path = path_, .max_readers = 1, .busy_timeout = absl::InfiniteDuration()});
    EXPECT_OK(database);
    database_ = *std::move(database);
    auto writer = database_->Write();
    EXPECT_OK(writer);
    EXPECT_OK((*writer)->Execute("CREATE TABLE t(a)"));
  }

  TemporaryDirectory directory_;
  const std::string path_ = directory_.File("t.db");
  std::unique_ptr<Database> database_;
  std::stop_source source_;
};

TEST_F(LeaseDeadlineTest, ItCoversTheWaitForTheLease) {
  const absl::Time past = absl::Now() - absl::Seconds(1);
  ASSERT_OK_AND_ASSIGN(const WriteLease writer, database_->Write());
  ASSERT_OK_AND_ASSIGN(const ReadLease reader, database_->Read());
  EXPECT_THAT(database_->Write({.deadline = past}), StatusIs(kLate));
  EXPECT_THAT(database_->Read({.deadline = past}), StatusIs(kLate));
  // On threads of their own: who holds a lease is refused at once.
  std::thread waits_to_write(
      [&] { EXPECT_THAT(database_->Write({.stop = source_.get_token()}), StatusIs(kCancelled)); });
  std::thread waits_to_read(
      [&] { EXPECT_THAT(database_->Read({.stop = source_.get_token()}), StatusIs(kCancelled)); });
  source_.request_stop();
  waits_to_write.join();
  waits_to_read.join();
}

TEST_F(LeaseDeadlineTest, ItCoversBeginAndStatements) {
  PlainDatabase other(path_);
  ASSERT_EQ(other.Run("BEGIN IMMEDIATE"), SQLITE_OK);
  {
    ASSERT_OK_AND_ASSIGN(WriteLease writer,
                         database_->Write({.deadline = absl::Now() + absl::Milliseconds(10)}));
    EXPECT_THAT(Transaction::Begin(*writer, TransactionMode::kWrite), StatusIs(kLate));
  }
  {
    ASSERT_OK_AND_ASSIGN(ReadLease reader,
                         database_->Read({.deadline = absl::Now() + absl::Milliseconds(10)}));
    EXPECT_THAT(reader->QueryValue<int>(kReadForEver), StatusIs(kLate));
    EXPECT_THAT(reader->QueryValue<int>("SELECT 1"), StatusIs(kLate));
  }
  ASSERT_OK_AND_ASSIGN(ReadLease next, database_->Read());
  EXPECT_EQ(Int(*next, "SELECT count(*) FROM t"), 0) << "the next lease has no deadline";
}

TEST_F(LeaseDeadlineTest, TheStopTokenCoversStatements) {
  StopAt sink(50, source_);
  {
    ASSERT_OK_AND_ASSIGN(WriteLease writer, database_->Write({.stop = source_.get_token()}));
    writer->SetChangeSink(&sink);
    EXPECT_THAT(writer->Execute(kWriteForEver), StatusIs(kCancelled));
  }
  ASSERT_OK_AND_ASSIGN(WriteLease writer, database_->Write());
  EXPECT_OK(writer->Execute("INSERT INTO t VALUES (1)"));
  EXPECT_EQ(Int(*writer, "SELECT count(*) FROM t"), 1);
}

// Of all the options `timeout` alone is about the wait.
TEST_F(LeaseDeadlineTest, TheTimeoutIsForTheWaitOnly) {
  ASSERT_OK_AND_ASSIGN(WriteLease writer, database_->Write({.timeout = absl::ZeroDuration()}));
  EXPECT_OK(writer->Execute("INSERT INTO t VALUES (1)"));
}

}  // namespace
}  // namespace vouch::storage
