// `vouch backup`, run as a program.

#include "uow/cli/backup_command.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "storage/transaction.h"
#include "tests/uow/cli/workspace.h"

namespace vouch::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class BackupCommandTest : public WorkspaceTest {
 protected:
  BackupCommandTest() {
    Write("a.md", "1");
    Write("b.md", "2");
    Index();
  }

  std::string copy() const { return directory().File("copy.db"); }
  std::set<std::string> Beside() const {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory().path())) {
      names.insert(entry.path().filename());
    }
    return names;
  }
  nlohmann::json Backup(std::vector<std::string> options = {}) const {
    options.insert(options.begin(), {"--json", "backup", copy()});
    const Outcome outcome = Vouch(std::move(options));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
    return nlohmann::json::parse(outcome.out);
  }
  static void ExpectVerifies(const std::string& database) {
    const Outcome audit = RunVouch({"--db", database, "audit"});
    EXPECT_EQ(audit.exit_code, 0) << audit.out << audit.err;
  }
  // Fails with this code and these words, and leaves nothing.
  void ExpectRefused(const std::string& target, int exit_code, const std::string& words) const {
    const auto names = Beside();
    const Outcome outcome = Vouch({"backup", target});
    EXPECT_EQ(outcome.exit_code, exit_code) << target << ": " << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(words)) << target;
    EXPECT_THAT(outcome.out, IsEmpty());
    EXPECT_EQ(Beside(), names) << target;
  }
};

TEST_F(BackupCommandTest, TheCopyIsALedgerThatVerifies) {
  const std::string before = Content(database());
  const auto result = Backup();
  ExpectVerifies(copy());
  EXPECT_EQ(result["verb"], "backup");
  EXPECT_EQ(result["database"], database());
  EXPECT_EQ(result["file"], copy());
  EXPECT_EQ(result["bytes"], std::filesystem::file_size(copy()));
  EXPECT_EQ(result["bytes"], result["pages"].get<int>() * result["page_size"].get<int>());
  EXPECT_EQ(result["compact"], false);
  EXPECT_EQ(Content(copy() + ".sha256"), result["sha256"].get<std::string>() + "  copy.db\n");
  EXPECT_EQ(Content(database()), before);
  EXPECT_EQ(Beside(), (std::set<std::string>{"files", "v.db", "copy.db", "copy.db.sha256"}));
}

TEST_F(BackupCommandTest, SpeaksToPeople) {
  const Outcome outcome = Vouch({"backup", copy()});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.out, AllOf(HasSubstr(copy()), HasSubstr("sha256")));
  EXPECT_THAT(outcome.err, IsEmpty());
  const Outcome quiet = Vouch({"--quiet", "backup", directory().File("other.db")});
  EXPECT_EQ(quiet.exit_code, 0);
  EXPECT_THAT(quiet.out + quiet.err, IsEmpty());
}

TEST_F(BackupCommandTest, WhatIsOnlyInTheLogOfAWriterIsInTheCopy) {
  auto writer = Open();
  ASSERT_OK(writer->Execute("CREATE TABLE extra(a)"));
  ASSERT_OK(writer->Execute("INSERT INTO extra VALUES (7)"));
  auto transaction = storage::Transaction::Begin(*writer, storage::TransactionMode::kWrite);
  ASSERT_OK(transaction);
  ASSERT_OK(writer->Execute("INSERT INTO extra VALUES (8)"));
  Backup();
  ASSERT_OK_AND_ASSIGN(const auto reader, storage::SqliteConnection::Open({.path = copy()}));
  EXPECT_THAT(reader->QueryValue<int>("SELECT sum(a) FROM extra"), IsOkAndHolds(7));
  ASSERT_OK(transaction->Commit());
}

TEST_F(BackupCommandTest, CompactLeavesFreePagesOut) {
  Execute("CREATE TABLE big AS SELECT zeroblob(1000000) AS a");
  Execute("DROP TABLE big");
  const auto size = std::filesystem::file_size(database());
  const auto result = Backup({"--compact"});
  EXPECT_EQ(result["compact"], true);
  EXPECT_LT(std::filesystem::file_size(copy()), size - 500'000);
  ExpectVerifies(copy());
}

TEST_F(BackupCommandTest, TheRateIsKept) {
  const auto bytes = static_cast<double>(std::filesystem::file_size(database()));
  ASSERT_GT(bytes, 50'000);
  const auto result = Backup({"--rate", "0.5"});
  // A page a step would be at most one step late; ten steps a second.
  EXPECT_GE(result["seconds"].get<double>(), bytes / 0.5e6 - 0.2);
}

TEST_F(BackupCommandTest, ViolatedForeignKeysAreSaidOrLetPass) {
  auto connection = Open();
  ASSERT_OK(
      connection->ExecuteScript("PRAGMA foreign_keys = 0; CREATE TABLE p(id INTEGER PRIMARY KEY);"
                                "CREATE TABLE c(p REFERENCES p(id)); INSERT INTO c VALUES (5);"));
  connection.reset();
  ExpectRefused(copy(), 1, "refers to no row");
  EXPECT_EQ(Backup({"--skip-foreign-keys"})["foreign_keys_checked"], false);
}

TEST_F(BackupCommandTest, HostileNamesAreNames) {
  for (const std::string name : {"with space.db", "new\nline.db", "que?ry=1.db", "per%20cent.db",
                                 "#h.db", "file:x?vfs=y", "back\\slash.db", "ret\rurn", "-dash.db",
                                 "quote'\"`.db", ";$(touch x)", "\xff\xfe", "--"}) {
    const std::string target = directory().File(name);
    const Outcome outcome = Vouch({"backup", target});
    EXPECT_EQ(outcome.exit_code, 0) << name << outcome.err;
    EXPECT_TRUE(std::filesystem::is_regular_file(target)) << name;
    EXPECT_EQ(outcome.out.find('\r'), std::string::npos);
    ExpectVerifies(target);
    // The form that `sha256sum` reads, whatever the name.
    const std::string check =
        "cd '" + directory().path().string() +
        "' && for f in *.sha256; do sha256sum --status -c -- \"$f\" || exit 1; done";
    EXPECT_EQ(std::system(check.c_str()), 0) << name;
    // And back.
    EXPECT_EQ(Vouch({"--json", "restore", target}).exit_code, 0) << name;
    std::filesystem::remove(target);
    std::filesystem::remove(target + ".sha256");
  }
}

TEST_F(BackupCommandTest, ARelativeNameIsBesideTheCaller) {
  const Outcome outcome = VouchProcess({.arguments = {"--db", "v.db", "--json", "backup", "x.db"},
                                        .folder = directory().path()})
                              .Wait();
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(nlohmann::json::parse(outcome.out)["file"], directory().File("x.db"));
}

TEST_F(BackupCommandTest, WrongArguments) {
  for (const auto& arguments :
       std::vector<std::vector<std::string>>{{"backup"},
                                             {"backup", copy(), "more"},
                                             {"backup", copy(), "--rate", "0"},
                                             {"backup", copy(), "--rate", "-1"},
                                             {"backup", copy(), "--rate", "fast"},
                                             {"backup", copy(), "--rate", "1", "--compact"},
                                             {"backup", copy(), "--unknown"},
                                             {"backup", ""}}) {
    const Outcome outcome = Vouch(arguments);
    EXPECT_EQ(outcome.exit_code, 2) << arguments.back() << outcome.err;
    EXPECT_THAT(outcome.err, Not(IsEmpty()));
  }
  EXPECT_FALSE(std::filesystem::exists(copy()));
}

TEST_F(BackupCommandTest, TargetsThatCannotBe) {
  Write("taken", "mine");
  ExpectRefused(File("taken"), 2, "is there already");
  EXPECT_EQ(Content(File("taken")), "mine");
  ExpectRefused(database(), 2, "is there already");
  ExpectRefused(files(), 2, "is a folder");
  ExpectRefused(files() + "/", 2, "names a folder");
  ExpectRefused(directory().File("no/such/copy.db"), 2, "No such file");
  ExpectRefused(File("taken") + "/copy.db", 2, "Not a directory");
  ExpectRefused(directory().File(std::string(300, 'n')), 2, "too long");
  std::filesystem::create_symlink("nowhere", directory().File("link"));
  ExpectRefused(directory().File("link"), 2, "is there already");
}

TEST_F(BackupCommandTest, ErrorsAreAnObjectToo) {
  Write("taken", "mine");
  const Outcome outcome = Vouch({"--json", "backup", File("taken")});
  EXPECT_EQ(nlohmann::json::parse(outcome.out)["error"]["code"], "ALREADY_EXISTS");
}

TEST_F(BackupCommandTest, SourcesThatAreNone) {
  Write("text", std::string(8192, 'x'));
  for (const std::string& source : {File("text"), File("missing"), files()}) {
    const Outcome outcome = RunVouch({"--db", source, "backup", copy()});
    EXPECT_EQ(outcome.exit_code, 2) << source << outcome.err;
    EXPECT_FALSE(std::filesystem::exists(copy()));
  }
  EXPECT_FALSE(std::filesystem::exists(File("missing")));
}

TEST_F(BackupCommandTest, ADamagedDatabaseGivesNoCopy) {
  {
    std::fstream file(database(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096 * 3);
    file << std::string(4096, '\x5a');
  }
  ExpectRefused(copy(), 1, "back up");
}

// As root, modes keep nobody out; a mount for reading does.
class ReadOnlyFolder {
 public:
  explicit ReadOnlyFolder(std::string path) : path_(std::move(path)) {
    if (::geteuid() != 0) {
      made_ = ::chmod(path_.c_str(), 0500) == 0;
    } else if (::mount(path_.c_str(), path_.c_str(), nullptr, MS_BIND, nullptr) == 0) {
      mounted_ = true;
      made_ =
          ::mount(nullptr, path_.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) == 0;
    }
  }
  ~ReadOnlyFolder() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
    if (!mounted_) ::chmod(path_.c_str(), 0700);
  }
  bool made() const { return made_; }

 private:
  const std::string path_;
  bool mounted_ = false;
  bool made_ = false;
};

TEST_F(BackupCommandTest, AFolderThatCannotBeWritten) {
  const ReadOnlyFolder folder(files());
  if (!folder.made()) GTEST_SKIP() << "no folder can be made read-only here";
  const Outcome outcome = Vouch({"backup", File("copy.db")});
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr(files()), HasSubstr("vouch-new")));
}

TEST_F(BackupCommandTest, ADatabaseInAFolderThatCannotBeWritten) {
  const std::string there = File("v.db");
  std::filesystem::copy_file(database(), there);
  const ReadOnlyFolder folder(files());
  if (!folder.made()) GTEST_SKIP() << "no folder can be made read-only here";
  const Outcome outcome = RunVouch({"--db", there, "backup", copy()});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  ExpectVerifies(copy());
}

TEST_F(BackupCommandTest, ASignalStopsItAndLeavesNothing) {
  const auto names = Beside();
  // A page every 4 seconds.
  VouchProcess process({.arguments = OnDatabase({"backup", copy(), "--rate", "0.001"})});
  const std::string staged = directory().File(".copy.db.vouch-new/database");
  while (!std::filesystem::exists(staged) && !process.HasEnded()) ::usleep(1000);
  process.Signal(SIGINT);
  const Outcome outcome = process.Wait();
  EXPECT_EQ(outcome.exit_code, 128 + SIGINT) << outcome.err;
  EXPECT_EQ(Beside(), names);
}

TEST(PaceTest, IsTheRateInStepsOfATenthOfASecond) {
  for (const double rate : {1e3, 1e5, 1e6, 1e8, 1e12}) {
    for (const std::int64_t page : {512, 4096, 65536}) {
      const cli::Pace pace = cli::PaceFor(rate, page);
      EXPECT_GE(pace.pages_per_step, 1);
      EXPECT_LE(pace.pages_per_step, 256);
      const double seconds = absl::ToDoubleSeconds(pace.pause);
      const double bytes = static_cast<double>(pace.pages_per_step) * static_cast<double>(page);
      EXPECT_NEAR(bytes, rate * seconds, bytes * 0.01 + rate * 1e-9) << rate << " " << page;
      if (pace.pages_per_step > 1) {
        EXPECT_LE(seconds, 0.1001);
      }
    }
  }
}

}  // namespace
}  // namespace vouch::test
