// ActiveUnit: an interactive unit, from having the writer to COMMIT or ROLLBACK.
//
//     Start() ──> open ──Commit()──> ended, stored
//                  └──Rollback(), destruction, failed Commit() ──> ended, nothing stored
//
// Thread safety: one thread at a time; may be handed to another between calls.
// Ownership: holds the writer while it is open; borrows the engine.

#ifndef VOUCH_UOW_INTERNAL_ACTIVE_UNIT_H_
#define VOUCH_UOW_INTERNAL_ACTIVE_UNIT_H_

#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/clock.h"
#include "storage/sqlite/database.h"
#include "storage/transaction.h"
#include "uow/engine.h"
#include "uow/internal/attempt.h"
#include "uow/internal/hooks.h"
#include "uow/internal/in_flight.h"
#include "uow/internal/participation.h"
#include "uow/ledger.h"
#include "uow/unit_of_work.h"

namespace vouch::uow {

class ActiveUnit {
 public:
  using TimePoint = storage::SteadyClock::TimePoint;

  // `begun`: when Begin was called, by the engine's clock, from which the execution time counts.
  ActiveUnit(Engine& engine, UnitRecord record, TimePoint begun, TimePoint deadline,
             pool::CallSite site);
  ~ActiveUnit();
  ActiveUnit(const ActiveUnit&) = delete;
  ActiveUnit& operator=(const ActiveUnit&) = delete;

  // Waits for the writer and begins the transaction. kAlreadyExists: the id is committed.
  absl::Status Start(const RunOptions& options);

  // REQUIRES: Start() returned OK.
  UnitOfWork& unit() { return attempt_->unit(); }

  // Both end the unit, give the writer back, and see to the record of one that did not commit.
  absl::StatusOr<Receipt> Commit();
  absl::Status Rollback();

 private:
  storage::SqliteConnection& connection() { return **lease_; }
  absl::StatusOr<Receipt> TryCommit();
  void RollBackParticipants();
  void Conclude(const absl::Status& status, std::string_view committed);
  void End(UnitStatus status, const absl::Status& why);

  Engine& engine_;
  UnitRecord record_;
  const TimePoint begun_;
  const TimePoint deadline_;
  InFlight in_flight_;
  bool entered_ = false;
  bool is_recorded_ = false;  // That it failed, the recorder sees to that.

  // In the order in which they are made; they are undone in the opposite one.
  std::optional<storage::WriteLease> lease_;
  std::optional<storage::Transaction> transaction_;
  Hooks hooks_;
  Participation participation_;
  UnitTimings timings_;
  TransactionSummary* summary_ = nullptr;  // Of the caller, or null.
  std::optional<Attempt> attempt_;
};

}  // namespace vouch::uow

#endif  // VOUCH_UOW_INTERNAL_ACTIVE_UNIT_H_
