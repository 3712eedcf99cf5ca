// Opening: which files are accepted, what is left beside them, and what a holder leaves behind.

#include "storage/sqlite/connection.h"

#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/error.h"
#include "storage/transaction.h"
#include "tests/storage/sqlite/support.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace vouch::storage {
namespace {

using test::IsOkAndHolds;
using test::StatusIs;
using test::TemporaryDirectory;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using testing_support::ConnectionPtr;
using testing_support::ContentsOf;
using testing_support::Int;
using testing_support::NamesIn;
using testing_support::OpenInMemory;
using testing_support::OpenOrDie;
using testing_support::PlainDatabase;
using testing_support::SizeOf;
using testing_support::Text;
using testing_support::WriteFile;

// Root may write everything: while this lives it is somebody else, to whom it has given `paths`.
class ScopedCommonUser {
 public:
  explicit ScopedCommonUser(const std::vector<std::string>& paths) {
    if (was_ != 0) return;
    for (const std::string& path : paths) EXPECT_EQ(::chown(path.c_str(), kNobody, kNobody), 0);
    EXPECT_EQ(::seteuid(kNobody), 0);
  }
  ~ScopedCommonUser() { EXPECT_EQ(::seteuid(was_), 0); }
  ScopedCommonUser(const ScopedCommonUser&) = delete;
  ScopedCommonUser& operator=(const ScopedCommonUser&) = delete;

 private:
  static constexpr uid_t kNobody = 65534;
  const uid_t was_ = ::geteuid();
};

class SqliteConnectionTest : public ::testing::Test {
 protected:
  void MakeDatabase() {
    ASSERT_OK(
        OpenOrDie({.path = path_})
            ->ExecuteScript("CREATE TABLE t(a); INSERT INTO t VALUES (7), (zeroblob(50000))"));
  }

  TemporaryDirectory directory_;
  const std::string path_ = directory_.File("t.db");
};

TEST_F(SqliteConnectionTest, AMissingFile) {
  for (const Access access : {Access::kReadWrite, Access::kReadOnly, Access::kImmutable}) {
    EXPECT_THAT(SqliteConnection::Open({.path = path_, .access = access}),
                StatusIs(absl::StatusCode::kNotFound, StartsWith("open " + path_)));
  }
  EXPECT_THAT(NamesIn(directory_.path()), ElementsAre());
}

TEST_F(SqliteConnectionTest, WhatIsNotADatabase) {
  WriteFile(path_, std::string(8192, 'x'));
  for (const Access access :
       {Access::kCreate, Access::kReadWrite, Access::kReadOnly, Access::kImmutable}) {
    const auto connection = SqliteConnection::Open({.path = path_, .access = access});
    EXPECT_THAT(connection,
                StatusIs(absl::StatusCode::kFailedPrecondition, StartsWith("open " + path_)));
    EXPECT_EQ(NativeCode(connection.status()), SQLITE_NOTADB);
  }
  EXPECT_EQ(ContentsOf(path_), std::string(8192, 'x'));
}

TEST_F(SqliteConnectionTest, ATruncatedDatabaseIsDamaged) {
  MakeDatabase();
  std::filesystem::resize_file(path_, 8192);
  EXPECT_THAT(SqliteConnection::Open({.path = path_}), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(SqliteConnection::Open({.path = path_, .access = Access::kReadOnly}),
              StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(SqliteConnectionTest, AFileOfNoBytesIsNew) {
  WriteFile(path_, "");
  EXPECT_EQ(Int(*OpenOrDie({.path = path_, .access = Access::kReadOnly}),
                "SELECT count(*) FROM sqlite_schema"),
            0);
  EXPECT_EQ(SizeOf(path_), 0) << "opened for reading, and written";
  EXPECT_EQ(Int(*OpenOrDie({.path = path_, .access = Access::kImmutable}),
                "SELECT count(*) FROM sqlite_schema"),
            0);
  const ConnectionPtr connection = OpenOrDie({.path = path_, .access = Access::kReadWrite});
  EXPECT_EQ(Int(*connection, "PRAGMA auto_vacuum"), 2);
  EXPECT_OK(connection->Execute("CREATE TABLE t(a)"));
}

TEST_F(SqliteConnectionTest, OnlyUtf8DatabasesAreAccepted) {
  for (const char* encoding : {"UTF-16le", "UTF-16be"}) {
    const std::string path = directory_.File(encoding);
    PlainDatabase(path).Run(std::string("PRAGMA encoding = '") + encoding + "'; CREATE TABLE t(a)");
    EXPECT_THAT(SqliteConnection::Open({.path = path}),
                StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(encoding)));
  }
}

TEST_F(SqliteConnectionTest, ReadOnlyAccessReadsOnly) {
  MakeDatabase();
  const ConnectionPtr reader = OpenOrDie({.path = path_, .access = Access::kReadOnly});
  EXPECT_EQ(Int(*reader, "SELECT a FROM t"), 7);
  for (const char* sql : {"INSERT INTO t VALUES (8)", "CREATE TABLE u(a)", "DELETE FROM t",
                          "PRAGMA user_version = 1"}) {
    EXPECT_THAT(reader->Execute(sql), StatusIs(absl::StatusCode::kPermissionDenied)) << sql;
  }
  EXPECT_THAT(Transaction::Begin(*reader, TransactionMode::kWrite),
              StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_F(SqliteConnectionTest, ReadWriteAccessDoesNotMakeAFile) {
  EXPECT_FALSE(SqliteConnection::Open({.path = path_, .access = Access::kReadWrite}).ok());
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(SqliteConnectionTest, AFileThatMayNotBeWritten) {
  MakeDatabase();
  std::filesystem::permissions(path_, std::filesystem::perms::owner_read);
  const ScopedCommonUser common({directory_.path().string(), path_});
  EXPECT_THAT(SqliteConnection::Open({.path = path_}),
              StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(SqliteConnection::Open({.path = path_, .access = Access::kReadWrite}),
              StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_EQ(Int(*OpenOrDie({.path = path_, .access = Access::kReadOnly}), "SELECT a FROM t"), 7);
}

TEST_F(SqliteConnectionTest, ImmutableAccessMakesNoFiles) {
  MakeDatabase();
  ASSERT_THAT(NamesIn(directory_.path()), ElementsAre("t.db"));
  {
    const ConnectionPtr connection = OpenOrDie({.path = path_, .access = Access::kReadOnly});
    EXPECT_EQ(Int(*connection, "SELECT a FROM t"), 7);
    EXPECT_THAT(NamesIn(directory_.path()), ElementsAre("t.db", "t.db-shm", "t.db-wal"));
  }
  { const ConnectionPtr writer = OpenOrDie({.path = path_}); }  // Clears up as the last to close.
  ASSERT_THAT(NamesIn(directory_.path()), ElementsAre("t.db"));
  const std::string before = ContentsOf(path_);
  {
    const ConnectionPtr connection = OpenOrDie({.path = path_, .access = Access::kImmutable});
    EXPECT_EQ(Int(*connection, "SELECT a FROM t"), 7);
    EXPECT_THAT(connection->Execute("DELETE FROM t"),
                StatusIs(absl::StatusCode::kPermissionDenied));
    EXPECT_THAT(NamesIn(directory_.path()), ElementsAre("t.db"));
  }
  EXPECT_THAT(NamesIn(directory_.path()), ElementsAre("t.db"));
  EXPECT_EQ(ContentsOf(path_), before);
}

TEST_F(SqliteConnectionTest, TheLastToCloseLeavesOneFile) {
  {
    const ConnectionPtr a = OpenOrDie({.path = path_});
    const ConnectionPtr b = OpenOrDie({.path = path_});
    ASSERT_OK(a->Execute("CREATE TABLE t(a)"));
    EXPECT_THAT(NamesIn(directory_.path()), ElementsAre("t.db", "t.db-shm", "t.db-wal"));
  }
  EXPECT_THAT(NamesIn(directory_.path()), ElementsAre("t.db"));
}

// ---- In memory ------------------------------------------------------------------------------

TEST_F(SqliteConnectionTest, ConnectionsOfOneNameShareAMemory) {
  const std::string name = SqliteConnection::InMemoryPath();
  {
    const ConnectionPtr a = OpenOrDie({.path = name});
    ASSERT_OK(a->ExecuteScript("CREATE TABLE t(a); INSERT INTO t VALUES (1)"));
    const ConnectionPtr b = OpenOrDie({.path = name, .access = Access::kReadOnly});
    EXPECT_EQ(Int(*b, "SELECT a FROM t"), 1);
    EXPECT_THAT(b->Execute("DELETE FROM t"), StatusIs(absl::StatusCode::kPermissionDenied));
    EXPECT_EQ(Int(*OpenOrDie({.path = SqliteConnection::InMemoryPath()}),
                  "SELECT count(*) FROM sqlite_schema"),
              0);
  }
  EXPECT_EQ(Int(*OpenOrDie({.path = name}), "SELECT count(*) FROM sqlite_schema"), 0)
      << "it lives as long as one of its connections";
}

TEST_F(SqliteConnectionTest, OnlyNamesItMadeAreInMemory) {
  EXPECT_TRUE(SqliteConnection::IsInMemory(SqliteConnection::InMemoryPath()));
  EXPECT_NE(SqliteConnection::InMemoryPath(), SqliteConnection::InMemoryPath());
  for (const char* path :
       {"", ":memory:", "file::memory:", "/tmp/t.db", "file:/vouch-memory-",
        "file:/vouch-memory-?vfs=memdb", "file:/vouch-memory-1", "file:/vouch-memory-1?vfs=unix",
        "file:/vouch-memory-1?vfs=memdb&vfs=unix", "file:/vouch-memory-/../etc/x?vfs=memdb"}) {
    EXPECT_FALSE(SqliteConnection::IsInMemory(path)) << path;
  }
}

// ---- Between holders ------------------------------------------------------------------------

TEST_F(SqliteConnectionTest, MakeReusableEndsWhatAHolderLeft) {
  class Sink final : public ChangeSink {
   public:
    void OnChange(const RowChange&) override { ++calls; }
    void OnUndone() override {}
    int calls = 0;
  } sink;
  const ConnectionPtr connection = OpenOrDie({.path = path_});
  ASSERT_OK(connection->Execute("CREATE TABLE t(a)"));
  connection->SetChangeSink(&sink);
  ASSERT_OK(connection->BeginSnapshot());
  EXPECT_TRUE(connection->in_transaction());
  connection->SetDeadline(std::chrono::steady_clock::now());
  EXPECT_TRUE(connection->MakeReusable());
  EXPECT_FALSE(connection->in_transaction());
  EXPECT_OK(connection->Execute("INSERT INTO t VALUES (1)"));
  EXPECT_EQ(sink.calls, 0);
  EXPECT_TRUE(connection->MakeReusable());
}

TEST_F(SqliteConnectionTest, ALentStatementIsCutOffWhenTheConnectionIsMadeReusable) {
  const ConnectionPtr connection = OpenInMemory();
  ASSERT_OK_AND_ASSIGN(auto statement, connection->Prepare("SELECT ?1"));
  ASSERT_OK(statement->Bind(1, 7));
  ASSERT_THAT(statement->Step(), IsOkAndHolds(true));
  ASSERT_OK_AND_ASSIGN(auto trusted, connection->PrepareTrusted("SELECT 2"));
  EXPECT_TRUE(connection->MakeReusable());
  EXPECT_EQ(connection->cache().lent(), 0u);

  const auto kCutOff = absl::StatusCode::kFailedPrecondition;
  for (const StatementPtr* one : {&statement, &trusted}) {
    EXPECT_THAT((*one)->Step(), StatusIs(kCutOff));
    EXPECT_THAT((*one)->Run(), StatusIs(kCutOff));
    EXPECT_THAT((*one)->Bind(1, 1), StatusIs(kCutOff));
    EXPECT_THAT((*one)->Bind(":a", 1), StatusIs(kCutOff));
    EXPECT_THAT((*one)->BindAll(1), StatusIs(kCutOff));
    (*one)->Reset();
    EXPECT_EQ((*one)->column_count(), 0);
    EXPECT_EQ((*one)->column_name(0), "");
    EXPECT_TRUE((*one)->column(0).is_null());
  }
  EXPECT_THAT(statement->Step(),
              StatusIs(kCutOff, ::testing::HasSubstr("given back before this statement")));
  EXPECT_EQ(statement->sql(), "SELECT ?1");
  // The next holder's statement of the same text is another, and the late return harms nothing.
  ASSERT_OK_AND_ASSIGN(auto next, connection->Prepare("SELECT ?1"));
  statement.reset();
  trusted.reset();
  ASSERT_OK(next->Bind(1, 8));
  ASSERT_THAT(next->Step(), IsOkAndHolds(true));
  EXPECT_EQ(next->Get<int>(0), 8);
}

TEST_F(SqliteConnectionTest, AStatementMayOutliveItsConnection) {
  StatementPtr statement;
  {
    const ConnectionPtr connection = OpenInMemory();
    ASSERT_OK_AND_ASSIGN(statement, connection->Prepare("VALUES (1), (2)"));
    ASSERT_THAT(statement->Step(), IsOkAndHolds(true));
  }
  EXPECT_THAT(statement->Step(), StatusIs(absl::StatusCode::kFailedPrecondition));
}

}  // namespace
}  // namespace vouch::storage
