#ifndef VOUCH_TESTS_UOW_CLI_WORKSPACE_H_
#define VOUCH_TESTS_UOW_CLI_WORKSPACE_H_

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/sqlite/connection.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"
#include "tests/uow/cli/vouch_process.h"

namespace vouch::test {

// A test with a folder of files, a database beside it, and the program at hand.
class WorkspaceTest : public testing::Test {
 protected:
  WorkspaceTest() { std::filesystem::create_directory(files()); }

  std::string database() const { return directory_.File("v.db"); }
  std::string files() const { return directory_.File("files"); }
  std::string File(const std::string& name) const { return files() + "/" + name; }
  const TemporaryDirectory& directory() const { return directory_; }

  void Write(const std::string& name, const std::string& content) const {
    std::filesystem::create_directories(std::filesystem::path(File(name)).parent_path());
    std::ofstream(File(name), std::ios::binary) << content;
  }

  // `vouch --db DATABASE ARGUMENTS…`
  std::vector<std::string> OnDatabase(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"--db", database()});
    return arguments;
  }
  Outcome Vouch(std::vector<std::string> arguments) const {
    return RunVouch(OnDatabase(std::move(arguments)));
  }
  // Indexes the folder of files, and returns the JSON object that was printed.
  nlohmann::json Index(std::vector<std::string> options = {}, int exit_code = 0) const {
    options.insert(options.begin(), {"--json", "index", files()});
    const Outcome outcome = Vouch(std::move(options));
    EXPECT_EQ(outcome.exit_code, exit_code) << outcome.err;
    return nlohmann::json::parse(outcome.out);
  }
  void ExpectAuditVerifies() const {
    const Outcome audit = Vouch({"audit"});
    EXPECT_EQ(audit.exit_code, 0) << audit.out << audit.err;
  }

  // A connection of the test's own, past everything that vouch forbids.
  std::unique_ptr<storage::SqliteConnection> Open() const {
    auto connection = storage::SqliteConnection::Open({.path = database()});
    EXPECT_OK(connection);
    return *std::move(connection);
  }
  std::int64_t Count(const std::string& sql) const {
    const auto count = Open()->QueryValue<std::int64_t>(sql);
    EXPECT_OK(count);
    return count.value_or(-1);
  }
  std::string Text(const std::string& sql) const {
    const auto text = Open()->QueryValue<std::string>(sql);
    EXPECT_OK(text);
    return text.value_or("");
  }
  void Execute(const std::string& sql) const { EXPECT_OK(Open()->Execute(sql)); }

  static std::string Content(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  TemporaryDirectory directory_;
};

}  // namespace vouch::test

#endif  // VOUCH_TESTS_UOW_CLI_WORKSPACE_H_
