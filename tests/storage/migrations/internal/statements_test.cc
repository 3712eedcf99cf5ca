#include "storage/migrations/internal/statements.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vouch::storage::migrations_internal {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> Split(std::string_view script) {
  std::vector<std::string> texts;
  for (const SqlStatement& statement : SplitStatements(script)) {
    texts.push_back(
        absl::StrCat(statement.line, " ", statement.keyword, ": ", std::string(statement.text)));
  }
  return texts;
}

TEST(StatementsTest, NothingHasNoStatements) {
  EXPECT_THAT(Split(""), IsEmpty());
  EXPECT_THAT(Split(" \n\t;;\n-- only; a comment\n/* and; this */ ;"), IsEmpty());
}

TEST(StatementsTest, SemicolonsEndStatements) {
  EXPECT_THAT(Split("SELECT 1; select 2 ;\n\nVALUES (3)"),
              ElementsAre("1 SELECT: SELECT 1", "1 SELECT: select 2", "3 VALUES: VALUES (3)"));
}

TEST(StatementsTest, CommentsBelongToNoStatementUnlessInside) {
  EXPECT_THAT(Split("-- a; b\nSELECT /* c;\n */ 1 -- d;\n; /* e\n*/ SELECT 2 -- f"),
              ElementsAre("2 SELECT: SELECT /* c;\n */ 1", "5 SELECT: SELECT 2"));
}

TEST(StatementsTest, QuotesHideSemicolons) {
  EXPECT_THAT(Split("SELECT ';', 'it''s;', \";\"\";\", `;`, [;], '--;', '/*'; SELECT 2"),
              ElementsAre("1 SELECT: SELECT ';', 'it''s;', \";\"\";\", `;`, [;], '--;', '/*'",
                          "1 SELECT: SELECT 2"));
}

TEST(StatementsTest, WhatIsNotClosedReachesToTheEnd) {
  EXPECT_THAT(Split("SELECT 'a; SELECT 2"), ElementsAre("1 SELECT: SELECT 'a; SELECT 2"));
  EXPECT_THAT(Split("SELECT 1; /* SELECT 2;"), ElementsAre("1 SELECT: SELECT 1"));
}

TEST(StatementsTest, TriggersEndWithEnd) {
  const std::string body =
      " t AFTER UPDATE ON x BEGIN UPDATE x SET a = CASE WHEN b THEN 1 ELSE 2 END; "
      "DELETE FROM y; END";
  for (const std::string head :
       {"CREATE TRIGGER", "create temp trigger", "CREATE TEMPORARY /* ; */ TRIGGER",
        "EXPLAIN CREATE TRIGGER", "EXPLAIN QUERY PLAN CREATE TRIGGER"}) {
    const std::string script = head + body + "; COMMIT";
    const std::vector<SqlStatement> statements = SplitStatements(script);
    ASSERT_EQ(statements.size(), 2u) << head;
    EXPECT_EQ(statements[0].text, head + body);
    EXPECT_FALSE(ControlsTransaction(statements[0]));
    EXPECT_TRUE(ControlsTransaction(statements[1]));
  }
}

TEST(StatementsTest, ATableCalledTriggerIsNoTrigger) {
  EXPECT_EQ(SplitStatements("CREATE TABLE trigger(a); SELECT 1").size(), 2u);
  EXPECT_EQ(SplitStatements("SELECT 1 AS trigger; SELECT 1").size(), 2u);
  EXPECT_EQ(SplitStatements("CREATE VIEW v AS SELECT trigger FROM t; SELECT 1").size(), 2u);
}

TEST(StatementsTest, TransactionControlIsSeenHoweverWritten) {
  for (const std::string sql :
       {"BEGIN", "begin immediate", "COMMIT", "END", "End transaction", "ROLLBACK", "ROLLBACK TO x",
        "SAVEPOINT x", "RELEASE x", "-- c\n/**/BEGIN/**/IMMEDIATE"}) {
    const std::vector<SqlStatement> statements = SplitStatements(sql);
    ASSERT_EQ(statements.size(), 1u) << sql;
    EXPECT_TRUE(ControlsTransaction(statements[0])) << sql;
  }
  for (const std::string sql : {"SELECT 'COMMIT'", "INSERT OR ROLLBACK INTO t VALUES (1)",
                                "\"COMMIT\"", "BEGINNING", "(BEGIN)"}) {
    EXPECT_FALSE(ControlsTransaction(SplitStatements(sql)[0])) << sql;
  }
}

}  // namespace
}  // namespace vouch::storage::migrations_internal
