// What the tests of storage/ share: connections to open, values to ask for, and SQLite as any other
// program would use it.

#ifndef VOUCH_TESTS_STORAGE_SQLITE_SUPPORT_H_
#define VOUCH_TESTS_STORAGE_SQLITE_SUPPORT_H_

#include <sqlite3.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "gtest/gtest.h"
#include "storage/sqlite/connection.h"
#include "tests/support/status_matchers.h"

namespace vouch::storage::testing_support {

using ConnectionPtr = std::unique_ptr<SqliteConnection>;

// REQUIRES: it can be opened; the test is over otherwise.
inline ConnectionPtr OpenOrDie(SqliteOptions options) {
  auto connection = SqliteConnection::Open(options);
  EXPECT_OK(connection) << options.path;
  return *std::move(connection);
}

inline ConnectionPtr OpenInMemory(Policy policy = Policy::kUnrestricted) {
  return OpenOrDie({.path = SqliteConnection::InMemoryPath(), .policy = policy});
}

inline std::int64_t Int(Connection& connection, std::string_view sql) {
  const auto value = connection.QueryValue<std::int64_t>(sql);
  EXPECT_OK(value) << sql;
  return value.value_or(-1);
}

inline std::string Text(Connection& connection, std::string_view sql) {
  const auto value = connection.QueryValue<std::string>(sql);
  EXPECT_OK(value) << sql;
  return value.value_or("(error)");
}

// Another program: plain SQLite, with its defaults and without any of our precautions.
class PlainDatabase {
 public:
  explicit PlainDatabase(const std::string& path) {
    EXPECT_EQ(sqlite3_open(path.c_str(), &db_), SQLITE_OK) << path;
  }
  ~PlainDatabase() { sqlite3_close(db_); }
  PlainDatabase(const PlainDatabase&) = delete;
  PlainDatabase& operator=(const PlainDatabase&) = delete;

  // SQLite's result code.
  int Run(const std::string& sql) {
    return sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
  }

  // The first column of the first row as text.
  std::string Value(const std::string& sql) {
    std::string value;
    sqlite3_stmt* statement = nullptr;
    EXPECT_EQ(sqlite3_prepare_v2(db_, sql.c_str(), -1, &statement, nullptr), SQLITE_OK) << sql;
    if (sqlite3_step(statement) == SQLITE_ROW) {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
      if (text != nullptr) value = text;
    }
    sqlite3_finalize(statement);
    return value;
  }

  sqlite3* db() const { return db_; }

 private:
  sqlite3* db_ = nullptr;
};

inline std::string ContentsOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void WriteFile(const std::string& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << bytes;
}

inline std::int64_t SizeOf(const std::string& path) {
  std::error_code missing;
  const auto size = std::filesystem::file_size(path, missing);
  return missing ? -1 : static_cast<std::int64_t>(size);
}

inline std::set<std::string> NamesIn(const std::filesystem::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.insert(entry.path().filename().string());
  }
  return names;
}

}  // namespace vouch::storage::testing_support

#endif  // VOUCH_TESTS_STORAGE_SQLITE_SUPPORT_H_
