// The log stays within its budget beside readers that never pause.
//
// Property: with eight readers of which always one is within its snapshot, and a writer at full
// speed, the log never exceeds its budget. Method: each reader keeps its snapshot until a later one
// has begun, so that there is no moment without a reader, unless the door is closed, when none can
// begin. The same readers beside plain SQLite, whose automatic checkpoints never find such a moment,
// show that the load does what it is meant to. A failure would look like the second number.

#include <algorithm>
#include <atomic>
#include <functional>
#include <iostream>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/sqlite/database.h"
#include "tests/storage/sqlite/support.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace vouch::storage {
namespace {

using test::TemporaryDirectory;
using testing_support::Int;
using testing_support::PlainDatabase;
using testing_support::SizeOf;

constexpr int kReaders = 8;
constexpr int kWrites = 400;
constexpr std::int64_t kFrameBytes = 4096 + 24;
constexpr int kCheckpointPages = 100;
constexpr std::int64_t kBudgetPages = 400;
constexpr std::int64_t kBudgetBytes = kBudgetPages * kFrameBytes;
// About a dozen pages; 400 of these are a dozen budgets.
constexpr char kWrite[] =
    "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 10) "
    "INSERT INTO t SELECT randomblob(4000) FROM n";

// Snapshots, each of which lasts until a later one has begun.
class Chain {
 public:
  // To be called within a snapshot. `read` uses it; `may_leave` lets it end all the same.
  void Stay(const std::function<void()>& read, const std::function<bool()>& may_leave) {
    const int mine = begun_.fetch_add(1) + 1;
    while (begun_ == mine && !over_ && !may_leave()) read();
  }
  bool over() const { return over_; }
  void End() { over_ = true; }
  // Nobody is within the first snapshot any more: from now on there is always one.
  void AwaitBeginning() const {
    while (begun_ < 2) std::this_thread::yield();
  }
  int begun() const { return begun_; }

 private:
  std::atomic<int> begun_{0};
  std::atomic<bool> over_{false};
};

class GovernorStressTest : public ::testing::Test {
 protected:
  // Runs `write` beside the readers; returns the most that the log had after one.
  std::int64_t MostLogBytes(Chain& chain, const std::function<void()>& reader,
                            const std::function<void()>& write) {
    std::vector<std::thread> threads;
    for (int i = 0; i < kReaders; ++i) {
      threads.emplace_back([&] {
        while (!chain.over()) reader();
      });
    }
    chain.AwaitBeginning();
    std::int64_t most = 0;
    for (int i = 0; i < kWrites; ++i) {
      write();
      most = std::max(most, SizeOf(path_ + "-wal"));
    }
    chain.End();
    for (std::thread& thread : threads) thread.join();
    return most;
  }

  TemporaryDirectory directory_;
  const std::string path_ = directory_.File("t.db");
};

TEST_F(GovernorStressTest, ReadersThatNeverPauseAndAWriterAtFullSpeed) {
  Profile profile = Profile::Balanced();
  profile.synchronous = Synchronous::kOff;
  ASSERT_OK_AND_ASSIGN(const auto database,
                       Database::Open({.path = path_,
                                       .profile = profile,
                                       .max_readers = kReaders,
                                       .governor = {.checkpoint_pages = kCheckpointPages,
                                                    .log_budget_bytes = kBudgetBytes,
                                                    .patience = absl::Seconds(30),
                                                    .lock_patience = absl::ZeroDuration()}}));
  const auto write = [&](const char* sql) {
    ASSERT_OK_AND_ASSIGN(WriteLease writer, database->Write());
    ASSERT_OK(writer->Execute(sql));
  };
  write("CREATE TABLE t(a)");
  Chain chain;
  const std::int64_t most = MostLogBytes(
      chain,
      [&] {
        ASSERT_OK_AND_ASSIGN(ReadLease reader, database->Read());
        ASSERT_OK(reader.BeginSnapshot());
        const std::int64_t rows = Int(*reader, "SELECT count(*) FROM t");
        chain.Stay([&] { ASSERT_EQ(Int(*reader, "SELECT count(*) FROM t"), rows); },
                   [&] { return database->stats().readers.suspended; });
      },
      [&] { write(kWrite); });
  const GovernorStats stats = database->stats().governor;
  RecordProperty("governed_log_bytes", std::to_string(most));
  std::cout << "budget " << kBudgetBytes << " bytes; log at most " << most << "; " << chain.begun()
            << " snapshots; door closed " << stats.doors_closed << " times, at most "
            << stats.longest_door << "\n";
  EXPECT_LE(most, kBudgetBytes);
  EXPECT_LE(stats.most_log_pages, kBudgetPages);
  EXPECT_GE(stats.checkpoints, 5);
  EXPECT_EQ(stats.writes_slowed, 0);
  EXPECT_EQ(stats.writes_refused, 0);
  ASSERT_OK_AND_ASSIGN(ReadLease reader, database->Read());
  EXPECT_EQ(Int(*reader, "SELECT count(*) FROM t"), 10 * kWrites);
}

// What we defend against.
TEST_F(GovernorStressTest, TheSameBesidePlainSqlite) {
  PlainDatabase plain(path_);
  plain.Run("PRAGMA journal_mode = wal; PRAGMA synchronous = off");
  plain.Run("PRAGMA wal_autocheckpoint = " + std::to_string(kCheckpointPages));
  ASSERT_EQ(plain.Run("CREATE TABLE t(a)"), SQLITE_OK);
  Chain chain;
  const std::int64_t most = MostLogBytes(
      chain,
      [&] {
        PlainDatabase reader(path_);
        while (!chain.over()) {
          ASSERT_EQ(reader.Run("BEGIN; SELECT count(*) FROM t"), SQLITE_OK);
          chain.Stay([&] { reader.Run("SELECT count(*) FROM t"); }, [] { return false; });
          reader.Run("COMMIT");
        }
      },
      [&] { ASSERT_EQ(plain.Run(kWrite), SQLITE_OK); });
  RecordProperty("plain_log_bytes", std::to_string(most));
  std::cout << "budget " << kBudgetBytes << " bytes; log at most " << most << "; " << chain.begun()
            << " snapshots\n";
  EXPECT_GT(most, kBudgetBytes);
}

}  // namespace
}  // namespace vouch::storage
