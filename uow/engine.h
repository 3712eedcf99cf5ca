// Engine: runs units of work on one database and leaves a receipt of each. Start here.
//
//   VOUCH_ASSIGN_OR_RETURN(auto engine, Engine::Open({.path = "/srv/app.db",
//                                                     .migrations = {schema}}));
//   VOUCH_ASSIGN_OR_RETURN(
//       Receipt receipt,
//       engine->Run({.actor_id = "u1"}, [&](UnitOfWork& unit) -> absl::Status {
//         VOUCH_RETURN_IF_ERROR(unit.Execute("UPDATE accounts SET balance = balance - 10"
//                                            " WHERE id = ?1", 1));
//         return unit.Execute("UPDATE accounts SET balance = balance + 10 WHERE id = ?1", 2);
//       }));
//
// Units that wait for the writer at the same time share a transaction and its COMMIT (GroupOptions
// in uow/options.h). Each function still runs on its caller's thread, one after another, and sees
// what those before it did. One that fails leaves no trace in its neighbours, for which they may
// have to be run again.
//
// A unit of work is a function whose changes are stored together or not at all. In the same
// transaction its receipt is written: which rows it changed, from which state to which, chained to
// the receipt before (uow/format.h). A unit that failed or was rolled back is recorded too, after
// the fact. Anyone can check all of it later (uow/audit.h).
//
//     Run/Begin ──> waiting for the writer ──> running ──> COMMIT ──> committed
//                          ^                      │            │
//                          └── retry, after a wait <───────────┤ lock lost, transaction ended
//                                                 │            │
//                                                 └────────────┴──> failed or rolled back
//
// Thread safety: any thread, all methods.
// Ownership: the engine must outlive its units and leases; ~Engine waits for them.
// Errors of Run and Commit, besides those of the function itself:
//   kDeadlineExceeded    no writer, or not done, in time; nothing is stored
//   kCancelled           its stop token was requested; nothing is stored
//   kAborted             retried as often as the options allow, and still stopped; nothing is stored
//   kInvalidArgument     a bad option, or a foreign key that is violated at the end
//   kPermissionDenied    it changed a table that is in no store
//   kFailedPrecondition  called within a unit of this engine, or the engine is closed; a savepoint
//                        outlived the function
//   kUnknown             COMMIT was sent and its outcome could not be made certain. The engine does
//                        that before it runs another unit; until it can, units get
//                        kFailedPrecondition. Then the unit's id tells: run it again, or look it up
// Cost: a unit waits for the disk once, in COMMIT, together with those that ran since the last one.
//   Encoding and hashing take about 5 µs a row, the ledger's two rows about 20 µs.

#ifndef VOUCH_UOW_ENGINE_H_
#define VOUCH_UOW_ENGINE_H_

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "pool/call_site.h"
#include "pool/mutex.h"
#include "storage/sqlite/database.h"
#include "uow/ledger.h"
#include "uow/options.h"
#include "uow/receipt.h"
#include "uow/store.h"
#include "uow/summary.h"
#include "uow/ulid.h"
#include "uow/unit_of_work.h"

namespace vouch::uow {

class ActiveUnit;
class Engine;
class GroupCommit;
class Hooks;
class InFlight;
class LateRecords;
class Participation;
class Recorder;

// A unit that its holder ends: it has the writer to itself until then, and is rolled back unless
// committed.
class [[nodiscard]] InteractiveUnit {
 public:
  InteractiveUnit(InteractiveUnit&&) noexcept;
  InteractiveUnit& operator=(InteractiveUnit&&) = delete;
  ~InteractiveUnit();

  // Whether it is neither committed nor rolled back.
  bool is_active() const { return unit_ != nullptr; }

  // As UnitOfWork::Track, but after the unit's end kFailedPrecondition.
  absl::Status Track(std::string_view store, std::string_view record_id, Operation operation,
                     std::string_view payload = {});

  // REQUIRES: is_active().
  UnitOfWork* operator->() const;
  UnitOfWork& operator*() const;

  // Both end the unit, also when they fail. kFailedPrecondition: it has ended already.
  absl::StatusOr<Receipt> Commit();
  absl::Status Rollback();

 private:
  friend class Engine;
  explicit InteractiveUnit(std::unique_ptr<ActiveUnit> unit);

  std::unique_ptr<ActiveUnit> unit_;  // Null once ended.
};

struct EngineStats {
  std::int64_t committed = 0;
  std::int64_t rolled_back = 0;
  std::int64_t failed = 0;
  std::int64_t retries = 0;
  std::int64_t in_flight = 0;
  std::int64_t waiting = 0;  // Of these, in line for the writer.
  // Failed or rolled-back units that are not in the ledger yet, and that never will be, because
  // more than the queue holds could not be written.
  std::int64_t unrecorded = 0;
  std::int64_t lost_records = 0;
  // Units that were told kUnknown and whose outcome is not known yet.
  std::int64_t in_doubt = 0;
  // How units were grouped: transactions committed, the most units in one, and transactions that
  // were rolled back and run again because a unit in them failed.
  std::int64_t batches = 0;
  std::int64_t largest_batch = 0;
  std::int64_t replays = 0;
  storage::DatabaseStats database = {};
};

class Engine {
 public:
  // Opens or creates the database, brings its schema up to date, and checks the stores.
  // kFailedPrecondition: the file is another application's (EngineOptions::application_id); the
  // schema is newer than this program or, with `migrate` off, older; a store's table holds rows that
  // no receipt tells of. kUnimplemented: a store in another file. Otherwise as
  // storage::Database::Open.
  static absl::StatusOr<std::unique_ptr<Engine>> Open(EngineOptions options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Runs `function` as a unit of work and returns its receipt. The unit is committed when the
  // function returns OK, and rolled back when it returns an error or throws; an exception
  // continues. The function may be called more than once, so it must depend on nothing but its
  // inputs and the database. It must not wait for another unit.
  absl::StatusOr<Receipt> Run(const RunOptions& options,
                              absl::FunctionRef<absl::Status(UnitOfWork&)> function,
                              pool::CallSite site = pool::CallSite::Current());

  // Begins a unit that the caller ends. Never retried.
  absl::StatusOr<InteractiveUnit> Begin(const RunOptions& options,
                                        pool::CallSite site = pool::CallSite::Current());

  // A connection for reading.
  absl::StatusOr<storage::ReadLease> Read(pool::CallSite site = pool::CallSite::Current());

  // Refuses new units, waits up to `timeout` for those in flight, records what is to be recorded
  // and closes the database. kDeadlineExceeded: units are still running, which the message names;
  // they may still commit, and Close may be called again.
  absl::Status Close(absl::Duration timeout);

  EngineStats stats() const;
  // Of all units that have ended, by the stores' names; empty when track_performance is off.
  std::vector<StoreMetrics> store_metrics() const { return store_totals_.Snapshot(); }
  const std::string& ledger_id() const;  // Empty: there is none.

 private:
  friend class ActiveUnit;
  friend class Outbox;

  Engine(EngineOptions options, std::unique_ptr<storage::Database> database);

  struct EndedUnit {
    const UnitRecord& record;
    absl::Status status;         // What it ended with.
    std::string_view committed;  // When, if it is.
    const UnitTimings& timings;
    Hooks& hooks;
    const Participation& participation;
    TransactionSummary* summary;  // Of the caller, or null.

    // Whether it is committed is not known. The function's own kUnknown is a rollback like any other.
    bool in_doubt() const {
      return absl::IsUnknown(status) && record.status == UnitStatus::kFailed;
    }
  };

  absl::Status Migrate();
  absl::Status OpenLedger();

  absl::StatusOr<UnitRecord> NewRecord(const RunOptions& options);
  absl::Status Enter(InFlight& unit);
  void Leave(InFlight& unit);

  // Sees to it that a unit that failed or was rolled back gets into the ledger, unless it
  // `is_recorded`: with the next unit, or a little later by itself.
  void RecordFailure(UnitRecord& record, const absl::Status& status, bool is_recorded);
  // Writes what is still to be written of units that have ended.
  absl::Status FlushPending(absl::Duration timeout);

  void CountCommitted();
  // Tells whoever asked for it how a unit has ended: its hooks, then those who listen.
  void Conclude(const EndedUnit& unit);
  void RunHooks(const EndedUnit& unit);
  double Random();
  void Log(LogLevel level, std::string_view message) const;

  // Constant after Open().
  const EngineOptions options_;
  const std::unique_ptr<storage::Database> database_;
  UlidGenerator ids_;

  const std::unique_ptr<Recorder> recorder_;
  const std::unique_ptr<GroupCommit> group_;
  StoreTotals store_totals_;

  mutable pool::Mutex mutex_;
  pool::CondVar changed_;  // in_flight_ has become empty.
  std::list<InFlight*> in_flight_ ABSL_GUARDED_BY(mutex_);
  EngineStats counts_ ABSL_GUARDED_BY(mutex_);
  std::uint64_t random_ ABSL_GUARDED_BY(mutex_);
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;

  const std::unique_ptr<LateRecords> late_records_;  // Uses all of the above.
};

}  // namespace vouch::uow

#endif  // VOUCH_UOW_ENGINE_H_
