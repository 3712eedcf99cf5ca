#include "storage/sqlite/file.h"

#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/storage/sqlite/support.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace vouch::storage {
namespace {

using test::StatusIs;
using test::TemporaryDirectory;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing_support::ConnectionPtr;
using testing_support::Int;
using testing_support::NamesIn;
using testing_support::OpenOrDie;
using testing_support::PlainDatabase;
using testing_support::WriteFile;

mode_t ModeOf(const std::string& path) {
  struct stat info = {};
  EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777;
}

class ScopedUmask {
 public:
  explicit ScopedUmask(mode_t mask) : before_(umask(mask)) {}
  ~ScopedUmask() { umask(before_); }
  ScopedUmask(const ScopedUmask&) = delete;
  ScopedUmask& operator=(const ScopedUmask&) = delete;

 private:
  const mode_t before_;
};

class ScopedFolder {
 public:
  explicit ScopedFolder(const std::filesystem::path& path) { std::filesystem::current_path(path); }
  ~ScopedFolder() { std::filesystem::current_path(before_); }
  ScopedFolder(const ScopedFolder&) = delete;
  ScopedFolder& operator=(const ScopedFolder&) = delete;

 private:
  const std::filesystem::path before_ = std::filesystem::current_path();
};

class FileTest : public ::testing::Test {
 protected:
  TemporaryDirectory directory_;
};

TEST_F(FileTest, ANewFileIsItsOwnersUnderAnyUmask) {
  for (const mode_t mask : {0000U, 0022U, 0077U, 0277U, 0777U}) {
    const std::string path = directory_.File("mask" + std::to_string(mask));
    {
      const ScopedUmask scoped(mask);
      ASSERT_OK_AND_ASSIGN(const DatabaseFile file, PrepareDatabaseFile(path, true));
      EXPECT_TRUE(file.empty);
    }
    EXPECT_EQ(ModeOf(path), mode_t{0600}) << "umask " << std::oct << mask;
  }
}

// SQLite gives the log the database's mode; by itself it would have made 0644 of all three.
TEST_F(FileTest, TheLogIsItsOwnersToo) {
  const ScopedUmask scoped(0022);
  const std::string path = directory_.File("t.db");
  const ConnectionPtr connection = OpenOrDie({.path = path});
  ASSERT_OK(connection->Execute("CREATE TABLE t(a)"));
  EXPECT_EQ(ModeOf(path + "-wal"), mode_t{0600});
  EXPECT_EQ(ModeOf(path + "-shm"), mode_t{0600});
  const std::string plain = directory_.File("plain.db");
  PlainDatabase(plain).Run("CREATE TABLE t(a)");
  EXPECT_EQ(ModeOf(plain), mode_t{0644});
}

TEST_F(FileTest, AnExistingFileKeepsItsModeAndContent) {
  const std::string path = directory_.File("t.db");
  WriteFile(path, "content");
  ASSERT_EQ(::chmod(path.c_str(), 0640), 0);
  ASSERT_OK_AND_ASSIGN(const DatabaseFile file, PrepareDatabaseFile(path, true));
  EXPECT_FALSE(file.empty);
  EXPECT_EQ(ModeOf(path), mode_t{0640});
  EXPECT_EQ(testing_support::ContentsOf(path), "content");
}

TEST_F(FileTest, AMissingFileIsMadeOnlyWhenAsked) {
  const std::string path = directory_.File("t.db");
  EXPECT_THAT(PrepareDatabaseFile(path, false), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_OK(PrepareDatabaseFile(path, true));
  EXPECT_OK(PrepareDatabaseFile(path, false));
}

TEST_F(FileTest, WhatIsNotAFileIsRefused) {
  const auto kRefused = absl::StatusCode::kFailedPrecondition;
  const std::string folder = directory_.path().string();
  EXPECT_THAT(PrepareDatabaseFile(folder, true), StatusIs(kRefused));
  EXPECT_THAT(PrepareDatabaseFile(folder + "/", true), StatusIs(kRefused, HasSubstr("folder")));
  EXPECT_THAT(PrepareDatabaseFile(folder + "/.", true), StatusIs(kRefused));
  EXPECT_THAT(PrepareDatabaseFile(folder + "/..", true), StatusIs(kRefused));
  EXPECT_THAT(PrepareDatabaseFile("/", true), StatusIs(kRefused));
  EXPECT_THAT(PrepareDatabaseFile("/dev/null", true), StatusIs(kRefused));
  const std::string fifo = directory_.File("fifo");
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_THAT(PrepareDatabaseFile(fifo, true), StatusIs(kRefused));  // And does not hang.
}

TEST_F(FileTest, WhatIsNotAPathIsRefused) {
  const auto kBad = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(PrepareDatabaseFile("", true), StatusIs(kBad));
  EXPECT_THAT(PrepareDatabaseFile(directory_.File(std::string("a\0b", 3)), true), StatusIs(kBad));
  EXPECT_THAT(NamesIn(directory_.path()), ElementsAre());
}

TEST_F(FileTest, AMissingFolderIsNotFound) {
  EXPECT_THAT(PrepareDatabaseFile(directory_.File("no/t.db"), true),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("folder")));
  WriteFile(directory_.File("file"), "");
  EXPECT_THAT(PrepareDatabaseFile(directory_.File("file/t.db"), true),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(FileTest, ALinkInTheLastPlaceIsRefused) {
  const std::string target = directory_.File("target");
  const std::string link = directory_.File("link");
  std::filesystem::create_symlink(target, link);
  EXPECT_THAT(PrepareDatabaseFile(link, true),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("symbolic link")));
  EXPECT_FALSE(std::filesystem::exists(target)) << "a dangling link was followed";
  WriteFile(target, "");
  EXPECT_THAT(PrepareDatabaseFile(link, true), StatusIs(absl::StatusCode::kFailedPrecondition));
}

// SQLite's default VFS with something in between: `action` is called once, by the first call of the
// kind. A file is looked at by lstat() before SQLite opens it; here somebody is quicker.
class Intruder {
 public:
  enum Moment { kPathResolved, kOpened };

  Intruder(Moment moment, std::function<void()> action)
      : base_(sqlite3_vfs_find(nullptr)), moment_(moment), action_(std::move(action)) {
    self_ = this;
    vfs_ = *base_;
    vfs_.zName = "intruder";
    vfs_.xFullPathname = [](sqlite3_vfs*, const char* name, int size, char* out) {
      self_->Act(kPathResolved);
      return self_->base_->xFullPathname(self_->base_, name, size, out);
    };
    vfs_.xOpen = [](sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out) {
      self_->Act(kOpened);
      return self_->base_->xOpen(self_->base_, name, file, flags, out);
    };
    sqlite3_vfs_register(&vfs_, /*makeDflt=*/1);
  }
  ~Intruder() {
    sqlite3_vfs_unregister(&vfs_);
    sqlite3_vfs_register(base_, /*makeDflt=*/1);
  }
  Intruder(const Intruder&) = delete;
  Intruder& operator=(const Intruder&) = delete;

  bool acted() const { return acted_; }

 private:
  void Act(Moment moment) {
    if (moment == moment_ && !std::exchange(acted_, true)) action_();
  }

  static inline Intruder* self_ = nullptr;
  sqlite3_vfs* const base_;
  const Moment moment_;
  const std::function<void()> action_;
  sqlite3_vfs vfs_;
  bool acted_ = false;
};

TEST_F(FileTest, ALinkThatComesBetweenLookingAndOpeningIsNotFollowed) {
  const std::string path = directory_.File("app.db");
  const std::string secret = directory_.File("secret.db");
  ASSERT_OK(OpenOrDie({.path = secret})->ExecuteScript("CREATE TABLE secret(x)"));
  for (const Intruder::Moment moment : {Intruder::kPathResolved, Intruder::kOpened}) {
    for (const Access access :
         {Access::kCreate, Access::kReadWrite, Access::kReadOnly, Access::kImmutable}) {
      std::filesystem::remove(path);
      ASSERT_OK(OpenOrDie({.path = path})->ExecuteScript("CREATE TABLE mine(x)"));
      Intruder intruder(moment, [&] {
        std::filesystem::remove(path);
        std::filesystem::create_symlink(secret, path);
      });
      const auto connection = SqliteConnection::Open({.path = path, .access = access});
      ASSERT_TRUE(intruder.acted());
      EXPECT_FALSE(connection.ok())
          << "moment " << moment << ", access " << static_cast<int>(access) << ": followed";
    }
  }
}

TEST_F(FileTest, ALinkedFolderIsResolved) {
  std::filesystem::create_directory(directory_.File("real"));
  std::filesystem::create_directory_symlink(directory_.File("real"), directory_.File("link"));
  ASSERT_OK_AND_ASSIGN(const DatabaseFile file,
                       PrepareDatabaseFile(directory_.File("link/t.db"), true));
  EXPECT_EQ(file.path, directory_.File("real/t.db"));
}

TEST_F(FileTest, ARelativePathIsMadeAbsolute) {
  const ScopedFolder here(directory_.path());
  std::filesystem::create_directory("sub");
  const auto path_of = [](const std::string& path) {
    const auto file = PrepareDatabaseFile(path, true);
    EXPECT_OK(file);
    return file->path;
  };
  EXPECT_EQ(path_of("t.db"), directory_.File("t.db"));
  EXPECT_EQ(path_of("./t.db"), directory_.File("t.db"));
  EXPECT_EQ(path_of("sub/../sub//t.db"), directory_.File("sub/t.db"));
}

TEST_F(FileTest, AFolderWhereEverybodyMayReplaceFilesIsRefused) {
  const std::string folder = directory_.File("open");
  std::filesystem::create_directory(folder);
  ASSERT_EQ(::chmod(folder.c_str(), 0777), 0);
  EXPECT_THAT(PrepareDatabaseFile(folder + "/t.db", true),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("sticky")));
  EXPECT_THAT(NamesIn(folder), ElementsAre());
  ASSERT_EQ(::chmod(folder.c_str(), 01777), 0);
  EXPECT_OK(PrepareDatabaseFile(folder + "/t.db", true));
  ASSERT_EQ(::chmod(folder.c_str(), 0770), 0);
  EXPECT_OK(PrepareDatabaseFile(folder + "/t.db", true));
}

// Names that SQLite, on distributions that enable URIs, reads as something else.
TEST_F(FileTest, ANameIsAName) {
  const ScopedFolder here(directory_.path());
  for (const char* name : {"file:x?mode=memory", ":memory:", "a%41.db", "q?x=1", "h#1", "sp ace",
                           "Zoë", "vouch-memory-0?vfs=memdb"}) {
    {
      const ConnectionPtr connection = OpenOrDie({.path = name});
      ASSERT_OK(connection->Execute("CREATE TABLE t(a)"));
      ASSERT_OK(connection->Execute("INSERT INTO t VALUES (7)"));
    }
    EXPECT_THAT(NamesIn(directory_.path()), Contains(name));
    {
      const ConnectionPtr connection = OpenOrDie({.path = name, .access = Access::kReadOnly});
      EXPECT_EQ(Int(*connection, "SELECT a FROM t"), 7) << name;
    }
    const ConnectionPtr immutable = OpenOrDie({.path = name, .access = Access::kImmutable});
    EXPECT_EQ(Int(*immutable, "SELECT a FROM t"), 7) << name;
  }
}

TEST_F(FileTest, AnImmutableUriQuotesWhatAUriWouldRead) {
  EXPECT_EQ(ImmutableUri("/a/b.db"), "file:/a/b.db?immutable=1");
  EXPECT_EQ(ImmutableUri("/a%20?b#c d\xff"), "file:/a%2520%3fb%23c d\xff?immutable=1");
}

TEST_F(FileTest, TheStateTellsWhetherAnybodyTouchedTheDatabase) {
  const std::string path = directory_.File("t.db");
  EXPECT_THAT(StateOfDatabaseFile(path), StatusIs(absl::StatusCode::kNotFound));
  {
    const ConnectionPtr connection = OpenOrDie({.path = path});
    ASSERT_OK(connection->Execute("CREATE TABLE t(a)"));
    ASSERT_OK_AND_ASSIGN(const FileState open, StateOfDatabaseFile(path));
    EXPECT_TRUE(open.has_log);
  }
  ASSERT_OK_AND_ASSIGN(const FileState closed, StateOfDatabaseFile(path));
  EXPECT_FALSE(closed.has_log);
  EXPECT_EQ(closed.size, testing_support::SizeOf(path));
  ASSERT_OK_AND_ASSIGN(const FileState again, StateOfDatabaseFile(path));
  EXPECT_EQ(closed, again);
  {
    const ConnectionPtr connection = OpenOrDie({.path = path});
    ASSERT_OK(connection->Execute("INSERT INTO t VALUES (1)"));
  }
  ASSERT_OK_AND_ASSIGN(const FileState changed, StateOfDatabaseFile(path));
  EXPECT_FALSE(closed == changed);
}

TEST_F(FileTest, ARollbackJournalIsALogAndAnEmptyOneIsNot) {
  const std::string path = directory_.File("t.db");
  WriteFile(path, "x");
  WriteFile(path + "-journal", "");
  ASSERT_OK_AND_ASSIGN(FileState state, StateOfDatabaseFile(path));
  EXPECT_FALSE(state.has_log);
  WriteFile(path + "-journal", "x");
  ASSERT_OK_AND_ASSIGN(state, StateOfDatabaseFile(path));
  EXPECT_TRUE(state.has_log);
}

}  // namespace
}  // namespace vouch::storage
