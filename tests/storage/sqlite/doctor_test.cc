// What the doctor finds, in libraries that are and that are not there, and in databases.

#include "storage/sqlite/doctor.h"

#include <sqlite3.h>

#include <algorithm>
#include <filesystem>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/database.h"
#include "tests/storage/sqlite/support.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace vouch::storage {
namespace {

using test::TemporaryDirectory;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing_support::ConnectionPtr;
using testing_support::OpenOrDie;
using testing_support::PlainDatabase;
using testing_support::WriteFile;
using Kind = DoctorFinding::Kind;

auto Found(Kind kind, const char* code, const char* text) {
  return Contains(AllOf(Field(&DoctorFinding::kind, kind), Field(&DoctorFinding::code, code),
                        Field(&DoctorFinding::text, HasSubstr(text))));
}

LibraryFacts Healthy() {
  return {.version = 3'051'003,
          .header_version = 3'051'003,
          .threading = 2,
          .compile_options = {"DEFAULT_MEMSTATUS=0", "ENABLE_PREUPDATE_HOOK"}};
}

TEST(DoctorTest, AHealthyLibraryIsFine) {
  for (const DoctorFinding& finding : FindingsAbout(Healthy())) {
    EXPECT_EQ(finding.kind, Kind::kFine) << finding.text;
  }
}

TEST(DoctorTest, EachThingThatCanBeWrongWithALibrary) {
  LibraryFacts facts = Healthy();
  facts.version = 3'051'002;
  facts.header_version = 3'040'001;
  EXPECT_THAT(FindingsAbout(facts), Found(Kind::kNote, "wal_reset_bug", "Exposed are other"));
  facts = Healthy();
  facts.version = facts.header_version = 3'037'002;
  EXPECT_THAT(FindingsAbout(facts), Found(Kind::kProblem, "sqlite_version", "3.38.0 at least"));
  facts.version = 3'044'006;
  facts.header_version = 3'044'007;
  EXPECT_THAT(FindingsAbout(facts), Found(Kind::kProblem, "sqlite_version", "compiled with"));
  facts = Healthy();
  facts.threading = 0;
  EXPECT_THAT(FindingsAbout(facts), Found(Kind::kProblem, "threading", "one thread"));
  facts = Healthy();
  facts.compile_options = {"ENABLE_UNLOCK_NOTIFY", "USE_URI", "SECURE_DELETE", "OMIT_WAL"};
  const auto findings = FindingsAbout(facts);
  EXPECT_THAT(findings, Found(Kind::kProblem, "compile_option", "ENABLE_PREUPDATE_HOOK is"));
  EXPECT_THAT(findings, Found(Kind::kProblem, "compile_option", "OMIT_WAL"));
  EXPECT_THAT(findings, Found(Kind::kNote, "compile_option", "ENABLE_UNLOCK_NOTIFY"));
  EXPECT_THAT(findings, Found(Kind::kNote, "compile_option", "USE_URI"));
  EXPECT_THAT(findings, Found(Kind::kNote, "compile_option", "memory statistics"));
  EXPECT_THAT(findings, Found(Kind::kNote, "compile_option", "SECURE_DELETE"));
}

TEST(DoctorTest, TheLinkedLibraryCanBeUsed) {
  const DoctorReport report = ExamineLibrary();
  EXPECT_EQ(report.library.version, sqlite3_libversion_number());
  EXPECT_EQ(report.library.source_id, sqlite3_sourceid());
  EXPECT_THAT(report.library.compile_options, Not(IsEmpty()));
  EXPECT_FALSE(report.has_problem());
}

class DoctorFileTest : public ::testing::Test {
 protected:
  void MakeDatabase() { ASSERT_OK(OpenOrDie({.path = path_})->Execute("CREATE TABLE t(a)")); }

  TemporaryDirectory directory_;
  const std::string path_ = directory_.File("t.db");
  DoctorReport report_;
};

TEST_F(DoctorFileTest, EveryKindOfConnectionHasTheSettings) {
  MakeDatabase();
  for (const Access access : {Access::kReadWrite, Access::kReadOnly, Access::kImmutable}) {
    DoctorReport report;
    const ConnectionPtr connection = OpenOrDie({.path = path_, .access = access});
    ASSERT_OK(ExamineSettings(*connection, Profile::Balanced(), report));
    EXPECT_THAT(report.findings, IsEmpty()) << static_cast<int>(access);
    EXPECT_GE(report.settings.size(), 10u);
  }
}

TEST_F(DoctorFileTest, SoDoLeases) {
  ASSERT_OK_AND_ASSIGN(const auto database, Database::Open({.path = path_}));
  ASSERT_OK_AND_ASSIGN(ReadLease reader, database->Read());
  ASSERT_OK_AND_ASSIGN(WriteLease writer, database->Write());
  ASSERT_OK(ExamineSettings(*reader, Profile::Balanced(), report_));
  ASSERT_OK(ExamineSettings(*writer, Profile::Balanced(), report_));
  EXPECT_THAT(report_.findings, IsEmpty());
}

TEST_F(DoctorFileTest, ASettingThatIsNotTheProfiles) {
  const ConnectionPtr connection = OpenOrDie({.path = path_});
  ASSERT_OK(connection->Execute("PRAGMA foreign_keys = 0"));
  ASSERT_OK(connection->Execute("PRAGMA synchronous = OFF"));
  ASSERT_OK(ExamineSettings(*connection, Profile::Balanced(), report_));
  EXPECT_THAT(report_.findings, Found(Kind::kProblem, "setting", "foreign_keys is 0, not 1"));
  EXPECT_THAT(report_.findings, Found(Kind::kProblem, "setting", "synchronous is 0, not 2"));
  EXPECT_TRUE(report_.has_problem());
}

TEST_F(DoctorFileTest, ALogThatIsNotCut) {
  ExamineLog(path_, {}, report_);
  MakeDatabase();
  ExamineLog(path_, {}, report_);
  EXPECT_THAT(report_.findings, IsEmpty());
  WriteFile(path_ + "-wal", std::string(10'000, 'x'));
  Profile profile;
  profile.journal_size_limit_bytes = 10'000;
  ExamineLog(path_, profile, report_);
  profile.journal_size_limit_bytes = -1;
  ExamineLog(path_, profile, report_);
  EXPECT_THAT(report_.findings, IsEmpty());
  profile.journal_size_limit_bytes = 9999;
  ExamineLog(path_, profile, report_);
  EXPECT_THAT(report_.findings, Found(Kind::kNote, "log_size", "10000 bytes"));
}

// Each finding of the environment, under its own name and with its own words, and once.
TEST_F(DoctorFileTest, WhereTheFileIs) {
  MakeDatabase();
  std::filesystem::permissions(path_, std::filesystem::perms(0604));
  const auto environment = CheckEnvironment(path_);
  ExamineEnvironment(path_, report_);
  ASSERT_EQ(report_.findings.size(), environment.size());
  for (std::size_t i = 0; i < environment.size(); ++i) {
    EXPECT_EQ(report_.findings[i].code, environment[i].name);
    EXPECT_THAT(report_.findings[i].text,
                AllOf(HasSubstr(environment[i].found), HasSubstr(environment[i].advice)));
  }
  EXPECT_THAT(report_.findings, Found(Kind::kNote, "file", "everybody may read it"));
}

TEST_F(DoctorFileTest, EachVerdictIsAKind) {
  SystemProbe probe = SystemProbe::Real();
  probe.volume = [](const std::string&, SystemProbe::Volume* volume) {
    *volume = {.free_bytes = 1'000'000'000, .magic = 0x6969};
    return 0;
  };
  probe.may_use = [](const std::string&, bool) { return false; };
  MakeDatabase();
  ExamineEnvironment(path_, report_, probe);
  EXPECT_THAT(report_.findings, Found(Kind::kNote, "disk_space", "1000 MB free; 10 GB"));
  EXPECT_THAT(report_.findings, Found(Kind::kProblem, "file_system", "nfs; "));
  EXPECT_THAT(report_.findings, Found(Kind::kProblem, "folder", "cannot be made in it"));
  EXPECT_THAT(report_.findings, Found(Kind::kProblem, "file", "may not be written"));
  EXPECT_TRUE(report_.has_problem());
}

TEST_F(DoctorFileTest, AFileThatKeepsItsFreedPages) {
  { ASSERT_EQ(PlainDatabase(path_).Run("CREATE TABLE t(a)"), SQLITE_OK); }
  for (const Policy policy : {Policy::kUnrestricted, Policy::kReader, Policy::kUnit}) {
    DoctorReport report;
    const ConnectionPtr connection = OpenOrDie({.path = path_, .policy = policy});
    ASSERT_OK(ExamineSettings(*connection, Profile::Balanced(), report));
    EXPECT_THAT(report.findings, Found(Kind::kNote, "auto_vacuum", "none, not incremental"));
    EXPECT_EQ(report.settings.back(), (ReadBackSetting{"auto_vacuum", "0", ""}));
    EXPECT_FALSE(report.has_problem());
  }
}

}  // namespace
}  // namespace vouch::storage
