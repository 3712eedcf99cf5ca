#ifndef VOUCH_TESTS_STORAGE_MIGRATIONS_DATABASE_H_
#define VOUCH_TESTS_STORAGE_MIGRATIONS_DATABASE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/migrations/migration.h"
#include "storage/sqlite/connection.h"
#include "tests/support/status_matchers.h"

namespace vouch::storage {

// A status, or a StatusOr, that is an error whose message holds `text`.
MATCHER_P(FailsWith, text, "") {
  const absl::Status status = vouch::test::StatusOf(arg);
  *result_listener << "whose status is " << status.ToString();
  return !status.ok() && std::string(status.message()).find(text) != std::string::npos;
}

// A connection to `path`, or to a new database in memory.
inline std::unique_ptr<SqliteConnection> OpenDatabase(std::string path = "") {
  SqliteOptions options;
  options.path = path.empty() ? SqliteConnection::InMemoryPath() : std::move(path);
  auto connection = SqliteConnection::Open(options);
  EXPECT_OK(connection);
  return *std::move(connection);
}

// Every row of `query`, its columns as text with '|' between them.
inline std::vector<std::string> Rows(Connection& connection, std::string_view query) {
  std::vector<std::string> rows;
  auto statement = connection.Prepare(query);
  EXPECT_OK(statement) << query;
  if (!statement.ok()) return rows;
  while (true) {
    const auto more = (*statement)->Step();
    EXPECT_OK(more) << query;
    if (!more.value_or(false)) return rows;
    std::string row;
    for (int i = 0; i < (*statement)->column_count(); ++i) {
      const ValueView value = (*statement)->column(i);
      if (i > 0) row += "|";
      if (value.type() == ValueType::kInteger) {
        absl::StrAppend(&row, value.integer());
      } else if (value.type() == ValueType::kReal) {
        absl::StrAppend(&row, value.real());
      } else if (value.is_null()) {
        row += "null";
      } else {
        row += value.bytes();
      }
    }
    rows.push_back(std::move(row));
  }
}

inline std::int64_t Count(Connection& connection, std::string_view query) {
  const auto count = connection.QueryValue<std::int64_t>(query);
  EXPECT_OK(count) << query;
  return count.value_or(-1);
}

// What EXPLAIN QUERY PLAN says, on one line.
inline std::string PlanOf(Connection& connection, std::string_view query) {
  std::string plan;
  for (const std::string& row :
       Rows(connection, absl::StrCat("EXPLAIN QUERY PLAN ", std::string(query)))) {
    absl::StrAppend(&plan, plan.empty() ? "" : "; ", row.substr(row.rfind('|') + 1));
  }
  return plan;
}

// The schema as it was written, spaces and comments aside: type, name, table, SQL. Without what
// SQLite keeps for itself, and without the histories.
inline std::vector<std::string> Schema(Connection& connection) {
  std::vector<std::string> schema;
  for (const std::string& row :
       Rows(connection,
            "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT GLOB 'sqlite_*' "
            "AND name NOT GLOB '*schema_migrations' ORDER BY type, name")) {
    std::string normal;
    bool comment = false;
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (row.compare(i, 2, "--") == 0) comment = true;
      if (row[i] == '\n') comment = false;
      const bool space = row[i] == ' ' || row[i] == '\n';
      if (comment || (space && !normal.empty() && normal.back() == ' ')) continue;
      normal += space ? ' ' : row[i];
    }
    schema.push_back(normal);
  }
  return schema;
}

// Every row of every table but the histories.
inline std::vector<std::string> Contents(Connection& connection) {
  std::vector<std::string> contents;
  for (const std::string& table : Rows(connection,
                                       "SELECT name FROM sqlite_schema WHERE type = 'table' AND "
                                       "name NOT GLOB '*schema_migrations' ORDER BY name")) {
    for (const std::string& row :
         Rows(connection, absl::StrCat("SELECT * FROM \"", table, "\" ORDER BY 1"))) {
      contents.push_back(absl::StrCat(table, ": ", row));
    }
  }
  return contents;
}

// A set that must be right.
inline MigrationSet SetOf(std::string name, std::vector<Migration> migrations) {
  auto set = MigrationSet::FromSql(std::move(name), std::move(migrations));
  EXPECT_OK(set);
  return *std::move(set);
}

}  // namespace vouch::storage

#endif  // VOUCH_TESTS_STORAGE_MIGRATIONS_DATABASE_H_
