// Property: whatever call to the file system or to memory fails, once or from then on, every
//   operation returns, says what happened, and says nothing that is not so: what was told to be
//   stored is there and whole, what was told to have failed is not, not even after a crash right
//   then; and once the failures are over the same Database object writes on.
// Method: a database's life (life.h) is lived once for each call it makes, with that call failing.
//   After each step that failed, the files are taken as a crash at that moment would leave them. At
//   the end the failures are switched off, the same object writes and reads, and the file is opened
//   again and read whole.
// Failure: "unit 3 was not stored and is there", a step that takes seconds, a code that tells the
//   caller to do the wrong thing.
//
// Seen to fail when: Commit() says that nothing is stored after memory or disk ran out in it, as it
// once did; the codes of a file that needs recovery are those of missing rights, as they once were.
//
// VOUCH_TEST_LONG tries every point, VOUCH_TEST_STRIDE=10 a tenth of the usual ones,
// VOUCH_TEST_SEED repeats a run.

#include <gtest/gtest.h>

#include <chrono>
#include <iostream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/storage/sqlite/life.h"
#include "tests/storage/sqlite/support.h"
#include "tests/support/fault_malloc.h"
#include "tests/support/fault_vfs.h"
#include "tests/support/power_loss.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"
#include "tests/support/sweep.h"
#include "tests/support/temporary_directory.h"

namespace vouch::storage {
namespace {

using test::Disk;
using test::FaultMalloc;
using test::FaultPlan;
using test::FaultVfs;
using test::IoFault;
using test::Loss;
using testing_support::Account;
using testing_support::ContradictionIn;
using testing_support::Fate;
using testing_support::Life;
using testing_support::OptionsOfLife;

constexpr int kProof = 100;  // The unit that is written when all is well again.
constexpr auto kLongestLife = std::chrono::seconds(2);

// Lives one life after the other, each with a failure of its own, and judges them.
class Sweep {
 public:
  explicit Sweep(JournalMode mode)
      : options_(
            OptionsOfLife(folder_.File("app.db"), mode,
                          mode == JournalMode::kWal ? Synchronous::kFull : Synchronous::kExtra)) {}

  FaultVfs& vfs() { return vfs_; }
  test::Random& random() { return random_; }

  // Lives, and calls `disarm` when the failures are to be over.
  template <typename Disarm>
  void Live(const Disarm& disarm) {
    ++lives_;
    test::WriteFolder(folder_.path(), {});
    vfs_.StartRecording();
    moments_.clear();
    std::optional<Life> life;
    const auto remember = [&](const std::string& step) {
      moments_.push_back({step, vfs_.event_count(), life->account()});
    };
    const auto begun = std::chrono::steady_clock::now();
    life.emplace(options_, [&](const std::string& step, const absl::Status& status) {
      if (status.ok()) return;
      ExpectFitting(step, status);
      remember(step);
    });
    life->Live();
    disarm();
    EXPECT_LT(std::chrono::steady_clock::now() - begun, kLongestLife);

    EXPECT_OK(life->Prove(kProof)) << "by the object that saw the failure";
    remember("proof");
    const std::vector<test::IoEvent> events = vfs_.events();
    life->Close();
    EXPECT_OK(life->Prove(kProof + 1)) << "by a new object";
    life->Close();
    EXPECT_THAT(life->lies(), ::testing::IsEmpty());
    EXPECT_EQ(ContradictionIn(test::ReadFolder(folder_.path()), life->account()), "") << "at last";
    ExpectCrashesAreSafe(events);
  }

  void Report(const std::string& what, std::int64_t points) const {
    std::cout << what << ": " << points << " points, each lived with; " << images_
              << " crash images" << std::endl;
  }

 private:
  // Of the life: when a step had failed, and after the proof.
  struct Moment {
    std::string step;
    std::size_t events;
    Account account;
  };

  static void ExpectFitting(const std::string& step, const absl::Status& status) {
    switch (status.code()) {
      case absl::StatusCode::kUnavailable:        // An I/O error: retry.
      case absl::StatusCode::kResourceExhausted:  // Disk or memory: free something.
      case absl::StatusCode::kAborted:            // The transaction was ended by an earlier error.
        return;
      case absl::StatusCode::kFailedPrecondition:  // A file cannot be opened.
        EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("SQLite"));
        return;
      case absl::StatusCode::kUnknown:
        EXPECT_THAT(step, ::testing::StartsWith("write"));
        EXPECT_THAT(std::string(status.message()), ::testing::StartsWith("commit"));
        return;
      default:
        ADD_FAILURE() << step << ": " << status;
    }
  }

  // Whether the process dies or the power goes.
  void ExpectCrashesAreSafe(const std::vector<test::IoEvent>& events) {
    for (const Moment& moment : moments_) {
      // A sticky failure makes each step fail: the first and the last tell most.
      if (&moment != &moments_.front() && &moment + 2 < &moments_.back()) continue;
      SCOPED_TRACE("after: " + moment.step);
      Disk disk;
      for (std::size_t i = 0; i < moment.events; ++i) disk.Apply(events[i]);
      for (const Loss loss : {Loss::kNone, Loss::kTorn}) {
        ++images_;
        EXPECT_EQ(ContradictionIn(disk.AfterPowerLoss(loss, random_), moment.account), "")
            << (loss == Loss::kNone ? "after a crash" : "after a loss of power");
      }
    }
  }

  std::string ContradictionIn(const Disk::Files& files, const Account& account) {
    return testing_support::ContradictionIn(files, crashed_, options_.profile, account);
  }

  test::Random random_;
  FaultVfs vfs_;
  test::TemporaryDirectory folder_{test::FastParent()};
  test::TemporaryDirectory crashed_{test::FastParent()};
  const DatabaseOptions options_;
  std::vector<Moment> moments_;
  std::int64_t lives_ = 0;
  std::int64_t images_ = 0;
};

class DatabaseFaultCrashTest : public ::testing::TestWithParam<JournalMode> {};

TEST_P(DatabaseFaultCrashTest, EveryCallToTheFileSystem) {
  Sweep sweep(GetParam());
  for (const auto& [fault, name] :
       {std::pair(IoFault::kError, "I/O error"), std::pair(IoFault::kFull, "disk full"),
        std::pair(IoFault::kShortWrite, "short write")}) {
    for (const bool sticky : {false, true}) {
      // Once, in the default mode: every call.
      const int stride =
          test::SweepStride((sticky ? 3 : 1) * (GetParam() == JournalMode::kWal ? 1 : 2));
      std::int64_t points = 0;
      for (std::int64_t at = sweep.random().Uniform(1, stride);; at += stride) {
        SCOPED_TRACE(absl::StrCat(name, " at call ", at, sticky ? " and after" : ""));
        std::string failed;
        sweep.vfs().Arm({.at = at, .sticky = sticky, .fault = fault});
        sweep.Live([&] {
          failed = sweep.vfs().failed();
          sweep.vfs().Disarm();
        });
        ASSERT_FALSE(HasFailure()) << "failed: " << failed;
        if (failed.empty()) break;
        ++points;
      }
      sweep.Report(absl::StrCat(name, sticky ? " from then on" : " once"), points);
    }
  }
}

TEST_P(DatabaseFaultCrashTest, EveryAllocation) {
  FaultMalloc memory;
  Sweep sweep(GetParam());
  for (const bool sticky : {false, true}) {
    const int stride = test::SweepStride(8);
    std::int64_t points = 0;
    for (std::int64_t at = sweep.random().Uniform(1, stride);; at += stride) {
      SCOPED_TRACE(absl::StrCat("allocation ", at, sticky ? " and after" : ""));
      bool failed = false;
      memory.Arm(at, sticky);
      sweep.Live([&] {
        failed = memory.failed();
        memory.Disarm();
      });
      ASSERT_FALSE(HasFailure());
      if (!failed) break;
      ++points;
    }
    sweep.Report(sticky ? "out of memory from then on" : "out of memory once", points);
  }
}

// Where the log's index needs another page of shared memory, SQLite gets it after it has written
// and synced the log: a COMMIT that fails there is in the log and not in the index. A crash makes
// it visible.
TEST(CommitFaultCrashTest, FailingAfterTheLogIsWrittenIsUnknown) {
  constexpr int kFirstIndexPage = 4062;  // Frames that the first page of the index holds.
  FaultMalloc memory;
  FaultVfs vfs;
  test::Random random;
  test::TemporaryDirectory folder(test::FastParent());
  test::TemporaryDirectory crashed(test::FastParent());
  DatabaseOptions options =
      OptionsOfLife(folder.File("app.db"), JournalMode::kWal, Synchronous::kFull);
  options.governor.checkpoint_pages = 100'000;
  options.profile.cache_size = 1'000;  // Nothing is written before COMMIT.
  {
    testing_support::PlainDatabase plain(options.path);
    ASSERT_EQ(plain.Run("PRAGMA page_size = 512; VACUUM"), SQLITE_OK);
  }
  // Calls `arm` before COMMIT. What is returned with OK is the size of the log.
  const auto write = [](Database& database, int unit, auto arm) -> absl::StatusOr<int> {
    VOUCH_ASSIGN_OR_RETURN(WriteLease writer, database.Write());
    VOUCH_ASSIGN_OR_RETURN(Transaction transaction,
                           Transaction::Begin(*writer, TransactionMode::kWrite));
    VOUCH_RETURN_IF_ERROR(unit == 0 ? testing_support::MakeTables(*writer)
                                    : testing_support::WriteUnit(*writer, unit));
    arm();
    VOUCH_RETURN_IF_ERROR(transaction.Commit());
    return writer->log_pages();
  };
  // The log as it is before the transaction that needs the second page.
  Account account;
  Disk::Files before;
  int unit = 0;
  {
    ASSERT_OK_AND_ASSIGN(const auto database, Database::Open(options));
    for (int log_pages = 0; log_pages <= kFirstIndexPage; ++unit) {
      before = test::ReadFolder(folder.path());
      ASSERT_OK_AND_ASSIGN(log_pages, write(*database, unit, [] {}));
      account[unit] = Fate::kStored;
    }
    account.erase(--unit);
  }

  int unknown = 0;
  int points = 0;
  for (const bool of_memory : {false, true}) {
    for (std::int64_t at = 1;; ++at) {
      SCOPED_TRACE(absl::StrCat(of_memory ? "allocation " : "call ", at));
      test::WriteFolder(folder.path(), before);
      ASSERT_OK_AND_ASSIGN(const auto database, Database::Open(options));
      vfs.StartRecording();
      const auto arm = [&] { of_memory ? memory.Arm(at, false) : vfs.Arm({.at = at}); };
      const absl::Status status = write(*database, unit, arm).status();
      const bool failed = of_memory ? memory.failed() : !vfs.failed().empty();
      memory.Disarm();
      vfs.Disarm();
      account[unit] = testing_support::FateOf(status);
      unknown += account[unit] == Fate::kUnknown ? 1 : 0;
      Disk disk(before);
      for (const test::IoEvent& event : vfs.events()) disk.Apply(event);
      ASSERT_EQ(ContradictionIn(disk.AfterPowerLoss(Loss::kNone, random), crashed, options.profile,
                                account),
                "")
          << status;
      if (!failed) break;
      ++points;
    }
  }
  std::cout << points << " points, " << unknown << " outcomes unknown" << std::endl;
  EXPECT_GT(unknown, 0);
}

// SQLite lets a connection go on after an I/O error, but not all that it keeps in memory is right.
TEST(ConnectionFaultTest, AWriterThatAnIoErrorFailedIsReplaced) {
  FaultVfs vfs;
  test::TemporaryDirectory folder;
  ASSERT_OK_AND_ASSIGN(const auto database, Database::Open({.path = folder.File("app.db")}));
  const auto insert = [&] {
    auto writer = database->Write();
    EXPECT_OK(writer);
    return (*writer)->Execute("CREATE TABLE IF NOT EXISTS t(id)");
  };
  ASSERT_OK(insert());
  ASSERT_OK(insert());
  EXPECT_EQ(database->stats().writer.opened, 1u);
  {
    ASSERT_OK_AND_ASSIGN(WriteLease writer, database->Write());
    ASSERT_OK_AND_ASSIGN(Transaction transaction,
                         Transaction::Begin(*writer, TransactionMode::kWrite));
    ASSERT_OK(writer->Execute("INSERT INTO t VALUES (1)"));
    vfs.Arm({.at = 1, .sticky = true});
    EXPECT_FALSE(transaction.Commit().ok());
    vfs.Disarm();
  }
  ASSERT_OK(insert());
  EXPECT_EQ(database->stats().writer.opened, 2u);
  EXPECT_EQ(database->stats().writer.closed.broken, 1u);
}

// Waiting helps against another process, not against a broken disk.
TEST(OpenFaultTest, AnIoErrorIsNotWaitedFor) {
  FaultVfs vfs;
  test::TemporaryDirectory folder;
  SqliteOptions options{.path = folder.File("app.db"), .busy_timeout = absl::Seconds(30)};
  ASSERT_OK(SqliteConnection::Open(options));
  const auto begun = std::chrono::steady_clock::now();
  for (std::int64_t at = 1;; ++at) {
    vfs.Arm({.at = at, .sticky = true});
    const absl::Status status = SqliteConnection::Open(options).status();
    if (vfs.failed().empty()) break;
    ASSERT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(10)) << status;
  }
}

TEST(StatementFaultTest, TextIsReadWithoutMemory) {
  FaultMalloc memory;
  const auto connection = testing_support::OpenInMemory();
  ASSERT_OK_AND_ASSIGN(const StatementPtr statement,
                       connection->Prepare("SELECT substr(?1, 2), ?1"));
  const std::string text(3'000, 'x');
  ASSERT_OK(statement->BindBorrowed(text));
  ASSERT_THAT(statement->Step(), test::IsOkAndHolds(true));
  memory.Arm(1, /*sticky=*/true);
  const auto part = statement->Get<std::string>(0);
  const auto whole = statement->Get<std::string>(1);
  memory.Disarm();
  EXPECT_EQ(part, text.substr(1));
  EXPECT_EQ(whole, text);
}

INSTANTIATE_TEST_SUITE_P(JournalModes, DatabaseFaultCrashTest,
                         ::testing::Values(JournalMode::kWal, JournalMode::kDelete),
                         [](const auto& mode) {
                           return mode.param == JournalMode::kWal ? "Wal" : "Delete";
                         });

}  // namespace
}  // namespace vouch::storage
