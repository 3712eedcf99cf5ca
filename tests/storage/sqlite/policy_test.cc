// What user SQL may do, by policy: as a table of the pure function, and on real connections, where
// SQLite decides which questions it asks.

#include "storage/sqlite/policy.h"

#include <sqlite3.h>

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/storage/sqlite/support.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace vouch::storage {
namespace {

using test::IsOkAndHolds;
using test::StatusIs;
using test::TemporaryDirectory;
using ::testing::HasSubstr;
using testing_support::ConnectionPtr;
using testing_support::Int;
using testing_support::OpenOrDie;
using testing_support::Text;

constexpr auto kDenied = absl::StatusCode::kPermissionDenied;

bool Allowed(Policy policy, int action, std::string_view first = {}, std::string_view second = {},
             std::string_view database = "main") {
  return WhyDenied(policy, action, first, second, database,
                   [](std::string_view table) { return table == "ledger"; }) == nullptr;
}

TEST(PolicyTest, ReadingIsAllowedToAll) {
  for (const Policy policy :
       {Policy::kUnrestricted, Policy::kReader, Policy::kWriter, Policy::kUnit}) {
    EXPECT_TRUE(Allowed(policy, SQLITE_SELECT));
    EXPECT_TRUE(Allowed(policy, SQLITE_READ, "ledger", "a"));
    EXPECT_TRUE(Allowed(policy, SQLITE_FUNCTION, "", "lower"));
    EXPECT_TRUE(Allowed(policy, SQLITE_RECURSIVE));
    EXPECT_TRUE(Allowed(policy, SQLITE_PRAGMA, "table_info", "t"));
    EXPECT_TRUE(Allowed(policy, SQLITE_PRAGMA, "USER_VERSION"));
  }
}

TEST(PolicyTest, RowsAreForWriters) {
  for (const int action : {SQLITE_INSERT, SQLITE_UPDATE, SQLITE_DELETE}) {
    EXPECT_TRUE(Allowed(Policy::kUnrestricted, action, "ledger"));
    EXPECT_TRUE(Allowed(Policy::kWriter, action, "t"));
    EXPECT_TRUE(Allowed(Policy::kUnit, action, "t"));
    EXPECT_FALSE(Allowed(Policy::kReader, action, "t"));
    EXPECT_FALSE(Allowed(Policy::kUnit, action, "ledger"));
    EXPECT_FALSE(Allowed(Policy::kUnit, action, "sqlite_master"));
    EXPECT_FALSE(Allowed(Policy::kUnit, action, "t", "", "temp"));
  }
}

TEST(PolicyTest, TheSchemaIsForWritersOutsideUnits) {
  for (int action : {SQLITE_CREATE_INDEX, SQLITE_CREATE_TABLE, SQLITE_CREATE_TRIGGER,
                     SQLITE_CREATE_VIEW, SQLITE_DROP_INDEX, SQLITE_DROP_TABLE, SQLITE_DROP_TRIGGER,
                     SQLITE_DROP_VIEW, SQLITE_ALTER_TABLE, SQLITE_REINDEX, SQLITE_ANALYZE,
                     SQLITE_CREATE_VTABLE, SQLITE_DROP_VTABLE, SQLITE_CREATE_TEMP_TABLE}) {
    EXPECT_TRUE(Allowed(Policy::kWriter, action, "t")) << action;
    EXPECT_FALSE(Allowed(Policy::kUnit, action, "t")) << action;
    EXPECT_FALSE(Allowed(Policy::kReader, action, "t")) << action;
  }
}

TEST(PolicyTest, TransactionsFilesAndSettingsAreNobodysButOurs) {
  for (const Policy policy : {Policy::kReader, Policy::kWriter, Policy::kUnit}) {
    EXPECT_FALSE(Allowed(policy, SQLITE_TRANSACTION, "BEGIN"));
    EXPECT_FALSE(Allowed(policy, SQLITE_SAVEPOINT, "BEGIN", "a"));
    EXPECT_FALSE(Allowed(policy, SQLITE_ATTACH, "other.db"));
    EXPECT_FALSE(Allowed(policy, SQLITE_DETACH, "other"));
    EXPECT_FALSE(Allowed(policy, SQLITE_PRAGMA, "user_version", "1"));
    EXPECT_FALSE(Allowed(policy, SQLITE_PRAGMA, "User_Version", "1"));
    EXPECT_FALSE(Allowed(policy, SQLITE_PRAGMA, "user_version", "")) << "an empty argument is one";
    EXPECT_FALSE(Allowed(policy, SQLITE_PRAGMA, "wal_checkpoint"));
    EXPECT_FALSE(Allowed(policy, SQLITE_PRAGMA, "writable_schema"));
    EXPECT_FALSE(Allowed(policy, SQLITE_PRAGMA, "incremental_vacuum"));
    EXPECT_FALSE(Allowed(policy, SQLITE_PRAGMA, "shrink_memory"));
    EXPECT_FALSE(Allowed(policy, SQLITE_PRAGMA, "of_a_later_version"));
  }
}

// What later versions of SQLite may come to ask.
TEST(PolicyTest, AnUnknownActionIsDeniedToReadersAndUnits) {
  EXPECT_FALSE(Allowed(Policy::kReader, 9999));
  EXPECT_FALSE(Allowed(Policy::kUnit, 9999));
}

// A database with one of everything, and connections to it under each policy.
class PolicyOnFileTest : public ::testing::Test {
 protected:
  PolicyOnFileTest() {
    EXPECT_OK(OpenOrDie({.path = path_})->ExecuteScript(R"(
      CREATE TABLE t(id INTEGER PRIMARY KEY, a);
      CREATE TABLE ledger(a);
      CREATE TABLE audited(a);
      CREATE TRIGGER audits AFTER INSERT ON audited BEGIN INSERT INTO ledger VALUES (new.a); END;
      CREATE VIEW v AS SELECT a FROM t;
      CREATE VIRTUAL TABLE words USING fts5(text);
      CREATE VIRTUAL TABLE places USING rtree(id, x0, x1);
      INSERT INTO t VALUES (1, 'one');
      INSERT INTO words VALUES ('the quick brown fox');
    )"));
  }

  ConnectionPtr Open(Policy policy) {
    return OpenOrDie({.path = path_,
                      .access = policy == Policy::kReader ? Access::kReadOnly : Access::kReadWrite,
                      .policy = policy,
                      .is_protected = [](std::string_view table) { return table == "ledger"; }});
  }

  std::string Schema() {
    return Text(*OpenOrDie({.path = path_}),
                "SELECT group_concat(name || ifnull(sql, '')) FROM sqlite_schema");
  }

  TemporaryDirectory directory_;
  const std::string path_ = directory_.File("t.db");
};

const std::vector<std::string>& RowChanges() {
  static const auto* list = new std::vector<std::string>{
      "INSERT INTO t(a) VALUES (2)",
      "REPLACE INTO t VALUES (1, 3)",
      "INSERT INTO t VALUES (1, 2) ON CONFLICT DO UPDATE SET a = 4",
      "UPDATE t SET a = 5",
      "WITH w AS (SELECT 1) DELETE FROM t WHERE id IN (SELECT * FROM w)",
      "DELETE FROM t",
      "INSERT INTO words VALUES ('lazy dog')",
      "DELETE FROM words WHERE rowid = 1",
      "INSERT INTO places VALUES (1, 0, 1)"};
  return *list;
}

const std::vector<std::string>& SchemaChanges() {
  static const auto* list =
      new std::vector<std::string>{"CREATE TABLE fresh(a)",
                                   "create table fresh as select 1",
                                   "CREATE TABLE IF NOT EXISTS fresh(a)",
                                   "CREATE TEMP TABLE fresh(a)",
                                   "CREATE TABLE temp.fresh(a)",
                                   "CREATE INDEX i ON t(a)",
                                   "CREATE VIEW w AS SELECT 1",
                                   "CREATE TEMP VIEW w AS SELECT 1",
                                   "CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END",
                                   "CREATE TEMP TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END",
                                   "CREATE VIRTUAL TABLE other USING fts5(a)",
                                   "DROP TABLE t",
                                   "DROP VIEW v",
                                   "DROP TRIGGER audits",
                                   "DROP TABLE words",
                                   "ALTER TABLE t RENAME TO u",
                                   "ALTER TABLE t ADD COLUMN b",
                                   "ALTER TABLE t RENAME COLUMN a TO b",
                                   "ALTER TABLE t DROP COLUMN a",
                                   "ANALYZE",
                                   "REINDEX"};
  return *list;
}

// Refused to everybody but an unrestricted connection.
const std::vector<std::string>& Settings() {
  static const auto* list =
      new std::vector<std::string>{"PRAGMA user_version = 5",
                                   "PRAGMA user_version(5)",
                                   "PRAGMA main.user_version = 5",
                                   "pragma USER_VERSION = 5",
                                   "PRAGMA user_version = ''",
                                   "PRAGMA foreign_keys = ''",
                                   "PRAGMA foreign_keys(\"\")",
                                   "PRAGMA synchronous = OFF",
                                   "PRAGMA journal_mode = DELETE",
                                   "PRAGMA query_only = 0",
                                   "PRAGMA writable_schema = 1",
                                   "PRAGMA wal_checkpoint",
                                   "PRAGMA wal_checkpoint(TRUNCATE)",
                                   "PRAGMA wal_autocheckpoint = 1",
                                   "PRAGMA incremental_vacuum",
                                   "PRAGMA optimize",
                                   "PRAGMA trusted_schema = 0",
                                   "PRAGMA defer_foreign_keys = 1",
                                   "BEGIN",
                                   "BEGIN IMMEDIATE",
                                   "COMMIT",
                                   "END",
                                   "ROLLBACK",
                                   "SAVEPOINT a",
                                   "RELEASE a",
                                   "ROLLBACK TO a",
                                   "ATTACH ':memory:' AS other",
                                   "DETACH other",
                                   "VACUUM",
                                   "VACUUM INTO '/tmp/vouch_policy_test_must_not_be_there'",
                                   "EXPLAIN BEGIN"};
  return *list;
}

TEST_F(PolicyOnFileTest, AReaderChangesNothing) {
  const std::string before = Schema();
  const ConnectionPtr reader = Open(Policy::kReader);
  for (const auto& list : {RowChanges(), SchemaChanges(), Settings()}) {
    for (const std::string& sql : list) {
      EXPECT_THAT(reader->Execute(sql), StatusIs(kDenied)) << sql;
      EXPECT_THAT(reader->ExecuteScript("SELECT 1; " + sql), StatusIs(kDenied)) << sql;
    }
  }
  EXPECT_EQ(Schema(), before);
  EXPECT_EQ(Text(*reader, "SELECT a FROM t"), "one");
  EXPECT_EQ(Int(*reader, "PRAGMA user_version"), 0);
}

TEST_F(PolicyOnFileTest, AWriterChangesRowsAndSchema) {
  const ConnectionPtr writer = Open(Policy::kWriter);
  for (const std::string& sql : RowChanges()) EXPECT_OK(writer->Execute(sql)) << sql;
  for (const char* sql : {"CREATE TABLE fresh(a)", "CREATE INDEX i ON t(a)", "ANALYZE",
                          "ALTER TABLE t ADD COLUMN b", "CREATE VIRTUAL TABLE o USING fts5(a)",
                          "INSERT INTO o VALUES ('x')", "DROP TABLE o", "DROP TABLE fresh"}) {
    EXPECT_OK(writer->Execute(sql)) << sql;
  }
  for (const std::string& sql : Settings()) {
    EXPECT_THAT(writer->Execute(sql), StatusIs(kDenied)) << sql;
  }
}

TEST_F(PolicyOnFileTest, AUnitChangesRowsAndNotTheSchema) {
  const std::string before = Schema();
  const ConnectionPtr unit = Open(Policy::kUnit);
  for (const std::string& sql : RowChanges()) EXPECT_OK(unit->Execute(sql)) << sql;
  for (const auto& list : {SchemaChanges(), Settings()}) {
    for (const std::string& sql : list) {
      EXPECT_THAT(unit->Execute(sql), StatusIs(kDenied)) << sql;
    }
  }
  EXPECT_EQ(Schema(), before);
}

// In whatever dress: SQLite skips these before a statement, a byte order mark among them.
TEST_F(PolicyOnFileTest, WhatPrecedesAStatementDoesNotHideIt) {
  const std::string before = Schema();
  const ConnectionPtr unit = Open(Policy::kUnit);
  for (const char* prefix :
       {" ", "\n\t\f\r", ";", " ; ;", "-- a comment\n", "/* one */", "/* ; */ -- two\n /**/",
        "/*/ CREATE */", "--\n", "\xEF\xBB\xBF", " \xEF\xBB\xBF;\xEF\xBB\xBF/**/"}) {
    for (const char* sql : {"CREATE TABLE fresh(a)", "create table fresh as select 1"}) {
      EXPECT_THAT(unit->Execute(std::string(prefix) + sql), StatusIs(kDenied)) << prefix << sql;
      EXPECT_THAT(unit->ExecuteScript(std::string(prefix) + sql), StatusIs(kDenied))
          << prefix << sql;
    }
  }
  EXPECT_EQ(Schema(), before);
}

TEST_F(PolicyOnFileTest, TheSchemaTableCannotBeWritten) {
  const std::string before = Schema();
  for (const Policy policy : {Policy::kUnrestricted, Policy::kWriter, Policy::kUnit}) {
    const ConnectionPtr connection = Open(policy);
    for (const char* sql :
         {"DELETE FROM sqlite_master", "DELETE FROM sqlite_schema WHERE name = 't'",
          "UPDATE sqlite_master SET sql = 'CREATE TABLE t(x)' WHERE name = 't'",
          "INSERT INTO sqlite_schema VALUES ('table', 'x', 'x', 0, 'CREATE TABLE x(a)')",
          "DELETE FROM words_data"}) {
      if (policy == Policy::kUnrestricted && std::string_view(sql) == "DELETE FROM words_data") {
        continue;
      }
      EXPECT_FALSE(connection->Execute(sql).ok()) << sql;
    }
  }
  EXPECT_EQ(Schema(), before);
}

TEST_F(PolicyOnFileTest, AUnitDoesNotTouchProtectedTables) {
  const ConnectionPtr unit = Open(Policy::kUnit);
  for (const char* sql :
       {"INSERT INTO ledger VALUES (1)", "insert into LEDGER values (1)", "UPDATE ledger SET a = 1",
        "DELETE FROM ledger", "REPLACE INTO main.ledger VALUES (1)",
        "INSERT INTO audited VALUES (1)"}) {  // By a trigger.
    EXPECT_THAT(unit->Execute(sql), StatusIs(kDenied, HasSubstr("the library's own"))) << sql;
  }
  EXPECT_EQ(Int(*unit, "SELECT count(*) FROM ledger"), 0) << "reading it is allowed";
  const ConnectionPtr writer = Open(Policy::kWriter);
  EXPECT_OK(writer->Execute("INSERT INTO audited VALUES (1)"));
}

// A virtual table is declared to SQLite by the first statement that touches it.
TEST_F(PolicyOnFileTest, VirtualTablesWorkAtFirstTouch) {
  EXPECT_OK(Open(Policy::kUnit)->Execute("INSERT INTO words VALUES ('lazy dog')"));
  EXPECT_OK(Open(Policy::kUnit)->Execute("INSERT INTO places VALUES (1, 0, 1)"));
  const char* match = "SELECT count(*) FROM words WHERE words MATCH 'fox OR dog'";
  EXPECT_EQ(Int(*Open(Policy::kUnit), match), 2);
  EXPECT_EQ(Int(*Open(Policy::kReader), match), 2);
  EXPECT_EQ(Int(*Open(Policy::kReader), "SELECT count(*) FROM places WHERE x1 > 0.5"), 1);
  EXPECT_OK(Open(Policy::kUnit)->Execute("UPDATE words SET text = 'x' WHERE words MATCH 'dog'"));
  EXPECT_OK(Open(Policy::kUnit)->Execute("INSERT INTO words(words) VALUES ('integrity-check')"));
  EXPECT_OK(Open(Policy::kUnit)->Execute("INSERT INTO words(words) VALUES ('rebuild')"));
}

TEST_F(PolicyOnFileTest, PragmaFunctionsAndTellingPragmasWork) {
  for (const Policy policy : {Policy::kReader, Policy::kWriter, Policy::kUnit}) {
    EXPECT_EQ(Text(*Open(policy), "SELECT group_concat(name) FROM pragma_table_info('t')"), "id,a");
    EXPECT_EQ(Int(*Open(policy), "SELECT * FROM pragma_user_version"), 0);
    const ConnectionPtr connection = Open(policy);
    EXPECT_EQ(Text(*connection, "PRAGMA journal_mode"), "wal");
    EXPECT_EQ(Text(*connection, "PRAGMA integrity_check"), "ok");
    EXPECT_EQ(Text(*connection, "PRAGMA quick_check(1)"), "ok");
    EXPECT_OK(connection->Execute("PRAGMA foreign_key_check"));
    EXPECT_OK(connection->Execute("EXPLAIN QUERY PLAN SELECT * FROM t"));
    EXPECT_EQ(Int(*connection, "SELECT count(*) FROM json_each('[1,2]')"), 2);
  }
}

TEST_F(PolicyOnFileTest, PragmasOfASchemaChangeWhileCachedAreStillAsked) {
  const ConnectionPtr unit = Open(Policy::kUnit);
  ASSERT_OK(unit->Execute("INSERT INTO t(a) VALUES (2)"));
  // The table becomes a view over the protected one; the cached statement is prepared again.
  ASSERT_OK(OpenOrDie({.path = path_})->ExecuteScript(R"(
    DROP VIEW v; DROP TABLE t; CREATE TABLE t(id INTEGER PRIMARY KEY, a);
    CREATE TRIGGER sly AFTER INSERT ON t BEGIN INSERT INTO ledger VALUES (1); END;)"));
  EXPECT_THAT(unit->Execute("INSERT INTO t(a) VALUES (2)"), StatusIs(kDenied));
}

TEST_F(PolicyOnFileTest, TrustedStatementsAreNotAsked) {
  const ConnectionPtr unit = Open(Policy::kUnit);
  for (const char* sql :
       {"INSERT INTO ledger VALUES (1)", "PRAGMA user_version = 7", "CREATE TABLE fresh(a)",
        "CREATE VIRTUAL TABLE o USING fts5(a)", "INSERT INTO o VALUES ('x')"}) {
    ASSERT_OK_AND_ASSIGN(auto statement, unit->PrepareTrusted(sql));
    EXPECT_OK(statement->Run()) << sql;
  }
  EXPECT_EQ(Int(*unit, "PRAGMA user_version"), 7);
  EXPECT_THAT(unit->Execute("INSERT INTO ledger VALUES (2)"), StatusIs(kDenied))
      << "trust ends with the statement";
}

TEST_F(PolicyOnFileTest, ExtensionsCannotBeLoaded) {
  for (const Policy policy : {Policy::kUnrestricted, Policy::kWriter, Policy::kUnit}) {
    EXPECT_FALSE(Open(policy)->Execute("SELECT load_extension('/tmp/x.so')").ok());
  }
}

TEST_F(PolicyOnFileTest, AMessageSaysWhatToUse) {
  EXPECT_THAT(Open(Policy::kReader)->Execute("DELETE FROM t"),
              StatusIs(kDenied, HasSubstr("use the writer")));
  EXPECT_THAT(Open(Policy::kUnit)->Execute("DROP TABLE t"),
              StatusIs(kDenied, HasSubstr("use a migration")));
  EXPECT_THAT(Open(Policy::kWriter)->Execute("BEGIN"), StatusIs(kDenied, HasSubstr("guards")));
  EXPECT_THAT(Open(Policy::kWriter)->Execute("PRAGMA synchronous = 0"),
              StatusIs(kDenied, HasSubstr("profile")));
}

// A denial is about the statement it was given for, not about the next error.
TEST_F(PolicyOnFileTest, ALaterErrorIsNotReportedAsDenied) {
  const ConnectionPtr unit = Open(Policy::kUnit);
  ASSERT_OK_AND_ASSIGN(auto insert, unit->Prepare("INSERT INTO t VALUES (1, 'again')"));
  EXPECT_THAT(unit->Execute("DROP TABLE t"), StatusIs(kDenied));
  EXPECT_THAT(insert->Run(), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(unit->Execute("SELECT nothing"), StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace vouch::storage
