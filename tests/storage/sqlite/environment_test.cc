// The judgements as tables, and a whole check against a system that is made up.

#include "storage/sqlite/environment.h"

#include <sys/stat.h>

#include <cerrno>
#include <map>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/storage/sqlite/support.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace vouch::storage {
namespace {

using test::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

void ExpectAdviceUnlessOk(const EnvironmentFinding& finding) {
  EXPECT_EQ(finding.advice.empty(), finding.verdict == Verdict::kOk)
      << finding.name << ": " << finding.found << ": " << finding.advice;
}

TEST(EnvironmentTest, AnOldSqliteIsRefused) {
  EXPECT_OK(CheckSqliteVersion(3'038'000));
  EXPECT_THAT(CheckSqliteVersion(3'037'002),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("3.37.2"), HasSubstr("3.38.0"))));
}

TEST(EnvironmentTest, DiskSpace) {
  const std::pair<std::uint64_t, Verdict> cases[] = {{0, Verdict::kBad},
                                                     {499'999'999, Verdict::kBad},
                                                     {500'000'000, Verdict::kWarning},
                                                     {9'999'999'999, Verdict::kWarning},
                                                     {10'000'000'000, Verdict::kOk},
                                                     {std::uint64_t{1} << 62, Verdict::kOk}};
  for (const auto& [bytes, expected] : cases) {
    EXPECT_EQ(JudgeDiskSpace(bytes).verdict, expected) << bytes;
    ExpectAdviceUnlessOk(JudgeDiskSpace(bytes));
  }
  EXPECT_EQ(JudgeDiskSpace(412'345'678).found, "412 MB free");
}

TEST(EnvironmentTest, FileSystems) {
  const struct {
    std::uint64_t magic;
    Verdict expected;
    const char* found;
  } cases[] = {{0xEF53, Verdict::kOk, "ext4"},
               {0x9123683E, Verdict::kOk, "btrfs"},
               {0x58465342, Verdict::kOk, "xfs"},
               {0x01021994, Verdict::kWarning, "tmpfs"},
               {0x65735546, Verdict::kWarning, "fuse"},
               {0x6969, Verdict::kBad, "nfs"},
               {0xFF534D42, Verdict::kBad, "cifs"},
               {0x01021997, Verdict::kBad, "9p"},
               {0x12345678, Verdict::kWarning, "unknown, 0x12345678"}};
  for (const auto& [magic, expected, found] : cases) {
    const EnvironmentFinding finding = JudgeFileSystem(magic, false);
    EXPECT_EQ(finding.verdict, expected) << found;
    EXPECT_EQ(finding.found, found);
    ExpectAdviceUnlessOk(finding);
    EXPECT_EQ(JudgeFileSystem(magic, true).verdict, Verdict::kBad) << "mounted for reading";
  }
}

TEST(EnvironmentTest, Folders) {
  const struct {
    mode_t mode;
    uid_t owner;
    bool may_use;
    Verdict expected;
  } cases[] = {
      {0700, 1000, true, Verdict::kOk},      {0500, 1000, false, Verdict::kBad},
      {0755, 1000, true, Verdict::kWarning}, {0770, 1000, true, Verdict::kWarning},
      {0777, 1000, true, Verdict::kBad},     {01777, 0, true, Verdict::kWarning},
      {0700, 0, false, Verdict::kBad},       {0700, 1001, true, Verdict::kWarning},
      {0702, 1000, true, Verdict::kBad},     {0710, 1000, true, Verdict::kWarning},
  };
  for (const auto& [mode, owner, may_use, expected] : cases) {
    const EnvironmentFinding finding = JudgeFolder({S_IFDIR | mode, owner, 1000, may_use});
    EXPECT_EQ(finding.verdict, expected) << std::oct << mode << ' ' << owner;
    ExpectAdviceUnlessOk(finding);
  }
  EXPECT_EQ(JudgeFolder({S_IFDIR | 01777, 0, 1000, true}).found, "mode 01777, owner 0");
  EXPECT_EQ(JudgeFolder({S_IFDIR | 0700, 7, 7, true}).found, "mode 0700");
}

TEST(EnvironmentTest, Files) {
  const struct {
    mode_t mode;
    uid_t owner;
    bool may_use;
    Verdict expected;
  } cases[] = {
      {S_IFREG | 0600, 1000, true, Verdict::kOk},
      {S_IFREG | 0640, 1000, true, Verdict::kWarning},
      {S_IFREG | 0644, 1000, true, Verdict::kWarning},
      {S_IFREG | 0602, 1000, true, Verdict::kBad},
      {S_IFREG | 0600, 1001, true, Verdict::kWarning},
      {S_IFREG | 0400, 1000, false, Verdict::kBad},
      {S_IFDIR | 0700, 1000, true, Verdict::kBad},
      {S_IFLNK | 0777, 1000, true, Verdict::kBad},
  };
  for (const auto& [mode, owner, may_use, expected] : cases) {
    const EnvironmentFinding finding = JudgeFile({mode, owner, 1000, may_use});
    EXPECT_EQ(finding.verdict, expected) << std::oct << mode << ' ' << owner;
    ExpectAdviceUnlessOk(finding);
  }
}

// ---- As a whole -----------------------------------------------------------------------------

// Files and folders by path; what is not named is not there.
SystemProbe MadeUp(std::map<std::string, mode_t> modes, SystemProbe::Volume volume) {
  return {.volume =
              [=](const std::string& folder, SystemProbe::Volume* measured) {
                if (!modes.contains(folder + "/.")) return ENOENT;
                *measured = volume;
                return 0;
              },
          .stat =
              [=](const std::string& path, struct stat* info) {
                const auto found = modes.find(path);
                if (found == modes.end()) return ENOENT;
                info->st_mode = found->second;
                info->st_uid = 1000;
                return 0;
              },
          .may_use = [](const std::string&, bool) { return true; },
          .user = 1000};
}

std::vector<std::pair<std::string, Verdict>> VerdictsOf(
    const std::vector<EnvironmentFinding>& findings) {
  std::vector<std::pair<std::string, Verdict>> verdicts;
  for (const EnvironmentFinding& finding : findings) {
    verdicts.emplace_back(finding.name, finding.verdict);
  }
  return verdicts;
}

TEST(EnvironmentTest, AGoodPlace) {
  const SystemProbe probe =
      MadeUp({{"/srv/app/.", S_IFDIR | 0700}, {"/srv/app/t.db", S_IFREG | 0600}},
             {.free_bytes = std::uint64_t{1} << 40, .magic = 0xEF53});
  EXPECT_THAT(VerdictsOf(CheckEnvironment("/srv/app/t.db", probe)),
              ElementsAre(Pair("disk_space", Verdict::kOk), Pair("file_system", Verdict::kOk),
                          Pair("folder", Verdict::kOk), Pair("file", Verdict::kOk)));
}

TEST(EnvironmentTest, ABadPlaceWithoutAFile) {
  const SystemProbe probe =
      MadeUp({{"/mnt/.", S_IFDIR | 0777}}, {.free_bytes = 1, .magic = 0x6969, .read_only = true});
  EXPECT_THAT(VerdictsOf(CheckEnvironment("/mnt/t.db", probe)),
              ElementsAre(Pair("disk_space", Verdict::kBad), Pair("file_system", Verdict::kBad),
                          Pair("folder", Verdict::kBad)));
}

TEST(EnvironmentTest, NoPlace) {
  EXPECT_THAT(VerdictsOf(CheckEnvironment("/none/t.db", MadeUp({}, {}))),
              ElementsAre(Pair("disk_space", Verdict::kBad), Pair("file_system", Verdict::kBad),
                          Pair("folder", Verdict::kBad)));
}

TEST(EnvironmentTest, TheRealSystem) {
  const test::TemporaryDirectory directory;
  const std::string path = directory.File("t.db");
  { const auto connection = testing_support::OpenOrDie({.path = path}); }
  for (const EnvironmentFinding& finding : CheckEnvironment(path)) {
    EXPECT_NE(finding.found, "") << finding.name;
    ExpectAdviceUnlessOk(finding);
    if (finding.name == "folder" || finding.name == "file") {
      EXPECT_EQ(finding.verdict, Verdict::kOk) << finding.name << ": " << finding.advice;
    }
  }
  std::filesystem::permissions(path, std::filesystem::perms::others_write,
                               std::filesystem::perm_options::add);
  EXPECT_EQ(CheckEnvironment(path).back().verdict, Verdict::kBad);
  EXPECT_EQ(CheckEnvironment(path).back().name, "file");
}

}  // namespace
}  // namespace vouch::storage
