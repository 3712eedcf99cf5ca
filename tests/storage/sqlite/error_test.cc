#include "storage/sqlite/error.h"

#include <sqlite3.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/error.h"
#include "tests/storage/sqlite/support.h"
#include "tests/support/status_matchers.h"

namespace vouch::storage {
namespace {

using test::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using testing_support::PlainDatabase;

struct Expected {
  int sqlite;
  absl::StatusCode code;
};

// Each family, and each member that means something else than its family.
constexpr Expected kTable[] = {
    {SQLITE_BUSY, absl::StatusCode::kUnavailable},
    {SQLITE_BUSY_RECOVERY, absl::StatusCode::kUnavailable},
    {SQLITE_BUSY_TIMEOUT, absl::StatusCode::kUnavailable},
    {SQLITE_BUSY_SNAPSHOT, absl::StatusCode::kAborted},
    {SQLITE_LOCKED, absl::StatusCode::kUnavailable},
    {SQLITE_LOCKED_SHAREDCACHE, absl::StatusCode::kUnavailable},
    {SQLITE_PROTOCOL, absl::StatusCode::kUnavailable},
    {SQLITE_IOERR, absl::StatusCode::kUnavailable},
    {SQLITE_IOERR_FSYNC, absl::StatusCode::kUnavailable},
    {SQLITE_IOERR_DATA, absl::StatusCode::kDataLoss},
    {SQLITE_IOERR_CORRUPTFS, absl::StatusCode::kDataLoss},
    {SQLITE_IOERR_SHORT_READ, absl::StatusCode::kDataLoss},
    {SQLITE_IOERR_NOMEM, absl::StatusCode::kResourceExhausted},
    {SQLITE_ABORT, absl::StatusCode::kAborted},
    {SQLITE_ABORT_ROLLBACK, absl::StatusCode::kAborted},
    {SQLITE_SCHEMA, absl::StatusCode::kAborted},
    {SQLITE_CONSTRAINT_UNIQUE, absl::StatusCode::kAlreadyExists},
    {SQLITE_CONSTRAINT_PRIMARYKEY, absl::StatusCode::kAlreadyExists},
    {SQLITE_CONSTRAINT_ROWID, absl::StatusCode::kAlreadyExists},
    {SQLITE_CONSTRAINT, absl::StatusCode::kInvalidArgument},
    {SQLITE_CONSTRAINT_CHECK, absl::StatusCode::kInvalidArgument},
    {SQLITE_CONSTRAINT_NOTNULL, absl::StatusCode::kInvalidArgument},
    {SQLITE_CONSTRAINT_FOREIGNKEY, absl::StatusCode::kInvalidArgument},
    {SQLITE_CONSTRAINT_TRIGGER, absl::StatusCode::kInvalidArgument},
    {SQLITE_CONSTRAINT_DATATYPE, absl::StatusCode::kInvalidArgument},
    {SQLITE_ERROR, absl::StatusCode::kInvalidArgument},
    {SQLITE_MISMATCH, absl::StatusCode::kInvalidArgument},
    {SQLITE_TOOBIG, absl::StatusCode::kInvalidArgument},
    {SQLITE_RANGE, absl::StatusCode::kInvalidArgument},
    {SQLITE_PERM, absl::StatusCode::kPermissionDenied},
    {SQLITE_READONLY, absl::StatusCode::kPermissionDenied},
    {SQLITE_READONLY_DIRECTORY, absl::StatusCode::kPermissionDenied},
    {SQLITE_READONLY_RECOVERY, absl::StatusCode::kFailedPrecondition},
    {SQLITE_READONLY_ROLLBACK, absl::StatusCode::kFailedPrecondition},
    {SQLITE_READONLY_CANTINIT, absl::StatusCode::kFailedPrecondition},
    {SQLITE_READONLY_CANTLOCK, absl::StatusCode::kFailedPrecondition},
    {SQLITE_READONLY_DBMOVED, absl::StatusCode::kFailedPrecondition},
    {SQLITE_AUTH, absl::StatusCode::kPermissionDenied},
    {SQLITE_FULL, absl::StatusCode::kResourceExhausted},
    {SQLITE_NOMEM, absl::StatusCode::kResourceExhausted},
    {SQLITE_INTERRUPT, absl::StatusCode::kCancelled},
    {SQLITE_CORRUPT, absl::StatusCode::kDataLoss},
    {SQLITE_CORRUPT_INDEX, absl::StatusCode::kDataLoss},
    {SQLITE_NOTADB, absl::StatusCode::kFailedPrecondition},
    {SQLITE_CANTOPEN, absl::StatusCode::kFailedPrecondition},
    {SQLITE_CANTOPEN_SYMLINK, absl::StatusCode::kFailedPrecondition},
    {SQLITE_NOLFS, absl::StatusCode::kFailedPrecondition},
    {SQLITE_MISUSE, absl::StatusCode::kInternal},
    {SQLITE_INTERNAL, absl::StatusCode::kInternal},
};

TEST(SqliteErrorTest, EachFamilyHasItsCode) {
  for (const Expected& expected : kTable) {
    EXPECT_EQ(CodeForSqlite(expected.sqlite), expected.code) << sqlite3_errstr(expected.sqlite);
  }
}

TEST(SqliteErrorTest, AMessageHoldsOperationWordsCodeAndSql) {
  const absl::Status status = SqliteError(nullptr, SQLITE_BUSY, "begin", "BEGIN\n IMMEDIATE");
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable,
                               "begin: database is locked (SQLite 5) in \"BEGIN IMMEDIATE\""));
  EXPECT_EQ(NativeCode(status), SQLITE_BUSY);
}

TEST(SqliteErrorTest, TheConnectionsOwnWordsAreMoreExact) {
  PlainDatabase plain(":memory:");
  ASSERT_EQ(plain.Run("CREATE TABLE t(a UNIQUE); INSERT INTO t VALUES (1)"), SQLITE_OK);
  const int code = plain.Run("INSERT INTO t VALUES (1)");
  const absl::Status status = SqliteError(plain.db(), code, "execute");
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kAlreadyExists,
                               AllOf(StartsWith("execute: "), HasSubstr("t.a"),
                                     HasSubstr("(SQLite 2067)"))));
  EXPECT_EQ(NativeCode(status), SQLITE_CONSTRAINT_UNIQUE);
}

TEST(SqliteErrorTest, WordsAboutAnotherErrorAreNotUsed) {
  PlainDatabase plain(":memory:");
  ASSERT_EQ(plain.Run("SELEC"), SQLITE_ERROR);
  const absl::Status status = SqliteError(plain.db(), SQLITE_FULL, "checkpoint");
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted,
                               "checkpoint: database or disk is full (SQLite 13)"));
}

// The same, provoked through a connection.
TEST(SqliteErrorTest, ConstraintsOnARealTable) {
  const auto connection = testing_support::OpenInMemory();
  ASSERT_OK(connection->ExecuteScript(R"(
    CREATE TABLE p(id INTEGER PRIMARY KEY, u INTEGER UNIQUE, n INTEGER NOT NULL,
                   c INTEGER CHECK (c > 0)) STRICT;
    CREATE TABLE child(p REFERENCES p(id));
    CREATE TRIGGER no_delete BEFORE DELETE ON p BEGIN SELECT raise(ABORT, 'kept'); END;
    INSERT INTO p VALUES (1, 1, 1, 1);
  )"));
  const auto expect = [&](const char* sql, absl::StatusCode code, int native) {
    const absl::Status status = connection->Execute(sql);
    EXPECT_THAT(status, StatusIs(code)) << sql;
    EXPECT_EQ(NativeCode(status), native) << sql;
  };
  using Code = absl::StatusCode;
  expect("INSERT INTO p VALUES (1, 2, 1, 1)", Code::kAlreadyExists, SQLITE_CONSTRAINT_PRIMARYKEY);
  expect("INSERT INTO p VALUES (2, 1, 1, 1)", Code::kAlreadyExists, SQLITE_CONSTRAINT_UNIQUE);
  expect("INSERT INTO p VALUES (2, 2, NULL, 1)", Code::kInvalidArgument, SQLITE_CONSTRAINT_NOTNULL);
  expect("INSERT INTO p VALUES (2, 2, 1, 0)", Code::kInvalidArgument, SQLITE_CONSTRAINT_CHECK);
  expect("INSERT INTO p VALUES (2, 'x', 1, 1)", Code::kInvalidArgument, SQLITE_CONSTRAINT_DATATYPE);
  expect("INSERT INTO child VALUES (9)", Code::kInvalidArgument, SQLITE_CONSTRAINT_FOREIGNKEY);
  expect("DELETE FROM p", Code::kInvalidArgument, SQLITE_CONSTRAINT_TRIGGER);
  expect("INSERT INTO p(id) VALUES ('x')", Code::kInvalidArgument, SQLITE_MISMATCH);
}

}  // namespace
}  // namespace vouch::storage
