// `vouch audit`, run as a program.

#include "uow/cli/audit_command.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "storage/transaction.h"
#include "tests/uow/cli/workspace.h"

namespace vouch::test {
namespace {

using testing::HasSubstr;

class AuditCommandTest : public WorkspaceTest {
 protected:
  AuditCommandTest() {
    Write("a.md", "1");
    Write("b.md", "2");
    Write("c.md", "3");
    Index();
  }

  std::set<std::string> Beside() const {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory().path())) {
      names.insert(entry.path().filename());
    }
    return names;
  }
};

TEST_F(AuditCommandTest, SaysWhatItRead) {
  const Outcome text = Vouch({"audit"});
  EXPECT_EQ(text.exit_code, 0);
  EXPECT_THAT(text.out, HasSubstr("verified\n"));
  EXPECT_THAT(text.out, HasSubstr("not covered\n"));
  EXPECT_THAT(text.out, HasSubstr("\nhead\n"));

  const auto report = nlohmann::json::parse(Vouch({"--json", "audit"}).out);
  EXPECT_EQ(report["verified"], true);
  EXPECT_EQ(report["receipts"], 3);
  EXPECT_EQ(report["writes"], 6);
  EXPECT_EQ(report["rows"], 6);
  EXPECT_EQ(report["head"]["seq"], 3);
  EXPECT_EQ(report["head"]["receipt"], Text("SELECT receipt_hash FROM unit_of_work WHERE seq = 3"));

  EXPECT_EQ(nlohmann::json::parse(Vouch({"--json", "audit", "--quick"}).out)["rows"], 0);
}

TEST_F(AuditCommandTest, ChangesNoByteAndLeavesNoFile) {
  const std::string before = Content(database());
  const auto names = Beside();
  for (const auto& verb : {std::vector<std::string>{"audit"},
                           {"receipt", "list"},
                           {"receipt", "show", "1"},
                           {"migrate", "status"}}) {
    EXPECT_EQ(Vouch(verb).exit_code, 0);
  }
  EXPECT_EQ(Content(database()), before);
  EXPECT_EQ(Beside(), names);
}

TEST_F(AuditCommandTest, ReadsALogThatIsStillThereAndLeavesNothingElse) {
  // A copy of a database in use: with a log, without shared memory.
  auto writer = Open();
  ASSERT_OK(writer->Execute("UPDATE document_index SET title = 'altered' WHERE id = 2"));
  const std::string copy = directory().File("copy.db");
  std::filesystem::copy_file(database(), copy);
  std::filesystem::copy_file(database() + "-wal", copy + "-wal");
  const auto names = Beside();
  const std::string log = Content(copy + "-wal");
  const Outcome audit = RunVouch({"--db", copy, "audit"});
  EXPECT_EQ(audit.exit_code, 1) << "what is in the log counts";
  EXPECT_EQ(Beside(), names);
  EXPECT_EQ(Content(copy + "-wal"), log);
}

TEST_F(AuditCommandTest, WorksBesideAWriter) {
  auto writer = Open();
  ASSERT_OK_AND_ASSIGN(auto transaction,
                       storage::Transaction::Begin(*writer, storage::TransactionMode::kWrite));
  ASSERT_OK(writer->Execute("UPDATE document_index SET title = 'not committed'"));
  ExpectAuditVerifies();
}

TEST_F(AuditCommandTest, WorksOnAReadOnlyCopy) {
  const std::string folder = directory().File("archive");
  std::filesystem::create_directory(folder);
  std::filesystem::copy_file(database(), folder + "/v.db");
  ASSERT_EQ(::chmod((folder + "/v.db").c_str(), 0400), 0);
  ASSERT_EQ(::chmod(folder.c_str(), 0500), 0);
  const Outcome audit = RunVouch({"--db", folder + "/v.db", "audit"});
  ASSERT_EQ(::chmod(folder.c_str(), 0700), 0);
  EXPECT_EQ(audit.exit_code, 0) << audit.err;
}

TEST_F(AuditCommandTest, ALogInAReadOnlyFolderSaysWhatToDo) {
  const std::string disk = directory().File("disk");
  std::filesystem::create_directory(disk);
  if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=8m") != 0) {
    GTEST_SKIP() << "mounting a disk is not allowed here";
  }
  {
    auto writer = Open();
    ASSERT_OK(writer->Execute("UPDATE document_index SET title = 'altered' WHERE id = 2"));
    std::filesystem::copy_file(database(), disk + "/v.db");
    std::filesystem::copy_file(database() + "-wal", disk + "/v.db-wal");
  }
  EXPECT_EQ(::mount("tmpfs", disk.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, "size=8m"), 0);
  const Outcome audit = RunVouch({"--db", disk + "/v.db", "audit"});
  EXPECT_EQ(::umount2(disk.c_str(), MNT_DETACH), 0);
  EXPECT_EQ(audit.exit_code, 1);
  EXPECT_THAT(audit.err, HasSubstr("copy the database with its -wal to a folder that can"));
}

TEST_F(AuditCommandTest, AnAlteredRowIsNamed) {
  Execute("UPDATE document_index SET title = 'altered' WHERE id = 2");
  const Outcome text = Vouch({"audit"});
  EXPECT_EQ(text.exit_code, 1);
  EXPECT_THAT(text.out, HasSubstr("row_altered"));
  EXPECT_THAT(text.out, HasSubstr("document_index/2"));
  EXPECT_THAT(text.err, HasSubstr("1 finding"));
  const auto report = nlohmann::json::parse(Vouch({"--json", "audit"}).out);
  EXPECT_EQ(report["verified"], false);
  EXPECT_EQ(report["findings"][0]["code"], "row_altered");
  EXPECT_EQ(report["findings"][0]["store"], "documents");
  EXPECT_EQ(report["findings"][0]["record"], "document_index/2");
}

TEST_F(AuditCommandTest, AMissingAndAnAddedRowAreNamed) {
  Execute("DELETE FROM audit WHERE id = 1");
  Execute("INSERT INTO document_index(file_path, title, content_hash) VALUES ('x', 'x', 'x')");
  const Outcome text = Vouch({"audit"});
  EXPECT_EQ(text.exit_code, 1);
  EXPECT_THAT(text.out, HasSubstr("row_missing"));
  EXPECT_THAT(text.out, HasSubstr("audit/1"));
  EXPECT_THAT(text.out, HasSubstr("row_unreceipted"));
  EXPECT_THAT(text.out, HasSubstr("document_index/4"));
}

TEST_F(AuditCommandTest, AnAlteredReceiptIsNamed) {
  Execute("UPDATE unit_of_work SET actor_id = 'somebody else' WHERE seq = 2");
  const auto report = nlohmann::json::parse(Vouch({"--json", "audit"}).out);
  EXPECT_EQ(report["first_bad_seq"], 2);
}

TEST_F(AuditCommandTest, AnEmptyTableIsAuditedBeforeTheFirstUnit) {
  std::filesystem::remove_all(files());
  std::filesystem::create_directory(files());
  const std::string other = directory().File("other.db");
  ASSERT_EQ(RunVouch({"--db", other, "index", files()}).exit_code, 0);
  auto connection = storage::SqliteConnection::Open({.path = other});
  ASSERT_OK(connection);
  ASSERT_OK((*connection)
                ->Execute("INSERT INTO document_index(file_path, title, content_hash)"
                          " VALUES ('x', 'x', 'x')"));
  connection->reset();
  EXPECT_EQ(RunVouch({"--db", other, "audit"}).exit_code, 1);
}

TEST_F(AuditCommandTest, AnotherFormatCannotBeVerified) {
  Execute("UPDATE uow_ledger SET format = 2");
  EXPECT_EQ(Vouch({"audit"}).exit_code, 4);
}

TEST_F(AuditCommandTest, AWrongDatabaseIsWrongUsage) {
  EXPECT_EQ(RunVouch({"--db", directory().File("missing.db"), "audit"}).exit_code, 2);
  EXPECT_FALSE(std::filesystem::exists(directory().File("missing.db")));
  Write("text", std::string(2000, 'x'));
  EXPECT_EQ(RunVouch({"--db", File("text"), "audit"}).exit_code, 2);
}

TEST(CodeForAuditTest, OnlyAnUnknownFormatIsNoFailure) {
  using uow::FindingCode;
  uow::AuditReport report;
  report.verified = true;
  EXPECT_EQ(cli::CodeForAudit(report), cli::kDone);
  report.verified = false;
  report.findings = {{.code = FindingCode::kUnsupportedFormat}};
  report.finding_count = 1;
  EXPECT_EQ(cli::CodeForAudit(report), cli::kCannotVerify);
  report.finding_count = 7;
  EXPECT_EQ(cli::CodeForAudit(report), cli::kFailed) << "the other six are not known";
  report.findings.push_back({.code = FindingCode::kRowAltered});
  report.finding_count = 2;
  EXPECT_EQ(cli::CodeForAudit(report), cli::kFailed);
}

}  // namespace
}  // namespace vouch::test
