// Property: whatever `vouch index` has said is committed is there after kill -9 at any moment, the
//   database is intact, and the ledger verifies.
// Method: run it again and again on one database over files that keep changing, kill it at random
//   moments (half of them after a random number of acknowledged units, half after a random time),
//   and look. The ids come over a pipe, one as soon as its unit is committed.
// Failure: an id that was acknowledged and is not in the ledger (lost), or a finding.
//
// VOUCH_TEST_KILLS overrides how often it is killed, VOUCH_TEST_SEED repeats a run.

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "tests/support/random.h"
#include "tests/uow/cli/workspace.h"

namespace vouch::test {
namespace {

class IndexCrashTest : public WorkspaceTest {
 protected:
  static constexpr int kFiles = 60;
  static constexpr int kLargePipe = 1 << 20;

  static int Kills() {
    const char* given = std::getenv("VOUCH_TEST_KILLS");
    return given != nullptr ? std::atoi(given) : 50;
  }

  void ChangeFiles(Random& random) const {
    for (int i = 0; i < kFiles; ++i) {
      const std::string name = "f" + std::to_string(i);
      if (random.OneIn(8)) {
        std::filesystem::remove(File(name));
      } else if (random.OneIn(2)) {
        Write(name, random.Bytes(20));
      }
    }
  }

  // Starts the program and kills it; returns the ids it has acknowledged.
  std::vector<std::string> IndexAndKill(Random& random) const {
    AcknowledgePipe pipe(kLargePipe);
    VouchProcess process({.arguments = OnDatabase({"index", files(), "--threads",
                                                   std::to_string(random.Uniform(1, 4))}),
                          .acknowledge_fd = pipe.write_end()});
    pipe.CloseWriteEnd();
    if (random.OneIn(2)) {
      (void)pipe.ReadLines(random.Uniform<std::size_t>(1, kFiles / 2));
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(random.Uniform(0, 60'000)));
    }
    process.Signal(SIGKILL);
    (void)process.Wait();
    pipe.ReadToEnd();
    return pipe.lines();
  }

  void ExpectCommitted(const std::vector<std::string>& ids) const {
    auto connection = Open();
    for (const std::string& id : ids) {
      EXPECT_THAT(connection->QueryValue<std::string>(
                      "SELECT status FROM unit_of_work WHERE uow_id = ?1", id),
                  IsOkAndHolds("committed"))
          << "unit " << id << " was acknowledged and is lost";
    }
    EXPECT_THAT(connection->QueryValue<std::string>("PRAGMA integrity_check"), IsOkAndHolds("ok"));
  }
};

TEST_F(IndexCrashTest, AcknowledgedUnitsSurviveKills) {
  Random random;
  Index();  // Makes the schema, so that every kill hits a run over files.
  std::vector<std::string> acknowledged;
  for (int kill = 0; kill < Kills(); ++kill) {
    SCOPED_TRACE("kill " + std::to_string(kill));
    ChangeFiles(random);
    const auto ids = IndexAndKill(random);
    // What is in the log is still there for the audit; only afterwards may it be recovered.
    ExpectAuditVerifies();
    acknowledged.insert(acknowledged.end(), ids.begin(), ids.end());
    ExpectCommitted(ids);
    if (HasFailure()) return;
  }
  ExpectCommitted(acknowledged);
  RecordProperty("acknowledged", static_cast<int>(acknowledged.size()));
  EXPECT_GT(acknowledged.size(), 0u);

  EXPECT_EQ(Index()["outcome"], "done");
  ExpectAuditVerifies();
  std::int64_t present = 0;
  for ([[maybe_unused]] const auto& file : std::filesystem::directory_iterator(files())) ++present;
  EXPECT_EQ(Count("SELECT count(*) FROM document_index WHERE sync_status = 'synced'"), present);
}

TEST_F(IndexCrashTest, AKillWhileTheSchemaIsMadeIsMadeGood) {
  Random random;
  Write("a", "1");
  for (int kill = 0; kill < (Kills() + 4) / 5; ++kill) {
    SCOPED_TRACE("kill " + std::to_string(kill));
    for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(database() + suffix);
    {
      VouchProcess process({.arguments = OnDatabase({"index", files()})});
      std::this_thread::sleep_for(std::chrono::microseconds(random.Uniform(0, 60'000)));
      process.Signal(SIGKILL);
      (void)process.Wait();
    }
    EXPECT_EQ(Index()["outcome"], "done");
    ExpectAuditVerifies();
    if (HasFailure()) return;
  }
}

// Property: two processes that index overlapping folders into one database at once both succeed,
//   every file is a document once, and the one ledger they write verifies.
// Failure: a broken chain (two receipts after the same one), or "database is locked".
class TwoProcessesStressTest : public WorkspaceTest {};

TEST_F(TwoProcessesStressTest, ShareALedger) {
  for (int i = 0; i < 60; ++i) {
    for (const char* folder : {"left/", "middle/", "right/"}) {
      Write(folder + std::to_string(i), folder + std::to_string(i));
    }
  }
  for (int round = 0; round < 3; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    VouchProcess first(
        {.arguments = OnDatabase({"index", File("left"), File("middle"), "--threads", "4"})});
    VouchProcess second(
        {.arguments = OnDatabase({"index", File("middle"), File("right"), "--threads", "4"})});
    const Outcome a = first.Wait();
    const Outcome b = second.Wait();
    EXPECT_EQ(a.exit_code, 0) << a.err;
    EXPECT_EQ(b.exit_code, 0) << b.err;
    ExpectAuditVerifies();
    EXPECT_EQ(Count("SELECT count(*) FROM document_index WHERE sync_status = 'synced'"), 180);
    // For the next round: some changes, on both sides and in between.
    for (int i = round; i < 60; i += 3) {
      for (const char* folder : {"left/", "middle/", "right/"}) {
        Write(folder + std::to_string(i), "round " + std::to_string(round));
      }
    }
  }
}

}  // namespace
}  // namespace vouch::test
