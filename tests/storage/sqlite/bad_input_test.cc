// Files that are damaged, gone, or in the wrong place, and names that are meant to be read as
// something else: each has its status, none crashes, none is taken for something else.

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/error.h"
#include "storage/sqlite/database.h"
#include "storage/transaction.h"
#include "tests/storage/sqlite/support.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace vouch::storage {
namespace {

using test::StatusIs;
using test::TemporaryDirectory;
using ::testing::_;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using testing_support::ConnectionPtr;
using testing_support::ContentsOf;
using testing_support::Int;
using testing_support::NamesIn;
using testing_support::OpenOrDie;
using testing_support::SizeOf;
using testing_support::Text;
using testing_support::WriteFile;

class BadInputTest : public ::testing::Test {
 protected:
  void MakeDatabase() {
    ASSERT_OK(OpenOrDie({.path = path_})->ExecuteScript(R"(
      CREATE TABLE t(id INTEGER PRIMARY KEY, a);
      CREATE INDEX i ON t(a);
      WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 200)
        INSERT INTO t SELECT i, printf('%08x%0192x', i * 2654435761 % 4294967296, i) FROM n;)"));
  }

  TemporaryDirectory directory_{test::FastParent()};
  const std::string path_ = directory_.File("t.db");
};

// ---- Damage ---------------------------------------------------------------------------------

// Each page but the first overwritten: what reads it says so, and what does not is not bothered.
TEST_F(BadInputTest, AnOverwrittenPage) {
  MakeDatabase();
  const std::string good = ContentsOf(path_);
  int found = 0;
  for (std::size_t at = 4096; at < good.size(); at += 4096) {
    std::string bad = good;
    bad.replace(at, 4096, 4096, '\x5A');
    WriteFile(path_, bad);
    const auto connection = SqliteConnection::Open({.path = path_, .access = Access::kReadOnly});
    ASSERT_OK(connection) << "opening reads the first page only";
    const auto table = (*connection)->QueryValue<int>("SELECT sum(length(a)) FROM t NOT INDEXED");
    const auto index = (*connection)->QueryValue<int>("SELECT sum(length(a)) FROM t INDEXED BY i");
    for (const absl::Status& status : {table.status(), index.status()}) {
      if (status.ok()) continue;
      ++found;
      EXPECT_THAT(status, StatusIs(absl::StatusCode::kDataLoss));
    }
  }
  EXPECT_GE(found, 10);
}

// Single bits anywhere: a right answer to the wrong data, or the code that says "repair". Of a page
// number beyond all that a file can have SQLite says that the disk is full, which cannot be told
// from a disk that is.
TEST_F(BadInputTest, FlippedBits) {
  MakeDatabase();
  const std::string good = ContentsOf(path_);
  test::Random random;
  std::map<absl::StatusCode, std::string> codes;  // With the last message of each.
  const auto note = [&](const absl::Status& status) {
    codes[status.code()] = std::string(status.message());
  };
  for (int round = 0; round < 400; ++round) {
    std::string bad = good;
    for (int i = 0; i < 8; ++i) {
      const std::size_t at = 4096 + random.Uniform<std::size_t>(0, bad.size() - 4097);
      bad[at] = static_cast<char>(bad[at] ^ (1 << random.Uniform(0, 7)));
    }
    WriteFile(path_, bad);
    const auto connection = SqliteConnection::Open({.path = path_});
    if (!connection.ok()) {
      note(connection.status());
      continue;
    }
    for (const char* sql : {"SELECT sum(length(a)) FROM t", "PRAGMA integrity_check",
                            "UPDATE t SET a = upper(a)", "DELETE FROM t"}) {
      note((*connection)->Execute(sql));
    }
  }
  codes.erase(absl::StatusCode::kOk);
  if (const auto full = codes.find(absl::StatusCode::kResourceExhausted); full != codes.end()) {
    EXPECT_THAT(full->second, HasSubstr("database or disk is full (SQLite 13)"));
    codes.erase(full);
  }
  EXPECT_THAT(codes, ElementsAre(Pair(absl::StatusCode::kDataLoss, _)));
}

// A log cut off anywhere holds the commits before the cut, whole.
TEST_F(BadInputTest, ATruncatedLog) {
  constexpr int kCommits = 5;
  const std::string cut_path = directory_.File("cut.db");
  const ConnectionPtr connection = OpenOrDie({.path = path_});
  ASSERT_OK(connection->Execute("CREATE TABLE t(a)"));
  ASSERT_OK(connection->Checkpoint(absl::Seconds(1)));
  for (int i = 0; i < kCommits; ++i) {
    ASSERT_OK(connection->Execute("INSERT INTO t VALUES (zeroblob(5000))"));
  }
  const std::string file = ContentsOf(path_);
  const std::string log = ContentsOf(path_ + "-wal");
  std::set<std::int64_t> counts;
  std::int64_t last = 0;
  for (std::size_t size = 0; size <= log.size(); size += 511) {
    WriteFile(cut_path, file);
    WriteFile(cut_path + "-wal", log.substr(0, size));
    const ConnectionPtr cut = OpenOrDie({.path = cut_path});
    const std::int64_t count = Int(*cut, "SELECT count(*) FROM t");
    EXPECT_GE(count, last) << "at " << size;
    EXPECT_EQ(Text(*cut, "PRAGMA integrity_check"), "ok");
    EXPECT_EQ(Int(*cut, "SELECT count(*) FROM t WHERE length(a) = 5000"), count);
    last = count;
    counts.insert(count);
  }
  EXPECT_GE(counts.size(), 4u) << "the cuts were not at different commits";
}

TEST_F(BadInputTest, ALogOfGarbageIsIgnored) {
  MakeDatabase();
  WriteFile(path_ + "-wal", std::string(20000, 'x'));
  EXPECT_EQ(Int(*OpenOrDie({.path = path_}), "SELECT count(*) FROM t"), 200);
}

// What a crash between making the file and writing it leaves: a new database to a writer, one
// without tables to a reader, which leaves it as it is.
TEST_F(BadInputTest, AFileWithoutAByte) {
  for (const Access access : {Access::kReadOnly, Access::kImmutable}) {
    WriteFile(path_, "");
    {
      const ConnectionPtr reader = OpenOrDie({.path = path_, .access = access});
      EXPECT_EQ(Int(*reader, "SELECT count(*) FROM sqlite_schema"), 0);
      EXPECT_THAT(reader->Execute("SELECT * FROM t"),
                  StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no such table")));
    }
    EXPECT_EQ(ContentsOf(path_), "");
  }
  for (const Access access : {Access::kReadWrite, Access::kCreate}) {
    WriteFile(path_, "");
    const ConnectionPtr writer = OpenOrDie({.path = path_, .access = access, .application_id = 7});
    ASSERT_OK(writer->ExecuteScript("CREATE TABLE t(a); INSERT INTO t VALUES (1)"));
    EXPECT_EQ(Text(*writer, "PRAGMA journal_mode"), "wal");
    EXPECT_EQ(Int(*writer, "PRAGMA auto_vacuum"), 2);
    EXPECT_EQ(Int(*writer, "PRAGMA application_id"), 7);
  }
}

// Fewer bytes than a header, and a header that is cut.
TEST_F(BadInputTest, AFileThatIsTooShort) {
  MakeDatabase();
  const std::string whole = ContentsOf(path_);
  for (const std::size_t size : {1u, 15u, 16u, 99u, 100u, 511u, 4095u}) {
    WriteFile(path_, whole.substr(0, size));
    for (const Access access : {Access::kCreate, Access::kReadOnly, Access::kImmutable}) {
      const auto opened = SqliteConnection::Open({.path = path_, .access = access});
      const absl::Status status =
          opened.ok() ? (*opened)->Execute("SELECT count(*) FROM t") : opened.status();
      EXPECT_THAT(status.code(),
                  AnyOf(absl::StatusCode::kDataLoss, absl::StatusCode::kFailedPrecondition,
                        absl::StatusCode::kInvalidArgument))
          << size << ": " << status;
      EXPECT_LE(SizeOf(path_), 4096) << "nothing is made of it";
    }
  }
}

// ---- Gone, or not to be written -------------------------------------------------------------

TEST_F(BadInputTest, AFileDeletedWhileOpen) {
  MakeDatabase();
  const ConnectionPtr connection = OpenOrDie({.path = path_});
  std::filesystem::remove(path_);
  const auto is_refused =
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("moved, replaced or deleted"));
  EXPECT_THAT(connection->Execute("DELETE FROM t"), is_refused);
  EXPECT_THAT(connection->ExecuteScript("CREATE TABLE u(a)"), is_refused);
  EXPECT_THAT(Transaction::Begin(*connection, TransactionMode::kWrite), is_refused);
  EXPECT_FALSE(connection->in_transaction());
  EXPECT_EQ(Int(*connection, "SELECT count(*) FROM t"), 200) << "reads go on";
}

// As a restore by `mv` does it.
TEST_F(BadInputTest, AFileReplacedWhileOpen) {
  MakeDatabase();
  ASSERT_OK_AND_ASSIGN(auto database, Database::Open({.path = path_}));
  std::filesystem::copy_file(path_, directory_.File("copy"));
  std::filesystem::rename(directory_.File("copy"), path_);
  ASSERT_OK_AND_ASSIGN(WriteLease writer, database->Write());
  const auto transaction = Transaction::Begin(*writer, TransactionMode::kWrite);
  EXPECT_THAT(transaction, StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(NativeCode(transaction.status()), SQLITE_READONLY_DBMOVED);
}

TEST_F(BadInputTest, AFolderThatMayNotBeWritten) {
  const TemporaryDirectory parent;
  const std::string folder = parent.File("folder");
  std::filesystem::create_directory(folder);
  { const ConnectionPtr created = OpenOrDie({.path = folder + "/old.db"}); }
  constexpr uid_t kNobody = 65534;
  const uid_t user = ::geteuid();
  if (user == 0) {  // Root may write everything: be somebody else, who has all but the folder.
    ASSERT_EQ(::chown(folder.c_str(), kNobody, kNobody), 0);
    ASSERT_EQ(::chown((folder + "/old.db").c_str(), kNobody, kNobody), 0);
    ASSERT_EQ(::chmod(parent.path().c_str(), 0755), 0);
  }
  ASSERT_EQ(::chmod(folder.c_str(), 0500), 0);
  if (user == 0) {
    ASSERT_EQ(::seteuid(kNobody), 0);
  }
  const auto created = SqliteConnection::Open({.path = folder + "/new.db"});
  const auto opened = SqliteConnection::Open({.path = folder + "/old.db"});
  const auto reader =
      SqliteConnection::Open({.path = folder + "/old.db", .access = Access::kImmutable});
  if (user == 0) {
    ASSERT_EQ(::seteuid(user), 0);
  }
  ASSERT_EQ(::chmod(folder.c_str(), 0700), 0);
  EXPECT_THAT(created, StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("new.db")));
  EXPECT_THAT(opened, StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr(folder)));
  EXPECT_OK(reader);
  EXPECT_THAT(NamesIn(folder), ElementsAre("old.db"));
}

TEST_F(BadInputTest, AFolderInsteadOfAFile) {
  const std::string folder = directory_.path().string();
  for (const std::string& path : {folder, folder + "/", folder + "/.", std::string("/")}) {
    for (const Access access : {Access::kCreate, Access::kReadOnly, Access::kImmutable}) {
      EXPECT_THAT(SqliteConnection::Open({.path = path, .access = access}),
                  StatusIs(absl::StatusCode::kFailedPrecondition))
          << path;
    }
  }
}

// ---- Names ----------------------------------------------------------------------------------

TEST_F(BadInputTest, ANameIsOnlyAName) {
  const std::string folder = directory_.path().string();
  for (const std::string name :
       {"-", "--help", "a\nb", "a\tb\r", "Zoë", "数据库", "\xff\xfe", "'; DROP TABLE t; --",
        "file:x?mode=memory", "x?vfs=unix-none&immutable=1", "%00", "%2e%2e%2fup", " ", "..."}) {
    const std::string path = folder + "/" + name;
    ASSERT_OK(OpenOrDie({.path = path})->ExecuteScript("CREATE TABLE t(a)")) << name;
    EXPECT_TRUE(std::filesystem::is_regular_file(path)) << name;
    EXPECT_EQ(Int(*OpenOrDie({.path = path, .access = Access::kImmutable}),
                  "SELECT count(*) FROM sqlite_schema"),
              1)
        << name;
    std::filesystem::remove(path);
    EXPECT_THAT(NamesIn(folder), ElementsAre()) << name;
  }
}

TEST_F(BadInputTest, NamesThatCannotBe) {
  const auto kBad = absl::StatusCode::kInvalidArgument;
  for (const Access access : {Access::kCreate, Access::kReadOnly, Access::kImmutable}) {
    const auto open = [&](const std::string& path) {
      return SqliteConnection::Open({.path = path, .access = access});
    };
    EXPECT_THAT(open(""), StatusIs(kBad));
    EXPECT_THAT(open(directory_.File(std::string("a\0.db", 5))), StatusIs(kBad));
    EXPECT_THAT(open(directory_.File(std::string(300, 'n'))), StatusIs(kBad));
    EXPECT_THAT(open(std::string(10000, 'n')), StatusIs(kBad));
  }
  EXPECT_THAT(NamesIn(directory_.path()), ElementsAre());
}

// SQLite takes less than the system does; the longest it takes works with all its files.
TEST_F(BadInputTest, LongPaths) {
  std::string folder = directory_.path().string();
  while (folder.size() < 380) folder += "/" + std::string(40, 'd');
  std::filesystem::create_directories(folder);
  const std::string longest = folder + "/" + std::string(504 - folder.size() - 1, 'f');
  ASSERT_EQ(longest.size(), 504u);
  EXPECT_THAT(SqliteConnection::Open({.path = longest + "f"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("505 bytes")));
  EXPECT_THAT(NamesIn(folder), ElementsAre());
  for (const Profile& profile : {Profile::SqliteDefault(), Profile::Balanced()}) {
    const ConnectionPtr connection = OpenOrDie({.path = longest, .profile = profile});
    EXPECT_OK(
        connection->ExecuteScript("CREATE TABLE IF NOT EXISTS t(a); INSERT INTO t VALUES (1)"));
  }
}

}  // namespace
}  // namespace vouch::storage
