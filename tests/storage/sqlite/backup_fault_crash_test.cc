// Property: whatever call to the file system or to memory fails during a backup or a restore, once
//   or from then on, it returns either success and a whole, checked file is there, or an error that
//   tells the caller what to do, and nothing is: no half file under the name, nothing beside it.
//   What is copied from is what it was, and what was to be replaced is there as it was.
// Method: the same backup (restore) is made once for each call it makes, with that call failing:
//   SQLite's through FaultVfs, those of our own through FaultCalls, SQLite's allocations through
//   FaultMalloc. Then the failures are switched off and the folder is looked at.
// Failure: "a note beside no backup", "damaged" said of a disk that could not be read.
//
// Seen to fail when, as all of it once was: integrity_check's words about a page that could not be
//   read are taken for damage; the folder in which the copy is made, or FILE.sha256, stays behind
//   when the call after fails; a lock that fails is taken for somebody else's; a handle that SQLite
//   has no memory for is used; the log of a damaged database stays aside without its file.
//
// VOUCH_TEST_LONG tries every point, VOUCH_TEST_STRIDE=10 a tenth of the usual ones,
// VOUCH_TEST_SEED repeats a run.

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <iostream>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/sqlite/backup.h"
#include "storage/sqlite/database.h"
#include "tests/storage/sqlite/support.h"
#include "tests/support/fault_calls.h"
#include "tests/support/fault_malloc.h"
#include "tests/support/fault_vfs.h"
#include "tests/support/power_loss.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"
#include "tests/support/sweep.h"
#include "tests/support/temporary_directory.h"

namespace vouch::storage {
namespace {

using test::FaultCalls;
using test::FaultMalloc;
using test::FaultVfs;
using test::IoFault;
using testing_support::ContentsOf;
using testing_support::NamesIn;
using testing_support::OpenOrDie;
using testing_support::Text;

void Make(const std::string& path, const std::string& state) {
  ASSERT_OK(OpenOrDie({.path = path})
                ->ExecuteScript(absl::StrCat(
                    "CREATE TABLE t(id INTEGER PRIMARY KEY, state TEXT, filler BLOB);"
                    "CREATE INDEX i ON t(state);"
                    "CREATE TABLE c(t REFERENCES t(id));"
                    "WITH RECURSIVE n(v) AS (VALUES (1) UNION ALL SELECT v + 1 FROM n WHERE v < 40)"
                    "INSERT INTO t SELECT v, '",
                    state, "', zeroblob(700) FROM n; INSERT INTO c VALUES (1), (2);")));
}

// Empty when it cannot be said.
std::string StateIn(Connection& connection) {
  if (Text(connection, "PRAGMA integrity_check") != "ok") return "damaged";
  return Text(connection,
              "SELECT state FROM t GROUP BY state"
              " HAVING count(*) = 40 AND (SELECT count(*) FROM c) = 2");
}

void ExpectFitting(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:        // An I/O error: retry.
    case absl::StatusCode::kResourceExhausted:  // Disk or memory: free something.
      return;
    case absl::StatusCode::kFailedPrecondition:  // SQLite cannot open a file, and does not say why.
      EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("unable to open"));
      return;
    default:
      ADD_FAILURE() << status;
  }
}

// Calls `live` with each point of failure after the other, until one was not reached.
class Points {
 public:
  // `arm` takes the number of the point, 0 for none; `failed` says what has.
  void Sweep(const std::string& what, int step, const std::function<void(std::int64_t)>& arm,
             const std::function<std::string()>& failed, const std::function<void()>& live) {
    if (::testing::Test::HasFailure()) return;
    const int stride = test::SweepStride(step);
    std::int64_t points = 0;
    for (std::int64_t at = random_.Uniform(1, stride);; at += stride) {
      SCOPED_TRACE(absl::StrCat(what, " at ", at));
      hit_.clear();
      disarm_ = [&] {
        hit_ = failed();
        arm(0);
      };
      arm_ = [&, at] { arm(at); };
      live();
      ASSERT_FALSE(::testing::Test::HasFailure()) << "failed: " << hit_;
      if (hit_.empty()) break;
      ++points;
      furthest_ = std::max(furthest_, at);
    }
    std::cout << what << ": " << points << " points" << std::endl;
  }

  // The number of the last point that was reached: what a sweep of every point would try.
  std::int64_t furthest() const { return furthest_; }

  // Around what is to see the failure; called by `live`.
  template <typename Run>
  auto During(const Run& run) {
    arm_();
    auto result = run();
    disarm_();
    return result;
  }

 private:
  test::Random random_;
  std::int64_t furthest_ = 0;
  std::function<void()> arm_;
  std::function<void()> disarm_;
  std::string hit_;
};

class BackupFaultCrashTest : public ::testing::Test {
 protected:
  void SweepFiles(const std::function<void()>& live) {
    for (const auto& [fault, name] :
         {std::pair(IoFault::kError, "I/O error"), std::pair(IoFault::kFull, "disk full"),
          std::pair(IoFault::kShortWrite, "short write")}) {
      for (const bool sticky : {false, true}) {
        points_.Sweep(
            absl::StrCat(name, sticky ? " from then on" : " once"), sticky ? 3 : 1,
            [&, kind = fault](std::int64_t at) {
              vfs_->Arm({.at = at, .sticky = sticky, .fault = kind});
            },
            [&] { return vfs_->failed(); }, live);
      }
    }
  }
  void SweepCalls(const std::function<void()>& live) {
    for (const auto& [error, name] :
         {std::pair(EIO, "EIO"), std::pair(ENOSPC, "ENOSPC"), std::pair(0, "half a write")}) {
      for (const bool sticky : {false, true}) {
        points_.Sweep(
            absl::StrCat(name, sticky ? " from then on" : " once"), 1,
            [&, number = error](std::int64_t at) {
              calls_.Arm({.at = at, .sticky = sticky, .error = number});
            },
            [&] { return calls_.failed(); }, live);
      }
    }
  }
  void SweepMemory(FaultMalloc& memory, const std::function<void()>& live) {
    for (const bool sticky : {false, true}) {
      points_.Sweep(
          absl::StrCat("allocation", sticky ? " and after" : ""), 11,
          [&](std::int64_t at) { memory.Arm(at, sticky); },
          [&] { return std::string(memory.failed() ? "allocation" : ""); }, live);
    }
  }

  ~BackupFaultCrashTest() override {
    EXPECT_GT(points_.furthest(), 10) << "the method finds nothing";
  }

  Points points_;
  FaultCalls calls_;
  // Before everything of SQLite's; after a FaultMalloc.
  std::optional<FaultVfs> vfs_;
  test::TemporaryDirectory directory_{test::FastParent()};
  const std::string source_ = directory_.File("source.db");
  const std::string folder_ = directory_.File("there");
};

// ---- Backups --------------------------------------------------------------------------------

class Backups {
 public:
  Backups(const std::string& source, std::string folder, BackupMethod method)
      : folder_(std::move(folder)), target_(folder_ + "/b.db") {
    std::filesystem::create_directory(folder_);
    Make(source, "new");
    auto database = Database::Open({.path = source});
    EXPECT_OK(database);
    database_ = *std::move(database);
    options_.method = method;
    options_.pages_per_step = 3;
  }

  void Live(Points& points) {
    test::WriteFolder(folder_, {});
    const auto result = points.During([&] { return BackUp(*database_, target_, options_); });
    if (result.ok()) {
      ExpectWhole(*result);
    } else {
      ExpectFitting(result.status());
      EXPECT_EQ(NamesIn(folder_), std::set<std::string>()) << result.status();
    }
    auto reader = database_->Read();
    ASSERT_OK(reader);
    EXPECT_EQ(StateIn(**reader), "new");
  }

 private:
  void ExpectWhole(const BackupResult& result) {
    EXPECT_EQ(NamesIn(folder_), (std::set<std::string>{"b.db", "b.db.sha256"}));
    EXPECT_EQ(Sha256::Of(ContentsOf(target_)), result.digest);
    EXPECT_EQ(ContentsOf(target_ + ".sha256"), HexOf(result.digest) + "  b.db\n");
    EXPECT_EQ(StateIn(*OpenOrDie({.path = target_, .access = Access::kImmutable})), "new");
  }

  const std::string folder_;
  const std::string target_;
  std::unique_ptr<Database> database_;
  BackupOptions options_;
};

TEST_F(BackupFaultCrashTest, EachCallOfSqlitesDuringABackup) {
  vfs_.emplace();
  for (const BackupMethod method : {BackupMethod::kPages, BackupMethod::kVacuum}) {
    std::filesystem::remove(source_);
    Backups backups(source_, folder_, method);
    SweepFiles([&] { backups.Live(points_); });
  }
}

TEST_F(BackupFaultCrashTest, EachCallOfOurOwnDuringABackup) {
  Backups backups(source_, folder_, BackupMethod::kPages);
  SweepCalls([&] { backups.Live(points_); });
}

TEST_F(BackupFaultCrashTest, EachAllocationDuringABackup) {
  FaultMalloc memory;
  for (const BackupMethod method : {BackupMethod::kPages, BackupMethod::kVacuum}) {
    std::filesystem::remove(source_);
    Backups backups(source_, folder_, method);
    SweepMemory(memory, [&] { backups.Live(points_); });
  }
}

// ---- Restores -------------------------------------------------------------------------------

enum class Old {
  kClosed,   // As a program that ended well leaves it.
  kWithLog,  // As one that was killed does.
  kDamaged,
};

class Restores {
 public:
  Restores(const test::TemporaryDirectory& directory, std::string folder, Old old, bool keep)
      : backup_(directory.File("backup.db")),
        folder_(std::move(folder)),
        target_(folder_ + "/t.db"),
        old_(old) {
    if (keep) options_.keep_old_as = folder_ + "/old.db";
    options_.lock_timeout = absl::Milliseconds(1);
    std::filesystem::create_directory(folder_);
    if (!std::filesystem::exists(backup_)) MakeBackup(directory.File("source.db"));
    bytes_ = ContentsOf(backup_);
    MakeOld();
  }

  void Live(Points& points) {
    test::WriteFolder(folder_, files_);
    const auto result = points.During([&] { return Restore(backup_, target_, options_); });
    EXPECT_EQ(ContentsOf(backup_), bytes_);
    std::set<std::string> names = NamesIn(folder_);
    // What SQLite makes beside a database that is there belongs to it, and goes with it.
    for (const char* name : {"t.db-wal", "t.db-shm", "t.db-journal"}) names.erase(name);
    if (result.ok()) {
      ExpectReplaced(*result, names);
    } else if (absl::IsUnknown(result.status())) {
      EXPECT_EQ(StateAt(target_), "new");
    } else {
      ExpectFitting(result.status());
      ExpectAsItWas(result.status(), names);
    }
  }

 private:
  void MakeBackup(const std::string& source) {
    Make(source, "new");
    auto database = Database::Open({.path = source});
    ASSERT_OK(database);
    ASSERT_OK(BackUp(**database, backup_));
  }
  void MakeOld() {
    test::WriteFolder(folder_, {});
    Make(target_, "old");
    if (old_ == Old::kWithLog) {
      const auto writer = OpenOrDie({.path = target_});
      ASSERT_OK(writer->Execute("UPDATE t SET state = 'older'"));
      files_ = test::ReadFolder(folder_);
      files_.erase("t.db-shm");
    } else {
      files_ = test::ReadFolder(folder_);
    }
    if (old_ == Old::kDamaged) {
      files_["t.db"].replace(0, 100, std::string(100, 'x'));
      files_["t.db-wal"] = "what was in its log";
    }
  }
  static std::string StateAt(const std::string& path) {
    return StateIn(*OpenOrDie({.path = path}));
  }
  std::string WantedKept() const {
    if (old_ != Old::kDamaged || !options_.keep_old_as.empty()) return options_.keep_old_as;
    return target_ + ".damaged";
  }
  std::string WantedOld() const { return old_ == Old::kWithLog ? "older" : "old"; }

  void ExpectReplaced(const RestoreResult& result, const std::set<std::string>& names) {
    EXPECT_TRUE(result.replaced);
    EXPECT_TRUE(result.digest_compared);
    const std::string kept = WantedKept();
    EXPECT_EQ(result.old_kept_as, kept);
    std::set<std::string> wanted = {"t.db"};
    if (!kept.empty()) wanted.insert(kept.substr(folder_.size() + 1));
    if (old_ == Old::kDamaged) wanted.insert(kept.substr(folder_.size() + 1) + "-wal");
    EXPECT_EQ(names, wanted);
    EXPECT_EQ(ContentsOf(target_), bytes_);
    if (kept.empty()) return;
    if (old_ == Old::kDamaged) {
      EXPECT_EQ(ContentsOf(kept), files_["t.db"]);
      EXPECT_EQ(ContentsOf(kept + "-wal"), files_["t.db-wal"]);
    } else {
      EXPECT_EQ(StateAt(kept), WantedOld());
    }
  }
  void ExpectAsItWas(const absl::Status& status, const std::set<std::string>& names) {
    std::set<std::string> wanted = {"t.db"};
    if (old_ != Old::kDamaged) {
      EXPECT_EQ(StateAt(target_), WantedOld()) << status;
    } else {
      EXPECT_EQ(ContentsOf(target_), files_["t.db"]) << status;
      std::string log = target_ + "-wal";
      if (!std::filesystem::exists(log)) {
        // Moved aside, and not to be moved back either: then it has its file with it.
        const std::string kept = WantedKept();
        log = kept + "-wal";
        EXPECT_EQ(ContentsOf(kept), files_["t.db"]) << status;
        wanted.insert(kept.substr(folder_.size() + 1));
        wanted.insert(log.substr(folder_.size() + 1));
      }
      EXPECT_EQ(ContentsOf(log), files_["t.db-wal"]) << status;
    }
    EXPECT_EQ(names, wanted) << status;
  }

  const std::string backup_;
  const std::string folder_;
  const std::string target_;
  const Old old_;
  RestoreOptions options_;
  std::string bytes_;
  test::Disk::Files files_;
};

TEST_F(BackupFaultCrashTest, EachCallOfSqlitesDuringARestore) {
  vfs_.emplace();
  for (const Old old : {Old::kClosed, Old::kWithLog, Old::kDamaged}) {
    SCOPED_TRACE(static_cast<int>(old));
    Restores restores(directory_, folder_, old, /*keep=*/old == Old::kWithLog);
    SweepFiles([&] { restores.Live(points_); });
  }
}

TEST_F(BackupFaultCrashTest, EachCallOfOurOwnDuringARestore) {
  for (const Old old : {Old::kClosed, Old::kWithLog, Old::kDamaged}) {
    for (const bool keep : {false, true}) {
      SCOPED_TRACE(absl::StrCat(static_cast<int>(old), keep ? ", kept" : ""));
      Restores restores(directory_, folder_, old, keep);
      SweepCalls([&] { restores.Live(points_); });
    }
  }
}

TEST_F(BackupFaultCrashTest, EachAllocationDuringARestore) {
  FaultMalloc memory;
  for (const Old old : {Old::kClosed, Old::kWithLog}) {
    Restores restores(directory_, folder_, old, /*keep=*/false);
    SweepMemory(memory, [&] { restores.Live(points_); });
  }
}

}  // namespace
}  // namespace vouch::storage
