// Old files are taken to another auto_vacuum mode, alone, and come back as they were otherwise.

#include "storage/sqlite/auto_vacuum.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/sqlite/database.h"
#include "storage/transaction.h"
#include "tests/storage/sqlite/support.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace vouch::storage {
namespace {

using test::IsOkAndHolds;
using test::StatusIs;
using test::TemporaryDirectory;
using ::testing::HasSubstr;
using testing_support::ConnectionPtr;
using testing_support::Int;
using testing_support::OpenOrDie;
using testing_support::PlainDatabase;
using testing_support::Text;

constexpr auto kRefused = absl::StatusCode::kFailedPrecondition;

class AutoVacuumTest : public ::testing::Test {
 protected:
  // As another program leaves it: without auto_vacuum, most of its pages free.
  void MakeOldFile() {
    PlainDatabase plain(path_);
    ASSERT_EQ(plain.Run(R"(
      CREATE TABLE t(id INTEGER PRIMARY KEY, a);
      WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 200)
        INSERT INTO t SELECT i, randomblob(4000) FROM n;
      DELETE FROM t WHERE id > 3;)"),
              SQLITE_OK);
  }

  ConnectionPtr Open() { return OpenOrDie({.path = path_, .busy_timeout = absl::Milliseconds(5)}); }

  TemporaryDirectory directory_;
  const std::string path_ = directory_.File("t.db");
};

TEST_F(AutoVacuumTest, AnOldFileGivesPagesBackAfterwards) {
  MakeOldFile();
  const ConnectionPtr connection = Open();
  const std::string rows = Text(*connection, "SELECT group_concat(id || hex(a)) FROM t");
  EXPECT_THAT(AutoVacuumOf(*connection), IsOkAndHolds(AutoVacuum::kNone));
  ASSERT_OK(ConvertAutoVacuum(*connection, AutoVacuum::kIncremental));
  EXPECT_THAT(AutoVacuumOf(*connection), IsOkAndHolds(AutoVacuum::kIncremental));
  EXPECT_EQ(Text(*connection, "SELECT group_concat(id || hex(a)) FROM t"), rows);
  EXPECT_EQ(Text(*connection, "PRAGMA integrity_check"), "ok");
  EXPECT_EQ(Text(*connection, "PRAGMA journal_mode"), "wal");

  ASSERT_OK(connection->Execute("INSERT INTO t(a) VALUES (zeroblob(400000))"));
  ASSERT_OK(connection->Execute("DELETE FROM t WHERE id > 3"));
  ASSERT_GT(Int(*connection, "PRAGMA freelist_count"), 90);
  ASSERT_OK(connection->Execute("PRAGMA incremental_vacuum"));
  EXPECT_EQ(Int(*connection, "PRAGMA freelist_count"), 0);
}

TEST_F(AutoVacuumTest, OthersMayUseItAgain) {
  MakeOldFile();
  const ConnectionPtr connection = Open();
  ASSERT_OK(ConvertAutoVacuum(*connection, AutoVacuum::kIncremental));
  const ConnectionPtr other = Open();
  EXPECT_EQ(Int(*other, "SELECT count(*) FROM t"), 3);
  EXPECT_OK(other->Execute("DELETE FROM t WHERE id = 1"));
  EXPECT_OK(connection->Execute("DELETE FROM t WHERE id = 2"));
  EXPECT_EQ(PlainDatabase(path_).Value("SELECT count(*) FROM t"), "1");
}

// Thrice on one connection: PRAGMAs out of the statement cache would do nothing the second time.
TEST_F(AutoVacuumTest, ThereAndBack) {
  MakeOldFile();
  const ConnectionPtr connection = Open();
  for (const AutoVacuum mode :
       {AutoVacuum::kIncremental, AutoVacuum::kNone, AutoVacuum::kFull, AutoVacuum::kIncremental}) {
    ASSERT_OK(ConvertAutoVacuum(*connection, mode));
    EXPECT_EQ(PlainDatabase(path_).Value("PRAGMA auto_vacuum"),
              std::to_string(static_cast<int>(mode)));
    EXPECT_THAT(AutoVacuumOf(*connection), IsOkAndHolds(mode));
  }
}

TEST_F(AutoVacuumTest, NothingIsDoneToAFileThatHasIt) {
  const ConnectionPtr connection = Open();
  const ConnectionPtr other = Open();
  EXPECT_OK(ConvertAutoVacuum(*connection, AutoVacuum::kIncremental));
}

TEST_F(AutoVacuumTest, RefusedWhileOthersUseTheDatabase) {
  MakeOldFile();
  const ConnectionPtr connection = Open();
  {
    const ConnectionPtr other = Open();  // Idle.
    EXPECT_THAT(ConvertAutoVacuum(*connection, AutoVacuum::kIncremental),
                StatusIs(kRefused, HasSubstr("others use the database")));
    EXPECT_EQ(Int(*other, "SELECT count(*) FROM t"), 3) << "the refusal kept its lock";
    EXPECT_OK(other->Execute("INSERT INTO t(id) VALUES (4)"));
  }
  EXPECT_EQ(Text(*connection, "PRAGMA journal_mode"), "wal");
  EXPECT_THAT(AutoVacuumOf(*connection), IsOkAndHolds(AutoVacuum::kNone));
  EXPECT_OK(ConvertAutoVacuum(*connection, AutoVacuum::kIncremental));
}

TEST_F(AutoVacuumTest, RefusedWhileAPoolIsOpen) {
  MakeOldFile();
  ASSERT_OK_AND_ASSIGN(auto database,
                       Database::Open({.path = path_, .busy_timeout = absl::Milliseconds(5)}));
  ASSERT_OK_AND_ASSIGN(auto own, database->OpenUnrestricted());
  EXPECT_THAT(ConvertAutoVacuum(*own, AutoVacuum::kIncremental), StatusIs(kRefused));
  ASSERT_OK(database->Close(absl::Seconds(10)));
  EXPECT_OK(ConvertAutoVacuum(*own, AutoVacuum::kIncremental));
}

TEST_F(AutoVacuumTest, WithARollbackJournalAReaderIsInTheWay) {
  MakeOldFile();
  const ConnectionPtr connection = OpenOrDie(
      {.path = path_, .profile = Profile::SqliteDefault(), .busy_timeout = absl::Milliseconds(5)});
  PlainDatabase other(path_);
  ASSERT_EQ(other.Run("BEGIN; SELECT * FROM t"), SQLITE_OK);
  EXPECT_THAT(ConvertAutoVacuum(*connection, AutoVacuum::kIncremental), StatusIs(kRefused));
  ASSERT_EQ(other.Run("COMMIT"), SQLITE_OK);
  EXPECT_OK(ConvertAutoVacuum(*connection, AutoVacuum::kIncremental));
  EXPECT_EQ(Text(*connection, "PRAGMA journal_mode"), "delete");
}

TEST_F(AutoVacuumTest, OnlyUnrestrictedAndOutsideTransactions) {
  MakeOldFile();
  EXPECT_THAT(ConvertAutoVacuum(*OpenOrDie({.path = path_, .policy = Policy::kWriter}),
                                AutoVacuum::kIncremental),
              StatusIs(absl::StatusCode::kPermissionDenied));
  const ConnectionPtr connection = Open();
  ASSERT_OK_AND_ASSIGN(auto transaction, Transaction::Begin(*connection, TransactionMode::kWrite));
  EXPECT_THAT(ConvertAutoVacuum(*connection, AutoVacuum::kIncremental),
              StatusIs(kRefused, HasSubstr("transaction")));
}

TEST_F(AutoVacuumTest, InMemoryToo) {
  const ConnectionPtr connection = testing_support::OpenInMemory();
  ASSERT_OK(connection->Execute("CREATE TABLE t AS SELECT 7 AS a"));
  ASSERT_OK(ConvertAutoVacuum(*connection, AutoVacuum::kNone));
  EXPECT_THAT(AutoVacuumOf(*connection), IsOkAndHolds(AutoVacuum::kNone));
  EXPECT_EQ(Int(*connection, "SELECT a FROM t"), 7);
}

}  // namespace
}  // namespace vouch::storage
