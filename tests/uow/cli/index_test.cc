// `vouch index`, run as a program.

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "storage/sha256.h"
#include "storage/transaction.h"
#include "tests/uow/cli/workspace.h"

namespace vouch::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class IndexTest : public WorkspaceTest {};

TEST_F(IndexTest, EveryFileBecomesADocumentInAUnitOfItsOwn) {
  Write("a.md", "# A\n");
  Write(".hidden/b", "");
  const auto report = Index();
  EXPECT_EQ(report["files_seen"], 2);
  EXPECT_EQ(report["created"], 2);
  EXPECT_EQ(report["units"], 2);
  EXPECT_EQ(report["bytes_read"], 4);
  EXPECT_EQ(Count("SELECT count(*) FROM unit_of_work WHERE status = 'committed'"), 2);
  EXPECT_EQ(Count("SELECT count(DISTINCT correlation_id) FROM unit_of_work"
                  " WHERE actor_id = 'vouch index'"),
            1);
  const std::string where = " FROM document_index WHERE file_path = '" + File("a.md") + "'";
  EXPECT_EQ(Text("SELECT title" + where), "a.md");
  EXPECT_EQ(Text("SELECT document_type" + where), "text/markdown");
  EXPECT_EQ(Text("SELECT sync_status" + where), "synced");
  EXPECT_EQ(Text("SELECT content_hash" + where), storage::HexOf(storage::Sha256::Of("# A\n")));
  EXPECT_EQ(Count("SELECT json_extract(metadata, '$.size')" + where), 4);
  EXPECT_EQ(Text("SELECT group_concat(result) FROM audit"), "created,created");
  EXPECT_EQ(Text("SELECT group_concat(DISTINCT action_type) FROM audit"), "document_index");
  ExpectAuditVerifies();
}

TEST_F(IndexTest, ASecondRunWritesNothing) {
  Write("a", "1");
  Write("b", "2");
  Index();
  const auto report = Index();
  EXPECT_EQ(report["unchanged"], 2);
  EXPECT_EQ(report["units"], 0);
  EXPECT_EQ(Count("SELECT count(*) FROM unit_of_work"), 2);
}

TEST_F(IndexTest, ChangedVanishedAndReturnedFilesAreFollowed) {
  Write("changed", "1");
  Write("gone", "2");
  Write("gone_/kept", "3");
  Index();
  const std::string gone = " FROM document_index WHERE file_path = '" + File("gone") + "'";

  Write("changed", "1!");
  std::filesystem::remove(File("gone"));
  auto report = Index();
  EXPECT_EQ(report["updated"], 1);
  EXPECT_EQ(report["vanished"], 1);
  EXPECT_EQ(report["units"], 2);
  EXPECT_EQ(Text("SELECT sync_status" + gone), "stale");
  EXPECT_THAT(Text("SELECT json_extract(metadata, '$.vanished_at')" + gone), Not(IsEmpty()));

  report = Index();
  EXPECT_EQ(report["units"], 0) << "a stale document vanishes once";

  Write("gone", "2");
  report = Index();
  EXPECT_EQ(report["updated"], 1);
  EXPECT_EQ(Text("SELECT sync_status" + gone), "synced");
  EXPECT_EQ(Count("SELECT json_extract(metadata, '$.vanished_at') IS NULL" + gone), 1);
  EXPECT_EQ(Text("SELECT group_concat(result) FROM (SELECT result FROM audit ORDER BY result)"),
            "created,created,created,updated,updated,vanished");
  ExpectAuditVerifies();
}

TEST_F(IndexTest, OnlyDocumentsBelowTheFoldersCanVanish) {
  Write("a%_/x", "1");
  Write("ab_/y", "2");
  Index();
  std::filesystem::remove(File("a%_/x"));
  std::filesystem::remove(File("ab_/y"));
  const Outcome outcome = Vouch({"--json", "index", File("a%_")});
  EXPECT_EQ(nlohmann::json::parse(outcome.out)["vanished"], 1);
  EXPECT_EQ(Text("SELECT sync_status FROM document_index WHERE title = 'y'"), "synced");
}

TEST_F(IndexTest, AFileBehindAFolderThatBecameALinkHasVanished) {
  Write("real/x", "1");
  Write("linked/x", "1");
  Index();
  std::filesystem::remove_all(File("linked"));
  std::filesystem::create_symlink("real", File("linked"));
  EXPECT_EQ(Index()["vanished"], 1);
}

TEST_F(IndexTest, NamesAreBytes) {
  const std::string odd = "line\nbreak \xff\xfe \x1b[31m \"quoted\" \xe2\x82\xac";
  Write(odd, "x");
  auto report = Index();
  EXPECT_EQ(report["created"], 1);
  auto connection = Open();
  ASSERT_OK_AND_ASSIGN(auto path,
                       connection->QueryValue<std::string>("SELECT file_path FROM document_index"));
  EXPECT_EQ(path, File(odd));
  EXPECT_EQ(Count("SELECT json_valid(action_data) FROM audit"), 1);
  EXPECT_EQ(Index()["unchanged"], 1);
  // In messages they are escaped, in JSON replaced.
  std::filesystem::resize_file(File(odd), (std::uintmax_t{1} << 30) + 1);
  report = Index({}, 1);
  EXPECT_THAT(report["failures"][0]["path"].get<std::string>(), HasSubstr("line\nbreak \ufffd"));
  const Outcome outcome = Vouch({"index", files()});
  EXPECT_THAT(outcome.err, HasSubstr("line\\nbreak \\xff\\xfe \\x1b[31m \"quoted\" \u20ac: "));
  ExpectAuditVerifies();
}

TEST_F(IndexTest, WhatIsNoRegularFileIsPassedOver) {
  Write("file", "x");
  std::filesystem::create_symlink(".", File("loop"));
  std::filesystem::create_symlink("file", File("link"));
  std::filesystem::create_symlink("nowhere", File("dangling"));
  ASSERT_EQ(mkfifo(File("pipe").c_str(), 0600), 0);
  const auto report = Index();
  EXPECT_EQ(report["files_seen"], 1);
  EXPECT_EQ(report["failed"], 0);
}

TEST_F(IndexTest, FoldersNamedTwiceOrInsideEachOtherAreReadOnce) {
  Write("sub/x", "1");
  Write("y", "2");
  std::filesystem::create_symlink(files(), directory().File("alias"));
  const Outcome outcome = Vouch(
      {"--json", "index", File("sub"), files(), directory().File("alias"), files() + "/../files"});
  EXPECT_EQ(nlohmann::json::parse(outcome.out)["files_seen"], 2) << outcome.err;
}

// Opening the database's files again would also drop the locks on them.
TEST_F(IndexTest, TheDatabaseItselfIsNoDocument) {
  Write("x", "1");
  const std::string database = File("inside.db");
  const std::string linked = File("hard_link");
  const std::vector<std::string> arguments = {"--db", database, "--json", "index", files()};
  ASSERT_EQ(RunVouch(arguments).exit_code, 0);
  std::filesystem::create_hard_link(database, linked);
  const auto report = nlohmann::json::parse(RunVouch(arguments).out);
  EXPECT_EQ(report["files_seen"], 1);
  EXPECT_EQ(report["unchanged"], 1);
}

TEST_F(IndexTest, AFileThatCannotBeReadStopsTheRun) {
  Write("a", "1");
  Write("b_large", "");
  std::filesystem::resize_file(File("b_large"), (std::uintmax_t{1} << 30) + 1);  // Sparse.
  const Outcome outcome = Vouch({"--json", "index", files(), "--threads", "1"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, HasSubstr(File("b_large") + ": read: larger than 1,073,741,824 bytes"));
  const auto report = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(report["outcome"], "failed");
  EXPECT_EQ(report["failed"], 1);
  ExpectAuditVerifies();
}

TEST_F(IndexTest, KeepGoingReportsItAtTheEnd) {
  Write("a_large", "");
  std::filesystem::resize_file(File("a_large"), (std::uintmax_t{1} << 30) + 1);
  Write("b", "1");
  Write("c", "2");
  const auto report = Index({"--keep-going"}, 1);
  EXPECT_EQ(report["created"], 2);
  EXPECT_EQ(report["failed"], 1);
  EXPECT_EQ(report["failures"][0]["path"], File("a_large"));
  ExpectAuditVerifies();
}

TEST_F(IndexTest, TheActivityTableCanBeAnother) {
  Write("a", "1");
  Index();
  Execute(
      "CREATE TABLE trail(id INTEGER PRIMARY KEY, timestamp, action_type, action_data, result)");
  Execute("CREATE TABLE unfit(id INTEGER PRIMARY KEY, timestamp)");
  Write("a", "2");
  Index({"--activity-table", "trail"});
  EXPECT_EQ(Text("SELECT result FROM trail"), "updated");
  ExpectAuditVerifies();
  EXPECT_EQ(Vouch({"index", files(), "--activity-table", "unfit"}).exit_code, 2);
  EXPECT_EQ(Vouch({"index", files(), "--activity-table", "missing"}).exit_code, 2);
  EXPECT_EQ(Vouch({"index", files(), "--activity-table", "document_index"}).exit_code, 2);
}

TEST_F(IndexTest, WrongUsageSaysWhatIsWrong) {
  Outcome outcome = Vouch({"index", File("missing")});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(outcome.err, "vouch: " + File("missing") + ": No such file or directory\n");
  EXPECT_FALSE(std::filesystem::exists(database())) << "nothing is made for a wrong folder";

  Write("file", "");
  EXPECT_EQ(Vouch({"index", File("file")}).exit_code, 2);
  EXPECT_EQ(Vouch({"index", files(), "--threads", "0"}).exit_code, 2);
  EXPECT_EQ(Vouch({"index", files(), "--threads", "65"}).exit_code, 2);
  EXPECT_EQ(Vouch({"index", files(), "--synchronous", "off"}).exit_code, 2);
  EXPECT_EQ(Vouch({"index"}).exit_code, 2);
}

TEST_F(IndexTest, AWrongDatabaseSaysWhatIsWrong) {
  Write("a", "1");
  Outcome outcome = RunVouch({"--db", directory().File("no/v.db"), "index", files()});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("No such file or directory"));

  EXPECT_EQ(RunVouch({"--db", files(), "index", files()}).exit_code, 2);
  EXPECT_EQ(RunVouch({"--db", "", "index", files()}).exit_code, 2);

  const std::string text = std::string(4096, 'x') + "\n";
  Write("text", text);
  outcome = RunVouch({"--db", File("text"), "index", files()});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("file is not a database"));
  EXPECT_EQ(Content(File("text")), text);
}

TEST_F(IndexTest, ANewerSchemaIsRefused) {
  Write("a", "1");
  Index();
  Execute(
      "INSERT INTO memory_schema_migrations(version, name, applied_at, applied_by, duration_ms,"
      " checksum, status, component)"
      " SELECT 99, 'future', applied_at, applied_by, 0, checksum, status, component"
      " FROM memory_schema_migrations WHERE version = 1");
  const Outcome outcome = Vouch({"index", files()});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("99"));
}

TEST_F(IndexTest, ADatabaseLockedByAnotherProcessIsWaitedForThenGivenUp) {
  Write("a", "1");
  Index();
  Write("a", "2");
  auto connection = Open();
  {
    ASSERT_OK_AND_ASSIGN(auto transaction, storage::Transaction::Begin(
                                               *connection, storage::TransactionMode::kWrite));
    const Outcome outcome = Vouch({"--wait", "0.05", "index", files()});
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_THAT(outcome.err, HasSubstr("locked"));
  }
  EXPECT_EQ(Index()["updated"], 1);
}

TEST_F(IndexTest, AFullDiskIsSaidAndLeavesTheLedgerConsistent) {
  const std::string disk = directory().File("disk");
  std::filesystem::create_directory(disk);
  if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=1m") != 0) {
    GTEST_SKIP() << "mounting a small disk is not allowed here";
  }
  const std::string database = disk + "/v.db";
  for (int i = 0; i < 2000; ++i) Write("f" + std::to_string(i), std::to_string(i));
  const Outcome full = RunVouch({"--db", database, "index", files()});
  EXPECT_EQ(full.exit_code, 1) << full.err;
  EXPECT_THAT(full.err, HasSubstr("full"));
  // To a larger disk, then.
  const std::string copy = directory().File("copy.db");
  for (const char* suffix : {"", "-wal"}) {
    std::error_code ignored;
    std::filesystem::copy_file(database + suffix, copy + suffix, ignored);
  }
  EXPECT_EQ(::umount2(disk.c_str(), MNT_DETACH), 0);
  const Outcome audit = RunVouch({"--db", copy, "audit"});
  EXPECT_EQ(audit.exit_code, 0) << audit.out << audit.err;
  EXPECT_EQ(RunVouch({"--db", copy, "index", files()}).exit_code, 0);
}

TEST_F(IndexTest, QuietSaysNothing) {
  Write("a", "1");
  const Outcome outcome = Vouch({"--quiet", "index", files()});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.out, IsEmpty());
  EXPECT_THAT(outcome.err, IsEmpty());
}

// ---- Signals --------------------------------------------------------------------------------

class InterruptTest : public WorkspaceTest {
 protected:
  // More files than ids fit into the pipe, so that the program is in the middle of its work until
  // the pipe is read.
  static constexpr int kFiles = 500;
  static constexpr int kSmallPipe = 4096;

  InterruptTest() {
    for (int i = 0; i < kFiles; ++i) Write("f" + std::to_string(i), std::to_string(i));
  }
};

TEST_F(InterruptTest, ASignalFinishesWhatIsInFlightAndTheNextRunGoesOn) {
  for (const int number : {SIGINT, SIGTERM}) {
    AcknowledgePipe pipe(kSmallPipe);
    VouchProcess process({.arguments = OnDatabase({"--json", "index", files(), "--threads", "2",
                                                   "--synchronous", "normal"}),
                          .acknowledge_fd = pipe.write_end()});
    pipe.CloseWriteEnd();
    ASSERT_TRUE(pipe.ReadLines(1));
    process.Signal(number);
    // The pipe is full long before the files are done, so it is told in the middle of its work.
    while (process.err().find("in flight") == std::string::npos) std::this_thread::yield();
    pipe.ReadToEnd();
    const Outcome outcome = process.Wait();
    EXPECT_EQ(outcome.exit_code, 128 + number) << outcome.err;
    EXPECT_EQ(nlohmann::json::parse(outcome.out)["outcome"], "interrupted");
    EXPECT_EQ(nlohmann::json::parse(outcome.out)["units"], pipe.lines().size());
    ExpectAuditVerifies();
  }
  EXPECT_EQ(Index()["outcome"], "done");
  EXPECT_EQ(Count("SELECT count(*) FROM document_index WHERE sync_status = 'synced'"), kFiles);
  EXPECT_EQ(Count("SELECT count(*) FROM unit_of_work"), kFiles) << "no file was indexed twice";
  ExpectAuditVerifies();
}

TEST_F(InterruptTest, ASecondSignalEndsItAtOnce) {
  AcknowledgePipe pipe(kSmallPipe);
  VouchProcess process({.arguments = OnDatabase({"index", files(), "--threads", "1"}),
                        .acknowledge_fd = pipe.write_end()});
  pipe.CloseWriteEnd();
  ASSERT_TRUE(pipe.ReadLines(1));
  // Its worker will hang in the pipe, which nobody reads: only a second signal can end it.
  while (!process.HasEnded()) process.Signal(SIGINT);
  EXPECT_EQ(process.Wait().exit_code, 128 + SIGINT);
  ExpectAuditVerifies();
}

}  // namespace
}  // namespace vouch::test
