// Property: after a loss of power at any moment a database opens, is sound, and holds every
//   transaction that was acknowledged, whole, and none that was given up or never begun.
// Method: a database's life (life.h) is recorded once; at each of its events, disks are built as
//   the loss may have left them (tests/support/power_loss.h), and read. A part of them is recovered
//   with the recording on, and loses power again in the middle of that.
// Failure: "unit 3 was stored and is lost", or a damaged file.
//
// The last test switches syncs off and expects to find loss and damage: it shows that the others
// can fail.
//
// VOUCH_TEST_LONG looks at twenty times as many disks, VOUCH_TEST_STRIDE=10 at a tenth,
// VOUCH_TEST_SEED repeats a run.

#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/storage/sqlite/life.h"
#include "tests/support/fault_vfs.h"
#include "tests/support/power_loss.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"
#include "tests/support/sweep.h"
#include "tests/support/temporary_directory.h"

namespace vouch::storage {
namespace {

using test::Disk;
using test::FaultVfs;
using test::IoEvent;
using test::Loss;
using testing_support::Account;
using testing_support::Contradiction;
using testing_support::Fate;
using testing_support::Life;
using testing_support::OptionsOfLife;

constexpr int kAnother = 100;  // A unit written to a recovered database.

// Where a recorded life was, by the number of events so far.
struct Step {
  std::size_t events;  // When it ended.
  Account account;     // As it was then.
};

class PowerLossCrashTest : public ::testing::Test {
 protected:
  void Record(JournalMode mode, Synchronous synchronous) {
    options_ = OptionsOfLife(folder_.File("app.db"), mode, synchronous);
    test::WriteFolder(folder_.path(), {});
    steps_ = {{.events = 0, .account = {}}};
    vfs_.StartRecording();
    std::optional<Life> life;
    life.emplace(options_, [&](const std::string&, const absl::Status& status) {
      EXPECT_OK(status);
      steps_.push_back({vfs_.event_count(), life->account()});
    });
    life->Live();
    events_ = vfs_.events();
    ASSERT_EQ(ContradictionIn(test::ReadFolder(folder_.path()), life->account()), "");
  }

  // What the caller had been told when `events` had happened; the unit on its way is kUnknown.
  Account AccountAt(std::size_t events) const {
    const auto after = std::find_if(steps_.begin(), steps_.end(),
                                    [&](const Step& step) { return step.events >= events; });
    if (after->events == events) return after->account;
    Account account = std::prev(after)->account;
    for (const auto& [unit, fate] : after->account) {
      if (!account.contains(unit)) account[unit] = fate == Fate::kStored ? Fate::kUnknown : fate;
    }
    return account;
  }

  // Calls `look` with disks built at every event, about `images` of them.
  template <typename Look>
  void ForEachDisk(int images, const Look& look) {
    const int each = std::max(4, images / static_cast<int>(events_.size() + 1));
    Disk disk;
    for (std::size_t i = 0; i <= events_.size(); ++i) {
      SCOPED_TRACE(absl::StrCat("after event ", i, " of ", events_.size()));
      if (i > 0) disk.Apply(events_[i - 1]);
      const Account account = AccountAt(i);
      for (int n = 0; n < each; ++n) {
        const Loss loss = n == 0   ? Loss::kNone
                          : n == 1 ? Loss::kAll
                                   : (n % 2 == 0 ? Loss::kTorn : Loss::kGarbage);
        ++images_;
        look(disk.AfterPowerLoss(loss, random_), account);
        if (HasFailure()) return;
      }
    }
  }

  std::string ContradictionIn(const Disk::Files& files, const Account& account) {
    return testing_support::ContradictionIn(files, crashed_, options_.profile, account);
  }

  // Opens `files` and writes to them, loses power in the middle of it, and looks at the result.
  std::string ContradictionAfterSecondLoss(const Disk::Files& files, Account account) {
    test::WriteFolder(folder_.path(), files);
    vfs_.StartRecording();
    {
      auto connection =
          SqliteConnection::Open({.path = folder_.File("app.db"), .profile = options_.profile});
      if (!connection.ok()) return std::string(connection.status().message());
      auto transaction = Transaction::Begin(**connection, TransactionMode::kWrite);
      if (transaction.ok()) {
        (void)testing_support::WriteUnit(**connection, kAnother);
        (void)transaction->Commit();
      }
    }
    account[kAnother] = Fate::kUnknown;
    const std::vector<IoEvent> events = vfs_.events();
    Disk disk(files);
    const std::size_t end = random_.Uniform<std::size_t>(0, events.size());
    for (std::size_t i = 0; i < end; ++i) disk.Apply(events[i]);
    ++images_;
    return ContradictionIn(disk.AfterPowerLoss(Loss::kTorn, random_), account);
  }

  void ExpectEveryLossIsSurvived(int images) {
    ForEachDisk(images, [&](const Disk::Files& files, const Account& account) {
      EXPECT_EQ(ContradictionIn(files, account), "");
      if (random_.OneIn(8)) {
        EXPECT_EQ(ContradictionAfterSecondLoss(files, account), "") << "after a second loss";
      }
    });
    Report();
  }

  void Report() const {
    std::cout << events_.size() << " events, " << images_ << " disks" << std::endl;
  }

  test::Random random_;
  FaultVfs vfs_;
  test::TemporaryDirectory folder_{test::FastParent()};
  test::TemporaryDirectory crashed_{test::FastParent()};
  DatabaseOptions options_;
  std::vector<IoEvent> events_;
  std::vector<Step> steps_;
  int images_ = 0;
};

TEST_F(PowerLossCrashTest, WriteAheadLogWithFullSyncLosesNothing) {
  Record(JournalMode::kWal, Synchronous::kFull);
  ExpectEveryLossIsSurvived(test::SweepImages(12'000));
}

TEST_F(PowerLossCrashTest, RollbackJournalWithExtraSyncLosesNothing) {
  Record(JournalMode::kDelete, Synchronous::kExtra);
  ExpectEveryLossIsSurvived(test::SweepImages(7'000));
}

// As in SQLite's manual: the last commits may be undone, none is torn, and none is lost from among
// others. A rollback journal whose removal was not synced comes back and undoes its transaction.
TEST_F(PowerLossCrashTest, WeakerSyncsLoseTheLastCommitsOnly) {
  for (const auto& [mode, synchronous] : {std::pair(JournalMode::kWal, Synchronous::kNormal),
                                          std::pair(JournalMode::kDelete, Synchronous::kFull)}) {
    Record(mode, synchronous);
    ForEachDisk(test::SweepImages(1'500), [&](const Disk::Files& files, Account account) {
      for (auto& [unit, fate] : account) {
        if (fate == Fate::kStored) fate = Fate::kUnknown;
      }
      EXPECT_EQ(ContradictionIn(files, account), "");
    });
  }
  Report();
}

TEST_F(PowerLossCrashTest, WithoutSyncsLossAndDamageAreFound) {
  Record(JournalMode::kWal, Synchronous::kOff);
  int lost = 0;
  int damaged = 0;
  ForEachDisk(test::SweepImages(1'500), [&](const Disk::Files& files, const Account& account) {
    const std::string found = ContradictionIn(files, account);
    if (found.empty()) return;
    ++(found.ends_with("was stored and is lost") ? lost : damaged);
  });
  Report();
  std::cout << lost << " lost, " << damaged << " damaged" << std::endl;
  EXPECT_GT(lost, 0);
  EXPECT_GT(damaged, 0);
}

}  // namespace
}  // namespace vouch::storage
