#include "uow/table.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/sqlite/connection.h"
#include "storage/value.h"
#include "tests/support/status_matchers.h"

namespace vouch::uow {
namespace {

using storage::SqliteConnection;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Optional;

class TableTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(connection_,
                         SqliteConnection::Open({.path = SqliteConnection::InMemoryPath()}));
  }

  TableSchema Create(const std::string& sql, const std::string& table = "t") {
    const absl::Status status = connection_->ExecuteScript(sql);
    EXPECT_TRUE(status.ok()) << status << " from " << sql;
    absl::StatusOr<TableSchema> schema = ReadTableSchema(*connection_, table);
    EXPECT_TRUE(schema.ok()) << schema.status() << " from " << sql;
    return schema.ok() ? *schema : TableSchema();
  }

  std::unique_ptr<SqliteConnection> connection_;
};

// What SQLite itself makes of an integer in a column of that type: a real only if it has REAL
// affinity.
TEST_F(TableTest, RealAffinityIsSqlites) {
  const std::vector<std::string> types = {"REAL",          "real",
                                          "DOUBLE",        "Double Precision",
                                          "FLOAT",         "FLOATING POINT",
                                          "FLOATING",      "PRINT",
                                          "CHARREAL",      "REALTEXT",
                                          "CLOBREAL",      "BLOB REAL",
                                          "REALBLOB",      "INTEGER",
                                          "BIGINT",        "NUMERIC",
                                          "DECIMAL(10,5)", "DATE",
                                          "BOOLEAN",       "TEXT",
                                          "BLOB",          "",
                                          "STRING",        "DOUBT",
                                          "AFLOAT(3)",     "ANY"};
  int number = 0;
  for (const std::string& type : types) {
    const std::string table = "t" + std::to_string(++number);
    const TableSchema schema =
        Create("CREATE TABLE " + table + "(id INTEGER PRIMARY KEY, x " + type + ");", table);
    ASSERT_OK(connection_->Execute("INSERT INTO " + table + " VALUES (1, 5)"));
    ASSERT_OK_AND_ASSIGN(const std::string stored,
                         connection_->QueryValue<std::string>("SELECT typeof(x) FROM " + table));
    ASSERT_EQ(schema.columns.size(), 2u);
    EXPECT_EQ(schema.columns[1].real_affinity, stored == "real") << "type '" << type << "'";
    EXPECT_EQ(HasRealAffinity(type), stored == "real") << "type '" << type << "'";
  }
}

TEST_F(TableTest, RealAffinityInStrictTables) {
  const TableSchema schema = Create(
      "CREATE TABLE t(id INT PRIMARY KEY, a INT, b INTEGER, c REAL, d TEXT, e BLOB, f ANY) STRICT");
  std::string real;
  for (const ColumnInfo& column : schema.columns) {
    if (column.real_affinity) real += column.name;
  }
  EXPECT_EQ(real, "c");
  ASSERT_OK(connection_->Execute("INSERT INTO t(id, c, f) VALUES (1, 5, 5)"));
  EXPECT_THAT(connection_->QueryValue<std::string>("SELECT typeof(c) || typeof(f) FROM t"),
              test::IsOkAndHolds("realinteger"));
}

TEST_F(TableTest, KeysAndOtherColumnsAreOrdered) {
  const TableSchema schema = Create(
      "CREATE TABLE T(b, z, Y, é, c, ab INT, g AS (ab) VIRTUAL, s AS (ab) STORED, X,"
      " PRIMARY KEY(c, b)) WITHOUT ROWID");
  EXPECT_EQ(schema.name, "T");
  EXPECT_THAT(schema.key, ElementsAre(4, 0));
  EXPECT_THAT(schema.rest, ElementsAre(8, 2, 5, 1, 3));  // X Y ab z é
  EXPECT_THAT(schema.captured, ElementsAre(0, 1, 2, 3, 4, 5, 8));
  EXPECT_EQ(schema.columns.size(), 9u);
  EXPECT_TRUE(schema.has_virtual_columns);
  EXPECT_TRUE(schema.without_rowid);
  EXPECT_EQ(schema.rowid_alias, -1);
  EXPECT_EQ(WhyNotReceipted(schema), std::nullopt);
}

TEST_F(TableTest, RowidAliases) {
  const auto alias = [&](const std::string& columns) {
    static int number = 0;
    const std::string table = "t" + std::to_string(++number);
    return Create("CREATE TABLE " + table + columns, table).rowid_alias;
  };
  EXPECT_EQ(alias("(a, id INTEGER PRIMARY KEY)"), 1);
  EXPECT_EQ(alias("(id integer primary key asc)"), 0);
  EXPECT_EQ(alias("(id INTEGER, PRIMARY KEY(id))"), 0);
  EXPECT_EQ(alias("(id INTEGER, PRIMARY KEY(id DESC))"), 0);
  EXPECT_EQ(alias("(id INTEGER PRIMARY KEY AUTOINCREMENT)"), 0);
  EXPECT_EQ(alias("(id INTEGER PRIMARY KEY) STRICT"), 0);
  EXPECT_EQ(alias("(id INTEGER PRIMARY KEY DESC)"), -1);
  EXPECT_EQ(alias("(id INT PRIMARY KEY)"), -1);
  EXPECT_EQ(alias("(id BIGINT PRIMARY KEY)"), -1);
  EXPECT_EQ(alias("(id INTEGER PRIMARY KEY) WITHOUT ROWID"), -1);
  EXPECT_EQ(alias("(a INTEGER, b INTEGER, PRIMARY KEY(a, b))"), -1);
  EXPECT_EQ(alias("(a INTEGER)"), -1);
}

// A table qualifies exactly when SQLite refuses a NULL in its key.
TEST_F(TableTest, QualifiesWhenItsKeyCannotBeNull) {
  const std::vector<std::string> tables = {
      "(id INTEGER PRIMARY KEY DESC)",
      "(id INT PRIMARY KEY)",
      "(id TEXT PRIMARY KEY)",
      "(id TEXT PRIMARY KEY NOT NULL)",
      "(id TEXT PRIMARY KEY) STRICT",
      "(id TEXT PRIMARY KEY) WITHOUT ROWID",
      "(id TEXT, x TEXT NOT NULL, PRIMARY KEY(x, id))",
      "(id TEXT NOT NULL, x TEXT NOT NULL, PRIMARY KEY(x, id))",
      "(x TEXT, id TEXT, PRIMARY KEY(x, id)) STRICT",
      "(id INT PRIMARY KEY DESC) STRICT"};
  int number = 0;
  for (const std::string& columns : tables) {
    const std::string table = "t" + std::to_string(++number);
    const TableSchema schema = Create("CREATE TABLE " + table + columns, table);
    std::string names;
    std::string values;
    for (const ColumnInfo& column : schema.columns) {
      names += (names.empty() ? "" : ", ") + column.name;
      values += std::string(values.empty() ? "" : ", ") + (column.name == "id" ? "NULL" : "'1'");
    }
    const absl::Status inserted =
        connection_->Execute("INSERT INTO " + table + "(" + names + ") VALUES (" + values + ")");
    EXPECT_EQ(WhyNotReceipted(schema) == std::nullopt, !inserted.ok()) << columns << inserted;
  }
}

TEST_F(TableTest, SaysWhyATableDoesNotQualify) {
  EXPECT_THAT(WhyNotReceipted(Create("CREATE TABLE a(x)", "a")), Optional(HasSubstr("no primary")));
  EXPECT_THAT(WhyNotReceipted(Create("CREATE TABLE b(\"x y\" TEXT PRIMARY KEY)", "b")),
              Optional(HasSubstr("\"x y\" NOT NULL")));
  EXPECT_THAT(WhyNotReceipted(Create("CREATE VIEW c AS SELECT 1", "c")),
              Optional(HasSubstr("view")));
  EXPECT_THAT(WhyNotReceipted(Create("CREATE VIRTUAL TABLE d USING fts5(x)", "d")),
              Optional(HasSubstr("virtual")));
  EXPECT_THAT(WhyNotReceipted(Create("", "d_content")), Optional(HasSubstr("virtual table")));
  EXPECT_THAT(
      WhyNotReceipted(Create("CREATE TABLE uow_writes(id INTEGER PRIMARY KEY)", "uow_writes")),
      Optional(HasSubstr("own")));
  EXPECT_THAT(WhyNotReceipted(Create("CREATE TABLE e(id INTEGER PRIMARY KEY AUTOINCREMENT)",
                                     "sqlite_sequence")),
              Optional(HasSubstr("SQLite")));
}

// SQLite's change hook would give 1.0 for the old value of an INTEGER column n.
TEST_F(TableTest, RefusesWhatTheHookMistakesForReal) {
  const auto why = [&](const std::string& columns) {
    static int number = 0;
    const std::string table = "r" + std::to_string(++number);
    return WhyNotCaptured(Create("CREATE TABLE " + table + columns, table));
  };
  EXPECT_THAT(why("(r REAL, n INT, PRIMARY KEY(n, r)) WITHOUT ROWID"),
              Optional(HasSubstr("key's columns first")));
  EXPECT_THAT(why("(n INT, r REAL, k TEXT PRIMARY KEY) WITHOUT ROWID"), Optional(HasSubstr("n")));
  EXPECT_THAT(why("(r REAL, n, k TEXT PRIMARY KEY) WITHOUT ROWID"), testing::Eq(std::nullopt));
  EXPECT_THAT(why("(a, r REAL, n PRIMARY KEY) WITHOUT ROWID"), Optional(HasSubstr("a")));
  EXPECT_THAT(why("(r REAL, n INT, PRIMARY KEY(n, r))"), Optional(HasSubstr("NOT NULL")));
  EXPECT_THAT(why("(n INT, r REAL, PRIMARY KEY(n, r)) WITHOUT ROWID"), testing::Eq(std::nullopt));
  EXPECT_THAT(why("(r REAL, k TEXT PRIMARY KEY) WITHOUT ROWID"), testing::Eq(std::nullopt));
}

TEST_F(TableTest, FindsMainTablesOnlyWhateverTheCase) {
  Create("CREATE TABLE Accounts(Id INTEGER PRIMARY KEY)", "accounts");
  EXPECT_EQ(Create("CREATE TEMP TABLE accounts(other)", "ACCOUNTS").name, "Accounts");
  EXPECT_EQ(Create("", "accounts").columns[0].name, "Id");
  ASSERT_OK(connection_->ExecuteScript("CREATE TEMP TABLE temporary(id INTEGER PRIMARY KEY)"));
  EXPECT_THAT(ReadTableSchema(*connection_, "temporary"),
              test::StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(ReadTableSchema(*connection_, "nothing"),
              test::StatusIs(absl::StatusCode::kNotFound, HasSubstr("\"nothing\"")));
}

TEST_F(TableTest, OwnTables) {
  for (const char* name :
       {"uow_ledger", "unit_of_work", "UOW_Writes", "uow_tree", "uow_checkpoints", "uow_payloads",
        "uow_outbox", "schema_migrations", "memory_schema_migrations", "storage_settings"}) {
    EXPECT_TRUE(IsOwnTable(name)) << name;
  }
  for (const char* name : {"accounts", "uow", "unit_of_works", "_schema_migrations", "storage",
                           "schema_migrations_2", ""}) {
    EXPECT_FALSE(IsOwnTable(name)) << name;
  }
}

TEST_F(TableTest, ListsUsersTables) {
  Create(
      "CREATE TABLE b(id INTEGER PRIMARY KEY AUTOINCREMENT); CREATE TABLE \"a a\"(x);"
      "CREATE VIEW v AS SELECT 1; CREATE TEMP TABLE temporary(x);"
      "CREATE TABLE unit_of_work(x); CREATE TABLE sqliteish(x);"
      "CREATE VIRTUAL TABLE f USING fts5(x)",
      "b");
  ASSERT_OK_AND_ASSIGN(const std::vector<ListedTable> tables, ListTables(*connection_));
  std::vector<std::string> names;
  for (const ListedTable& table : tables) {
    if (table.kind == TableKind::kOrdinary) names.push_back(table.name);
    if (table.name == "f") {
      EXPECT_EQ(table.kind, TableKind::kVirtual);
    }
    if (table.name == "f_data") {
      EXPECT_EQ(table.kind, TableKind::kShadow);
    }
  }
  EXPECT_THAT(names, ElementsAre("a a", "b", "sqliteish"));
  EXPECT_EQ(tables.size(), 9u);  // With f and its five.
}

TEST_F(TableTest, SelectsByNamesThatNeedQuotes) {
  const TableSchema schema = Create(
      "CREATE TABLE \"a \"\"b\"\"\"(\"select\" TEXT NOT NULL, \"x\"\"y\" INT, g AS (1),"
      " \"from\" NOT NULL, PRIMARY KEY(\"from\", \"select\"))",
      "a \"b\"");
  ASSERT_OK(
      connection_->Execute("INSERT INTO \"a \"\"b\"\"\" VALUES ('s', 1, 'f'), ('t', 2, 'e')"));
  for (const RowOrder order : {RowOrder::kAsStored, RowOrder::kByKey}) {
    ASSERT_OK_AND_ASSIGN(auto rows, connection_->Prepare(SelectRowsSql(schema, order)));
    ASSERT_EQ(rows->column_count(), 3);
    ASSERT_THAT(rows->Step(), test::IsOkAndHolds(true));
    EXPECT_EQ(rows->Get<std::string>(0), order == RowOrder::kByKey ? "t" : "s");
  }
  ASSERT_OK_AND_ASSIGN(auto row, connection_->Prepare(SelectRowSql(schema)));
  ASSERT_OK(row->BindAll("e", "t"));
  ASSERT_THAT(row->Step(), test::IsOkAndHolds(true));
  EXPECT_EQ(row->Get<int>(1), 2);
  EXPECT_THAT(row->Step(), test::IsOkAndHolds(false));
}

// An index can be made to disagree with its table, and then hides rows from queries that use it.
TEST_F(TableTest, ReadsRowsAsStoredFromTheTable) {
  const TableSchema schema = Create(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, x INT, big TEXT AS (printf('%500d', x)) STORED);"
      "CREATE INDEX narrow ON t(x)");
  const auto plan = [&](const std::string& sql) {
    absl::StatusOr<storage::StatementPtr> rows = connection_->Prepare("EXPLAIN QUERY PLAN " + sql);
    EXPECT_OK(rows);
    EXPECT_THAT((*rows)->Step(), test::IsOkAndHolds(true));
    return (*rows)->Get<std::string>(3);
  };
  EXPECT_THAT(plan("SELECT id, x FROM t"), HasSubstr("COVERING INDEX narrow"));
  EXPECT_EQ(plan(SelectRowsSql(schema)), "SCAN main.t");
}

// Under a collation that is not BINARY, another row can be equal to the wanted one.
TEST_F(TableTest, SelectsTheRowWithExactlyThisKey) {
  const TableSchema schema =
      Create("CREATE TABLE t(k TEXT COLLATE NOCASE NOT NULL, x, PRIMARY KEY(k COLLATE BINARY))");
  ASSERT_OK(connection_->Execute("INSERT INTO t VALUES ('A', 1), ('a', 2)"));
  const auto find = [&](const char* key) {
    std::vector<int> found;
    auto row = connection_->Prepare(SelectRowSql(schema));
    EXPECT_OK(row);
    EXPECT_OK((*row)->BindAll(key));
    while (*(*row)->Step()) found.push_back((*row)->Get<int>(1));
    return found;
  };
  EXPECT_THAT(find("A"), ElementsAre(1));
  EXPECT_THAT(find("a"), ElementsAre(2));
  EXPECT_THAT(find("b"), IsEmpty());
  // By an index either way.
  ASSERT_OK_AND_ASSIGN(auto plan,
                       connection_->Prepare("EXPLAIN QUERY PLAN " + SelectRowSql(schema)));
  ASSERT_THAT(plan->Step(), test::IsOkAndHolds(true));
  EXPECT_THAT(plan->Get<std::string>(3), HasSubstr("USING INDEX"));
}

}  // namespace
}  // namespace vouch::uow
