#include "storage/migrations/migration.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/sha256.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace vouch::storage {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using vouch::test::StatusIs;
using vouch::test::TemporaryDirectory;

Migration Make(std::int64_t version, std::string name = "m") {
  return {.version = version, .name = std::move(name), .up = "SELECT 1;"};
}

void WriteFile(const TemporaryDirectory& folder, const std::string& name, const std::string& text) {
  std::ofstream(folder.File(name), std::ios::binary) << text;
}

TEST(MigrationSetTest, SortsByVersion) {
  ASSERT_OK_AND_ASSIGN(const MigrationSet set,
                       MigrationSet::FromSql("s", {Make(2, "b"), Make(1, "a"), Make(3, "c")}));
  EXPECT_EQ(set.latest(), 3);
  EXPECT_EQ(set.migrations()[0].name, "a");
  ASSERT_NE(set.Find(3), nullptr);
  EXPECT_EQ(set.Find(3)->name, "c");
  EXPECT_EQ(set.Find(0), nullptr);
  EXPECT_EQ(set.Find(4), nullptr);
}

TEST(MigrationSetTest, HistoryTableFollowsTheName) {
  ASSERT_OK_AND_ASSIGN(const MigrationSet unnamed, MigrationSet::FromSql("", {}));
  EXPECT_EQ(unnamed.history_table(), "schema_migrations");
  EXPECT_EQ(unnamed.Describe(2, "x"), "2 (x)");
  ASSERT_OK_AND_ASSIGN(const MigrationSet named, MigrationSet::FromSql("billing_2", {}));
  EXPECT_EQ(named.history_table(), "billing_2_schema_migrations");
  EXPECT_EQ(named.Describe(2, "x"), "billing_2 2 (x)");
}

TEST(MigrationSetTest, RefusesWhatCannotBeRight) {
  const auto expect = [](std::string name, std::vector<Migration> migrations, std::string message) {
    EXPECT_THAT(MigrationSet::FromSql(std::move(name), std::move(migrations)).status(),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
  };
  for (const std::string name : {"Core", "1a", "_a", "a-b", "a b", "a\"b"}) {
    expect(name, {}, "a set's name is");
  }
  expect("s", {Make(1, "a"), Make(1, "b")}, "version 1 twice: 1 (a) and 1 (b)");
  expect("s", {Make(1), Make(3, "c")}, "version 2 is missing before 3 (c)");
  expect("s", {Make(2)}, "version 1 is missing before 2 (m)");
  expect("s", {Make(0)}, "versions begin with 1");
  expect("s", {Make(1, "No")}, "a name is");
  expect("s", {{.version = 1, .name = "m", .up = " -- nothing"}}, "migration 1:1: the section up");
  expect("s", {{.version = 1, .name = "m", .up = "SELECT 1;\nCOMMIT"}}, "migration 1:2: COMMIT");
  expect("s", {{.version = 1, .name = "m", .up = "SELECT 1", .down = "\n"}},
         "section down is empty");
}

TEST(MigrationSetTest, ReadsAFolder) {
  const TemporaryDirectory folder;
  WriteFile(folder, "0002_b.sql", "-- vouch:migration v1\r\n-- vouch:up\r\nSELECT 2;\r\n");
  WriteFile(folder, "0001_a.sql", "-- vouch:migration v1\n-- vouch:up\nSELECT 1;\n");
  WriteFile(folder, "README.md", "not a migration");
  ASSERT_OK_AND_ASSIGN(const MigrationSet set, MigrationSet::FromFolder(folder.path(), "s"));
  EXPECT_EQ(set.name(), "s");
  ASSERT_EQ(set.latest(), 2);
  EXPECT_EQ(set.Find(1)->up, "SELECT 1;\n");
  EXPECT_EQ(set.Find(2)->up, "SELECT 2;\n");

  WriteFile(folder, "0002_c.sql", "-- vouch:migration v1\n-- vouch:up\nSELECT 3;\n");
  EXPECT_THAT(MigrationSet::FromFolder(folder.path()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("0002_b.sql"), HasSubstr("0002_c.sql"))));
  WriteFile(folder, "0002_c.sql", "hello");
  EXPECT_THAT(MigrationSet::FromFolder(folder.path()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("0002_c.sql:1:")));
}

TEST(MigrationSetTest, WhatEverybodyMayWriteIsNotRun) {
  using std::filesystem::perms;
  const TemporaryDirectory folder;
  WriteFile(folder, "0001_a.sql", "-- vouch:migration v1\n-- vouch:up\nSELECT 1;\n");
  const auto expect_refused = [&](const std::string& name) {
    EXPECT_THAT(MigrationSet::FromFolder(folder.path()),
                StatusIs(absl::StatusCode::kFailedPrecondition,
                         AllOf(HasSubstr("everybody may write"), HasSubstr(name))));
  };
  std::filesystem::permissions(folder.File("0001_a.sql"), perms(0646));
  expect_refused("0001_a.sql");
  std::filesystem::permissions(folder.File("0001_a.sql"), perms(0664));
  EXPECT_OK(MigrationSet::FromFolder(folder.path()));
  for (const perms mode : {perms(0777), perms(01777)}) {
    std::filesystem::permissions(folder.path(), mode);
    expect_refused(folder.path().string());
  }
}

TEST(MigrationSetTest, AFolderThatIsNotThere) {
  const TemporaryDirectory folder;
  EXPECT_THAT(MigrationSet::FromFolder(folder.path() / "none"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none")));
}

TEST(MigrationSetDeathTest, BrokenEmbeddedFilesEndTheProgram) {
  const MigrationFile files[] = {{.name = "0001_a.sql", .text = "hello"}};
  EXPECT_DEATH(MigrationSet::FromEmbedded("s", files), "0001_a.sql:1: not a migration");
}

// The bytes that are hashed, spelt out once.
TEST(ChecksumGoldenTest, IsOverLengthPrefixedParts) {
  const Migration m = {.version = 12, .name = "add", .up = "A;\n", .down = "é"};
  EXPECT_EQ(Checksum(m), HexOf(Sha256::Of("vouch-migration/1\n2:12\n3:add\n3:A;\n\n2:é\n")));
  EXPECT_EQ(Checksum(m), "55499ce6c2feebea312c13188e6746dfde7f20cc6bbbf42d6084aec5da0dc7bd");
}

TEST(ChecksumTest, ChangesWithEachPartOnly) {
  const Migration m = {.version = 1, .name = "a", .up = "u", .down = "d", .verify = "v"};
  const auto with = [&](auto change) {
    Migration changed = m;
    change(changed);
    return Checksum(changed);
  };
  EXPECT_NE(with([](Migration& c) { c.version = 2; }), Checksum(m));
  EXPECT_NE(with([](Migration& c) { c.name = "b"; }), Checksum(m));
  EXPECT_NE(with([](Migration& c) { c.up = "U"; }), Checksum(m));
  EXPECT_NE(with([](Migration& c) { c.down = "D"; }), Checksum(m));
  EXPECT_NE(with([](Migration& c) { std::swap(c.up, c.down); }), Checksum(m));
  EXPECT_NE(with([](Migration& c) { c.up += c.down, c.down = ""; }), Checksum(m));
  EXPECT_EQ(with([](Migration& c) { c.description = c.verify = c.id = "x"; }), Checksum(m));
}

}  // namespace
}  // namespace vouch::storage
