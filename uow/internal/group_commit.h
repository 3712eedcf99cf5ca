// GroupCommit: runs the units of an engine one after another, as many as wait in one transaction.
//
// A unit's function runs on its caller's own thread, when that has the turn (uow/internal/line.h).
// The first opens the transaction; who finds nobody waiting behind commits it; everybody else parks
// until then. While COMMIT waits for the disk the line fills again, so that the next batch holds
// nearly all who were in the last one, without anybody having waited for company.
//
//     caller A   turn: BEGIN, its unit, hand on ─ parked ────────────────────────┬─> receipt
//     caller B   waiting ──────────── turn: its unit, hand on ─ parked ──────────┼─> receipt
//     caller C   waiting ───────────────────────── turn: its unit, COMMIT, tell ─┴─> receipt
//
// Each unit is alone in its effects (uow/internal/batch_policy.h says how a failed one is undone),
// and nobody is told anything that depends on a neighbour before the neighbour is stored.
//
// Thread safety: any thread.
// Ownership: borrows the database, the recorder and the options; outlives its units.
// Cost: see uow/engine.h.

#ifndef VOUCH_UOW_INTERNAL_GROUP_COMMIT_H_
#define VOUCH_UOW_INTERNAL_GROUP_COMMIT_H_

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "pool/call_site.h"
#include "pool/mutex.h"
#include "storage/clock.h"
#include "storage/sqlite/database.h"
#include "storage/transaction.h"
#include "uow/internal/attempt.h"
#include "uow/internal/batch_policy.h"
#include "uow/internal/hooks.h"
#include "uow/internal/line.h"
#include "uow/internal/participation.h"
#include "uow/internal/recorder.h"
#include "uow/options.h"
#include "uow/receipt.h"
#include "uow/summary.h"
#include "uow/unit_of_work.h"

namespace vouch::uow {

struct GroupStats {
  std::int64_t batches = 0;  // Transactions committed with units in them.
  std::int64_t largest = 0;  // The most units in one.
  std::int64_t replays = 0;  // Batches that were rolled back and run again, for a failure in them.
};

class GroupCommit {
 public:
  using Function = absl::FunctionRef<absl::Status(UnitOfWork&)>;
  using TimePoint = storage::SteadyClock::TimePoint;

  // One caller's unit, on its stack.
  struct Unit : Line::Place {
    Unit(UnitRecord& unit_record, Function unit_function)
        : record(unit_record), function(unit_function) {}

    // What is asked for.
    UnitRecord& record;
    Function function;
    pool::CallSite site = {};
    TimePoint begun = {};  // When Run was called, by the engine's clock, for what is recorded.
    // When the unit has to have run; of the system's clock. And how long that is from the call.
    TimePoint deadline = TimePoint::max();
    absl::Duration timeout = absl::InfiniteDuration();
    std::stop_token stop = {};
    bool alone = false;  // Also when anybody takes part.
    bool any_thread = false;
    bool has_new_id = false;  // Made for it, so that nobody has committed it before.

    // What came of it. While it is parked they belong to who has the turn.
    absl::StatusOr<Receipt> result = absl::UnknownError("");
    std::exception_ptr exception;  // Of the function.
    Hooks hooks;                   // Of its last attempt, as are the next two.
    Participation participation;
    UnitTimings timings;
    bool is_recorded = false;  // That it failed, the recorder sees to that.
    bool has_run = false;      // To its end: from then on its deadline does not cancel it.
    int replays = 0;
    TimePoint entered{};  // The line; of the system's clock.

    // When its statements are stopped. Run again for others' sake, it gets its time again.
    TimePoint DeadlineAt(TimePoint now) const;
    // Whether `status` comes of its stop token.
    bool IsStop(const absl::Status& status) const;
  };

  GroupCommit(const EngineOptions& options, storage::Database& database, Recorder& recorder);
  GroupCommit(const GroupCommit&) = delete;
  GroupCommit& operator=(const GroupCommit&) = delete;

  // Runs the unit and returns once its outcome is durable: unit.result, unit.exception and
  // unit.record.status say what it is.
  void Run(Unit& unit);

  GroupStats stats() const;
  // How many units wait for their turn.
  std::size_t waiting() const { return line_.waiting(); }
  // The unit that has the turn, for messages: its id, call site and for how long; empty: none.
  std::string Running() const;

 private:
  // Uses the turn that `own` has, and gives it on. True: `own` has been told what came of it; false:
  // it has to wait for that.
  bool UseTurn(Unit& own);
  // Runs the unit's function once, in the open transaction, or in one that it begins.
  Verdict RunOnce(Unit& unit);
  absl::StatusOr<Receipt> Execute(Unit& unit, TimePoint now, Outcome& outcome);
  absl::StatusOr<Receipt> CallFunction(Unit& unit, Outcome& outcome);
  absl::Status BeginBatch(Unit& unit, TimePoint now);
  // The next to run in this transaction, parked; null: it is to be committed.
  Unit* NextInBatch(bool last_is_alone);
  // False: it was rolled back instead, and its units are in line again.
  bool CommitBatch();
  void Settle(const absl::Status& lost);
  void RollBack();
  // Has the unit's participants told that it is stored, or that it is not.
  void CommitParticipants(Unit& unit);
  void RollBackParticipants(Unit& unit);
  // Rolls back, and puts the batch's units back in line, with `culprit` behind them unless null.
  void Replay(Unit* culprit);
  // Tells everybody in the batch but `own`, and gives the writer back.
  void EndBatch(const Unit& own);

  void SetRunning(const Unit* unit, TimePoint since);

  const EngineOptions& options_;
  storage::Database& database_;
  Recorder& recorder_;

  Line line_;

  // Of who has the turn.
  std::optional<storage::WriteLease> lease_;
  std::optional<storage::Transaction> transaction_;
  TimePoint batch_begun_{};
  std::int64_t batch_bytes_ = 0;
  bool batch_undid_ = false;  // A savepoint in it was rolled back.
  std::vector<Unit*> units_;  // In the open transaction, in the order in which they ran.
  SavepointPolicy savepoints_;

  mutable pool::Mutex mutex_;
  GroupStats counts_ ABSL_GUARDED_BY(mutex_);
  const Unit* running_ ABSL_GUARDED_BY(mutex_) = nullptr;
  TimePoint running_since_ ABSL_GUARDED_BY(mutex_){};
};

}  // namespace vouch::uow

#endif  // VOUCH_UOW_INTERNAL_GROUP_COMMIT_H_
