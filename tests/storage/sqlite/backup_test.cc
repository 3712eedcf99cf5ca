// Backups: what is in them, what is left when they fail, and that a name is never half taken.

#include "storage/sqlite/backup.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <thread>

#include "absl/time/clock.h"
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
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing_support::ContentsOf;
using testing_support::Int;
using testing_support::NamesIn;
using testing_support::OpenOrDie;
using testing_support::PlainDatabase;
using testing_support::SizeOf;
using testing_support::Text;
using testing_support::WriteFile;

class BackupTest : public ::testing::Test {
 protected:
  BackupTest() {
    std::filesystem::create_directory(folder_);
    auto database = Database::Open({.path = path_});
    EXPECT_OK(database);
    database_ = *std::move(database);
    Write(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a INTEGER, filler BLOB);"
        "CREATE INDEX i ON t(a);"
        "WITH RECURSIVE n(v) AS (VALUES (1) UNION ALL SELECT v + 1 FROM n WHERE v < 2000)"
        "INSERT INTO t SELECT v, v * 2, randomblob(500) FROM n");
  }
  void Write(std::string_view script) {
    ASSERT_OK_AND_ASSIGN(WriteLease writer, database_->Write());
    ASSERT_OK(writer->ExecuteScript(script));
  }
  static std::int64_t Rows(const std::string& path) {
    return Int(*OpenOrDie({.path = path, .access = Access::kImmutable}), "SELECT count(*) FROM t");
  }

  TemporaryDirectory directory_;
  const std::string path_ = directory_.File("t.db");
  const std::string folder_ = directory_.File("backups");
  const std::string target_ = folder_ + "/b.db";
  std::unique_ptr<Database> database_;
};

TEST_F(BackupTest, TheCopyIsWholeAloneAndItsOwners) {
  for (const BackupMethod method : {BackupMethod::kPages, BackupMethod::kVacuum}) {
    ASSERT_OK_AND_ASSIGN(const BackupResult result,
                         BackUp(*database_, target_, {.method = method}));
    EXPECT_THAT(NamesIn(folder_), ElementsAre("b.db", "b.db.sha256"));
    EXPECT_EQ(result.path, target_);
    EXPECT_EQ(SizeOf(target_), result.pages * result.page_size_bytes);
    struct stat info;
    ASSERT_EQ(::stat(target_.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, mode_t{0600});
    EXPECT_EQ(ContentsOf(target_ + ".sha256"), HexOf(result.digest) + "  b.db\n");
    EXPECT_EQ(result.digest, Sha256::Of(ContentsOf(target_)));
    PlainDatabase plain(target_);
    EXPECT_EQ(plain.Value("PRAGMA integrity_check"), "ok");
    EXPECT_EQ(plain.Value("PRAGMA journal_mode"), "delete") << "it needs a log to be read";
    EXPECT_EQ(plain.Value("SELECT count(*) FROM t"), "2000");
    EXPECT_EQ(plain.Value("SELECT sum(a) FROM t"), "4002000");
    std::filesystem::remove(target_);
  }
}

// Everything is still in the log, and nothing in the database file.
TEST_F(BackupTest, WhatIsOnlyInTheLogIsInTheCopy) {
  ASSERT_GT(SizeOf(path_ + "-wal"), 1'000'000);
  ASSERT_OK(BackUp(*database_, target_));
  EXPECT_EQ(Rows(target_), 2000);
}

TEST_F(BackupTest, AnEmptyDatabaseAndOneInMemoryAreBackedUp) {
  ASSERT_OK_AND_ASSIGN(auto memory, Database::Open({.path = ":memory:"}));
  {
    ASSERT_OK_AND_ASSIGN(WriteLease writer, memory->Write());
    ASSERT_OK(writer->ExecuteScript("CREATE TABLE t(a); INSERT INTO t VALUES (1)"));
  }
  ASSERT_OK(BackUp(*memory, target_));
  EXPECT_EQ(Rows(target_), 1);
  ASSERT_OK_AND_ASSIGN(auto empty, Database::Open({.path = directory_.File("empty.db")}));
  EXPECT_OK(BackUp(*empty, folder_ + "/e.db"));
  EXPECT_OK(BackUp(*empty, folder_ + "/v.db", {.method = BackupMethod::kVacuum}));
}

// Property: the copy is one committed state, although a writer commits all the time, and the writer
// is never refused. Each commit moves an amount from one row to another; a copy that mixed two
// states would have another sum. A restart at each commit would never come to an end.
TEST_F(BackupTest, AWriterAtWorkNeitherDisturbsNorWaits) {
  Write(
      "CREATE TABLE account(id INTEGER PRIMARY KEY, amount INTEGER);"
      "INSERT INTO account SELECT id, 100 FROM t");
  std::atomic<bool> done{false};
  std::atomic<int> commits{0};
  std::thread writer([&] {
    for (int i = 0; !done.load(); ++i) {
      auto lease = database_->Write();
      ASSERT_OK(lease);
      auto transaction = Transaction::Begin(**lease, TransactionMode::kWrite);
      ASSERT_OK(transaction);
      ASSERT_OK(
          (*lease)->Execute("UPDATE account SET amount = amount - 1 WHERE id = ?1", i % 2000 + 1));
      ASSERT_OK((*lease)->Execute("UPDATE account SET amount = amount + 1 WHERE id = ?1",
                                  (i * 7 + 3) % 2000 + 1));
      ASSERT_OK(transaction->Commit());
      ++commits;
    }
  });
  int seen = 0;
  ASSERT_OK(BackUp(*database_, target_,
                   {.pages_per_step = 16,
                    .pause = absl::Milliseconds(2),
                    .progress = [&](const BackupProgress& progress) {
                      if (progress.phase == BackupPhase::kCopying) seen = commits.load();
                    }}));
  done = true;
  writer.join();
  EXPECT_GT(seen, 0) << "nothing was written while it was copied";
  const auto copy = OpenOrDie({.path = target_, .access = Access::kImmutable});
  EXPECT_EQ(Int(*copy, "SELECT sum(amount) FROM account"), 200'000);
}

TEST_F(BackupTest, ProgressAdvancesToTheEnd) {
  std::vector<BackupProgress> seen;
  ASSERT_OK_AND_ASSIGN(const BackupResult result,
                       BackUp(*database_, target_,
                              {.pages_per_step = 50, .progress = [&](const BackupProgress& one) {
                                 seen.push_back(one);
                               }}));
  ASSERT_GE(seen.size(), 5u);
  std::int64_t last = -1;
  for (const BackupProgress& one : seen) {
    if (one.phase != BackupPhase::kCopying) continue;
    EXPECT_GT(one.copied_bytes, last);
    EXPECT_LE(one.copied_bytes, one.total_bytes);
    last = one.copied_bytes;
  }
  EXPECT_EQ(last, result.pages * result.page_size_bytes);
  EXPECT_EQ(seen[seen.size() - 2].phase, BackupPhase::kChecking);
  EXPECT_EQ(seen.back().phase, BackupPhase::kDone);
}

TEST_F(BackupTest, ThePauseLimitsTheRate) {
  const absl::Time start = absl::Now();
  int steps = 0;
  ASSERT_OK(BackUp(*database_, target_,
                   {.pages_per_step = 50,
                    .pause = absl::Milliseconds(10),
                    .progress = [&](const BackupProgress& one) {
                      if (one.phase == BackupPhase::kCopying) ++steps;
                    }}));
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(10) * (steps - 1));
}

TEST_F(BackupTest, AStopAndATimeoutLeaveNothing) {
  for (const BackupMethod method : {BackupMethod::kPages, BackupMethod::kVacuum}) {
    std::stop_source stop;
    stop.request_stop();
    EXPECT_THAT(BackUp(*database_, target_, {.method = method, .stop = stop.get_token()}),
                StatusIs(absl::StatusCode::kCancelled, HasSubstr("back up to ")));
    EXPECT_THAT(BackUp(*database_, target_, {.method = method, .timeout = absl::ZeroDuration()}),
                StatusIs(absl::StatusCode::kDeadlineExceeded));
    EXPECT_THAT(NamesIn(folder_), ElementsAre());
  }
}

TEST_F(BackupTest, AStopInTheMiddleEndsEvenALongPause) {
  std::stop_source stop;
  std::thread stopper;
  const absl::Time start = absl::Now();
  EXPECT_THAT(BackUp(*database_, target_,
                     {.pages_per_step = 10,
                      .pause = absl::Hours(1),
                      .progress =
                          [&](const BackupProgress&) {
                            stopper = std::thread([&] { stop.request_stop(); });
                          },
                      .stop = stop.get_token()}),
              StatusIs(absl::StatusCode::kCancelled));
  stopper.join();
  EXPECT_LT(absl::Now() - start, absl::Minutes(1));
  EXPECT_THAT(
      BackUp(*database_, target_,
             {.pages_per_step = 10, .pause = absl::Hours(1), .timeout = absl::Milliseconds(50)}),
      StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("not done after 50ms")));
  EXPECT_THAT(NamesIn(folder_), ElementsAre());
}

TEST_F(BackupTest, AStopEndsAStatementInTheMiddle) {
  // A function that the check has to call; the first call asks for the stop.
  std::stop_source stop;
  const std::string path = directory_.File("slow.db");
  ASSERT_OK_AND_ASSIGN(
      auto slow,
      Database::Open(
          {.path = path,
           .functions = {{.name = "passed",
                          .argument_count = 1,
                          .deterministic = true,
                          .call = [&](std::span<const ValueView>) -> absl::StatusOr<Value> {
                            return Value(ValueView::Integer(1));
                          }}}}));
  {
    ASSERT_OK_AND_ASSIGN(WriteLease writer, slow->Write());
    ASSERT_OK(writer->ExecuteScript(
        "CREATE TABLE t(a CHECK (passed(a)));"
        "WITH RECURSIVE n(v) AS (VALUES (1) UNION ALL SELECT v + 1 FROM n WHERE v < 20000)"
        "INSERT INTO t SELECT v FROM n"));
  }
  EXPECT_THAT(BackUp(*slow, target_,
                     {.progress =
                          [&](const BackupProgress& one) {
                            if (one.phase == BackupPhase::kChecking) stop.request_stop();
                          },
                      .stop = stop.get_token()}),
              StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT(NamesIn(folder_), ElementsAre());
  EXPECT_OK(BackUp(*slow, target_));
}

TEST_F(BackupTest, WhatIsThereIsNotTouched) {
  WriteFile(target_, "precious");
  EXPECT_THAT(BackUp(*database_, target_), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_EQ(ContentsOf(target_), "precious");
  EXPECT_THAT(BackUp(*database_, path_), StatusIs(absl::StatusCode::kAlreadyExists));
  const std::string link = folder_ + "/link";
  std::filesystem::create_symlink(folder_ + "/nowhere", link);
  EXPECT_THAT(BackUp(*database_, link), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(NamesIn(folder_), ElementsAre("b.db", "link"));
}

TEST_F(BackupTest, ANameThatIsTakenMeanwhileIsNotTouched) {
  EXPECT_THAT(BackUp(*database_, target_,
                     {.progress = [&](const BackupProgress&) { WriteFile(target_, "precious"); }}),
              StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_EQ(ContentsOf(target_), "precious");
  EXPECT_THAT(NamesIn(folder_), ElementsAre("b.db"));
}

TEST_F(BackupTest, ABadTargetIsRefused) {
  EXPECT_THAT(BackUp(*database_, folder_), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(BackUp(*database_, folder_ + "/"), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(BackUp(*database_, folder_ + "/no/b.db"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("folder")));
  EXPECT_THAT(BackUp(*database_, ""), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(BackUp(*database_, target_, {.pages_per_step = 0}),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(BackUp(*database_, target_, {.pause = -absl::Seconds(1)}),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(NamesIn(folder_), ElementsAre());
}

TEST_F(BackupTest, TwoToOneNameExcludeEachOther) {
  absl::Status second;
  ASSERT_OK(BackUp(*database_, target_, {.progress = [&](const BackupProgress& one) {
    if (one.phase != BackupPhase::kChecking) return;
    second = BackUp(*database_, target_).status();
  }}));
  EXPECT_THAT(second, StatusIs(absl::StatusCode::kUnavailable, HasSubstr("another backup")));
  EXPECT_EQ(Rows(target_), 2000);
}

TEST_F(BackupTest, ADamagedDatabaseGivesNoBackup) {
  ASSERT_OK(database_->Close(absl::Seconds(5)));
  database_.reset();
  std::string bytes = ContentsOf(path_);
  // The cells of pages in the middle, not the file's header.
  for (std::size_t page = 20; page < 40; ++page) bytes.replace(page * 4096 + 100, 500, 500, 'x');
  WriteFile(path_, bytes);
  ASSERT_OK_AND_ASSIGN(auto damaged, Database::Open({.path = path_}));
  for (const BackupMethod method : {BackupMethod::kPages, BackupMethod::kVacuum}) {
    EXPECT_THAT(BackUp(*damaged, target_, {.method = method}),
                StatusIs(absl::StatusCode::kDataLoss));
    EXPECT_THAT(NamesIn(folder_), ElementsAre());
  }
}

TEST_F(BackupTest, ViolatedForeignKeysAreSaidOrLetPass) {
  PlainDatabase(path_).Run("CREATE TABLE child(a REFERENCES t(id)); INSERT INTO child VALUES (-1)");
  EXPECT_THAT(BackUp(*database_, target_),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("child")));
  EXPECT_THAT(NamesIn(folder_), ElementsAre());
  EXPECT_OK(BackUp(*database_, target_, {.check_foreign_keys = false}));
}

// In a process of its own: what is changed there about limits and mounts ends with it. Returns its
// exit code.
int InAChild(const std::function<int()>& run) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(run());
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

constexpr int kSkipped = 77;

// 0: refused with kResourceExhausted or an I/O error, and nothing left.
int BackUpWithoutRoom(const std::string& source, const std::string& folder) {
  auto database = Database::Open({.path = source, .access = Access::kReadOnly});
  if (!database.ok()) return 2;
  for (const BackupMethod method : {BackupMethod::kPages, BackupMethod::kVacuum}) {
    const absl::Status status = BackUp(**database, folder + "/b.db", {.method = method}).status();
    const bool expected = absl::IsResourceExhausted(status) || absl::IsUnavailable(status);
    if (!expected) return 3;
    if (!NamesIn(folder).empty()) return 4;
  }
  return 0;
}

TEST_F(BackupTest, AFullDiskLeavesNothing) {
  ASSERT_OK(database_->Close(absl::Seconds(5)));
  database_.reset();
  const int code = InAChild([&] {
    if (::unshare(CLONE_NEWNS | (::geteuid() == 0 ? 0 : CLONE_NEWUSER)) != 0) return kSkipped;
    if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return kSkipped;
    if (::mount("tmpfs", folder_.c_str(), "tmpfs", 0, "size=256k") != 0) return kSkipped;
    return BackUpWithoutRoom(path_, folder_);
  });
  if (code == kSkipped) GTEST_SKIP() << "no file system may be mounted here";
  EXPECT_EQ(code, 0);
}

TEST_F(BackupTest, AFileSizeLimitLeavesNothing) {
  ASSERT_OK(database_->Close(absl::Seconds(5)));
  database_.reset();
  EXPECT_EQ(InAChild([&] {
              ::signal(SIGXFSZ, SIG_IGN);
              const rlimit limit{256 << 10, 256 << 10};
              if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
              return BackUpWithoutRoom(path_, folder_);
            }),
            0);
}

// Property: whenever the process is killed, the name holds nothing or the whole backup, and the next
// backup succeeds and leaves nothing else. The kill comes at each call of the progress callback in
// turn: in the copying, before the checks, and after everything.
class BackupCrashTest : public BackupTest {};

TEST_F(BackupCrashTest, KilledAtAnyStepItLeavesNothingOrAll) {
  ASSERT_OK(database_->Close(absl::Seconds(5)));
  database_.reset();
  int whole = 0;
  for (int step = 1; step <= 12; ++step) {
    const int code = InAChild([&] {
      auto database = Database::Open({.path = path_});
      if (!database.ok()) return 1;
      int calls = 0;
      (void)BackUp(**database, target_,
                   {.pages_per_step = 60, .progress = [&](const BackupProgress&) {
                      if (++calls == step) ::kill(::getpid(), SIGKILL);
                    }});
      return 0;
    });
    ASSERT_THAT(code, AnyOf(0, -SIGKILL));
    if (std::filesystem::exists(target_)) {
      ++whole;
      EXPECT_EQ(PlainDatabase(target_).Value("PRAGMA integrity_check"), "ok");
      EXPECT_EQ(Rows(target_), 2000);
      std::filesystem::remove(target_);
      std::filesystem::remove(target_ + ".sha256");
      continue;
    }
    ASSERT_EQ(code, -SIGKILL);
    ASSERT_OK_AND_ASSIGN(auto database, Database::Open({.path = path_}));
    ASSERT_OK(BackUp(*database, target_));
    EXPECT_THAT(NamesIn(folder_), ElementsAre("b.db", "b.db.sha256")) << "step " << step;
    std::filesystem::remove(target_);
    std::filesystem::remove(target_ + ".sha256");
  }
  EXPECT_GT(whole, 0) << "no kill came late enough";
  EXPECT_LT(whole, 12);
}

}  // namespace
}  // namespace vouch::storage
