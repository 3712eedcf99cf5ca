// Property: whatever moment a process with eight threads in group commit is killed at, each unit it
//   was told is committed is there, once and whole, with the receipt it was told; of a unit that is
//   not in the ledger there is no row; and its id can be run again, after which it is there once.
// Method: children that share a database, one after the other, and are killed: by their parent after
//   a random number of acknowledgements or a random time, or by themselves within a random unit.
//   The threads' units have ids that follow from their numbers, some fail among the others, and
//   each acknowledgement (id and receipt hash) is written to a pipe at once. After each kill the
//   database is compared with them, every id that can have been begun is run again, and the ledger
//   is audited.
// Failure: "acknowledged and lost", a row without its unit, a unit that is done twice, a finding.
//
// VOUCH_TEST_KILLS overrides how many are killed, VOUCH_TEST_SEED repeats a run.

#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/pool/forked_child.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"
#include "tests/uow/cli/vouch_process.h"
#include "uow/audit.h"
#include "uow/engine.h"
#include "uow/receipt.h"

namespace vouch::uow {
namespace {

constexpr int kThreads = 8;
constexpr int kMostUnits = 1'000;     // Of one thread of one child.
constexpr int kKillsPerDatabase = 8;  // Audits stay short.
constexpr int kLargePipe = 1 << 20;

// Which unit of which thread of which child; the number is also the key of its row.
std::int64_t NumberOf(int child, int thread, int n) {
  return (static_cast<std::int64_t>(child) * kThreads + thread) * kMostUnits + n;
}
std::string IdOf(std::int64_t number) {
  return absl::StrCat("00CRSH", absl::Dec(number, absl::kZeroPad20));
}

// Two tables and a sum, so that half a unit would show.
absl::Status Work(UnitOfWork& unit, std::int64_t number) {
  VOUCH_RETURN_IF_ERROR(unit.Execute("INSERT INTO t(id) VALUES (?1)", number));
  return unit.Execute("UPDATE total SET units = units + 1, last = ?1 WHERE thread = ?2", number,
                      number / kMostUnits % kThreads);
}

class GroupCrashTest : public ::testing::Test {
 protected:
  static int Kills() {
    const char* given = std::getenv("VOUCH_TEST_KILLS");
    return given != nullptr ? std::atoi(given) : 500;
  }

  static absl::StatusOr<std::unique_ptr<Engine>> Open(const std::string& path) {
    VOUCH_ASSIGN_OR_RETURN(
        auto set,
        storage::MigrationSet::FromSql(
            "app", {{.version = 1,
                     .name = "t",
                     .up = "CREATE TABLE t(id INTEGER PRIMARY KEY);"
                           "CREATE TABLE total(thread INTEGER PRIMARY KEY, units INTEGER NOT NULL,"
                           " last INTEGER)"}}));
    return Engine::Open({.path = path, .migrations = {set}, .governor = {.checkpoint_pages = 30}});
  }

  static absl::Status MakeTotals(Engine& engine) {
    return engine
        .Run({},
             [](UnitOfWork& unit) {
               return unit.Execute(
                   "INSERT INTO total(thread, units) WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL"
                   " SELECT i + 1 FROM n WHERE i + 1 < ?1) SELECT i, 0 FROM n",
                   kThreads);
             })
        .status();
  }

  // How the child dies: after so many calls of functions, or by its parent's hand.
  struct Death {
    enum { kBySelf, kAfterAcknowledgements, kAfterTime } kind;
    int count = 0;
  };

  // Never returns.
  [[noreturn]] static void LiveUntilKilled(const std::string& path, int child, std::uint64_t seed,
                                           const Death& death, int acknowledge_fd) {
    auto engine = Open(path);
    if (!engine.ok()) _exit(1);
    std::atomic<int> calls = 0;
    std::vector<std::jthread> threads;
    test::Random seeds(seed);
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread, seed = seeds.Next()] {
        test::Random random(seed);
        const auto count_call = [&] {
          if (calls.fetch_add(1) + 1 == death.count && death.kind == Death::kBySelf) {
            (void)raise(SIGKILL);
          }
        };
        for (int n = 0; n < kMostUnits; ++n) {
          const std::int64_t number = NumberOf(child, thread, n);
          if (random.OneIn(8)) {
            const auto failed = (*engine)->Run({}, [&](UnitOfWork& unit) -> absl::Status {
              count_call();
              VOUCH_RETURN_IF_ERROR(Work(unit, number));
              return Work(unit, number);
            });
            if (!absl::IsAlreadyExists(failed.status())) _exit(1);
          }
          const auto receipt =
              (*engine)->Run({.uow_id = IdOf(number), .any_thread = random.OneIn(2)},
                             [&](UnitOfWork& unit) -> absl::Status {
                               count_call();
                               return Work(unit, number);
                             });
          if (!receipt.ok()) _exit(1);
          const std::string line =
              absl::StrCat(receipt->uow_id, " ", storage::HexOf(receipt->hash), "\n");
          if (write(acknowledge_fd, line.data(), line.size()) < 0) _exit(1);
        }
      });
    }
    threads.clear();
    _exit(2);
  }

  // Lets a child live and die; returns what it acknowledged.
  std::map<std::string, std::string> LiveAndDie(const std::string& path, int child,
                                                test::Random& random) {
    Death death{.kind = Death::kBySelf, .count = random.Uniform(1, 80)};
    if (random.OneIn(3)) death = {.kind = Death::kAfterTime, .count = random.Uniform(0, 12'000)};
    if (random.OneIn(3)) {
      death = {.kind = Death::kAfterAcknowledgements, .count = random.Uniform(1, 60)};
    }
    const std::uint64_t seed = random.Next();
    test::AcknowledgePipe pipe(kLargePipe);
    const pid_t pid = fork();
    if (pid == 0) LiveUntilKilled(path, child, seed, death, pipe.write_end());
    pipe.CloseWriteEnd();
    if (death.kind == Death::kAfterAcknowledgements) {
      (void)pipe.ReadLines(static_cast<std::size_t>(death.count));
    } else if (death.kind == Death::kAfterTime) {
      std::this_thread::sleep_for(std::chrono::microseconds(death.count));
    } else {
      pipe.ReadToEnd();
    }
    ::kill(pid, SIGKILL);
    int status = 0;
    EXPECT_EQ(::waitpid(pid, &status, 0), pid);
    EXPECT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << WEXITSTATUS(status);
    pipe.ReadToEnd();
    std::map<std::string, std::string> acknowledged;
    for (const std::string& line : pipe.lines()) acknowledged[line.substr(0, 26)] = line.substr(27);
    return acknowledged;
  }

  // What the ledger says of a unit: its receipt's hash, or nothing.
  static std::string HashIn(storage::Connection& connection, const std::string& id) {
    const auto stored = ReadReceipt(connection, id);
    if (!stored.ok() || stored->receipt.status != UnitStatus::kCommitted) return "";
    EXPECT_EQ(stored->stored_hash, storage::HexOf(stored->receipt.hash));
    return stored->stored_hash;
  }

  // Each row has its unit and each unit its row, and the totals fit.
  static void ExpectWhole(storage::Connection& connection) {
    EXPECT_THAT(connection.QueryValue<int>(
                    "SELECT count(*) FROM t WHERE NOT EXISTS (SELECT 1 FROM unit_of_work"
                    " WHERE uow_id = '00CRSH' || printf('%020d', t.id) AND status = 'committed')"),
                test::IsOkAndHolds(0))
        << "a row without its unit";
    EXPECT_THAT(
        connection.QueryValue<int>(
            "SELECT count(*) FROM unit_of_work WHERE uow_id GLOB '00CRSH*' AND status ="
            " 'committed' AND CAST(substr(uow_id, 7) AS INTEGER) NOT IN (SELECT id FROM t)"),
        test::IsOkAndHolds(0))
        << "a unit without its row";
    EXPECT_THAT(connection.QueryValue<int>(
                    "SELECT (SELECT count(*) FROM t) - (SELECT sum(units) FROM total)"),
                test::IsOkAndHolds(0))
        << "half a unit";
    EXPECT_THAT(
        connection.QueryValue<int>("SELECT count(*) - count(DISTINCT uow_id) FROM unit_of_work"
                                   " WHERE status = 'committed'"),
        test::IsOkAndHolds(0))
        << "a unit that is committed twice";
  }

  // Every id of this child that can have been begun, once more.
  void RunAgain(Engine& engine, int child, const std::map<std::string, std::string>& acknowledged) {
    for (int thread = 0; thread < kThreads; ++thread) {
      // One after the other: the first that is not acknowledged is the last begun.
      for (int n = 0, unacknowledged = 0; unacknowledged < 2; ++n) {
        const std::int64_t number = NumberOf(child, thread, n);
        const std::string id = IdOf(number);
        std::string before;
        {
          auto reader = engine.Read();
          ASSERT_OK(reader);
          before = HashIn(**reader, id);
        }
        const auto told = acknowledged.find(id);
        if (told == acknowledged.end()) {
          ++unacknowledged;
          stored_unacknowledged_ += before.empty() ? 0 : 1;
          EXPECT_TRUE(before.empty() || unacknowledged == 1) << id << " was never begun";
        } else {
          ++acknowledged_;
          EXPECT_EQ(before, told->second) << "unit " << id << " was acknowledged and is lost";
        }
        const auto again =
            engine.Run({.uow_id = id}, [&](UnitOfWork& unit) { return Work(unit, number); });
        ASSERT_OK(again);
        EXPECT_EQ(again->was_duplicate, !before.empty());
        if (!before.empty()) {
          EXPECT_EQ(storage::HexOf(again->hash), before);
        }
      }
    }
  }

  int acknowledged_ = 0;
  int stored_unacknowledged_ = 0;
};

TEST_F(GroupCrashTest, WhatWasAcknowledgedSurvivesAndNothingIsDoneTwice) {
  VOUCH_TEST_SKIP_UNLESS_FORKS();
  test::Random random;
  for (int kill = 0; kill < Kills();) {
    const test::TemporaryDirectory directory(test::FastParent());
    const std::string path = directory.File("a.db");
    {
      ASSERT_OK_AND_ASSIGN(auto engine, Open(path));
      ASSERT_OK(MakeTotals(*engine));
    }
    for (int child = 0; child < kKillsPerDatabase && kill < Kills(); ++child, ++kill) {
      SCOPED_TRACE(absl::StrCat("kill ", kill));
      const auto acknowledged = LiveAndDie(path, child, random);
      ASSERT_OK_AND_ASSIGN(auto engine, Open(path));
      ASSERT_OK_AND_ASSIGN(auto reader, engine->Read());
      ExpectWhole(*reader);
      RunAgain(*engine, child, acknowledged);
      ExpectWhole(*reader);
      ASSERT_OK_AND_ASSIGN(const AuditReport report, Audit(*reader, {}));
      EXPECT_TRUE(report.verified) << report.findings.front().message;
      if (HasFailure()) return;
    }
  }
  EXPECT_GT(acknowledged_, 0);
  RecordProperty("acknowledged", acknowledged_);
  RecordProperty("stored_unacknowledged", stored_unacknowledged_);
  std::cout << acknowledged_ << " acknowledged, " << stored_unacknowledged_
            << " stored and not yet acknowledged" << std::endl;
}

}  // namespace
}  // namespace vouch::uow
