// Two processes that write as fast as they can both get their turns.
//
// Property: neither starves. Method: each adds to its own row, in a write transaction a turn, until
// both together have had so many; what each had is counted, not timed. A failure would look like one
// of them with a handful. (SQLite's own handler waits longer and longer, so that who has waited
// longest looks least often.)

#include <sys/wait.h>
#include <unistd.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/sqlite/connection.h"
#include "storage/transaction.h"
#include "tests/storage/sqlite/support.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace vouch::storage {
namespace {

using test::TemporaryDirectory;
using testing_support::Int;
using testing_support::OpenOrDie;

constexpr int kTurns = 6000;
constexpr int kFairShare = kTurns / 20;

SqliteOptions OptionsFor(const std::string& path) {
  SqliteOptions options = {.path = path, .busy_timeout = absl::InfiniteDuration()};
  options.profile.synchronous = Synchronous::kOff;
  return options;
}

// Takes turns until all are taken.
absl::Status TakeTurns(SqliteConnection& connection, int who) {
  while (true) {
    VOUCH_ASSIGN_OR_RETURN(Transaction turn,
                           Transaction::Begin(connection, TransactionMode::kWrite));
    VOUCH_ASSIGN_OR_RETURN(const int taken,
                           connection.QueryValue<int>("SELECT sum(taken) FROM turns"));
    if (taken >= kTurns) return absl::OkStatus();
    VOUCH_RETURN_IF_ERROR(
        connection.Execute("UPDATE turns SET taken = taken + 1 WHERE who = ?1", who));
    VOUCH_RETURN_IF_ERROR(turn.Commit());
  }
}

// In a process of its own, which has opened nothing before. Exits with 0 when all went well.
pid_t Fork(const std::string& path, int who) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  auto connection = SqliteConnection::Open(OptionsFor(path));
  const bool ok = connection.ok() && TakeTurns(**connection, who).ok();
  ::_exit(ok ? 0 : 1);
}

TEST(BusyHandlerStressTest, TwoProcessesShareTheirTurns) {
  const TemporaryDirectory directory;
  const std::string path = directory.File("t.db");
  {
    const auto connection = OpenOrDie(OptionsFor(path));
    ASSERT_OK(connection->ExecuteScript(
        "CREATE TABLE turns(who INTEGER PRIMARY KEY, taken); INSERT INTO turns VALUES (1, 0), "
        "(2, 0)"));
  }
  const pid_t first = Fork(path, 1);
  const pid_t second = Fork(path, 2);
  for (const pid_t child : {first, second}) {
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  const auto connection = OpenOrDie(OptionsFor(path));
  for (int who = 1; who <= 2; ++who) {
    const std::int64_t taken =
        Int(*connection, "SELECT taken FROM turns WHERE who = " + std::to_string(who));
    RecordProperty("turns_of_" + std::to_string(who), std::to_string(taken));
    std::cout << "process " << who << ": " << taken << " of " << kTurns << " turns\n";
    EXPECT_GE(taken, kFairShare) << "of " << kTurns;
  }
  EXPECT_EQ(Int(*connection, "SELECT sum(taken) FROM turns"), kTurns);
}

}  // namespace
}  // namespace vouch::storage
