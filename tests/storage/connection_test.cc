// Text to statements: what is one statement, what is a script, and where errors point.

#include "storage/connection.h"

#include <sstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/storage/sqlite/support.h"
#include "tests/support/status_matchers.h"

namespace vouch::storage {
namespace {

using test::IsOkAndHolds;
using test::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using testing_support::ConnectionPtr;
using testing_support::Int;
using testing_support::OpenInMemory;
using testing_support::Text;

constexpr auto kBad = absl::StatusCode::kInvalidArgument;

class ConnectionTest : public ::testing::Test {
 protected:
  ConnectionPtr connection_ = OpenInMemory();
};

TEST_F(ConnectionTest, OneStatementAndNothingElse) {
  EXPECT_THAT(connection_->QueryValue<int>("SELECT 1; SELECT 2"),
              StatusIs(kBad, HasSubstr("more than one statement")));
  EXPECT_THAT(connection_->QueryValue<int>("SELECT 1 garbage garbage"), StatusIs(kBad));
  EXPECT_THAT(connection_->QueryValue<int>("SELECT 1; garbage"), StatusIs(kBad));
  EXPECT_THAT(connection_->Execute("SELECT 1; -- comment\n; /* another */ SELECT 2"),
              StatusIs(kBad));
}

TEST_F(ConnectionTest, ARefusedSecondStatementIsNotRun) {
  ASSERT_OK(connection_->Execute("CREATE TABLE t(a)"));
  EXPECT_THAT(connection_->Execute("SELECT 1; DROP TABLE t"), StatusIs(kBad));
  EXPECT_THAT(connection_->Execute("INSERT INTO t VALUES (1); DROP TABLE t"), StatusIs(kBad));
  EXPECT_EQ(Int(*connection_, "SELECT count(*) FROM t"), 0);
  // This one would take effect when it is prepared.
  EXPECT_THAT(connection_->Execute("SELECT 1; PRAGMA cache_size = 77"), StatusIs(kBad));
  EXPECT_EQ(Int(*connection_, "PRAGMA cache_size"), -64000);
}

TEST_F(ConnectionTest, SpaceCommentsAndSemicolonsMayFollow) {
  for (const char* sql :
       {"SELECT 1", "SELECT 1;", "SELECT 1;\n", "SELECT 1 ; ; ;", "SELECT 1; -- done",
        "SELECT 1 -- done", "SELECT 1; /* done */ ;", " \n-- before\n/* it */ SELECT 1;\n\n"}) {
    EXPECT_THAT(connection_->QueryValue<int>(sql), IsOkAndHolds(1)) << sql;
  }
}

TEST_F(ConnectionTest, NoStatementIsAnError) {
  for (const char* sql : {"", " ", ";", "-- nothing", "/* nothing */", "\n;\n"}) {
    EXPECT_THAT(connection_->Execute(sql), StatusIs(kBad, HasSubstr("no statement"))) << sql;
  }
  EXPECT_THAT(connection_->Execute(std::string_view()), StatusIs(kBad, HasSubstr("no statement")));
}

// SQLite's parser stops at a NUL byte, as if the text ended there; what follows would be lost.
TEST_F(ConnectionTest, ANulByteInTheTextIsAnError) {
  using std::string_view_literals::operator""sv;
  for (const std::string_view sql : {"SELECT 1\0"sv, "SELECT 1;\0"sv, "\0SELECT 1"sv,
                                     "SELECT 1; \0 SELECT 2"sv, "SELECT '\0'"sv}) {
    EXPECT_THAT(connection_->Execute(sql), StatusIs(kBad));
    EXPECT_THAT(connection_->ExecuteScript(sql), StatusIs(kBad));
  }
}

TEST_F(ConnectionTest, TextNeedNotEndWhereTheViewDoes) {
  const std::string text = "SELECT 1 + 1; DROP";
  EXPECT_THAT(connection_->QueryValue<int>(std::string_view(text).substr(0, 8)), IsOkAndHolds(1));
  EXPECT_THAT(connection_->QueryValue<int>(std::string_view(text).substr(0, 13)), IsOkAndHolds(2));
}

TEST_F(ConnectionTest, ErrorsNameTheOperationAndTheSql) {
  EXPECT_THAT(connection_->Execute("SELEC 1"),
              StatusIs(kBad, AllOf(StartsWith("prepare: "), HasSubstr("\"SELEC 1\""))));
  EXPECT_THAT(connection_->Execute("SELECT * FROM missing"),
              StatusIs(kBad, HasSubstr("no such table: missing")));
  EXPECT_THAT(connection_->Execute("SELECT abs(-9223372036854775807 - 1)"),
              StatusIs(kBad, StartsWith("execute: ")));
}

TEST_F(ConnectionTest, DoubleQuotesAreNames) {
  // Elsewhere a misspelt name in double quotes silently becomes a string.
  testing_support::PlainDatabase plain(":memory:");
  EXPECT_EQ(plain.Value("SELECT \"misspelt\""), "misspelt");
  EXPECT_THAT(connection_->QueryValue<std::string>("SELECT \"misspelt\""), StatusIs(kBad));
}

TEST_F(ConnectionTest, NoRowIsNotFound) {
  EXPECT_THAT(connection_->QueryValue<int>("SELECT 1 WHERE 0"),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(connection_->QueryValue<std::optional<int>>("SELECT NULL"),
              IsOkAndHolds(std::optional<int>()));
}

// A script that cutting at ';' would break: in strings, names, comments and a trigger's body.
constexpr char kScript[] = R"(
-- A comment; with a semicolon.
CREATE TABLE notes(id INTEGER PRIMARY KEY, text TEXT DEFAULT 'a;b');
/* Another;
   one. */
CREATE TABLE "odd;name"(a);
CREATE TRIGGER notes_copied AFTER INSERT ON notes BEGIN
  INSERT INTO "odd;name" VALUES (new.text || ';');  -- still; the body
  UPDATE notes SET text = text || ';;' WHERE id = new.id AND text <> CASE WHEN 1 THEN ';' END;
END;
INSERT INTO notes(text) VALUES ('it''s; fine'), ('--not; a comment');;
;
INSERT INTO notes DEFAULT VALUES
)";

TEST_F(ConnectionTest, CuttingAtSemicolonsWouldBreakTheScript) {
  testing_support::PlainDatabase plain(":memory:");
  std::istringstream parts(kScript);
  std::string part;
  bool broken = false;
  while (std::getline(parts, part, ';')) broken |= plain.Run(part) != SQLITE_OK;
  EXPECT_TRUE(broken);
}

TEST_F(ConnectionTest, TheParserSeparatesAScript) {
  ASSERT_OK(connection_->ExecuteScript(kScript));
  EXPECT_EQ(Text(*connection_, "SELECT group_concat(text, '|') FROM (SELECT * FROM notes)"),
            "it's; fine;;|--not; a comment;;|a;b;;");
  EXPECT_EQ(Int(*connection_, "SELECT count(*) FROM \"odd;name\""), 3);
}

TEST_F(ConnectionTest, AScriptMayBeEmpty) {
  for (const char* script : {"", "\n", ";;", "-- nothing", "/* open"}) {
    EXPECT_OK(connection_->ExecuteScript(script)) << script;
  }
  EXPECT_OK(connection_->ExecuteScript(std::string_view()));
}

TEST_F(ConnectionTest, AnErrorInAScriptNamesTheLineItsStatementBeginsAt) {
  EXPECT_THAT(connection_->ExecuteScript("SELEC 1"), StatusIs(kBad, StartsWith("script line 1: ")));
  EXPECT_THAT(connection_->ExecuteScript("SELECT 1;\n\n\nSELECT\n  nothing;\nSELECT 2;"),
              StatusIs(kBad, StartsWith("script line 4: ")));
  EXPECT_THAT(connection_->ExecuteScript("SELECT ';\n;';\n-- a\n/* b\n*/ ;\n\n  SELECT nothing"),
              StatusIs(kBad, StartsWith("script line 7: ")));
  EXPECT_THAT(connection_->ExecuteScript("SELECT 1; SELECT nothing"),
              StatusIs(kBad, StartsWith("script line 1: ")));
}

TEST_F(ConnectionTest, WhatRanBeforeAnErrorInAScriptStays) {
  EXPECT_THAT(connection_->ExecuteScript("CREATE TABLE t(a UNIQUE);\nINSERT INTO t VALUES (1);\n"
                                         "INSERT INTO t VALUES (1);\nINSERT INTO t VALUES (2);"),
              StatusIs(absl::StatusCode::kAlreadyExists, StartsWith("script line 3: ")));
  EXPECT_EQ(Int(*connection_, "SELECT sum(a) FROM t"), 1);
}

}  // namespace
}  // namespace vouch::storage
