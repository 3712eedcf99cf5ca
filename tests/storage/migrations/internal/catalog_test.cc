#include "storage/migrations/internal/catalog.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/storage/migrations/database.h"

namespace vouch::storage::migrations_internal {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

TEST(CatalogTest, HoldsTablesWithDataOnly) {
  const auto connection = OpenDatabase();
  ASSERT_OK(connection->ExecuteScript(R"sql(
CREATE TABLE t(a INTEGER PRIMARY KEY AUTOINCREMENT, b TEXT DEFAULT 'x', c AS (a + 1));
CREATE TABLE "odd ""name"(z BLOB);
CREATE VIEW v AS SELECT a FROM t;
CREATE INDEX i ON t(b);
)sql"));
  ASSERT_OK_AND_ASSIGN(const Catalog catalog, ReadCatalog(*connection));
  EXPECT_THAT(catalog,
              UnorderedElementsAre(
                  Pair("t", UnorderedElementsAre(Pair("a", std::nullopt), Pair("b", "'x'"))),
                  Pair("odd \"name", ElementsAre(Pair("z", std::nullopt)))));
}

std::vector<std::string> Losses(const Catalog& before, const Catalog& after) {
  std::vector<std::string> names;
  for (const Loss& loss : FindLosses(before, after)) {
    names.push_back(absl::StrCat(loss.table, ".", loss.column));
  }
  return names;
}

TEST(CatalogTest, LossesAreTablesAndColumnsThatAreGone) {
  const Columns ab = {{"a", std::nullopt}, {"b", std::nullopt}};
  const Columns a = {{"a", std::nullopt}};
  EXPECT_THAT(Losses({{"t", ab}}, {{"t", ab}, {"u", a}}), IsEmpty());
  EXPECT_THAT(Losses({{"t", a}}, {{"t", ab}}), IsEmpty());
  EXPECT_THAT(Losses({{"t", ab}, {"u", a}}, {{"t", a}}), ElementsAre("t.b", "u."));
  EXPECT_THAT(Losses({{"t", a}}, {{"renamed", a}}), ElementsAre("t."));
}

TEST(CatalogTest, ColumnsAtTheirDefaultHoldNothing) {
  const auto connection = OpenDatabase();
  // Each column: its default, a value that is the default, a value that is not.
  struct Case {
    std::string declaration;
    std::string same;
    std::string other;
  };
  for (const Case& c : std::vector<Case>{{"INTEGER", "NULL", "0"},
                                         {"INTEGER DEFAULT 0", "0", "1"},
                                         {"INTEGER DEFAULT 0", "0", "NULL"},
                                         {"INTEGER DEFAULT -7", "-7", "7"},
                                         {"INTEGER DEFAULT '5'", "5", "6"},
                                         {"BOOLEAN DEFAULT TRUE", "1", "5"},
                                         {"BOOLEAN DEFAULT false", "0", "1"},
                                         {"REAL DEFAULT 0.5", "0.5", "0.25"},
                                         {"TEXT DEFAULT 'it''s'", "'it''s'", "'its'"},
                                         {"TEXT COLLATE NOCASE DEFAULT 'x'", "'x'", "'X'"},
                                         {"TEXT DEFAULT ''", "''", "NULL"},
                                         {"TEXT DEFAULT CURRENT_TIMESTAMP", "NULL", "'now'"},
                                         {"TEXT DEFAULT ('a' || 'b')", "NULL", "'ab'"},
                                         {"BLOB DEFAULT x'00'", "NULL", "x'00'"}}) {
    ASSERT_OK(
        connection->ExecuteScript(absl::StrCat("CREATE TABLE t(\"c d\" ", c.declaration, ", k);")));
    ASSERT_OK_AND_ASSIGN(const Catalog before, ReadCatalog(*connection));
    ASSERT_OK(connection->ExecuteScript(absl::StrCat(
        "INSERT INTO t VALUES (", c.same, ", 1); INSERT INTO t VALUES (", c.other, ", 2);")));
    const std::vector<Loss> losses = FindLosses(before, {{"t", {{"k", std::nullopt}}}});
    ASSERT_EQ(losses.size(), 1u);
    EXPECT_THAT(CountRows(*connection, losses[0], {}), vouch::test::IsOkAndHolds(1))
        << c.declaration << ": " << c.same << ", " << c.other;
    ASSERT_OK(connection->ExecuteScript("DROP TABLE t"));
  }
}

TEST(CatalogTest, RowsOfATableCountUnlessTheyAreTheDefaultOnes) {
  const auto connection = OpenDatabase();
  ASSERT_OK(connection->ExecuteScript(
      "CREATE TABLE t(a, b); INSERT INTO t VALUES (1, 1), (2, 2), (3, 3), (NULL, NULL);"));
  const Loss loss = {.table = "t"};
  EXPECT_THAT(CountRows(*connection, loss, {}), vouch::test::IsOkAndHolds(4));
  EXPECT_THAT(CountRows(*connection, loss, {{"t", "a = 1"}}), vouch::test::IsOkAndHolds(3));
  EXPECT_THAT(CountRows(*connection, loss, {{"t", "a = 1 OR a = 2"}, {"t", "b = 3"}}),
              vouch::test::IsOkAndHolds(1));
  EXPECT_THAT(CountRows(*connection, loss, {{"u", "a = 1"}}), vouch::test::IsOkAndHolds(4));
}

}  // namespace
}  // namespace vouch::storage::migrations_internal
