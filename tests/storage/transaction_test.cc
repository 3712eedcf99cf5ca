// A transaction is all or nothing, also when a statement ends it behind its guard's back.

#include "storage/transaction.h"

#include <optional>
#include <atomic>
#include <chrono>
#include <thread>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
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
using testing_support::OpenInMemory;
using testing_support::OpenOrDie;
using testing_support::PlainDatabase;
using testing_support::Text;
using Clock = std::chrono::steady_clock;

constexpr char kForEver[] =
    "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

class TransactionTest : public ::testing::Test {
 protected:
  TransactionTest() { EXPECT_OK(connection_->Execute("CREATE TABLE t(a INTEGER PRIMARY KEY)")); }

  absl::StatusOr<Transaction> Begin() {
    return Transaction::Begin(*connection_, TransactionMode::kWrite);
  }
  absl::Status Insert(int a) { return connection_->Execute("INSERT INTO t VALUES (?1)", a); }
  std::string Rows() {
    return Text(*connection_, "SELECT ifnull(group_concat(a), '') FROM (SELECT a FROM t)");
  }

  TemporaryDirectory directory_;
  const std::string path_ = directory_.File("t.db");
  ConnectionPtr connection_ = OpenOrDie({.path = path_, .busy_timeout = absl::Milliseconds(50)});
};

TEST_F(TransactionTest, CommitKeepsAndItsAbsenceDoesNot) {
  {
    ASSERT_OK_AND_ASSIGN(Transaction transaction, Begin());
    ASSERT_OK(Insert(1));
    ASSERT_OK(transaction.Commit());
  }
  {
    ASSERT_OK_AND_ASSIGN(Transaction transaction, Begin());
    ASSERT_OK(Insert(2));
    EXPECT_TRUE(connection_->in_transaction());
  }
  EXPECT_FALSE(connection_->in_transaction());
  EXPECT_EQ(Rows(), "1");
}

TEST_F(TransactionTest, RollbackUndoes) {
  ASSERT_OK_AND_ASSIGN(Transaction transaction, Begin());
  ASSERT_OK(Insert(1));
  ASSERT_OK(transaction.Rollback());
  EXPECT_EQ(Rows(), "");
}

TEST_F(TransactionTest, AGuardEndsItsTransactionOnce) {
  ASSERT_OK_AND_ASSIGN(Transaction transaction, Begin());
  ASSERT_OK(transaction.Commit());
  EXPECT_THAT(transaction.Commit(), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(transaction.Rollback(), StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(TransactionTest, AMovedGuardIsTheGuard) {
  {
    ASSERT_OK_AND_ASSIGN(Transaction first, Begin());
    Transaction second = std::move(first);
    ASSERT_OK(Insert(1));
    ASSERT_OK(second.Commit());
  }
  EXPECT_EQ(Rows(), "1");
}

TEST_F(TransactionTest, TransactionsDoNotNest) {
  ASSERT_OK_AND_ASSIGN(Transaction transaction, Begin());
  EXPECT_THAT(Begin(), StatusIs(absl::StatusCode::kFailedPrecondition));
  ASSERT_OK(Insert(1));
  ASSERT_OK(transaction.Commit());
  EXPECT_EQ(Rows(), "1");
}

// What we defend against: SQLite itself goes on in autocommit.
TEST_F(TransactionTest, PlainSqliteCommitsWhatFollowsAnEndedTransaction) {
  PlainDatabase plain(path_);
  ASSERT_EQ(plain.Run("BEGIN; INSERT INTO t VALUES (1)"), SQLITE_OK);
  ASSERT_EQ(plain.Run("INSERT OR ROLLBACK INTO t VALUES (1)"), SQLITE_CONSTRAINT);
  ASSERT_EQ(plain.Run("INSERT INTO t VALUES (2)"), SQLITE_OK);
  EXPECT_EQ(Rows(), "2") << "half of the transaction is there";
}

TEST_F(TransactionTest, NothingIsStoredAfterAStatementEndedTheTransaction) {
  {
    ASSERT_OK_AND_ASSIGN(Transaction transaction, Begin());
    ASSERT_OK(Insert(1));
    EXPECT_THAT(connection_->Execute("INSERT OR ROLLBACK INTO t VALUES (1)"),
                StatusIs(absl::StatusCode::kAlreadyExists));
    EXPECT_FALSE(connection_->in_transaction());
    EXPECT_THAT(Insert(2), StatusIs(absl::StatusCode::kAborted));
    EXPECT_THAT(connection_->QueryValue<int>("SELECT 1"), StatusIs(absl::StatusCode::kAborted));
    EXPECT_THAT(connection_->ExecuteScript("INSERT INTO t VALUES (3)"),
                StatusIs(absl::StatusCode::kAborted));
    EXPECT_THAT(Savepoint::Begin(*connection_), StatusIs(absl::StatusCode::kAborted));
    EXPECT_THAT(transaction.Commit(), StatusIs(absl::StatusCode::kAborted));
    // Until the guard is gone, not only until somebody has tried to commit.
    EXPECT_THAT(Insert(4), StatusIs(absl::StatusCode::kAborted));
    EXPECT_THAT(transaction.Commit(), StatusIs(absl::StatusCode::kAborted));
    EXPECT_THAT(Insert(5), StatusIs(absl::StatusCode::kAborted));
  }
  EXPECT_EQ(Rows(), "");
  EXPECT_OK(Insert(6));
}

TEST_F(TransactionTest, AStatementBegunBeforeTheEndCannotGoOnAfterIt) {
  ASSERT_OK_AND_ASSIGN(Transaction transaction, Begin());
  ASSERT_OK(Insert(1));
  ASSERT_OK_AND_ASSIGN(auto insert, connection_->Prepare("INSERT INTO t VALUES (?1)"));
  ASSERT_OK(insert->Bind(1, 2));
  EXPECT_THAT(connection_->Execute("INSERT OR ROLLBACK INTO t VALUES (1)"),
              StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(insert->Run(), StatusIs(absl::StatusCode::kAborted));
}

TEST_F(TransactionTest, AnOrdinaryErrorUndoesItsStatementOnly) {
  ASSERT_OK_AND_ASSIGN(Transaction transaction, Begin());
  ASSERT_OK(Insert(1));
  EXPECT_THAT(connection_->Execute("INSERT INTO t VALUES (2), (1)"),
              StatusIs(absl::StatusCode::kAlreadyExists));
  ASSERT_OK(Insert(3));
  ASSERT_OK(transaction.Commit());
  EXPECT_EQ(Rows(), "1,3");
}

TEST_F(TransactionTest, ACommitThatFailsLeavesTheTransactionOpenForItsGuard) {
  ASSERT_OK(connection_->Execute(
      "CREATE TABLE child(parent REFERENCES t(a) DEFERRABLE INITIALLY DEFERRED)"));
  {
    ASSERT_OK_AND_ASSIGN(Transaction transaction, Begin());
    ASSERT_OK(connection_->Execute("INSERT INTO child VALUES (7)"));
    EXPECT_TRUE(connection_->HasDeferredViolations());
    EXPECT_THAT(transaction.Commit(), StatusIs(absl::StatusCode::kInvalidArgument));
    EXPECT_TRUE(connection_->in_transaction());
    ASSERT_OK(Insert(7));
    EXPECT_FALSE(connection_->HasDeferredViolations());
    ASSERT_OK(transaction.Commit());
  }
  {
    ASSERT_OK_AND_ASSIGN(Transaction transaction, Begin());
    ASSERT_OK(connection_->Execute("INSERT INTO child VALUES (8)"));
    EXPECT_THAT(transaction.Commit(), StatusIs(absl::StatusCode::kInvalidArgument));
  }
  EXPECT_FALSE(connection_->in_transaction());
  EXPECT_EQ(Int(*connection_, "SELECT count(*) FROM child"), 1);
}

// ---- Read transactions ----------------------------------------------------------------------

TEST_F(TransactionTest, AReadTransactionSeesOneState) {
  ConnectionPtr reader = OpenOrDie({.path = path_});
  ASSERT_OK_AND_ASSIGN(Transaction snapshot, Transaction::Begin(*reader, TransactionMode::kRead));
  EXPECT_EQ(Int(*reader, "SELECT count(*) FROM t"), 0);
  ASSERT_OK(Insert(1));
  EXPECT_EQ(Int(*reader, "SELECT count(*) FROM t"), 0);
  ASSERT_OK(snapshot.Commit());
  EXPECT_EQ(Int(*reader, "SELECT count(*) FROM t"), 1);
}

TEST_F(TransactionTest, WritingInAReadTransactionIsRefused) {
  {
    ASSERT_OK_AND_ASSIGN(Transaction snapshot,
                         Transaction::Begin(*connection_, TransactionMode::kRead));
    EXPECT_THAT(Insert(1), StatusIs(absl::StatusCode::kPermissionDenied));
    EXPECT_THAT(connection_->Execute("CREATE TABLE u(a)"),
                StatusIs(absl::StatusCode::kPermissionDenied));
    EXPECT_EQ(Rows(), "");
    ASSERT_OK(snapshot.Commit());
  }
  EXPECT_OK(Insert(2)) << "the next statement is no longer in it";
  ASSERT_OK_AND_ASSIGN(Transaction write, Begin());
  EXPECT_OK(Insert(3));
}

// ---- Savepoints -----------------------------------------------------------------------------

TEST_F(TransactionTest, SavepointsNest) {
  ASSERT_OK_AND_ASSIGN(Transaction transaction, Begin());
  ASSERT_OK(Insert(1));
  {
    ASSERT_OK_AND_ASSIGN(Savepoint outer, Savepoint::Begin(*connection_));
    ASSERT_OK(Insert(2));
    {
      ASSERT_OK_AND_ASSIGN(Savepoint inner, Savepoint::Begin(*connection_));
      ASSERT_OK(Insert(3));
    }
    EXPECT_EQ(Rows(), "1,2");
    {
      ASSERT_OK_AND_ASSIGN(Savepoint inner, Savepoint::Begin(*connection_));
      ASSERT_OK(Insert(4));
      ASSERT_OK(inner.Release());
      EXPECT_THAT(inner.Release(), StatusIs(absl::StatusCode::kFailedPrecondition));
      EXPECT_THAT(inner.Rollback(), StatusIs(absl::StatusCode::kFailedPrecondition));
    }
    ASSERT_OK(outer.Release());
  }
  {
    ASSERT_OK_AND_ASSIGN(Savepoint outer, Savepoint::Begin(*connection_));
    ASSERT_OK_AND_ASSIGN(Savepoint inner, Savepoint::Begin(*connection_));
    ASSERT_OK(Insert(5));
    ASSERT_OK(inner.Release());
    ASSERT_OK(outer.Rollback());
  }
  EXPECT_EQ(Rows(), "1,2,4") << "a released savepoint is undone with what encloses it";
  ASSERT_OK(transaction.Commit());
  EXPECT_EQ(Rows(), "1,2,4");
}

TEST_F(TransactionTest, ASavepointGoneWithItsTransactionIsNoError) {
  {
    ASSERT_OK_AND_ASSIGN(Transaction transaction, Begin());
    ASSERT_OK_AND_ASSIGN(Savepoint savepoint, Savepoint::Begin(*connection_));
    ASSERT_OK(Insert(1));
    EXPECT_THAT(connection_->Execute("INSERT OR ROLLBACK INTO t VALUES (1)"),
                StatusIs(absl::StatusCode::kAlreadyExists));
    EXPECT_THAT(savepoint.Release(), StatusIs(absl::StatusCode::kAborted));
  }
  EXPECT_EQ(Rows(), "");
  EXPECT_OK(Insert(2));
}

// A guard kept too long must not undo what others did under the same name.
TEST_F(TransactionTest, ASavepointKeptTooLongTouchesNothing) {
  std::optional<Savepoint> kept;
  {
    ASSERT_OK_AND_ASSIGN(Transaction transaction, Begin());
    ASSERT_OK_AND_ASSIGN(Savepoint savepoint, Savepoint::Begin(*connection_));
    kept.emplace(std::move(savepoint));
    ASSERT_OK(transaction.Commit());
  }
  {
    ASSERT_OK_AND_ASSIGN(Transaction transaction, Begin());
    ASSERT_OK_AND_ASSIGN(Savepoint another, Savepoint::Begin(*connection_));
    EXPECT_EQ(connection_->open_savepoints(), 1u);
    ASSERT_OK(Insert(1));
    kept.reset();
    EXPECT_EQ(Rows(), "1");
    EXPECT_EQ(connection_->open_savepoints(), 1u);
    ASSERT_OK(another.Release());
    EXPECT_EQ(connection_->open_savepoints(), 0u);
    ASSERT_OK(transaction.Commit());
  }
  EXPECT_EQ(Rows(), "1");
}

TEST_F(TransactionTest, EndingASavepointEndsThoseWithin) {
  ASSERT_OK_AND_ASSIGN(Transaction transaction, Begin());
  ASSERT_OK_AND_ASSIGN(Savepoint outer, Savepoint::Begin(*connection_));
  ASSERT_OK_AND_ASSIGN(Savepoint inner, Savepoint::Begin(*connection_));
  ASSERT_OK(Insert(1));
  ASSERT_OK(outer.Release());
  EXPECT_EQ(connection_->open_savepoints(), 0u);
  EXPECT_THAT(inner.Release(), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(Rows(), "1");
}

// SQLite would begin a transaction of its own, which no guard ends.
TEST_F(TransactionTest, ASavepointNeedsATransaction) {
  EXPECT_THAT(Savepoint::Begin(*connection_), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_FALSE(connection_->in_transaction());
}

// ---- Locks and deadlines --------------------------------------------------------------------

TEST_F(TransactionTest, AWriteTransactionTakesTheLockAtOnce) {
  PlainDatabase other(path_);
  {
    ASSERT_OK_AND_ASSIGN(Transaction transaction, Begin());
    EXPECT_EQ(other.Run("BEGIN IMMEDIATE"), SQLITE_BUSY);
  }
  EXPECT_EQ(other.Run("BEGIN IMMEDIATE"), SQLITE_OK);
}

TEST_F(TransactionTest, WaitingForALockEndsAtTheBusyTimeout) {
  PlainDatabase other(path_);
  ASSERT_EQ(other.Run("BEGIN IMMEDIATE"), SQLITE_OK);
  const auto start = Clock::now();
  EXPECT_THAT(Begin(), StatusIs(absl::StatusCode::kUnavailable));
  const auto waited = Clock::now() - start;
  EXPECT_GE(waited, std::chrono::milliseconds(50));
  EXPECT_LT(waited, std::chrono::seconds(20));
  EXPECT_FALSE(connection_->in_transaction());
  ASSERT_EQ(other.Run("ROLLBACK"), SQLITE_OK);
  EXPECT_OK(Begin());
}

TEST_F(TransactionTest, WaitingForALockEndsWithTheLock) {
  ConnectionPtr patient = OpenOrDie({.path = path_, .busy_timeout = absl::InfiniteDuration()});
  PlainDatabase other(path_);
  for (int round = 0; round < 20; ++round) {
    ASSERT_EQ(other.Run("BEGIN IMMEDIATE"), SQLITE_OK);
    std::atomic<bool> begins{false};
    std::thread waiter([&] {
      begins = true;
      EXPECT_OK(Transaction::Begin(*patient, TransactionMode::kWrite));
    });
    while (!begins) std::this_thread::yield();
    ASSERT_EQ(other.Run("ROLLBACK"), SQLITE_OK);
    waiter.join();
  }
}

TEST_F(TransactionTest, WaitingForALockEndsAtTheDeadline) {
  ConnectionPtr patient = OpenOrDie({.path = path_, .busy_timeout = absl::InfiniteDuration()});
  PlainDatabase other(path_);
  ASSERT_EQ(other.Run("BEGIN IMMEDIATE"), SQLITE_OK);
  patient->SetDeadline(Clock::now() + std::chrono::milliseconds(20));
  EXPECT_THAT(Transaction::Begin(*patient, TransactionMode::kWrite),
              StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("stopped at its deadline")));
  patient->SetDeadline(std::nullopt);
  ASSERT_EQ(other.Run("ROLLBACK"), SQLITE_OK);
  EXPECT_OK(Transaction::Begin(*patient, TransactionMode::kWrite));
}

TEST_F(TransactionTest, TheDeadlineStopsAStatementThatIsRunning) {
  connection_->SetDeadline(Clock::now() + std::chrono::milliseconds(20));
  EXPECT_THAT(connection_->QueryValue<int>(kForEver),
              StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("stopped at its deadline")));
  connection_->SetDeadline(std::nullopt);
  EXPECT_OK(Insert(1)) << "the connection is usable again";
}

TEST_F(TransactionTest, NothingBeginsAfterTheDeadline) {
  connection_->SetDeadline(Clock::now());
  EXPECT_THAT(Begin(), StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_THAT(Insert(1), StatusIs(absl::StatusCode::kDeadlineExceeded));
  connection_->SetDeadline(std::nullopt);
  EXPECT_EQ(Rows(), "");
}

TEST_F(TransactionTest, AnInterruptedWriteLeavesNothing) {
  {
    ASSERT_OK_AND_ASSIGN(Transaction transaction, Begin());
    ASSERT_OK(Insert(1));
    connection_->SetDeadline(Clock::now() + std::chrono::milliseconds(20));
    EXPECT_THAT(connection_->Execute("INSERT INTO t WITH RECURSIVE n(i) AS (VALUES (2) UNION ALL "
                                     "SELECT i + 1 FROM n) SELECT i FROM n"),
                StatusIs(absl::StatusCode::kDeadlineExceeded));
    connection_->SetDeadline(std::nullopt);
    EXPECT_FALSE(connection_->in_transaction()) << "SQLite ends it with an interrupted write";
    EXPECT_THAT(transaction.Commit(), StatusIs(absl::StatusCode::kAborted));
  }
  EXPECT_EQ(Rows(), "");
}

TEST_F(TransactionTest, AnInterruptedReadLeavesTheTransactionOpen) {
  ASSERT_OK_AND_ASSIGN(Transaction transaction, Begin());
  ASSERT_OK(Insert(1));
  connection_->SetDeadline(Clock::now() + std::chrono::milliseconds(20));
  EXPECT_THAT(connection_->QueryValue<int>(kForEver),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_TRUE(connection_->in_transaction());
  EXPECT_OK(transaction.Commit()) << "COMMIT is not stopped";
  connection_->SetDeadline(std::nullopt);
  EXPECT_EQ(Rows(), "1");
}

TEST_F(TransactionTest, TheDeadlineDoesNotStopRollback) {
  {
    ASSERT_OK_AND_ASSIGN(Transaction transaction, Begin());
    ASSERT_OK_AND_ASSIGN(Savepoint savepoint, Savepoint::Begin(*connection_));
    ASSERT_OK(Insert(1));
    connection_->SetDeadline(Clock::now());
    EXPECT_OK(savepoint.Rollback());
    EXPECT_OK(transaction.Rollback());
  }
  EXPECT_FALSE(connection_->in_transaction());
}

// Without a write-ahead log COMMIT waits for readers. The deadline passes; the wait goes on.
TEST_F(TransactionTest, TheDeadlineDoesNotEndCommitsWaitForReaders) {
  Profile profile = Profile::Balanced();
  profile.journal_mode = JournalMode::kDelete;
  const std::string path = directory_.File("delete.db");
  ConnectionPtr writer =
      OpenOrDie({.path = path, .profile = profile, .busy_timeout = absl::InfiniteDuration()});
  ASSERT_OK(writer->Execute("CREATE TABLE t(a)"));
  PlainDatabase reader(path);
  ASSERT_EQ(reader.Run("BEGIN; SELECT count(*) FROM t"), SQLITE_OK);
  std::atomic<bool> committed{false};
  std::thread thread([&] {
    auto transaction = Transaction::Begin(*writer, TransactionMode::kWrite);
    ASSERT_OK(transaction);
    ASSERT_OK(writer->Execute("INSERT INTO t VALUES (1)"));
    writer->SetDeadline(Clock::now());
    EXPECT_OK(transaction->Commit());
    committed = true;
  });
  // A newcomer is kept out as soon as COMMIT is waiting for the readers that are there.
  PlainDatabase newcomer(path);
  while (!committed && newcomer.Run("SELECT count(*) FROM t") != SQLITE_BUSY) {
    std::this_thread::yield();
  }
  EXPECT_EQ(reader.Run("COMMIT"), SQLITE_OK);
  thread.join();
  EXPECT_EQ(newcomer.Value("SELECT count(*) FROM t"), "1");
}

}  // namespace
}  // namespace vouch::storage
