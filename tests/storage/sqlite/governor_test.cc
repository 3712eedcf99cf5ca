// Checkpoints: only the governor's, and never beside another connection's write.
//
// What is defended against is a checkpoint that runs while a writer resets the log: SQLite up to
// 3.51.2 can then lose committed pages. So the property is that the database file does not change
// while anybody else holds the write lock. SQLite's own checkpoints are shown to break it first.

#include "storage/sqlite/governor.h"

#include <signal.h>
#include <sys/resource.h>

#include <filesystem>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/sqlite/database.h"
#include "storage/transaction.h"
#include "tests/storage/sqlite/support.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace vouch::storage {
namespace {

using test::StatusIs;
using test::TemporaryDirectory;
using testing_support::ConnectionPtr;
using testing_support::ContentsOf;
using testing_support::Int;
using testing_support::OpenOrDie;
using testing_support::PlainDatabase;
using testing_support::SizeOf;

constexpr std::int64_t kFrameBytes = 4096 + 24;  // A page in the log, with its header.

// About 100 pages, in one transaction.
constexpr char kHundredPages[] =
    "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 100) "
    "INSERT INTO t SELECT randomblob(4000) FROM n";
constexpr char kOneRow[] = "INSERT INTO t VALUES (1)";

class GovernorTest : public ::testing::Test {
 protected:
  // A connection of ours to a new database with a hundred pages in its log. A file that is mapped
  // into memory is given room before pages are moved to it, so what compares bytes maps nothing.
  ConnectionPtr OpenWithLog(bool mapped = false) {
    Profile profile = Profile::Balanced();
    if (!mapped) profile.mmap_size_bytes = 0;
    ConnectionPtr connection = OpenOrDie({.path = path_, .profile = profile});
    EXPECT_OK(connection->Execute("CREATE TABLE t(a)"));
    EXPECT_OK(connection->Execute(kHundredPages));
    EXPECT_GT(connection->log_pages(), 100);
    return connection;
  }
  std::int64_t LogBytes() { return SizeOf(path_ + "-wal"); }

  TemporaryDirectory directory_;
  const std::string path_ = directory_.File("t.db");
};

TEST_F(GovernorTest, PlainSqliteCheckpointsByItself) {
  PlainDatabase plain(path_);
  plain.Run("PRAGMA journal_mode = wal; CREATE TABLE t(a)");
  for (int i = 0; i < 30; ++i) ASSERT_EQ(plain.Run(kHundredPages), SQLITE_OK);
  EXPECT_LT(LogBytes(), 2000 * kFrameBytes);
}

TEST_F(GovernorTest, OurConnectionsDoNot) {
  const ConnectionPtr connection = OpenWithLog();
  const std::int64_t before = SizeOf(path_);
  for (int i = 0; i < 29; ++i) ASSERT_OK(connection->Execute(kHundredPages));
  EXPECT_GE(LogBytes(), 3000 * kFrameBytes);
  EXPECT_GE(connection->log_pages(), 3000);
  EXPECT_EQ(SizeOf(path_), before) << "something was moved";
}

TEST_F(GovernorTest, ACheckpointMovesTheLog) {
  const ConnectionPtr connection = OpenWithLog();
  ASSERT_OK_AND_ASSIGN(const auto result, connection->Checkpoint(absl::ZeroDuration()));
  EXPECT_TRUE(result.done);
  EXPECT_GT(result.log_pages, 100);
  EXPECT_EQ(result.moved_pages, result.log_pages);
  EXPECT_GE(SizeOf(path_), 100 * 4096);
  EXPECT_EQ(connection->log_pages(), 0);
  const std::int64_t log = LogBytes();
  ASSERT_OK(connection->Execute(kHundredPages));
  EXPECT_LT(LogBytes(), log + 20 * kFrameBytes) << "the log begins again at its start";
}

TEST_F(GovernorTest, TheGovernorBoundsTheLog) {
  ASSERT_OK_AND_ASSIGN(const auto database,
                       Database::Open({.path = path_, .governor = {.checkpoint_pages = 300}}));
  const auto write = [&](const char* sql) {
    ASSERT_OK_AND_ASSIGN(WriteLease writer, database->Write());
    ASSERT_OK(writer->Execute(sql));
  };
  write("CREATE TABLE t(a)");
  EXPECT_EQ(database->stats().governor.checkpoints, 0) << "below the threshold";
  for (int i = 0; i < 30; ++i) {
    write(kHundredPages);
    ASSERT_LT(LogBytes(), 450 * kFrameBytes);
  }
  const GovernorStats stats = database->stats().governor;
  EXPECT_GE(stats.checkpoints, 7);
  EXPECT_EQ(stats.given_up, 0);
  EXPECT_EQ(stats.failed, 0);
}

// ---- Never beside another's write -----------------------------------------------------------

TEST_F(GovernorTest, PlainSqliteMovesPagesBesideAnothersWrite) {
  const ConnectionPtr connection = OpenWithLog();
  PlainDatabase other(path_);
  ASSERT_EQ(other.Run("BEGIN IMMEDIATE"), SQLITE_OK);
  const std::string before = ContentsOf(path_);
  PlainDatabase plain(path_);
  ASSERT_EQ(plain.Value("SELECT count(*) FROM t"), "100");
  int log = 0;
  int moved = 0;
  EXPECT_EQ(sqlite3_wal_checkpoint_v2(plain.db(), "main", SQLITE_CHECKPOINT_FULL, &log, &moved),
            SQLITE_BUSY);
  EXPECT_GT(moved, 100) << "'busy', and all the same";
  EXPECT_NE(ContentsOf(path_), before);
}

TEST_F(GovernorTest, OurCheckpointLeavesAnothersWriteAlone) {
  const ConnectionPtr connection = OpenWithLog();
  PlainDatabase other(path_);
  for (const absl::Duration patience : {absl::ZeroDuration(), absl::Milliseconds(5)}) {
    ASSERT_EQ(other.Run("BEGIN IMMEDIATE"), SQLITE_OK);
    const std::string before = ContentsOf(path_);
    ASSERT_OK_AND_ASSIGN(const auto result, connection->Checkpoint(patience));
    EXPECT_FALSE(result.done);
    EXPECT_TRUE(ContentsOf(path_) == before) << "the file changed during another's write";
    ASSERT_EQ(other.Run("COMMIT"), SQLITE_OK);
  }
  EXPECT_EQ(Int(*connection, "SELECT count(*) FROM t"), 100) << "nothing stays interrupted";
  ASSERT_OK_AND_ASSIGN(const auto result, connection->Checkpoint(absl::ZeroDuration()));
  EXPECT_TRUE(result.done);
}

TEST_F(GovernorTest, AMappedFileMayOnlyGrowByEmptyPages) {
  const ConnectionPtr connection = OpenWithLog(/*mapped=*/true);
  PlainDatabase other(path_);
  ASSERT_EQ(other.Run("BEGIN IMMEDIATE"), SQLITE_OK);
  std::string before = ContentsOf(path_);
  ASSERT_OK_AND_ASSIGN(const auto result, connection->Checkpoint(absl::ZeroDuration()));
  EXPECT_FALSE(result.done);
  const std::string after = ContentsOf(path_);
  ASSERT_GE(after.size(), before.size());
  before.resize(after.size());  // By zeros.
  EXPECT_TRUE(after == before);
  EXPECT_EQ(other.Value("PRAGMA integrity_check"), "ok");
}

TEST_F(GovernorTest, ItWaitsForAnothersWriteToEnd) {
  const ConnectionPtr connection = OpenWithLog();
  PlainDatabase other(path_);
  ASSERT_EQ(other.Run("BEGIN IMMEDIATE"), SQLITE_OK);
  std::thread checkpoint([&] {
    const auto result = connection->Checkpoint(absl::InfiniteDuration());
    ASSERT_OK(result);
    EXPECT_TRUE(result->done);
  });
  EXPECT_EQ(other.Run("COMMIT"), SQLITE_OK);
  checkpoint.join();
}

// ---- Readers in the way ---------------------------------------------------------------------

TEST_F(GovernorTest, AReaderInTheWayMakesItGiveUpAndItSucceedsLater) {
  const ConnectionPtr connection = OpenWithLog();
  PlainDatabase reader(path_);
  ASSERT_EQ(reader.Run("BEGIN; SELECT count(*) FROM t"), SQLITE_OK);
  ASSERT_OK(connection->Execute(kOneRow));  // The reader does not see this, so it pins the log.
  const std::string before = ContentsOf(path_);
  ASSERT_OK_AND_ASSIGN(const auto pinned, connection->Checkpoint(absl::Milliseconds(1)));
  EXPECT_FALSE(pinned.done);
  EXPECT_TRUE(ContentsOf(path_) == before);
  EXPECT_EQ(reader.Value("SELECT count(*) FROM t"), "100");
  ASSERT_EQ(reader.Run("COMMIT"), SQLITE_OK);
  ASSERT_OK_AND_ASSIGN(const auto free, connection->Checkpoint(absl::ZeroDuration()));
  EXPECT_TRUE(free.done);
  EXPECT_EQ(reader.Value("SELECT count(*) FROM t"), "101");
}

TEST_F(GovernorTest, TheGovernorCountsWhatItGaveUpAndDoesNotTryAtEveryWrite) {
  ASSERT_OK_AND_ASSIGN(
      const auto database,
      Database::Open({.path = path_,
                      .governor = {.checkpoint_pages = 100, .patience = absl::Milliseconds(1)}}));
  const auto write = [&](const char* sql) {
    ASSERT_OK_AND_ASSIGN(WriteLease writer, database->Write());
    ASSERT_OK(writer->Execute(sql));
  };
  write("CREATE TABLE t(a)");
  {
    ASSERT_OK_AND_ASSIGN(ReadLease reader, database->Read());
    ASSERT_OK(reader.BeginSnapshot());
    EXPECT_EQ(Int(*reader, "SELECT count(*) FROM t"), 0);
    write(kHundredPages);
    EXPECT_EQ(database->stats().governor.given_up, 1);
    for (int i = 0; i < 10; ++i) write(kOneRow);
    EXPECT_EQ(database->stats().governor.given_up, 1) << "each write waited for the reader";
    write(kHundredPages);
    EXPECT_EQ(database->stats().governor.given_up, 2);
    EXPECT_EQ(database->stats().governor.checkpoints, 0);
    EXPECT_GT(database->stats().governor.log_pages, 200);
    EXPECT_EQ(Int(*reader, "SELECT count(*) FROM t"), 0);
  }
  write(kHundredPages);
  EXPECT_EQ(database->stats().governor.checkpoints, 1);
  EXPECT_EQ(database->stats().governor.failed, 0);
  for (int i = 0; i < 5; ++i) write(kHundredPages);
  EXPECT_LT(LogBytes(), 600 * kFrameBytes);
}

// ---- Failures -------------------------------------------------------------------------------

// No file may grow beyond `bytes` while this lives.
class ScopedFileSizeLimit {
 public:
  explicit ScopedFileSizeLimit(rlim_t bytes) : signal_(::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~ScopedFileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, signal_);
  }
  ScopedFileSizeLimit(const ScopedFileSizeLimit&) = delete;
  ScopedFileSizeLimit& operator=(const ScopedFileSizeLimit&) = delete;

 private:
  void (*const signal_)(int);
  rlimit before_ = {};
};

TEST_F(GovernorTest, ACheckpointThatFailsIsCountedAndLosesNothing) {
  ASSERT_OK_AND_ASSIGN(const auto database,
                       Database::Open({.path = path_, .governor = {.checkpoint_pages = 100}}));
  {
    ASSERT_OK_AND_ASSIGN(WriteLease writer, database->Write());
    ASSERT_OK(writer->Execute("CREATE TABLE t(a)"));
  }
  {
    auto writer = database->Write();
    ASSERT_OK(writer);
    ASSERT_OK((*writer)->Execute(kHundredPages));
    // As on a full disk: the log is written, and the database file cannot grow.
    const ScopedFileSizeLimit limit(100'000);
    const WriteLease returned_under_the_limit = *std::move(writer);
  }
  EXPECT_EQ(database->stats().governor.failed, 1);
  EXPECT_EQ(database->stats().governor.checkpoints, 0);
  {
    ASSERT_OK_AND_ASSIGN(ReadLease reader, database->Read());
    EXPECT_EQ(Int(*reader, "SELECT count(*) FROM t"), 100);
  }
  {
    ASSERT_OK_AND_ASSIGN(WriteLease writer, database->Write());
    ASSERT_OK(writer->Execute(kHundredPages));
  }
  EXPECT_EQ(database->stats().governor.checkpoints, 1);
  ASSERT_OK(database->Close(absl::Seconds(10)));
  PlainDatabase plain(path_);
  EXPECT_EQ(plain.Value("SELECT count(*) FROM t"), "200");
  EXPECT_EQ(plain.Value("PRAGMA integrity_check"), "ok");
}

}  // namespace
}  // namespace vouch::storage
