// Every connection has the profile, and a setting that did not take is an error.

#include "storage/sqlite/profile.h"

#include <atomic>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "pool/pool.h"
#include "tests/storage/sqlite/support.h"
#include "tests/support/fault_vfs.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace vouch::storage {
namespace {

using test::StatusIs;
using test::TemporaryDirectory;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing_support::ConnectionPtr;
using testing_support::Int;
using testing_support::OpenOrDie;
using testing_support::PlainDatabase;
using testing_support::Text;

// As the PRAGMAs tell them.
struct Settings {
  std::string journal_mode;
  std::int64_t synchronous, foreign_keys, cache_size, temp_store, mmap_size, auto_vacuum;
  std::int64_t journal_size_limit = 67'108'864;

  friend bool operator==(const Settings&, const Settings&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Settings& s) {
    return out << s.journal_mode << " synchronous " << s.synchronous << " foreign_keys "
               << s.foreign_keys << " cache_size " << s.cache_size << " temp_store " << s.temp_store
               << " mmap_size " << s.mmap_size << " auto_vacuum " << s.auto_vacuum
               << " journal_size_limit " << s.journal_size_limit;
  }
};

Settings SettingsOf(Connection& connection) {
  return {.journal_mode = Text(connection, "PRAGMA journal_mode"),
          .synchronous = Int(connection, "PRAGMA synchronous"),
          .foreign_keys = Int(connection, "PRAGMA foreign_keys"),
          .cache_size = Int(connection, "PRAGMA cache_size"),
          .temp_store = Int(connection, "PRAGMA temp_store"),
          .mmap_size = Int(connection, "PRAGMA mmap_size"),
          .auto_vacuum = Int(connection, "PRAGMA auto_vacuum"),
          .journal_size_limit = Int(connection, "PRAGMA journal_size_limit")};
}

const Settings kBalanced = {.journal_mode = "wal",
                            .synchronous = 2,
                            .foreign_keys = 1,
                            .cache_size = -64000,
                            .temp_store = 2,
                            .mmap_size = 268'435'456,
                            .auto_vacuum = 2};

const Settings kMinimal = {.journal_mode = "wal",
                           .synchronous = 1,
                           .foreign_keys = 1,
                           .cache_size = -2000,
                           .temp_store = 0,
                           .mmap_size = 0,
                           .auto_vacuum = 0};

const Settings kSqliteDefault = {.journal_mode = "delete",
                                 .synchronous = 2,
                                 .foreign_keys = 1,
                                 .cache_size = -2000,
                                 .temp_store = 0,
                                 .mmap_size = 0,
                                 .auto_vacuum = 0,
                                 .journal_size_limit = -1};

class ProfileTest : public ::testing::Test {
 protected:
  TemporaryDirectory directory_;
  const std::string path_ = directory_.File("t.db");
};

TEST_F(ProfileTest, TheDefaultIsBalanced) {
  EXPECT_EQ(SettingsOf(*OpenOrDie({.path = path_})), kBalanced);
}

TEST_F(ProfileTest, EveryConnectionHasItUnderEveryPolicy) {
  const ConnectionPtr first = OpenOrDie({.path = path_});
  for (const Policy policy : {Policy::kUnrestricted, Policy::kWriter, Policy::kUnit}) {
    EXPECT_EQ(SettingsOf(*OpenOrDie({.path = path_, .policy = policy})), kBalanced);
  }
  EXPECT_EQ(SettingsOf(*OpenOrDie(
                {.path = path_, .access = Access::kReadOnly, .policy = Policy::kReader})),
            kBalanced);
}

TEST_F(ProfileTest, AReplacementHasItToo) {
  pool::PoolOptions options;
  options.name = "test";
  options.min = 0;
  options.max = 1;
  ASSERT_OK_AND_ASSIGN(auto pool, pool::Pool<SqliteConnection>::Create(options, [&] {
                         return SqliteConnection::Open({.path = path_});
                       }));
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
    EXPECT_EQ(SettingsOf(*lease), kBalanced);
    ASSERT_OK(lease->Execute("PRAGMA synchronous = OFF"));
    ASSERT_OK(lease->Execute("PRAGMA foreign_keys = OFF"));
    lease.MarkBroken();
  }
}

TEST_F(ProfileTest, TheOtherPresets) {
  EXPECT_EQ(SettingsOf(*OpenOrDie({.path = path_, .profile = Profile::Minimal()})), kMinimal);
  const std::string other = directory_.File("other");
  EXPECT_EQ(SettingsOf(*OpenOrDie({.path = other, .profile = Profile::SqliteDefault()})),
            kSqliteDefault);
}

// On the same file one after another: a profile does not lean on what the file has.
TEST_F(ProfileTest, AProfileTakesAnOldFileOver) {
  const auto settings = [&](const Profile& profile) {
    return SettingsOf(*OpenOrDie({.path = path_, .profile = profile}));
  };
  EXPECT_EQ(settings(Profile::Minimal()), kMinimal);
  EXPECT_EQ(settings(Profile::SqliteDefault()), kSqliteDefault);
  EXPECT_EQ(settings(Profile::Minimal()), kMinimal);
  Settings expected = kBalanced;
  expected.auto_vacuum = 0;  // The file's.
  EXPECT_EQ(settings(Profile::Balanced()), expected);
}

TEST_F(ProfileTest, LeavingWalWaitsForOthersAndThenFails) {
  const ConnectionPtr first = OpenOrDie({.path = path_});
  ASSERT_OK(first->Execute("CREATE TABLE t(a)"));
  EXPECT_THAT(SqliteConnection::Open({.path = path_,
                                      .profile = Profile::SqliteDefault(),
                                      .busy_timeout = absl::Milliseconds(10)}),
              StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(Text(*first, "PRAGMA journal_mode"), "wal");
}

// The presets against a plain connection: were one of SQLite's defaults to change, or be another on
// this system, the preset would no longer be what its name says.
TEST_F(ProfileTest, SqliteDefaultIsWhatSqliteDoes) {
  PlainDatabase plain(path_);
  ASSERT_EQ(plain.Run("CREATE TABLE t(a)"), SQLITE_OK);
  EXPECT_EQ(plain.Value("PRAGMA journal_mode"), "delete");
  EXPECT_EQ(plain.Value("PRAGMA synchronous"), "2");
  EXPECT_EQ(plain.Value("PRAGMA cache_size"), "-2000");
  EXPECT_EQ(plain.Value("PRAGMA temp_store"), "0");
  EXPECT_EQ(plain.Value("PRAGMA mmap_size"), "0");
  EXPECT_EQ(plain.Value("PRAGMA auto_vacuum"), "0");
  EXPECT_EQ(plain.Value("PRAGMA journal_size_limit"), "-1");
}

TEST_F(ProfileTest, AFileSystemWithoutSharedMemoryIsNamed) {
  test::FaultVfs vfs;
  vfs.HideSharedMemory();
  const auto kRefused = absl::StatusCode::kFailedPrecondition;
  EXPECT_THAT(SqliteConnection::Open({.path = path_}),
              StatusIs(kRefused, AllOf(HasSubstr("journal_mode is delete, not wal"),
                                       HasSubstr("network file systems"))));
  EXPECT_OK(SqliteConnection::Open({.path = path_, .profile = Profile::SqliteDefault()}));
}

TEST_F(ProfileTest, AWalFileMovedToAFileSystemWithoutSharedMemory) {
  ASSERT_OK(OpenOrDie({.path = path_})->Execute("CREATE TABLE t(a)"));
  test::FaultVfs vfs;
  vfs.HideSharedMemory();
  for (const Access access : {Access::kReadWrite, Access::kReadOnly}) {
    EXPECT_THAT(SqliteConnection::Open({.path = path_, .access = access}),
                StatusIs(absl::StatusCode::kFailedPrecondition,
                         AllOf(HasSubstr("open " + path_), HasSubstr("network file systems"))));
  }
}

TEST_F(ProfileTest, EachSettingIsTheProfiles) {
  Profile profile;
  profile.journal_mode = JournalMode::kDelete;
  profile.synchronous = Synchronous::kExtra;
  profile.foreign_keys = false;
  profile.cache_size = 123;
  profile.temp_store = TempStore::kFile;
  profile.mmap_size_bytes = 0;
  profile.auto_vacuum = AutoVacuum::kFull;
  profile.journal_size_limit_bytes = 4096;
  const Settings expected = {.journal_mode = "delete",
                             .synchronous = 3,
                             .foreign_keys = 0,
                             .cache_size = 123,
                             .temp_store = 1,
                             .mmap_size = 0,
                             .auto_vacuum = 1,
                             .journal_size_limit = 4096};
  EXPECT_EQ(SettingsOf(*OpenOrDie({.path = path_, .profile = profile})), expected);
}

TEST_F(ProfileTest, SynchronousNormalAndFull) {
  for (const Synchronous synchronous : {Synchronous::kNormal, Synchronous::kFull}) {
    Profile profile = Profile::Balanced();
    profile.synchronous = synchronous;
    const ConnectionPtr connection = OpenOrDie({.path = path_, .profile = profile});
    EXPECT_EQ(Int(*connection, "PRAGMA synchronous"), static_cast<int>(synchronous));
  }
}

TEST_F(ProfileTest, ASettingThatDidNotTakeIsAnError) {
  Profile profile = Profile::Balanced();
  profile.mmap_size_bytes = std::int64_t{1} << 60;  // More than SQLite is compiled for.
  EXPECT_THAT(SqliteConnection::Open({.path = path_, .profile = profile}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("open "), HasSubstr("mmap_size"),
                             HasSubstr(std::to_string(profile.mmap_size_bytes)))));
}

// Freed pages go back to the file system, which auto_vacuum must be chosen for before anything is
// written.
TEST_F(ProfileTest, FreedPagesCanBeGivenBack) {
  const ConnectionPtr connection = OpenOrDie({.path = path_});
  ASSERT_OK(connection->ExecuteScript(R"(
    CREATE TABLE t(a);
    WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 500)
      INSERT INTO t SELECT randomblob(4000) FROM n;
    DELETE FROM t;)"));
  const std::int64_t pages = Int(*connection, "PRAGMA page_count");
  ASSERT_GT(pages, 450);
  ASSERT_OK(connection->Execute("PRAGMA incremental_vacuum"));
  EXPECT_LT(Int(*connection, "PRAGMA page_count"), 10);
  EXPECT_EQ(Int(*connection, "PRAGMA freelist_count"), 0);
}

TEST_F(ProfileTest, WithoutAutoVacuumNothingIsGivenBack) {
  Profile profile = Profile::Balanced();
  profile.auto_vacuum = AutoVacuum::kNone;
  const ConnectionPtr connection = OpenOrDie({.path = path_, .profile = profile});
  ASSERT_OK(connection->ExecuteScript(R"(
    CREATE TABLE t(a); INSERT INTO t VALUES (zeroblob(400000)); DELETE FROM t;)"));
  ASSERT_OK(connection->Execute("PRAGMA incremental_vacuum"));
  EXPECT_GT(Int(*connection, "PRAGMA page_count"), 90);
}

TEST_F(ProfileTest, AnExistingFileKeepsItsAutoVacuum) {
  PlainDatabase(path_).Run("CREATE TABLE t(a)");
  const ConnectionPtr connection = OpenOrDie({.path = path_});
  Settings expected = kBalanced;
  expected.auto_vacuum = 0;
  EXPECT_EQ(SettingsOf(*connection), expected);
}

TEST_F(ProfileTest, AnExistingFileIsTakenToWal) {
  { PlainDatabase(path_).Run("CREATE TABLE t(a)"); }
  EXPECT_EQ(PlainDatabase(path_).Value("PRAGMA journal_mode"), "delete");
  { const ConnectionPtr connection = OpenOrDie({.path = path_}); }
  EXPECT_EQ(PlainDatabase(path_).Value("PRAGMA journal_mode"), "wal");
}

TEST_F(ProfileTest, InMemoryTheLinesThatApplyApply) {
  const ConnectionPtr connection = OpenOrDie({.path = SqliteConnection::InMemoryPath()});
  EXPECT_EQ(Int(*connection, "PRAGMA foreign_keys"), 1);
  EXPECT_EQ(Int(*connection, "PRAGMA cache_size"), -64000);
  EXPECT_EQ(Int(*connection, "PRAGMA synchronous"), 2);
  EXPECT_EQ(Int(*connection, "PRAGMA temp_store"), 2);
  EXPECT_EQ(Int(*connection, "PRAGMA auto_vacuum"), 2);
}

TEST_F(ProfileTest, EnteringWalWaitsForAnotherUserOfTheFile) {
  PlainDatabase other(path_);
  ASSERT_EQ(other.Run("CREATE TABLE t(a); BEGIN; SELECT * FROM t; INSERT INTO t VALUES (1)"),
            SQLITE_OK);
  EXPECT_THAT(SqliteConnection::Open({.path = path_, .busy_timeout = absl::Milliseconds(10)}),
              StatusIs(absl::StatusCode::kUnavailable));
  std::atomic<bool> opening{false};
  std::thread opener([&] {
    opening = true;
    EXPECT_OK(SqliteConnection::Open({.path = path_, .busy_timeout = absl::InfiniteDuration()}));
  });
  while (!opening) std::this_thread::yield();
  // The one who is opening looks at the file now and then, and without a log COMMIT needs it alone.
  while (other.Run("COMMIT") == SQLITE_BUSY) std::this_thread::yield();
  opener.join();
}

TEST_F(ProfileTest, ManyMayOpenANewFileAtOnce) {
  for (int round = 0; round < 10; ++round) {
    const std::string path = directory_.File("round" + std::to_string(round));
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        const auto connection = SqliteConnection::Open({.path = path});
        ASSERT_OK(connection);
        EXPECT_EQ(SettingsOf(**connection), kBalanced);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
}

}  // namespace
}  // namespace vouch::storage
