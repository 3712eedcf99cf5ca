// `vouch doctor`, run as a program.

#include <nlohmann/json.hpp>
#include <string>

#include "storage/sqlite/version.h"
#include "tests/uow/cli/workspace.h"

namespace vouch::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

class DoctorCommandTest : public WorkspaceTest {
 protected:
  nlohmann::json Doctor(int exit_code = 0) {
    const Outcome outcome = Vouch({"--json", "doctor"});
    EXPECT_EQ(outcome.exit_code, exit_code) << outcome.out << outcome.err;
    return nlohmann::json::parse(outcome.out);
  }
  // The kind of the finding with this code; empty when there is none.
  static std::string KindOf(const nlohmann::json& report, const std::string& code) {
    for (const auto& finding : report["findings"]) {
      if (finding["code"] == code) return finding["kind"];
    }
    return "";
  }
};

TEST_F(DoctorCommandTest, TellsTheLibraryAndTheSettings) {
  Write("a", "a");
  Index();
  const auto report = Doctor();
  EXPECT_EQ(report["verb"], "doctor");
  EXPECT_EQ(report["database"], database());
  const bool affected = storage::HasWalResetBug(storage::SqliteVersion());
  EXPECT_EQ(report["sqlite"]["version"], storage::FormatSqliteVersion(storage::SqliteVersion()));
  EXPECT_EQ(report["sqlite"]["wal_reset_bug"], affected);
  EXPECT_FALSE(report["sqlite"]["compile_options"].empty());
  EXPECT_EQ(KindOf(report, "wal_reset_bug"), affected ? "note" : "fine");
  EXPECT_EQ(KindOf(report, "setting"), "");
  bool found = false;
  for (const auto& setting : report["settings"]) {
    if (setting["name"] != "synchronous") continue;
    found = true;
    EXPECT_EQ(setting["value"], "2");
    EXPECT_EQ(setting["expected"], "2");
  }
  EXPECT_TRUE(found);
}

TEST_F(DoctorCommandTest, TellsWhereTheDatabaseIs) {
  Write("a", "a");
  Index();
  const auto before = Doctor();
  for (const char* code : {"disk_space", "file_system", "folder", "file"}) {
    EXPECT_THAT(KindOf(before, code), testing::AnyOf("fine", "note")) << code;
  }
  EXPECT_EQ(KindOf(before, "file"), "fine") << "made by us";
  EXPECT_EQ(KindOf(before, "auto_vacuum"), "") << "made by us";
  std::filesystem::permissions(database(), std::filesystem::perms(0606));
  const auto after = Doctor(/*exit_code=*/1);
  EXPECT_EQ(KindOf(after, "file"), "problem");
  EXPECT_EQ(after["findings"].size(), before["findings"].size()) << "each fact once";
}

TEST_F(DoctorCommandTest, TellsAFileThatKeepsItsFreedPages) {
  const std::string path = directory().File("plain.db");
  auto plain =
      storage::SqliteConnection::Open({.path = path, .profile = storage::Profile::SqliteDefault()});
  ASSERT_OK(plain);
  ASSERT_OK((*plain)->Execute("CREATE TABLE t(a)"));
  plain->reset();
  const Outcome outcome = RunVouch({"--db", path, "doctor"});
  EXPECT_THAT(outcome.out, HasSubstr("note: auto_vacuum is none, not incremental"));
}

TEST_F(DoctorCommandTest, SpeaksToPeople) {
  Write("a", "a");
  Index();
  const Outcome outcome = Vouch({"doctor"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("SQLite 3."), HasSubstr("WAL-reset bug"), HasSubstr("journal_mode")));
  EXPECT_THAT(outcome.err, IsEmpty());
}

TEST_F(DoctorCommandTest, ReadsTheContractOfUnitsOfWork) {
  Write("a", "a");
  Index();
  EXPECT_EQ(KindOf(Doctor(), "contract"), "fine");
  Execute("UPDATE unit_of_work SET contract_version = 'new' WHERE seq = 1");
  const auto report = Doctor(/*exit_code=*/1);
  EXPECT_EQ(KindOf(report, "contract"), "problem");
  EXPECT_THAT(Vouch({"doctor"}).out,
              HasSubstr("problem: contract: unit_of_work.contract_version is not a version n.n.n in"
                        " 1 row, first of " +
                        Text("SELECT uow_id FROM unit_of_work WHERE seq = 1")));
}

TEST_F(DoctorCommandTest, ADatabaseWithoutUnitsHasNoContract) {
  Execute("CREATE TABLE t(x)");
  EXPECT_EQ(KindOf(Doctor(), "contract"), "");
}

TEST_F(DoctorCommandTest, LeavesNothingBehind) {
  Write("a", "a");
  Index();
  const std::string before = Content(database());
  Doctor();
  EXPECT_EQ(Content(database()), before);
  EXPECT_FALSE(std::filesystem::exists(database() + "-wal"));
  EXPECT_FALSE(std::filesystem::exists(database() + "-shm"));
}

TEST_F(DoctorCommandTest, WithoutADatabaseTheLibraryIsExamined) {
  const auto report = Doctor();
  EXPECT_TRUE(report["database"].is_null());
  EXPECT_EQ(KindOf(report, "no_database"), "note");
  EXPECT_TRUE(report["settings"].empty());
  EXPECT_FALSE(std::filesystem::exists(database()));
}

TEST_F(DoctorCommandTest, WhatIsNotADatabaseIsWrongUsage) {
  Write("a", std::string(8192, 'x'));
  EXPECT_EQ(RunVouch({"--db", File("a"), "doctor"}).exit_code, 2);
}

}  // namespace
}  // namespace vouch::test
