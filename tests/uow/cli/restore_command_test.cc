// `vouch restore`, run as a program.

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "tests/uow/cli/workspace.h"

namespace vouch::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

class RestoreCommandTest : public WorkspaceTest {
 protected:
  // A database with two receipts, of which the backup has the first.
  RestoreCommandTest() {
    Write("a.md", "1");
    Index();
    EXPECT_EQ(Vouch({"backup", backup()}).exit_code, 0);
    Write("b.md", "2");
    Index();
  }

  std::string backup() const { return directory().File("backup.db"); }
  std::int64_t Receipts() const { return Count("SELECT count(*) FROM unit_of_work"); }
  std::set<std::string> Beside() const {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory().path())) {
      names.insert(entry.path().filename());
    }
    return names;
  }
  nlohmann::json Restore(std::vector<std::string> options = {}) const {
    options.insert(options.begin(), {"--json", "restore", backup()});
    const Outcome outcome = Vouch(std::move(options));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
    return nlohmann::json::parse(outcome.out);
  }
  // Fails with this code and these words, and changes nothing.
  void ExpectRefused(std::vector<std::string> arguments, int exit_code,
                     const std::string& words) const {
    const auto names = Beside();
    const std::string before = Content(database());
    arguments.insert(arguments.begin(), "restore");
    const std::string last = arguments.back();
    const Outcome outcome = Vouch(std::move(arguments));
    EXPECT_EQ(outcome.exit_code, exit_code) << last << ": " << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(words)) << last;
    EXPECT_THAT(outcome.out, IsEmpty());
    EXPECT_EQ(Beside(), names) << last;
    EXPECT_EQ(Content(database()), before) << last;
  }
};

TEST_F(RestoreCommandTest, WhatIsThereThenVerifiesAndGoesOn) {
  const auto result = Restore();
  EXPECT_EQ(result["verb"], "restore");
  EXPECT_EQ(result["database"], database());
  EXPECT_EQ(result["file"], backup());
  EXPECT_EQ(result["bytes"], std::filesystem::file_size(backup()));
  EXPECT_EQ(result["digest_compared"], true);
  EXPECT_EQ(result["replaced"], true);
  EXPECT_TRUE(result["old_kept_as"].is_null());
  EXPECT_EQ(Content(database()), Content(backup()));
  ExpectAuditVerifies();
  EXPECT_EQ(Receipts(), 1);
  Index();
  ExpectAuditVerifies();
  EXPECT_EQ(Receipts(), 2);
}

TEST_F(RestoreCommandTest, TheOldOneIsKeptWhenAsked) {
  const std::string old = directory().File("old\n?%.db");
  const Outcome outcome = Vouch({"restore", backup(), "--keep-old", old});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("the old one, kept as"));
  EXPECT_EQ(Receipts(), 1);
  const Outcome audit = RunVouch({"--json", "--db", old, "audit"});
  EXPECT_EQ(audit.exit_code, 0) << audit.err;
  EXPECT_EQ(nlohmann::json::parse(audit.out)["receipts"], 2);
}

TEST_F(RestoreCommandTest, SaysThatTheOldOneIsNotKept) {
  const Outcome outcome = Vouch({"restore", backup()});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr(database()), HasSubstr("not kept")));
  EXPECT_THAT(outcome.err, IsEmpty());
}

TEST_F(RestoreCommandTest, WhereNothingWas) {
  std::filesystem::remove(database());
  EXPECT_EQ(Restore()["replaced"], false);
  ExpectAuditVerifies();
}

TEST_F(RestoreCommandTest, ADamagedOneIsReplacedAndKept) {
  std::ofstream(database(), std::ios::binary) << std::string(8192, 'x');
  EXPECT_EQ(Restore()["old_kept_as"], database() + ".damaged");
  ExpectAuditVerifies();
  EXPECT_EQ(Content(database() + ".damaged"), std::string(8192, 'x'));
}

TEST_F(RestoreCommandTest, ADatabaseThatIsOpenIsRefused) {
  const auto user = Open();
  ASSERT_OK(user->QueryValue<int>("SELECT count(*) FROM unit_of_work"));
  const Outcome outcome = Vouch({"--wait", "0.05", "restore", backup()});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, HasSubstr(database()));
  EXPECT_THAT(user->QueryValue<int>("SELECT count(*) FROM unit_of_work"), IsOkAndHolds(2));
}

TEST_F(RestoreCommandTest, AChangedByteIsRefused) {
  std::fstream file(backup(), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-1, std::ios::end);
  file << 'x';
  file.close();
  ExpectRefused({backup()}, 1, "has the digest");
}

TEST_F(RestoreCommandTest, WithoutADigestThatIsSaid) {
  std::filesystem::remove(backup() + ".sha256");
  const Outcome outcome = Vouch({"restore", backup()});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("there is no "));
}

TEST_F(RestoreCommandTest, TheDigestCanBeGiven) {
  const std::string digest = Content(backup() + ".sha256").substr(0, 64);
  ExpectRefused({backup(), "--sha256", std::string(64, '0')}, 1, "has the digest");
  std::filesystem::remove(backup() + ".sha256");
  EXPECT_EQ(Restore({"--sha256", digest})["digest_compared"], true);
}

TEST_F(RestoreCommandTest, WrongArguments) {
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {"restore"},
           {"restore", backup(), "more"},
           {"restore", backup(), "--sha256", "12"},
           {"restore", backup(), "--sha256", std::string(64, 'g')},
           {"restore", backup(), "--unknown"},
           {"restore", ""}}) {
    const Outcome outcome = Vouch(arguments);
    EXPECT_EQ(outcome.exit_code, 2) << arguments.back() << outcome.err;
  }
  EXPECT_EQ(Receipts(), 2);
}

TEST_F(RestoreCommandTest, WhatIsNoBackup) {
  Write("text", std::string(8192, 'x'));
  Write("empty", "");
  ExpectRefused({File("missing")}, 2, "No such file");
  ExpectRefused({File("text")}, 1, "not a database");
  ExpectRefused({File("empty")}, 1, "is empty");
  ExpectRefused({files()}, 2, "not a regular file");
  ExpectRefused({database()}, 1, "is the backup itself");
  ExpectRefused({backup(), "--keep-old", backup()}, 2, "is there already");
}

TEST_F(RestoreCommandTest, TargetsThatCannotBe) {
  for (const auto& [target, code] : std::vector<std::pair<std::string, int>>{
           {files(), 2}, {files() + "/", 2}, {directory().File("no/such.db"), 2}}) {
    const Outcome outcome = RunVouch({"--db", target, "restore", backup()});
    EXPECT_EQ(outcome.exit_code, code) << target << outcome.err;
  }
  const Outcome outcome =
      RunVouch({"--json", "--db", directory().File("no/such.db"), "restore", backup()});
  EXPECT_EQ(nlohmann::json::parse(outcome.out)["error"]["code"], "NOT_FOUND");
}

}  // namespace
}  // namespace vouch::test
