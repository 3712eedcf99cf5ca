// The defences of each connection. The method: every connection that SQLite opens in these tests is
// first weakened as far as it goes, as a library built with other defaults would be, so that a
// defence that only holds by default does not pass.

#include "storage/sqlite/hardening.h"

#include <sqlite3.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/sqlite/database.h"
#include "tests/storage/sqlite/support.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

struct sqlite3_api_routines;

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
using testing_support::SizeOf;
using testing_support::Text;

using Settings = std::map<int, int>;  // By SQLITE_DBCONFIG_ or SQLITE_LIMIT_.

const Settings kStrong = {{SQLITE_DBCONFIG_DEFENSIVE, 1},
                          {SQLITE_DBCONFIG_WRITABLE_SCHEMA, 0},
                          {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
                          {SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0},
                          {SQLITE_DBCONFIG_DQS_DML, 0},
                          {SQLITE_DBCONFIG_DQS_DDL, 0},
                          {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 1},
                          {SQLITE_DBCONFIG_ENABLE_TRIGGER, 1},
                          {SQLITE_DBCONFIG_ENABLE_VIEW, 1}};

sqlite3* last_opened = nullptr;

int Weaken(sqlite3* db, char** /*error*/, const sqlite3_api_routines* /*api*/) {
  last_opened = db;
  for (const auto& [option, strong] : kStrong) {
    sqlite3_db_config(db, option, strong == 0 ? 1 : 0, nullptr);
  }
  return SQLITE_OK;
}

class HardeningTest : public ::testing::Test {
 protected:
  HardeningTest() { sqlite3_auto_extension(reinterpret_cast<void (*)()>(Weaken)); }
  ~HardeningTest() override { sqlite3_reset_auto_extension(); }

  // The settings of the connection opened last.
  static Settings SettingsNow() {
    Settings settings;
    for (const auto& [option, strong] : kStrong) {
      sqlite3_db_config(last_opened, option, -1, &settings[option]);
    }
    return settings;
  }
  static int LimitNow(int id) { return sqlite3_limit(last_opened, id, -1); }

  void Make(const std::string& script) {
    ASSERT_OK(OpenOrDie({.path = path_})->ExecuteScript(script));
  }
  absl::StatusOr<ConnectionPtr> OpenUntrusted() {
    return SqliteConnection::Open({.path = path_, .access = Access::kReadOnly, .trusted = false});
  }

  TemporaryDirectory directory_;
  const std::string path_ = directory_.File("t.db");
};

TEST_F(HardeningTest, TheMethodWeakens) {
  PlainDatabase plain(path_);
  Settings weak = kStrong;
  for (auto& [option, value] : weak) value = 1 - value;
  EXPECT_EQ(SettingsNow(), weak);
}

TEST_F(HardeningTest, EveryConnectionIsStrong) {
  for (const Policy policy :
       {Policy::kUnrestricted, Policy::kWriter, Policy::kUnit, Policy::kReader}) {
    const ConnectionPtr connection = OpenOrDie({.path = path_, .policy = policy});
    EXPECT_EQ(SettingsNow(), kStrong);
    EXPECT_EQ(LimitNow(SQLITE_LIMIT_ATTACHED), policy == Policy::kUnrestricted ? 1 : 0);
  }
}

TEST_F(HardeningTest, TheSchemaCannotBeWritten) {
  const ConnectionPtr connection = OpenOrDie({.path = path_});
  ASSERT_OK(connection->ExecuteScript("CREATE TABLE t(a); CREATE VIRTUAL TABLE w USING fts5(a)"));
  ASSERT_OK(connection->ExecuteScript("PRAGMA writable_schema = ON"));
  for (const char* sql : {"UPDATE sqlite_schema SET sql = 'CREATE TABLE t(b)'",
                          "DELETE FROM sqlite_schema", "DELETE FROM w_data"}) {
    EXPECT_FALSE(connection->Execute(sql).ok()) << sql;
  }
}

TEST_F(HardeningTest, ATextIsNotWrittenInDoubleQuotes) {
  const ConnectionPtr connection = OpenOrDie({.path = path_});
  ASSERT_OK(connection->Execute("CREATE TABLE t(a)"));
  for (const char* sql : {"SELECT \"nothing\" FROM t", "CREATE INDEX i ON t(\"nothing\")",
                          "DELETE FROM t WHERE a = \"nothing\""}) {
    EXPECT_THAT(connection->Execute(sql),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("nothing")))
        << sql;
  }
}

TEST_F(HardeningTest, CodeCannotBeLoadedOrPointedAt) {
  const ConnectionPtr connection = OpenOrDie({.path = path_});
  EXPECT_FALSE(connection->Execute("SELECT load_extension('/tmp/x.so')").ok());
  char* error = nullptr;
  EXPECT_NE(sqlite3_load_extension(last_opened, "/tmp/x.so", nullptr, &error), SQLITE_OK);
  EXPECT_THAT(error, HasSubstr("not authorized"));
  sqlite3_free(error);
  // With it the address of a function is read, and any other set.
  EXPECT_EQ(Int(*connection, "SELECT fts3_tokenizer('simple') IS NULL"), 1);
  EXPECT_FALSE(connection->Execute("SELECT fts3_tokenizer('simple', x'4141414141414141')").ok());
}

// The authorizer refuses a user's ATTACH; the limit refuses everybody's.
TEST_F(HardeningTest, FilesCannotBeAttached) {
  for (const Policy policy : {Policy::kWriter, Policy::kUnit, Policy::kReader}) {
    const ConnectionPtr connection = OpenOrDie({.path = path_, .policy = policy});
    EXPECT_THAT(connection->Execute("ATTACH ':memory:' AS a"),
                StatusIs(absl::StatusCode::kPermissionDenied));
    ASSERT_OK_AND_ASSIGN(auto trusted, connection->PrepareTrusted("ATTACH ':memory:' AS a"));
    EXPECT_THAT(trusted->Run(),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("too many attached")));
  }
}

TEST_F(HardeningTest, AnUnrestrictedConnectionCanVacuum) {
  const ConnectionPtr connection = OpenOrDie({.path = path_});
  EXPECT_OK(connection->Execute("VACUUM"));
  EXPECT_OK(connection->Execute("VACUUM INTO '" + directory_.File("copy") + "'"));
  EXPECT_OK(connection->Execute("ATTACH ':memory:' AS a"));
  EXPECT_FALSE(connection->Execute("ATTACH ':memory:' AS b").ok());
}

// With TRUSTED_SCHEMA off SQLite 3.40 refuses them; for a file of one's own it stays on.
TEST_F(HardeningTest, Fts5InsideTriggersWorks) {
  for (const Policy policy : {Policy::kUnrestricted, Policy::kWriter, Policy::kUnit}) {
    const std::string path = directory_.File(std::to_string(static_cast<int>(policy)));
    ASSERT_OK(OpenOrDie({.path = path})->ExecuteScript(R"(
      CREATE TABLE t(id INTEGER PRIMARY KEY, a);
      CREATE VIRTUAL TABLE words USING fts5(a, content = t, content_rowid = id);
      CREATE TRIGGER i AFTER INSERT ON t BEGIN
        INSERT INTO words(rowid, a) VALUES (new.id, new.a);
      END;
      CREATE TRIGGER d AFTER DELETE ON t BEGIN
        INSERT INTO words(words, rowid, a) VALUES ('delete', old.id, old.a);
      END;)"));
    const ConnectionPtr connection = OpenOrDie({.path = path, .policy = policy});
    ASSERT_OK(connection->Execute("INSERT INTO t(a) VALUES ('quick fox'), ('lazy dog')"));
    ASSERT_OK(connection->Execute("DELETE FROM t WHERE id = 2"));
    EXPECT_EQ(Int(*connection, "SELECT count(*) FROM words WHERE words MATCH 'fox OR dog'"), 1);
  }
}

// ---- Files of others ------------------------------------------------------------------------

TEST_F(HardeningTest, AnUntrustedFileGetsTheLimitsOfSecurityHtml) {
  Make("CREATE TABLE t(a)");
  ASSERT_OK_AND_ASSIGN(const ConnectionPtr connection, OpenUntrusted());
  Settings expected = kStrong;
  expected[SQLITE_DBCONFIG_TRUSTED_SCHEMA] = 0;
  expected[SQLITE_DBCONFIG_ENABLE_TRIGGER] = 0;
  expected[SQLITE_DBCONFIG_ENABLE_VIEW] = 0;
  EXPECT_EQ(SettingsNow(), expected);
  const Settings limits = {{SQLITE_LIMIT_LENGTH, 1'000'000},
                           {SQLITE_LIMIT_SQL_LENGTH, 100'000},
                           {SQLITE_LIMIT_COLUMN, 100},
                           {SQLITE_LIMIT_EXPR_DEPTH, 10},
                           {SQLITE_LIMIT_COMPOUND_SELECT, 3},
                           {SQLITE_LIMIT_VDBE_OP, 25'000},
                           {SQLITE_LIMIT_FUNCTION_ARG, 8},
                           {SQLITE_LIMIT_ATTACHED, 0},
                           {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 50},
                           {SQLITE_LIMIT_VARIABLE_NUMBER, 10},
                           {SQLITE_LIMIT_TRIGGER_DEPTH, 10}};
  for (const auto& [id, limit] : limits) EXPECT_EQ(LimitNow(id), limit) << "limit " << id;
  EXPECT_EQ(Int(*connection, "PRAGMA mmap_size"), 0);
  EXPECT_EQ(Int(*connection, "PRAGMA cell_size_check"), 1);
}

TEST_F(HardeningTest, AnUntrustedFileIsReadAndItsViewsAreNot) {
  Make(R"(CREATE TABLE t(a); INSERT INTO t VALUES (7);
          CREATE VIEW v AS SELECT a FROM t;
          CREATE VIRTUAL TABLE w USING fts5(a); INSERT INTO w VALUES ('fox');)");
  ASSERT_OK_AND_ASSIGN(const ConnectionPtr connection, OpenUntrusted());
  EXPECT_EQ(Int(*connection, "SELECT a FROM t"), 7);
  EXPECT_EQ(Int(*connection, "SELECT count(*) FROM w WHERE w MATCH 'fox'"), 1);
  EXPECT_THAT(connection->Execute("SELECT * FROM v"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("view")));
  EXPECT_EQ(Int(*OpenOrDie({.path = path_}), "SELECT a FROM v"), 7);
}

// Neither what is stored nor what SQL makes of it may be larger than a megabyte, so that a small file
// cannot have its reader hold gigabytes.
TEST_F(HardeningTest, AValueOfAnUntrustedFileHasABound) {
  Make(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, a);"
      "INSERT INTO t VALUES (1, zeroblob(900000)), (2, zeroblob(1100000))");
  const char* kStored = "SELECT a FROM t WHERE id = ?1";
  const char* kMade = "SELECT a || a FROM t WHERE id = ?1";
  {
    const ConnectionPtr trusted = OpenOrDie({.path = path_, .access = Access::kReadOnly});
    for (const char* sql : {kStored, kMade}) {
      EXPECT_OK(trusted->QueryValue<std::string>(sql, 1)) << sql;
      EXPECT_OK(trusted->QueryValue<std::string>(sql, 2)) << sql;
    }
  }
  ASSERT_OK_AND_ASSIGN(const ConnectionPtr connection, OpenUntrusted());
  EXPECT_OK(connection->QueryValue<std::string>(kStored, 1));
  const auto refused = StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("too big"));
  EXPECT_THAT(connection->QueryValue<std::string>(kStored, 2).status(), refused);
  EXPECT_THAT(connection->QueryValue<std::string>(kMade, 1).status(), refused);
  EXPECT_THAT(connection->QueryValue<int>("SELECT length(zeroblob(2000000000))").status(), refused);
}

TEST_F(HardeningTest, AnUntrustedFileIsForReading) {
  Make("CREATE TABLE t(a)");
  for (const Access access : {Access::kCreate, Access::kReadWrite}) {
    EXPECT_THAT(SqliteConnection::Open({.path = path_, .access = access, .trusted = false}),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("reading only")));
  }
  EXPECT_OK(
      SqliteConnection::Open({.path = path_, .access = Access::kImmutable, .trusted = false}));
}

TEST_F(HardeningTest, AnUntrustedSchemaThatIsTooMuchIsRefused) {
  std::string columns = "CREATE TABLE t(c0";
  for (int i = 1; i <= 100; ++i) columns += ", c" + std::to_string(i);
  Make(columns + ")");
  EXPECT_FALSE(OpenUntrusted().ok());
  EXPECT_OK(SqliteConnection::Open({.path = path_, .access = Access::kReadOnly}));
}

// Damage where opening does not look.
TEST_F(HardeningTest, AnUntrustedFileIsLookedThrough) {
  Make(R"(CREATE TABLE t(id INTEGER PRIMARY KEY, a);
          WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 100)
            INSERT INTO t SELECT i, randomblob(1000) FROM n;)");
  EXPECT_OK(OpenUntrusted());
  {
    std::fstream file(path_, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(SizeOf(path_) / 4096 / 2 * 4096);
    file << std::string(4096, 'x');
  }
  EXPECT_OK(SqliteConnection::Open({.path = path_, .access = Access::kReadOnly}));
  EXPECT_THAT(OpenUntrusted(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("open " + path_)));
}

TEST_F(HardeningTest, ADatabaseOfAnUntrustedFile) {
  Make("CREATE TABLE t(a); INSERT INTO t VALUES (7); CREATE VIEW v AS SELECT 1");
  ASSERT_OK_AND_ASSIGN(
      auto database,
      Database::Open({.path = path_, .access = Access::kReadOnly, .trusted = false}));
  ASSERT_OK_AND_ASSIGN(ReadLease reader, database->Read());
  EXPECT_EQ(Int(*reader, "SELECT a FROM t"), 7);
  EXPECT_FALSE(reader->Execute("SELECT * FROM v").ok());
}

// ---- Whose file it is -----------------------------------------------------------------------

TEST_F(HardeningTest, AFileOfAnotherApplicationIsRefused) {
  constexpr std::int32_t kOurs = 0x766F7563;
  { const ConnectionPtr created = OpenOrDie({.path = path_, .application_id = kOurs}); }
  EXPECT_EQ(PlainDatabase(path_).Value("PRAGMA application_id"), std::to_string(kOurs));
  for (const Access access : {Access::kReadWrite, Access::kReadOnly, Access::kImmutable}) {
    EXPECT_OK(SqliteConnection::Open({.path = path_, .access = access, .application_id = kOurs}));
    EXPECT_OK(SqliteConnection::Open({.path = path_, .access = access}));
    EXPECT_THAT(SqliteConnection::Open({.path = path_, .access = access, .application_id = -5}),
                StatusIs(absl::StatusCode::kFailedPrecondition,
                         AllOf(HasSubstr("another application"), HasSubstr("-5"))));
  }
  EXPECT_EQ(PlainDatabase(path_).Value("PRAGMA application_id"), std::to_string(kOurs));
}

TEST_F(HardeningTest, AFileOfAnotherApplicationIsNotTouched) {
  ASSERT_EQ(PlainDatabase(path_).Run("CREATE TABLE t(a); PRAGMA application_id = 5"), SQLITE_OK);
  const std::string before = testing_support::ContentsOf(path_);
  EXPECT_THAT(SqliteConnection::Open({.path = path_, .application_id = 6}),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("another application")));
  EXPECT_EQ(testing_support::ContentsOf(path_), before) << "its journal mode, for one";
  EXPECT_FALSE(std::filesystem::exists(path_ + "-wal"));
}

TEST_F(HardeningTest, AFileOfNobodyIsAcceptedAndNotMarked) {
  Make("CREATE TABLE t(a)");
  { const ConnectionPtr connection = OpenOrDie({.path = path_, .application_id = 9}); }
  EXPECT_EQ(PlainDatabase(path_).Value("PRAGMA application_id"), "0");
}

}  // namespace
}  // namespace vouch::storage
