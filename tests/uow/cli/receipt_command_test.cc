// `vouch receipt` and `vouch migrate`, run as a program.

#include <nlohmann/json.hpp>
#include <string>

#include "storage/sha256.h"
#include "tests/uow/cli/workspace.h"
#include "uow/options.h"

namespace vouch::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

class ReceiptCommandTest : public WorkspaceTest {
 protected:
  ReceiptCommandTest() {
    for (const char* name : {"a", "b", "c", "d"}) Write(name, name);
    Index();
  }
};

TEST_F(ReceiptCommandTest, ShowPrintsTheBytesWhoseHashIsStored) {
  for (int seq = 1; seq <= 4; ++seq) {
    const std::string where = " FROM unit_of_work WHERE seq = " + std::to_string(seq);
    const std::string stored = Text("SELECT receipt_hash" + where);
    const Outcome by_number = Vouch({"receipt", "show", std::to_string(seq)});
    const Outcome by_id = Vouch({"receipt", "show", Text("SELECT uow_id" + where)});
    EXPECT_EQ(by_number.exit_code, 0);
    EXPECT_THAT(by_number.err, IsEmpty());
    EXPECT_EQ(by_number.out, by_id.out);
    EXPECT_EQ(storage::HexOf(storage::Sha256::Of(by_number.out)), stored);
  }
}

TEST_F(ReceiptCommandTest, ShowAsJson) {
  const auto shown = nlohmann::json::parse(Vouch({"--json", "receipt", "show", "2"}).out);
  EXPECT_EQ(shown["seq"], 2);
  EXPECT_EQ(shown["matches"], true);
  EXPECT_EQ(shown["fields"]["actor_id"], "vouch index");
  EXPECT_EQ(shown["writes"].size(), 2u);
  EXPECT_EQ(shown["writes"][0]["store"], "documents");
  EXPECT_THAT(shown["bytes"].get<std::string>(), StartsWith("vouch-receipt/1\n"));
}

TEST_F(ReceiptCommandTest, AnAlteredReceiptIsSaid) {
  Execute("UPDATE unit_of_work SET actor_id = 'somebody else' WHERE seq = 2");
  const Outcome outcome = Vouch({"receipt", "show", "2"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.out, HasSubstr("somebody else"));
  EXPECT_THAT(outcome.err, HasSubstr("number 2 hashes to"));
  EXPECT_EQ(nlohmann::json::parse(Vouch({"--json", "receipt", "show", "2"}).out)["matches"], false);
}

TEST_F(ReceiptCommandTest, ListIsNewestFirstAndGoesBack) {
  const auto sequence = [&](std::vector<std::string> options) {
    options.insert(options.begin(), {"--json", "receipt", "list"});
    std::vector<int> numbers;
    const auto report = nlohmann::json::parse(Vouch(options).out);
    for (const auto& receipt : report["receipts"]) {
      numbers.push_back(receipt["seq"]);
    }
    return numbers;
  };
  EXPECT_THAT(sequence({}), testing::ElementsAre(4, 3, 2, 1));
  EXPECT_THAT(sequence({"--limit", "2"}), testing::ElementsAre(4, 3));
  EXPECT_THAT(sequence({"--before", "3"}), testing::ElementsAre(2, 1));
  EXPECT_THAT(Vouch({"receipt", "list"}).out, HasSubstr("committed"));
}

TEST_F(ReceiptCommandTest, WrongNames) {
  EXPECT_EQ(Vouch({"receipt", "show", "99"}).exit_code, 1);
  EXPECT_EQ(Vouch({"receipt", "show", "01KAJ0000000000000000000VC"}).exit_code, 1);
  EXPECT_EQ(Vouch({"receipt", "show", "0"}).exit_code, 2);
  EXPECT_EQ(Vouch({"receipt", "show", "nonsense"}).exit_code, 2);
  EXPECT_EQ(Vouch({"receipt", "show"}).exit_code, 2);
  EXPECT_EQ(Vouch({"receipt"}).exit_code, 2);
  EXPECT_EQ(Vouch({"receipt", "list", "--limit", "0"}).exit_code, 2);
}

TEST_F(ReceiptCommandTest, ErrorsAreAnObjectToo) {
  const Outcome outcome = Vouch({"--json", "receipt", "show", "99"});
  EXPECT_EQ(nlohmann::json::parse(outcome.out)["error"]["code"], "NOT_FOUND");
  EXPECT_THAT(outcome.err, StartsWith("vouch: "));
}

class MigrateCommandTest : public WorkspaceTest {
 protected:
  // The state of each migration of `set`.
  std::vector<std::string> States(const std::string& set) const {
    std::vector<std::string> states;
    const Outcome outcome = Vouch({"--json", "migrate", "status", "--set", set});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    const auto report = nlohmann::json::parse(outcome.out);
    for (const auto& migration : report["migrations"]) {
      states.push_back(migration["state"]);
    }
    return states;
  }
};

TEST_F(MigrateCommandTest, UpStatusDown) {
  EXPECT_EQ(Vouch({"migrate", "status"}).exit_code, 2) << "there is no database yet";
  EXPECT_EQ(Vouch({"migrate", "up", "--set", "core"}).exit_code, 0);
  EXPECT_THAT(States("core"), testing::Each("applied"));
  EXPECT_THAT(States("memory"), testing::Each("pending"));
  EXPECT_EQ(Vouch({"migrate", "up"}).exit_code, 0);
  EXPECT_THAT(States("memory"), testing::Each("applied"));
  EXPECT_EQ(Vouch({"migrate", "up"}).out, "nothing to do\n");
  EXPECT_EQ(Vouch({"migrate", "down"}).exit_code, 0);
  EXPECT_THAT(States("memory"), testing::Contains("rolled back"));
  EXPECT_THAT(States("core"), testing::Each("applied"));
}

TEST_F(MigrateCommandTest, DownDoesNotDropDataUnasked) {
  Write("a", "1");
  Index();
  const Outcome refused = Vouch({"migrate", "down"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("--accept-data-loss"));
  EXPECT_EQ(Count("SELECT count(*) FROM document_index"), 1);
  EXPECT_EQ(Vouch({"migrate", "down", "1", "--accept-data-loss"}).exit_code, 0);
  EXPECT_THAT(States("memory"), testing::Contains("rolled back"));
}

TEST_F(MigrateCommandTest, MarksNewFilesAndLeavesThoseOfOthersAlone) {
  EXPECT_EQ(Vouch({"migrate", "up"}).exit_code, 0);
  EXPECT_EQ(Count("PRAGMA application_id"), uow::kApplicationId);
  Execute("PRAGMA application_id = 12345");
  for (const std::vector<std::string>& verb :
       {std::vector<std::string>{"migrate", "up"}, {"migrate", "down"}, {"index", files()}}) {
    const Outcome outcome = Vouch(verb);
    EXPECT_EQ(outcome.exit_code, 1) << verb.front();
    EXPECT_THAT(outcome.err, HasSubstr("another application")) << verb.front();
  }
  EXPECT_EQ(Vouch({"migrate", "status"}).exit_code, 0) << "which changes nothing";
}

TEST_F(MigrateCommandTest, WrongUsage) {
  EXPECT_EQ(Vouch({"migrate"}).exit_code, 2);
  EXPECT_EQ(Vouch({"migrate", "up", "--set", "nonsense"}).exit_code, 2);
  EXPECT_EQ(Vouch({"migrate", "down", "0"}).exit_code, 2);
  EXPECT_EQ(Vouch({"migrate", "down"}).exit_code, 2) << "there is no database";
}

TEST(ProgramTest, TheDatabaseIsNamedByOptionOrEnvironmentOrItsDefault) {
  const TemporaryDirectory directory;
  const auto up = [&](std::vector<std::string> arguments, std::vector<std::string> environment) {
    return VouchProcess({.arguments = std::move(arguments),
                         .environment = std::move(environment),
                         .folder = directory.path().string()})
        .Wait()
        .exit_code;
  };
  EXPECT_EQ(up({"migrate", "up"}, {}), 0);
  EXPECT_TRUE(std::filesystem::exists(directory.File("vouch.db")));
  EXPECT_EQ(up({"migrate", "up"}, {"VOUCH_DB=" + directory.File("env.db")}), 0);
  EXPECT_TRUE(std::filesystem::exists(directory.File("env.db")));
  EXPECT_EQ(up({"migrate", "up", "--db", "option.db"}, {"VOUCH_DB=" + directory.File("no.db")}), 0);
  EXPECT_TRUE(std::filesystem::exists(directory.File("option.db")));
  EXPECT_FALSE(std::filesystem::exists(directory.File("no.db")));
}

TEST(ProgramTest, HelpAndVersion) {
  const Outcome help = RunVouch({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_THAT(help.out, HasSubstr("VOUCH_DB"));
  EXPECT_THAT(help.out, HasSubstr("vouch.db"));
  EXPECT_EQ(RunVouch({"index", "--help"}).exit_code, 0);
  EXPECT_THAT(RunVouch({"--version"}).out, StartsWith("vouch "));
  const Outcome nothing = RunVouch({});
  EXPECT_EQ(nothing.exit_code, 2);
  EXPECT_THAT(nothing.err, StartsWith("vouch: "));
  EXPECT_EQ(RunVouch({"nonsense"}).exit_code, 2);
  EXPECT_EQ(RunVouch({"--nonsense", "audit"}).exit_code, 2);
}

}  // namespace
}  // namespace vouch::test
