// No checkpoint of ours ever overlaps a write of ours, two processes included.
//
// That is what keeps clear of the WAL-reset bug of SQLite 3.7.0 to 3.51.2, by which a checkpoint
// beside a write that begins the log anew loses committed pages. Property: every page is moved into
// the database file, and every piece of the log is written, by a connection that holds the log's
// write lock or the whole file. Method: a file system that watches it (lock_recorder.h), under
// two processes with readers and writers and a log that is begun anew all the time. Plain SQLite is
// shown to break the property first, else the recorder would prove nothing.

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/sqlite/database.h"
#include "storage/transaction.h"
#include "tests/storage/sqlite/lock_recorder.h"
#include "tests/storage/sqlite/support.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace vouch::storage {
namespace {

using test::TemporaryDirectory;
using testing_support::Int;
using testing_support::LockRecorder;
using testing_support::PlainDatabase;

constexpr int kWriters = 2;
constexpr int kWrites = 150;  // Of each writer.
constexpr char kWrite[] = "INSERT INTO t SELECT randomblob(2000) FROM (VALUES (1), (2), (3), (4))";

absl::StatusOr<std::unique_ptr<Database>> Open(const std::string& path) {
  DatabaseOptions options = {.path = path,
                             .busy_timeout = absl::InfiniteDuration(),
                             .governor = {.checkpoint_pages = 20,
                                          .log_budget_bytes = 400'000,
                                          .patience = absl::Milliseconds(5),
                                          .lock_patience = absl::Milliseconds(1)}};
  options.profile.synchronous = Synchronous::kNormal;
  return Database::Open(std::move(options));
}

// A write, again while the log cannot be kept within bounds.
absl::Status WriteOnce(Database& database) {
  while (true) {
    auto writer = database.Write();
    if (absl::IsResourceExhausted(writer.status())) continue;
    VOUCH_RETURN_IF_ERROR(writer.status());
    VOUCH_ASSIGN_OR_RETURN(Transaction transaction,
                           Transaction::Begin(**writer, TransactionMode::kWrite));
    VOUCH_RETURN_IF_ERROR((*writer)->Execute(kWrite));
    return transaction.Commit();
  }
}

// Writers and a reader of one process. The number of what went wrong.
int RunProcess(const std::string& path) {
  auto database = Open(path);
  if (!database.ok()) return 1;
  std::atomic<int> wrong{0};
  std::atomic<int> writing{kWriters};
  std::vector<std::thread> threads;
  for (int i = 0; i < kWriters; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < kWrites; ++k) wrong += WriteOnce(**database).ok() ? 0 : 1;
      --writing;
    });
  }
  threads.emplace_back([&] {
    while (writing > 0) {
      auto reader = (*database)->Read();
      if (!reader.ok() || !reader->BeginSnapshot().ok()) continue;
      const auto rows = (*reader)->QueryValue<int>("SELECT count(*) FROM t");
      wrong += rows.ok() && *rows % 4 == 0 ? 0 : 1;
    }
  });
  for (std::thread& thread : threads) thread.join();
  wrong += (*database)->Close(absl::Seconds(60)).ok() ? 0 : 1;
  return wrong;
}

TEST(WalResetStressTest, PlainSqliteMovesPagesBesideAWrite) {
  const TemporaryDirectory directory;
  const std::string path = directory.File("t.db");
  const LockRecorder recorder;
  PlainDatabase first(path);
  first.Run("PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t(a)");
  ASSERT_EQ(first.Run(kWrite), SQLITE_OK);
  PlainDatabase second(path);
  ASSERT_EQ(second.Value("SELECT count(*) FROM t"), "4");
  EXPECT_GT(recorder.log_writes(), 0);
  EXPECT_EQ(recorder.violations(), 0);
  ASSERT_EQ(first.Run("BEGIN IMMEDIATE"), SQLITE_OK);
  second.Run("PRAGMA wal_checkpoint");  // What it does by itself after 1,000 pages.
  EXPECT_GT(recorder.violations(), 0);
  EXPECT_EQ(first.Run("COMMIT"), SQLITE_OK);
}

TEST(WalResetStressTest, NoCheckpointOverlapsAWrite) {
  const TemporaryDirectory directory;
  const std::string path = directory.File("t.db");
  const LockRecorder recorder;
  {
    ASSERT_OK_AND_ASSIGN(const auto database, Open(path));
    ASSERT_OK_AND_ASSIGN(WriteLease writer, database->Write());
    ASSERT_OK(writer->Execute("CREATE TABLE t(a)"));
  }
  std::vector<pid_t> children;
  for (int i = 0; i < 2; ++i) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(RunProcess(path) == 0 ? 0 : 1);
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  RecordProperty("pages_moved", std::to_string(recorder.moves()));
  std::cout << recorder.moves() << " pages moved, " << recorder.log_writes()
            << " writes to the log, the write lock changed processes " << recorder.turns()
            << " times\n";
  EXPECT_EQ(recorder.violations(), 0);
  EXPECT_GT(recorder.moves(), 1000);
  EXPECT_GT(recorder.turns(), 2);
  PlainDatabase plain(path);
  EXPECT_EQ(plain.Value("SELECT count(*) FROM t"), std::to_string(2 * kWriters * kWrites * 4));
  EXPECT_EQ(plain.Value("PRAGMA integrity_check"), "ok");
}

}  // namespace
}  // namespace vouch::storage
