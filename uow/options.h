// EngineOptions and RunOptions: what an engine is made of, and what is said of one unit of work.
//
// Thread safety: plain data.
// Errors: Validate() names the field and its value, kInvalidArgument.

#ifndef VOUCH_UOW_OPTIONS_H_
#define VOUCH_UOW_OPTIONS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "storage/clock.h"
#include "storage/migrations/migration.h"
#include "storage/sqlite/governor.h"
#include "storage/sqlite/profile.h"
#include "uow/format.h"
#include "uow/retry.h"
#include "uow/store.h"

namespace vouch::uow {

class StoreParticipant;
struct TransactionSummary;
struct UnitEvent;

// "vouc", in the file's header, where other programs look for whose a file is.
inline constexpr std::int32_t kApplicationId = 0x766F7563;

enum class LogLevel { kInfo, kWarning, kError };

// Units that wait for the writer at the same time share one transaction, and with it one wait for
// the disk. Each is alone in its effects, and is told "committed" only when all of it is stored. A
// unit that nobody waits behind is committed at once: grouping never delays.
struct GroupOptions {
  // False: a transaction for each unit.
  bool enabled = true;
  // A batch takes in no further unit once it has this many, has written this much, or is this old.
  int max_units = 128;
  std::int64_t max_bytes = 8 << 20;
  absl::Duration max_time = absl::Milliseconds(20);
  // A unit that runs for longer while others wait for its COMMIT is stopped; the others are run
  // again and stored without it, and then it runs alone, for as long as its own timeout lets it.
  absl::Duration patience = absl::Milliseconds(250);

  absl::Status Validate() const;
};

struct EngineOptions {
  // The database file, or ":memory:".
  std::string path = {};

  // Marks a file that is made; one marked with another number is refused, one with none is taken
  // (those of earlier versions have none). A program that marks its own files gives its own. 0: any.
  std::int32_t application_id = kApplicationId;

  // The stores (uow/store.h); none: one called `main`, of all tables that qualify.
  std::vector<StoreOptions> stores = {};
  // Tables that units may change without a receipt saying so. Audits list them.
  std::vector<std::string> unreceipted_tables = {};
  // Stores that are not in the database and take part in units (uow/participant.h), in the order in
  // which they are begun and committed. "Store registration must occur before entering the context":
  // there is no other way to register one.
  std::vector<std::shared_ptr<StoreParticipant>> participants = {};

  // False: for those who only want the pool and the group commit. Nothing of a unit is recorded, and a
  // receipt has the unit's id and times only. No table of the library is made; a file that has a ledger
  // is refused, and so are a unit's own id (running it exactly once needs the ledger), Track, the
  // outbox and remembered results. `stores` and `unreceipted_tables` are not looked at.
  bool receipts = true;

  // Schemas to bring up to date at Open, after the library's own, in this order.
  std::vector<storage::MigrationSet> migrations = {};
  // False: a schema that is not up to date is refused at Open instead (kFailedPrecondition).
  bool migrate = true;

  // FULL: a committed unit survives a power loss. NORMAL: the last ones may be undone by it, none
  // is torn, and a commit does not wait for the disk.
  storage::Synchronous synchronous = storage::Synchronous::kFull;
  int max_readers = 8;
  absl::Duration busy_timeout = absl::Seconds(5);
  storage::GovernorOptions governor = {};
  GroupOptions group = {};
  // How much memory is taken to note what one unit has changed; what is more is kept in a temporary
  // file until the unit ends (uow/capture.h). 8 MiB are some 40,000 rows.
  std::int64_t capture_bytes = 8 << 20;

  // How long the record of a unit that failed may wait for another unit, to be stored with it; then
  // a thread of the engine's stores it. Zero: Run() itself does, before it returns, if the writer is
  // free, which takes it a COMMIT more.
  absl::Duration record_failures_within = absl::Milliseconds(10);

  // For units that do not say otherwise.
  absl::Duration unit_timeout = absl::Seconds(30);
  RetryOptions retry = {};

  // Borrowed; they must outlive the engine.
  storage::WallClock* wall_clock = &storage::WallClock::System();
  storage::SteadyClock* steady_clock = &storage::SteadyClock::System();
  // Called on the thread that ran the unit, after its hooks, when it is committed or rolled back; not
  // of one whose outcome is unknown, nor of a duplicate. What it throws is swallowed. uow/summary.h
  std::function<void(const UnitEvent&)> on_event = {};
  // Adds up each store's metrics (Engine::store_metrics), for which every unit makes a summary.
  bool track_performance = true;
  // Called by any thread, never with a lock held. The library prints nothing itself.
  std::function<void(LogLevel, std::string_view)> log = {};

  absl::Status Validate() const;
};

struct RunOptions {
  // The unit's id, a ULID; empty: a new one. Running an id again that was committed returns its
  // receipt and does nothing. An id that failed may be run again.
  std::string uow_id = {};

  // Context, stored and covered by the receipt. Empty is absent.
  std::string envelope_id = {};
  std::string space_id = {};
  std::string actor_id = {};
  std::string device_id = {};
  std::string correlation_id = {};
  std::optional<Band> band = {};

  // One deadline for waiting, beginning and the unit's statements; COMMIT is waited for.
  std::optional<absl::Duration> timeout = {};
  // Requested: the unit stops waiting, and its statements are stopped, with kCancelled. As with the
  // deadline, a unit that has run to its end is not cancelled any more.
  std::stop_token stop = {};

  // The unit shares its transaction with no other.
  bool alone = false;
  // Another unit's thread may run the function while this one sleeps, which saves two wakes. Such a
  // function must not depend on its thread: no thread-local state, no lock that the caller holds.
  bool any_thread = false;
  std::optional<RetryOptions> retry = {};
  // False: the engine's participants take no part in this unit, which then need not be alone.
  bool participants = true;
  // Where what there is to tell of the unit is put when it has ended, however it did (uow/summary.h).
  // Borrowed until then.
  TransactionSummary* summary = nullptr;

  absl::Status Validate() const;
};

}  // namespace vouch::uow

#endif  // VOUCH_UOW_OPTIONS_H_
