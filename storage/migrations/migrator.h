// Migrator: brings a database from one schema version to another.
//
//   Migrator migrator(connection, CoreMigrations());
//   VOUCH_ASSIGN_OR_RETURN(std::vector<MigrationResult> done, migrator.Up());
//
// Each migration runs in one write transaction together with its row in the history: `up`, then its
// verify queries, then the row, then COMMIT. It is applied as a whole or has left nothing but a
// `failed` row, which is written in a transaction of its own and does not count.
//
// Several processes may start at once: the write lock is taken first and the history read again
// under it, so that each migration is applied once and the others find it done.
//
//          Up                        Down
//   pending ──► applied   applied ──► rolled_back      rolled_back, failed ──► applied (Up)
//          └──► failed           └──► applied, when it fails
//
// Thread safety: the connection's: one thread at a time.
// Ownership: the connection, the set and the clocks must outlive the Migrator.
// Errors: what plan.h says, before anything is changed, and:
//   kFailedPrecondition  Down would drop a table or a column that holds data; the message counts
//                        its rows, and options.accept_data_loss is how to say yes
//                        a verify query did not give 1
//   kUnavailable         another process holds the write lock past options.lock_timeout
//   kInvalidArgument     the SQL of a migration is wrong, or ended its transaction
//   Others are the database's. Migrations applied before the one that failed stay applied; the
//   message names the migration, and the line of its file.
// Cost: blocks: for the lock, for the SQL, and for a sync to disk at each COMMIT. With nothing to
// do
//   Up() reads one small table and takes no lock. Down() runs `down` twice where it drops
//   something.

#ifndef VOUCH_STORAGE_MIGRATIONS_MIGRATOR_H_
#define VOUCH_STORAGE_MIGRATIONS_MIGRATOR_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/clock.h"
#include "storage/connection.h"
#include "storage/migrations/history.h"
#include "storage/migrations/migration.h"
#include "storage/migrations/plan.h"
#include "storage/transaction.h"

namespace vouch::storage {

enum class MigrationState {
  kPending,
  kApplied,
  kRolledBack,  // Was applied once, and can be again.
  kFailed,      // Did not succeed, and can be tried again.
  kEdited,      // Applied, with another text than the program holds.
  kUnknown,     // Applied, and the program does not have it.
};

struct MigrationInfo {
  std::int64_t version = 0;
  std::string name = {};
  MigrationState state = MigrationState::kPending;
  std::string applied_at = {};  // Empty while pending; of the last attempt when it failed.
  absl::Duration duration = absl::ZeroDuration();
};

// A migration that was applied or reverted.
struct MigrationResult {
  std::int64_t version = 0;
  std::string name = {};
  MigrationDirection direction = MigrationDirection::kUp;
  absl::Duration duration = absl::ZeroDuration();  // COMMIT included.
};

// What a progress callback is told: that a migration begins, and then how it ended.
struct MigrationEvent {
  enum class Kind { kBegun, kDone, kFailed };
  Kind kind;
  const MigrationResult& migration;
  absl::Status status = absl::OkStatus();  // Of kFailed: why.
};

struct MigratorOptions {
  // Written into the history.
  std::string applied_by = "vouch";
  // Lets Down drop tables and columns that hold data.
  bool accept_data_loss = false;
  // How long to wait for other processes; each attempt also waits as long as the connection does.
  absl::Duration lock_timeout = absl::Minutes(1);
  // Called on the caller's thread; kBegun inside the transaction. Must not use the connection.
  std::function<void(const MigrationEvent&)> progress = nullptr;
  WallClock* wall_clock = &WallClock::System();
  SteadyClock* steady_clock = &SteadyClock::System();
};

class Migrator {
 public:
  Migrator(Connection& connection, const MigrationSet& set, MigratorOptions options = {});

  // Every migration of the set or of the history, by version. Changes nothing, and does not fail
  // for what it finds: kEdited and kUnknown are how it tells.
  absl::StatusOr<std::vector<MigrationInfo>> Status();

  // Applies what is pending, up to and with version `to` when given.
  absl::StatusOr<std::vector<MigrationResult>> Up(std::optional<std::int64_t> to = std::nullopt);

  // Reverts the last `count` applied migrations, the last one first.
  absl::StatusOr<std::vector<MigrationResult>> Down(std::int64_t count = 1);

  // Applies or reverts until `version` is the last one applied; 0 reverts everything.
  absl::StatusOr<std::vector<MigrationResult>> To(std::int64_t version);

 private:
  absl::StatusOr<std::vector<MigrationResult>> Run(MigrationTarget target);
  absl::StatusOr<bool> RunNext(MigrationTarget target, std::vector<MigrationResult>* done);
  absl::StatusOr<Transaction> BeginWrite();
  absl::Status Take(const PlanStep& step, Transaction& transaction, SteadyClock::TimePoint begin);
  absl::Status Apply(const Migration& migration, SteadyClock::TimePoint begin);
  absl::Status Revert(const Migration& migration);
  absl::Status RunScript(std::string_view script, int first_line);
  absl::Status Verify(const Migration& migration);
  absl::Status RefuseLosses(const Migration& migration);
  absl::Status RecordFailure(const Migration& migration, absl::Duration duration);
  HistoryRow RowOf(const Migration& migration, HistoryStatus status, absl::Duration duration);
  absl::Duration Since(SteadyClock::TimePoint begin);
  void Report(MigrationEvent::Kind kind, const MigrationResult& migration,
              const absl::Status& status);

  Connection& connection_;
  const MigrationSet& set_;
  const History history_;
  const MigratorOptions options_;
};

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_MIGRATIONS_MIGRATOR_H_
