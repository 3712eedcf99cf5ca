// A Database: what its readers and its writer see of each other, and what it leaves when it closes.

#include "storage/sqlite/database.h"

#include <atomic>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/transaction.h"
#include "tests/storage/sqlite/support.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace vouch::storage {
namespace {

using test::IsOkAndHolds;
using test::StatusIs;
using test::TemporaryDirectory;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing_support::Int;
using testing_support::NamesIn;
using testing_support::PlainDatabase;
using testing_support::Text;

class DatabaseTest : public ::testing::Test {
 protected:
  std::unique_ptr<Database> Open(DatabaseOptions options) {
    if (options.path.empty()) options.path = path_;
    auto database = Database::Open(std::move(options));
    EXPECT_OK(database);
    return *std::move(database);
  }

  static void Write(Database& database, std::string_view script) {
    ASSERT_OK_AND_ASSIGN(WriteLease writer, database.Write());
    ASSERT_OK(writer->ExecuteScript(script));
  }
  static std::int64_t Count(Database& database) {
    auto reader = database.Read();
    EXPECT_OK(reader);
    return Int(**reader, "SELECT count(*) FROM t");
  }

  TemporaryDirectory directory_;
  const std::string path_ = directory_.File("t.db");
};

TEST_F(DatabaseTest, ReadersSeeWhatTheWriterCommitted) {
  const auto database = Open({});
  Write(*database, "CREATE TABLE t(a)");
  EXPECT_EQ(Count(*database), 0);
  {
    ASSERT_OK_AND_ASSIGN(WriteLease writer, database->Write());
    ASSERT_OK_AND_ASSIGN(Transaction transaction,
                         Transaction::Begin(*writer, TransactionMode::kWrite));
    ASSERT_OK(writer->Execute("INSERT INTO t VALUES (1)"));
    EXPECT_EQ(Count(*database), 0) << "seen before it was committed";
    ASSERT_OK(transaction.Commit());
    EXPECT_EQ(Count(*database), 1);
  }
}

TEST_F(DatabaseTest, AReadLeaseCannotWrite) {
  const auto database = Open({});
  Write(*database, "CREATE TABLE t(a)");
  ASSERT_OK_AND_ASSIGN(ReadLease reader, database->Read());
  for (const char* sql : {"INSERT INTO t VALUES (1)", "DROP TABLE t", "CREATE TEMP TABLE u(a)",
                          "PRAGMA query_only = 0", "BEGIN IMMEDIATE"}) {
    EXPECT_THAT(reader->Execute(sql), StatusIs(absl::StatusCode::kPermissionDenied)) << sql;
  }
  EXPECT_THAT(Transaction::Begin(*reader, TransactionMode::kWrite),
              StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_F(DatabaseTest, ASnapshotStaysTheSame) {
  const auto database = Open({});
  Write(*database, "CREATE TABLE t(a)");
  {
    ASSERT_OK_AND_ASSIGN(ReadLease reader, database->Read());
    ASSERT_OK(reader.BeginSnapshot());
    EXPECT_THAT(reader.BeginSnapshot(), StatusIs(absl::StatusCode::kFailedPrecondition));
    EXPECT_EQ(Int(*reader, "SELECT count(*) FROM t"), 0);
    for (int i = 0; i < 5; ++i) {
      Write(*database, "INSERT INTO t VALUES (1)");
      EXPECT_EQ(Int(*reader, "SELECT count(*) FROM t"), 0);
      EXPECT_EQ(Int(*reader, "SELECT ifnull(sum(a), 0) FROM t"), 0);
    }
    EXPECT_EQ(Text(*reader, "PRAGMA journal_mode"), "wal");
  }
  EXPECT_EQ(Count(*database), 5) << "the next lease begins afresh";
}

TEST_F(DatabaseTest, WhatAHolderLeftOpenEndsWithTheLease) {
  const auto database = Open({});
  Write(*database, "CREATE TABLE t(a)");
  {
    ASSERT_OK_AND_ASSIGN(WriteLease writer, database->Write());
    ASSERT_OK(writer->BeginSnapshot());
  }
  {
    ASSERT_OK_AND_ASSIGN(WriteLease writer, database->Write());
    EXPECT_FALSE(writer->in_transaction());
    ASSERT_OK(writer->Execute("INSERT INTO t VALUES (1)"));
  }
  EXPECT_EQ(Count(*database), 1);
}

// With no patience for locks at all, as writers wait for the lease and not for SQLite.
TEST_F(DatabaseTest, WritersQueue) {
  const auto database = Open({.busy_timeout = absl::ZeroDuration()});
  Write(*database, "CREATE TABLE t(a); INSERT INTO t VALUES (0)");
  constexpr int kThreads = 4;
  constexpr int kWrites = 25;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < kWrites; ++k) {
        ASSERT_OK_AND_ASSIGN(WriteLease writer, database->Write());
        ASSERT_OK_AND_ASSIGN(Transaction transaction,
                             Transaction::Begin(*writer, TransactionMode::kWrite));
        ASSERT_OK_AND_ASSIGN(const auto a, writer->QueryValue<int>("SELECT a FROM t"));
        ASSERT_OK(writer->Execute("UPDATE t SET a = ?1", a + 1));
        ASSERT_OK(transaction.Commit());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_OK_AND_ASSIGN(ReadLease reader, database->Read());
  EXPECT_EQ(Int(*reader, "SELECT a FROM t"), kThreads * kWrites);
}

TEST_F(DatabaseTest, ThereIsOneWriter) {
  const auto database = Open({});
  ASSERT_OK_AND_ASSIGN(WriteLease writer, database->Write());
  EXPECT_THAT(database->Write(absl::ZeroDuration()),
              StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("writer")));
  EXPECT_EQ(database->stats().writer.leased, 1);
}

TEST_F(DatabaseTest, ReadersAreBounded) {
  const auto database = Open({.max_readers = 2});
  ASSERT_OK_AND_ASSIGN(ReadLease a, database->Read());
  ASSERT_OK_AND_ASSIGN(ReadLease b, database->Read());
  EXPECT_THAT(database->Read(absl::ZeroDuration()),
              StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("database_test.cc")));
  EXPECT_EQ(database->stats().readers.leased, 2);
}

TEST_F(DatabaseTest, ClosingLeavesOneFile) {
  const auto database = Open({.min_readers = 3});
  Write(*database, "CREATE TABLE t(a); INSERT INTO t VALUES (1)");
  EXPECT_EQ(Count(*database), 1);
  EXPECT_THAT(NamesIn(directory_.path()), ElementsAre("t.db", "t.db-shm", "t.db-wal"));
  ASSERT_OK(database->Close(absl::Seconds(10)));
  EXPECT_THAT(NamesIn(directory_.path()), ElementsAre("t.db"));
  EXPECT_THAT(database->Read(), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(database->Write(), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_OK(database->Close(absl::Seconds(10)));
}

TEST_F(DatabaseTest, ClosingSaysWhoIsStillIn) {
  const auto database = Open({});
  Write(*database, "CREATE TABLE t(a)");
  {
    ASSERT_OK_AND_ASSIGN(ReadLease reader, database->Read());
    EXPECT_THAT(database->Close(absl::ZeroDuration()),
                StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("database_test.cc")));
    EXPECT_EQ(Int(*reader, "SELECT count(*) FROM t"), 0) << "who is in stays in";
  }
  EXPECT_OK(database->Close(absl::Seconds(10)));
  EXPECT_THAT(NamesIn(directory_.path()).count("t.db"), 1u);
}

TEST_F(DatabaseTest, InMemoryReadersAndTheWriterShareData) {
  std::string name;
  {
    const auto database = Open({.path = ":memory:"});
    EXPECT_TRUE(database->in_memory());
    name = database->path();
    Write(*database, "CREATE TABLE t(a); INSERT INTO t VALUES (1)");
    EXPECT_EQ(Count(*database), 1);
    {
      ASSERT_OK_AND_ASSIGN(ReadLease reader, database->Read());
      EXPECT_THAT(reader->Execute("DELETE FROM t"), StatusIs(absl::StatusCode::kPermissionDenied));
    }
    ASSERT_OK_AND_ASSIGN(auto own, database->OpenUnrestricted());
    EXPECT_EQ(Int(*own, "SELECT count(*) FROM t"), 1);
    const auto other = Open({.path = ":memory:"});
    ASSERT_OK_AND_ASSIGN(ReadLease reader, other->Read());
    EXPECT_EQ(Int(*reader, "SELECT count(*) FROM sqlite_schema"), 0);
  }
  EXPECT_EQ(Int(*testing_support::OpenOrDie({.path = name}), "SELECT count(*) FROM sqlite_schema"),
            0);
  EXPECT_THAT(NamesIn(directory_.path()), ElementsAre()) << "in memory, and yet files";
}

// There is no log, and so no snapshot that a write would leave alone.
TEST_F(DatabaseTest, InMemoryReadersAndTheWriterKeepEachOtherOut) {
  const auto database = Open({.path = ":memory:", .busy_timeout = absl::Milliseconds(5)});
  Write(*database, "CREATE TABLE t(a); INSERT INTO t VALUES (1)");
  const auto write = [&]() -> absl::Status {
    VOUCH_ASSIGN_OR_RETURN(WriteLease writer, database->Write());
    return writer->Execute("INSERT INTO t VALUES (2)");
  };
  {
    ASSERT_OK_AND_ASSIGN(ReadLease reader, database->Read());
    ASSERT_OK(reader.BeginSnapshot());
    EXPECT_EQ(Int(*reader, "SELECT count(*) FROM t"), 1);
    EXPECT_THAT(write(), StatusIs(absl::StatusCode::kUnavailable));
  }
  EXPECT_OK(write());
  {
    ASSERT_OK_AND_ASSIGN(WriteLease writer, database->Write());
    ASSERT_OK_AND_ASSIGN(Transaction transaction,
                         Transaction::Begin(*writer, TransactionMode::kWrite));
    ASSERT_OK(writer->Execute("INSERT INTO t VALUES (3)"));
    ASSERT_OK_AND_ASSIGN(ReadLease reader, database->Read());
    EXPECT_THAT(reader->QueryValue<int>("SELECT count(*) FROM t"),
                StatusIs(absl::StatusCode::kUnavailable));
  }
  EXPECT_EQ(Count(*database), 2);
}

TEST_F(DatabaseTest, AReaderThatIsTheLastToCloseLeavesTheLogsFiles) {
  Write(*Open({}), "CREATE TABLE t(a)");
  EXPECT_THAT(NamesIn(directory_.path()), ElementsAre("t.db"));
  EXPECT_EQ(Count(*Open({.access = Access::kReadOnly})), 0);
  EXPECT_THAT(NamesIn(directory_.path()), ElementsAre("t.db", "t.db-shm", "t.db-wal"));
  Write(*Open({}), "INSERT INTO t VALUES (1)");
  EXPECT_THAT(NamesIn(directory_.path()), ElementsAre("t.db")) << "a writer takes them away";
}

TEST_F(DatabaseTest, OpenedForReadingThereIsNoWriter) {
  Write(*Open({}), "CREATE TABLE t(a)");
  for (const Access access : {Access::kReadOnly, Access::kImmutable}) {
    const auto database = Open({.access = access});
    EXPECT_EQ(Count(*database), 0);
    EXPECT_THAT(database->Write(),
                StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("for reading only")));
  }
  EXPECT_THAT(Database::Open({.path = directory_.File("missing"), .access = Access::kReadOnly}),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(DatabaseTest, AnUnrestrictedConnectionMaySet) {
  const auto database = Open({.writer_policy = Policy::kUnit});
  ASSERT_OK_AND_ASSIGN(auto own, database->OpenUnrestricted());
  EXPECT_OK(own->Execute("CREATE TABLE t(a)"));
  EXPECT_OK(own->Execute("PRAGMA user_version = 3"));
  EXPECT_OK(own->Execute("VACUUM"));
  ASSERT_OK_AND_ASSIGN(WriteLease writer, database->Write());
  EXPECT_OK(writer->Execute("INSERT INTO t VALUES (1)"));
  EXPECT_THAT(writer->Execute("DROP TABLE t"), StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_F(DatabaseTest, OptionsSayWhatIsWrong) {
  const auto kBad = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(Database::Open({}), StatusIs(kBad, HasSubstr("path")));
  EXPECT_THAT(Database::Open({.path = path_, .governor = {.checkpoint_pages = 0}}),
              StatusIs(kBad, HasSubstr("checkpoint_pages is 0")));
  EXPECT_THAT(Database::Open({.path = path_, .governor = {.log_budget_bytes = 0}}),
              StatusIs(kBad, HasSubstr("log_budget_bytes is 0")));
  EXPECT_THAT(Database::Open({.path = path_, .governor = {.patience = absl::Seconds(-1)}}),
              StatusIs(kBad, HasSubstr("patience is -1s")));
  EXPECT_THAT(Database::Open({.path = path_, .busy_timeout = absl::Seconds(-1)}),
              StatusIs(kBad, HasSubstr("busy_timeout is -1s")));
  EXPECT_THAT(Database::Open({.path = path_, .max_readers = 0}), StatusIs(kBad));
  EXPECT_THAT(NamesIn(directory_.path()).count("t.db-wal"), 0u);
}

TEST_F(DatabaseTest, AWriterWaitsForAnotherProcess) {
  const auto database = Open({.busy_timeout = absl::InfiniteDuration()});
  Write(*database, "CREATE TABLE t(a)");
  PlainDatabase other(path_);
  ASSERT_EQ(other.Run("BEGIN IMMEDIATE"), SQLITE_OK);
  std::atomic<bool> written{false};
  std::thread writer([&] {
    Write(*database, "INSERT INTO t VALUES (1)");
    written = true;
  });
  while (!written && database->stats().writer.leased == 0) std::this_thread::yield();
  EXPECT_FALSE(written);
  ASSERT_EQ(other.Run("COMMIT"), SQLITE_OK);
  writer.join();
  EXPECT_EQ(Count(*database), 1);
}

}  // namespace
}  // namespace vouch::storage
