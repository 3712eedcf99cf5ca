// ActiveUnit: one attempt at a unit of work, from having the writer to COMMIT or ROLLBACK.
//
//     Start() ──> open ──Commit()──> ended, stored
//       │           └──Rollback(), destruction, failed Commit() ──> ended, nothing stored
//       └──> duplicate: the id was committed before; nothing was begun
//
// Thread safety: one thread at a time; may be handed to another between calls.
// Ownership: holds the writer while it lives; borrows the engine.

#ifndef VOUCH_UOW_INTERNAL_ACTIVE_UNIT_H_
#define VOUCH_UOW_INTERNAL_ACTIVE_UNIT_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/clock.h"
#include "storage/sqlite/database.h"
#include "storage/transaction.h"
#include "uow/capture.h"
#include "uow/engine.h"
#include "uow/ledger.h"
#include "uow/unit_of_work.h"

namespace vouch::uow {

class ActiveUnit {
 public:
  // `begun`: when Run or Begin was called, from which the timeout and the execution time count.
  ActiveUnit(Engine& engine, UnitRecord record, storage::SteadyClock::TimePoint begun,
             absl::Duration timeout)
      : engine_(engine), record_(std::move(record)), begun_(begun), timeout_(timeout) {}
  ~ActiveUnit();
  ActiveUnit(const ActiveUnit&) = delete;
  ActiveUnit& operator=(const ActiveUnit&) = delete;

  // Waits for the writer, begins the transaction and writes what earlier units left to be written.
  absl::Status Start(pool::CallSite site);

  // The receipt of the unit that was committed under this id before, if one was.
  const std::optional<Receipt>& duplicate() const { return duplicate_; }

  // REQUIRES: Start() returned OK and there is no duplicate.
  UnitOfWork& unit() { return *unit_; }
  absl::StatusOr<Receipt> Commit();
  absl::Status Rollback();

  // Of an interactive unit: commits or rolls back, gives the writer back, and sees to the record of
  // a unit that did not commit.
  absl::StatusOr<Receipt> End(UnitStatus outcome);

  // The store that an error is about, as far as it can be told; empty otherwise.
  std::string StoreOf(const absl::Status& status) const;

  // Of an interactive unit: its entry among the engine's units in flight.
  void Own(Engine::InFlightToken token) { token_ = token; }

 private:
  storage::SqliteConnection& connection() { return **lease_; }
  absl::Duration TimeLeft() const;
  absl::Status FindDuplicate();
  absl::StatusOr<Receipt> Append();
  absl::Status Settle(const absl::Status& lost);

  Engine& engine_;
  UnitRecord record_;
  const storage::SteadyClock::TimePoint begun_;
  const absl::Duration timeout_;
  std::optional<Engine::InFlightToken> token_;

  // In the order in which they are made; they are undone in the opposite one.
  std::optional<storage::WriteLease> lease_;
  std::optional<storage::Transaction> transaction_;
  std::optional<Capture> capture_;
  std::unique_ptr<UnitOfWork> unit_;
  std::optional<Receipt> duplicate_;
};

}  // namespace vouch::uow

#endif  // VOUCH_UOW_INTERNAL_ACTIVE_UNIT_H_
