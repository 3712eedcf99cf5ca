// Restoring: what is put in place is the backup or nothing, nobody has it open meanwhile, and no log
// of the old database is played into the new one.

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <functional>
#include <thread>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/sqlite/backup.h"
#include "storage/sqlite/database.h"
#include "tests/storage/sqlite/support.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace vouch::storage {
namespace {

using test::StatusIs;
using test::TemporaryDirectory;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;
using testing_support::ContentsOf;
using testing_support::Int;
using testing_support::NamesIn;
using testing_support::OpenOrDie;
using testing_support::PlainDatabase;
using testing_support::SizeOf;
using testing_support::Text;
using testing_support::WriteFile;

class RestoreTest : public ::testing::Test {
 protected:
  RestoreTest() {
    std::filesystem::create_directory(live_);
    EXPECT_OK(Make(source_, "backed up"));
    auto database = Database::Open({.path = source_});
    EXPECT_OK(database);
    EXPECT_OK(BackUp(**database, backup_));
  }

  static absl::Status Make(const std::string& path, const std::string& state) {
    VOUCH_ASSIGN_OR_RETURN(auto database, Database::Open({.path = path}));
    VOUCH_ASSIGN_OR_RETURN(WriteLease writer, database->Write());
    VOUCH_RETURN_IF_ERROR(writer->ExecuteScript(
        "CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, state TEXT, filler);"
        "WITH RECURSIVE n(v) AS (VALUES (1) UNION ALL SELECT v + 1 FROM n WHERE v < 500)"
        "INSERT INTO t(filler) SELECT randomblob(400) FROM n"));
    return writer->Execute("UPDATE t SET state = ?1", state);
  }
  // The state that whoever opens the database sees; every row must have the same.
  static std::string StateOf(const std::string& path) {
    auto database = Database::Open({.path = path});
    EXPECT_OK(database);
    auto reader = (*database)->Read();
    EXPECT_OK(reader);
    EXPECT_EQ(Text(**reader, "PRAGMA integrity_check"), "ok");
    EXPECT_EQ(Int(**reader, "SELECT count(DISTINCT state) FROM t"), 1);
    return Text(**reader, "SELECT state FROM t");
  }

  TemporaryDirectory directory_;
  const std::string source_ = directory_.File("source.db");
  const std::string backup_ = directory_.File("b.db");
  const std::string live_ = directory_.File("live");
  const std::string target_ = live_ + "/t.db";
};

int InAChild(const std::function<int()>& run) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(run());
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

// Whether another process sees a lock of ours on the bytes that SQLite locks.
bool IsLockedByAnother(const std::string& path) {
  return InAChild([&] {
           struct flock lock = {};
           lock.l_type = F_WRLCK;
           lock.l_whence = SEEK_SET;
           lock.l_start = 0x40000000 + 2;
           lock.l_len = 510;
           const int fd = ::open(path.c_str(), O_RDWR);
           return ::fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK ? 1 : 0;
         }) == 1;
}

// Another process that has done `prepare` and then does nothing until this is destroyed.
class IdleProcess {
 public:
  explicit IdleProcess(const std::function<bool()>& prepare) {
    int ready[2];
    EXPECT_EQ(::pipe(ready), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      const char done = prepare() ? 'y' : 'n';
      (void)!::write(ready[1], &done, 1);
      while (true) ::pause();
    }
    char done = 0;
    EXPECT_EQ(::read(ready[0], &done, 1), 1);
    EXPECT_EQ(done, 'y');
    ::close(ready[0]);
    ::close(ready[1]);
  }
  ~IdleProcess() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  IdleProcess(const IdleProcess&) = delete;
  IdleProcess& operator=(const IdleProcess&) = delete;

 private:
  pid_t pid_ = 0;
};

TEST_F(RestoreTest, ItTakesTheOldOnesPlace) {
  ASSERT_OK(Make(target_, "old"));
  ASSERT_OK_AND_ASSIGN(const RestoreResult result, Restore(backup_, target_));
  EXPECT_TRUE(result.replaced);
  EXPECT_TRUE(result.digest_compared);
  EXPECT_EQ(result.old_kept_as, "");
  EXPECT_EQ(SizeOf(target_), result.pages * result.page_size_bytes);
  EXPECT_THAT(NamesIn(live_), ElementsAre("t.db"));
  struct stat info;
  ASSERT_EQ(::stat(target_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, mode_t{0600});
  EXPECT_EQ(StateOf(target_), "backed up");
}

TEST_F(RestoreTest, WhereNothingWasItIsJustPutThere) {
  ASSERT_OK_AND_ASSIGN(const RestoreResult result, Restore(backup_, target_));
  EXPECT_FALSE(result.replaced);
  EXPECT_EQ(StateOf(target_), "backed up");
}

TEST_F(RestoreTest, TheOldOneIsKeptWithAllThatWasInItsLog) {
  // A process that dies leaves everything in the log.
  ASSERT_EQ(InAChild([&] {
              auto database = Database::Open({.path = target_});
              auto writer = (*database)->Write();
              const bool written =
                  (*writer)
                      ->ExecuteScript("CREATE TABLE t(state); INSERT INTO t VALUES ('in the log')")
                      .ok();
              ::_exit(written ? 0 : 1);
              return 0;
            }),
            0);
  ASSERT_GT(SizeOf(target_ + "-wal"), 0);
  const std::string kept = live_ + "/kept.db";
  ASSERT_OK_AND_ASSIGN(const RestoreResult result,
                       Restore(backup_, target_, {.keep_old_as = kept}));
  EXPECT_EQ(result.old_kept_as, kept);
  EXPECT_THAT(NamesIn(live_), UnorderedElementsAre("t.db", "kept.db"));
  EXPECT_EQ(PlainDatabase(kept).Value("SELECT state FROM t"), "in the log");
  EXPECT_EQ(StateOf(target_), "backed up");
}

TEST_F(RestoreTest, TheNameToKeepItAsMustBeFree) {
  ASSERT_OK(Make(target_, "old"));
  WriteFile(live_ + "/kept.db", "precious");
  EXPECT_THAT(Restore(backup_, target_, {.keep_old_as = live_ + "/kept.db"}),
              StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_EQ(ContentsOf(live_ + "/kept.db"), "precious");
  EXPECT_EQ(StateOf(target_), "old");
}

TEST_F(RestoreTest, ADatabaseThatThisProcessHasOpenIsRefused) {
  for (const JournalMode mode : {JournalMode::kWal, JournalMode::kDelete}) {
    {
      Profile profile;
      profile.journal_mode = mode;
      ASSERT_OK_AND_ASSIGN(auto database, Database::Open({.path = target_, .profile = profile}));
      EXPECT_THAT(
          Restore(backup_, target_, {.lock_timeout = absl::ZeroDuration()}),
          StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("is open in this process")));
      // Nor were its locks lost: closing any descriptor of the file would have dropped them.
      if (mode == JournalMode::kWal) {
        EXPECT_TRUE(IsLockedByAnother(target_));
      }
    }
    EXPECT_OK(Restore(backup_, target_, {.lock_timeout = absl::ZeroDuration()}));
    std::filesystem::remove(target_);
  }
}

// Not through vouch, so that only the locks tell.
TEST_F(RestoreTest, AConnectionOfSqliteItselfIsSeenToo) {
  ASSERT_OK(Make(target_, "old"));
  {
    PlainDatabase plain(target_);
    ASSERT_EQ(plain.Value("SELECT state FROM t"), "old");
    EXPECT_THAT(Restore(backup_, target_, {.lock_timeout = absl::ZeroDuration()}),
                StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("is open")));
    EXPECT_EQ(plain.Run("UPDATE t SET state = 'newer'"), SQLITE_OK);
  }
  EXPECT_EQ(StateOf(target_), "newer");
  EXPECT_OK(Restore(backup_, target_));
}

TEST_F(RestoreTest, ADatabaseThatAnotherProcessHasOpenIsRefused) {
  ASSERT_OK(Make(target_, "old"));
  {
    const IdleProcess other([&] {
      auto database = Database::Open({.path = target_});
      if (!database.ok()) return false;
      (void)database->release();
      return true;
    });
    EXPECT_THAT(Restore(backup_, target_, {.lock_timeout = absl::Milliseconds(50)}),
                StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("is open")));
    EXPECT_THAT(NamesIn(live_), UnorderedElementsAre("t.db", "t.db-wal", "t.db-shm"));
  }
  EXPECT_OK(Restore(backup_, target_));
  EXPECT_EQ(StateOf(target_), "backed up");
}

TEST_F(RestoreTest, ItWaitsForTheLastToClose) {
  ASSERT_OK(Make(target_, "old"));
  auto database = Database::Open({.path = target_});
  ASSERT_OK(database);
  std::thread closer([&] {
    absl::SleepFor(absl::Milliseconds(100));
    database->reset();
  });
  // Its first question is whether this process has it open at all, and that is refused at once.
  EXPECT_FALSE(Restore(backup_, target_, {.lock_timeout = absl::Seconds(20)}).ok());
  closer.join();
  auto plain = std::make_unique<PlainDatabase>(target_);
  plain->Value("SELECT 1 FROM t");
  std::thread second([&] {
    absl::SleepFor(absl::Milliseconds(100));
    plain.reset();
  });
  EXPECT_OK(Restore(backup_, target_, {.lock_timeout = absl::Seconds(20)}));
  second.join();
}

// Every byte counts, also those in the middle of a text, which SQLite's own check does not see.
TEST_F(RestoreTest, AChangedByteIsRefused) {
  ASSERT_OK(Make(target_, "old"));
  test::Random random;
  const std::string good = ContentsOf(backup_);
  for (int i = 0; i < 20; ++i) {
    std::string bad = good;
    const auto at = random.Uniform<std::size_t>(0, bad.size() - 1);
    bad[at] = static_cast<char>(bad[at] ^ (1 << random.Uniform(0, 7)));
    WriteFile(backup_, bad);
    ASSERT_THAT(Restore(backup_, target_), StatusIs(absl::StatusCode::kDataLoss)) << "byte " << at;
  }
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{100}, good.size() / 2, good.size() - 1}) {
    WriteFile(backup_, good.substr(0, size));
    ASSERT_THAT(Restore(backup_, target_), StatusIs(absl::StatusCode::kDataLoss)) << size;
  }
  EXPECT_THAT(NamesIn(live_), ElementsAre("t.db"));
  EXPECT_EQ(StateOf(target_), "old");
}

// Without a digest SQLite's check is what there is: it finds what is no longer a database.
TEST_F(RestoreTest, WithoutADigestTheStructureIsChecked) {
  std::filesystem::remove(backup_ + ".sha256");
  const std::string good = ContentsOf(backup_);
  ASSERT_OK_AND_ASSIGN(const RestoreResult result, Restore(backup_, target_));
  EXPECT_FALSE(result.digest_compared);
  std::filesystem::remove(target_);

  std::string torn = good;
  torn.replace(5 * 4096, 4096, 4096, '\0');
  for (const std::string& bad :
       {std::string(), std::string("no database"), good.substr(0, good.size() - 4096),
        good.substr(0, good.size() - 1), good + std::string(4096, 'x'), torn}) {
    WriteFile(backup_, bad);
    EXPECT_THAT(Restore(backup_, target_), StatusIs(absl::StatusCode::kDataLoss)) << bad.size();
    EXPECT_THAT(NamesIn(live_), ElementsAre());
  }
}

TEST_F(RestoreTest, TheCallersDigestGoesBeforeTheNote) {
  Digest digest = Sha256::Of(ContentsOf(backup_));
  WriteFile(backup_ + ".sha256", "not a digest");
  EXPECT_THAT(Restore(backup_, target_), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_OK(Restore(backup_, target_, {.digest = digest}));
  digest[0] ^= 1;
  EXPECT_THAT(Restore(backup_, target_, {.digest = digest}),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr(HexOf(digest))));
}

TEST_F(RestoreTest, WhatIsNoBackupIsRefused) {
  const auto kRefused = absl::StatusCode::kFailedPrecondition;
  EXPECT_THAT(Restore(directory_.File("no.db"), target_), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Restore(live_, target_), StatusIs(kRefused, HasSubstr("not a regular file")));
  EXPECT_THAT(Restore(backup_, backup_), StatusIs(kRefused, HasSubstr("the backup itself")));
  {
    ASSERT_OK_AND_ASSIGN(auto database, Database::Open({.path = source_}));
    EXPECT_THAT(Restore(source_, target_), StatusIs(kRefused, HasSubstr("open in this process")));
  }
  WriteFile(backup_ + "-wal", "something");
  EXPECT_THAT(Restore(backup_, target_), StatusIs(kRefused, HasSubstr("log beside it")));
  EXPECT_THAT(NamesIn(live_), ElementsAre());
}

TEST_F(RestoreTest, ABadTargetIsRefused) {
  const auto kRefused = absl::StatusCode::kFailedPrecondition;
  EXPECT_THAT(Restore(backup_, live_), StatusIs(kRefused, HasSubstr("is a folder")));
  EXPECT_THAT(Restore(backup_, live_ + "/no/t.db"), StatusIs(absl::StatusCode::kNotFound));
  std::filesystem::create_symlink(source_, target_);
  EXPECT_THAT(Restore(backup_, target_), StatusIs(kRefused));
  std::filesystem::remove(target_);
  WriteFile(target_ + "-wal", "somebody's");
  EXPECT_THAT(Restore(backup_, target_), StatusIs(kRefused, HasSubstr("without its database")));
  EXPECT_THAT(NamesIn(live_), ElementsAre("t.db-wal"));
}

// A database that cannot be read is what one restores for. It and its log are not thrown away.
TEST_F(RestoreTest, ADamagedDatabaseIsReplacedAndKept) {
  WriteFile(target_, std::string(8192, 'x'));
  WriteFile(target_ + "-wal", "its log");
  WriteFile(target_ + "-shm", "its index");
  ASSERT_OK_AND_ASSIGN(const RestoreResult result, Restore(backup_, target_));
  EXPECT_EQ(result.old_kept_as, target_ + ".damaged");
  EXPECT_THAT(NamesIn(live_), UnorderedElementsAre("t.db", "t.db.damaged", "t.db.damaged-wal"));
  EXPECT_EQ(ContentsOf(target_ + ".damaged"), std::string(8192, 'x'));
  EXPECT_EQ(ContentsOf(target_ + ".damaged-wal"), "its log");
  EXPECT_EQ(StateOf(target_), "backed up");
}

TEST_F(RestoreTest, ADamagedDatabaseThatIsLockedIsRefused) {
  WriteFile(target_, std::string(8192, 'x'));
  const IdleProcess other([&] {
    // SQLite's shared lock, as another would hold it.
    const int fd = ::open(target_.c_str(), O_RDWR);
    struct flock lock = {};
    lock.l_type = F_RDLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = 0x40000000 + 2;
    lock.l_len = 510;
    return ::fcntl(fd, F_SETLK, &lock) == 0;
  });
  EXPECT_THAT(Restore(backup_, target_, {.lock_timeout = absl::Milliseconds(30)}),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("is open")));
  EXPECT_THAT(NamesIn(live_), ElementsAre("t.db"));
}

TEST_F(RestoreTest, AStopAndATimeoutChangeNothing) {
  ASSERT_OK(Make(target_, "old"));
  std::stop_source stop;
  EXPECT_THAT(Restore(backup_, target_,
                      {.progress = [&](const BackupProgress&) { stop.request_stop(); },
                       .stop = stop.get_token()}),
              StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT(Restore(backup_, target_, {.timeout = absl::ZeroDuration()}),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_THAT(NamesIn(live_), ElementsAre("t.db"));
  EXPECT_EQ(StateOf(target_), "old");
}

TEST_F(RestoreTest, ASchemaWithOwnFunctionsIsCheckedWithThem) {
  const SqlFunction half{.name = "half",
                         .argument_count = 1,
                         .deterministic = true,
                         .call = [](std::span<const ValueView> arguments) -> absl::StatusOr<Value> {
                           return Value(ValueView::Integer(arguments[0].integer() / 2));
                         }};
  const std::string backup = directory_.File("f.db");
  {
    ASSERT_OK_AND_ASSIGN(auto database,
                         Database::Open({.path = directory_.File("own.db"), .functions = {half}}));
    {
      ASSERT_OK_AND_ASSIGN(WriteLease writer, database->Write());
      ASSERT_OK(
          writer->ExecuteScript("CREATE TABLE t(a); CREATE INDEX i ON t(half(a));"
                                "INSERT INTO t VALUES (4), (6)"));
    }
    ASSERT_OK(BackUp(*database, backup));
  }
  EXPECT_THAT(Restore(backup, target_), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("half")));
  EXPECT_OK(Restore(backup, target_, {.functions = {half}}));
}

// Property: whenever the process is killed, the target is the old database or the new one, whole,
// and the next restore succeeds and leaves nothing else. Killed at each call of the progress
// callback, and at moments in between that a timer picks.
class RestoreCrashTest : public RestoreTest {};

TEST_F(RestoreCrashTest, KilledAtAnyMomentOneOfTheTwoIsThere) {
  test::Random random;
  for (int round = 0; round < 25; ++round) {
    std::filesystem::remove_all(live_);
    std::filesystem::create_directory(live_);
    ASSERT_OK(Make(target_, "old"));
    const int step = round < 4 ? round : 0;
    const auto delay = absl::Microseconds(random.Uniform(0, 15'000));
    const pid_t pid = ::fork();
    if (pid == 0) {
      int calls = 0;
      (void)Restore(backup_, target_, {.progress = [&](const BackupProgress&) {
                      if (++calls == step) ::kill(::getpid(), SIGKILL);
                    }});
      ::_exit(0);
    }
    if (step == 0) {
      absl::SleepFor(delay);
      ::kill(pid, SIGKILL);
    }
    ::waitpid(pid, nullptr, 0);
    ASSERT_THAT(StateOf(target_), AnyOf("old", "backed up"));
    ASSERT_OK(Restore(backup_, target_));
    ASSERT_EQ(StateOf(target_), "backed up");
    ASSERT_THAT(NamesIn(live_), ElementsAre("t.db"));
  }
}

}  // namespace
}  // namespace vouch::storage
