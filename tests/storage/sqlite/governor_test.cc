// Checkpoints: only the governor's, and never beside another connection's write.
//
// What is defended against is a checkpoint that runs while a writer resets the log: SQLite up to
// 3.51.2 can then lose committed pages. So the property is that the database file does not change
// while anybody else holds the write lock. SQLite's own checkpoints are shown to break it first.

#include "storage/sqlite/governor.h"

#include <signal.h>
#include <sys/resource.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/sqlite/database.h"
#include "storage/transaction.h"
#include "tests/storage/sqlite/support.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace vouch::storage {
namespace {

using test::StatusIs;
using test::TemporaryDirectory;
using ::testing::AllOf;
using ::testing::HasSubstr;
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

// ---- Readers that do not leave --------------------------------------------------------------

class PinnedLogTest : public GovernorTest {
 protected:
  PinnedLogTest() {
    GovernorOptions governor = {.checkpoint_pages = 50,
                                .log_budget_bytes = 200 * kFrameBytes,
                                .patience = absl::Milliseconds(1),
                                .lock_patience = absl::ZeroDuration(),
                                .slowest_write = absl::Milliseconds(1),
                                .reader_age_limit = absl::Seconds(60),
                                .stop_old_readers = true,
                                .clock = &clock_};
    auto database = Database::Open({.path = path_, .max_readers = 3, .governor = governor});
    EXPECT_OK(database);
    database_ = *std::move(database);
    EXPECT_OK(Write("CREATE TABLE t(a)"));
  }

  absl::Status Write(const char* sql) {
    VOUCH_ASSIGN_OR_RETURN(WriteLease writer, database_->Write());
    return writer->Execute(sql);
  }
  GovernorStats stats() const { return database_->stats().governor; }
  ReadLease ReadSnapshot(const pool::AcquireOptions& options = {}) {
    auto reader = database_->Read(options);
    EXPECT_OK(reader);
    EXPECT_OK(reader->BeginSnapshot());
    EXPECT_GE(Int(**reader, "SELECT count(*) FROM t"), 0);
    return *std::move(reader);
  }

  test::FakeSteadyClock clock_;
  std::unique_ptr<Database> database_;
};

TEST_F(PinnedLogTest, OneAsleepInItsSnapshotSlowsWritersAndThenHasThemRefused) {
  {
    const ReadLease sleeper = ReadSnapshot({.label = "sleeper"});
    int written = 0;
    absl::Status status;
    while (written < 20 && (status = Write(kHundredPages)).ok()) ++written;
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted,
                                 AllOf(HasSubstr("governor_test.cc"), HasSubstr("\"sleeper\""),
                                       HasSubstr("twice its budget of 200"))));
    EXPECT_EQ(written, 4) << "about 100 pages each";
    EXPECT_EQ(stats().writes_slowed, 2);
    EXPECT_EQ(stats().writes_refused, 1);
    EXPECT_EQ(stats().checkpoints, 0);
    EXPECT_EQ(stats().readers_stopped, 0) << "it is not old";
    clock_.Advance(absl::Seconds(3));
    ASSERT_TRUE(stats().pinned_by.has_value());
    EXPECT_THAT(stats().pinned_by->site.file, HasSubstr("governor_test.cc"));
    EXPECT_EQ(stats().pinned_by->label, "sleeper");
    EXPECT_EQ(stats().pinned_by->age, absl::Seconds(3));
    EXPECT_EQ(stats().pinned_by->others, 0);
    EXPECT_THAT(Write(kOneRow), StatusIs(absl::StatusCode::kResourceExhausted));
  }
  EXPECT_OK(Write(kOneRow)) << "served again";
  EXPECT_EQ(stats().checkpoints, 1);
  EXPECT_FALSE(stats().pinned_by.has_value());
  EXPECT_LT(stats().log_pages, 50);
  EXPECT_LE(LogBytes(), 200 * kFrameBytes) << "the file is cut to the budget";
}

TEST_F(PinnedLogTest, TheDoorIsOpenedAgainAndRests) {
  const ReadLease sleeper = ReadSnapshot();
  ASSERT_OK(Write(kHundredPages));
  EXPECT_EQ(stats().doors_closed, 1);
  EXPECT_OK(database_->Read(absl::ZeroDuration())) << "the door is open";
  ASSERT_OK(Write(kHundredPages));
  EXPECT_EQ(stats().given_up, 2);
  EXPECT_EQ(stats().doors_closed, 1) << "readers would be held up all the time";
  clock_.Advance(absl::Milliseconds(4));
  ASSERT_OK(Write(kHundredPages));
  EXPECT_EQ(stats().doors_closed, 2);
  EXPECT_FALSE(database_->stats().readers.suspended);
}

// Its statement is stopped, its snapshot given up, though its holder keeps the lease.
TEST_F(PinnedLogTest, AnOldReaderIsStopped) {
  std::atomic<bool> reading{false};
  std::atomic<bool> refused{false};
  std::atomic<bool> over{false};
  std::thread holder([&] {
    const ReadLease reader = ReadSnapshot();
    reading = true;
    EXPECT_THAT(reader->QueryValue<int>("WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 "
                                        "FROM n) SELECT count(*) FROM n"),
                StatusIs(absl::StatusCode::kAborted, HasSubstr("this read was stopped")));
    EXPECT_THAT(reader->QueryValue<int>("SELECT count(*) FROM t"),
                StatusIs(absl::StatusCode::kAborted, HasSubstr("this read was stopped")));
    refused = true;
    while (!over) std::this_thread::yield();
  });
  while (!reading) std::this_thread::yield();
  ASSERT_OK(Write(kHundredPages));
  EXPECT_EQ(stats().readers_stopped, 0);
  clock_.Advance(absl::Seconds(60));
  EXPECT_OK(Write(kOneRow));
  EXPECT_EQ(stats().readers_stopped, 1);
  while (!refused) std::this_thread::yield();
  EXPECT_OK(Write(kHundredPages));
  EXPECT_EQ(stats().checkpoints, 1);
  over = true;
  holder.join();
  const ReadLease next = ReadSnapshot();
  EXPECT_EQ(Int(*next, "SELECT count(*) FROM t"), 201) << "who comes next is not meant";
}

// One that sleeps is stopped when it wakes up; it must not go on in another state than it began in.
TEST_F(PinnedLogTest, AStoppedReaderNeverSeesANewerState) {
  const ReadLease reader = ReadSnapshot();
  ASSERT_OK(Write(kHundredPages));
  clock_.Advance(absl::Seconds(60));
  ASSERT_OK(Write(kOneRow));
  EXPECT_EQ(stats().readers_stopped, 1);
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(reader->QueryValue<int>("SELECT count(*) FROM t"),
                StatusIs(absl::StatusCode::kAborted));
  }
  EXPECT_FALSE(reader->in_transaction());
}

TEST_F(PinnedLogTest, TheOldestInASnapshotIsNamed) {
  ASSERT_OK_AND_ASSIGN(const ReadLease idle, database_->Read({.label = "no snapshot"}));
  const ReadLease old = ReadSnapshot({.label = "old"});
  ASSERT_OK(Write(kHundredPages));
  clock_.Advance(absl::Seconds(5));
  const ReadLease young = ReadSnapshot({.label = "young"});
  ASSERT_OK(Write(kHundredPages));
  const auto pinned_by = stats().pinned_by;
  ASSERT_TRUE(pinned_by.has_value());
  EXPECT_EQ(pinned_by->label, "old");
  EXPECT_EQ(pinned_by->age, absl::Seconds(5));
  EXPECT_EQ(pinned_by->others, 2);
}

// A thread that reads and writes is in its own way: it is not kept waiting for itself.
TEST_F(PinnedLogTest, AThreadMayWriteWithinItsOwnSnapshot) {
  const ReadLease reader = ReadSnapshot();
  for (int i = 0; i < 4; ++i) EXPECT_OK(Write(kHundredPages));
  EXPECT_EQ(Int(*reader, "SELECT count(*) FROM t"), 0);
}

TEST_F(PinnedLogTest, AnotherProcessesReaderHasNoName) {
  PlainDatabase reader(path_);
  ASSERT_EQ(reader.Run("BEGIN; SELECT count(*) FROM t"), SQLITE_OK);
  absl::Status status;
  for (int i = 0; i < 20 && status.ok(); ++i) status = Write(kHundredPages);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("another process")));
  ASSERT_EQ(reader.Run("COMMIT"), SQLITE_OK);
  EXPECT_OK(Write(kOneRow));
}

TEST_F(PinnedLogTest, AWriterMayOutliveTheDoor) {
  auto writer = database_->Write();
  ASSERT_OK(writer);
  ASSERT_OK((*writer)->Execute(kHundredPages));
  std::atomic<bool> closing{false};
  std::thread closer([&] {
    closing = true;
    database_.reset();  // Waits for the writer, when the readers are gone.
  });
  while (!closing) std::this_thread::yield();
  { const WriteLease returned = *std::move(writer); }
  closer.join();
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
