// Attempt: one run of one unit within an open transaction, up to its appended receipt.
//
//     Attempt() ──> the function uses unit() ──Finish()──> receipt appended, not yet committed
//                                           └──destruction──> what changed is the caller's to undo
//
// Thread safety: the holder of the writer, one thread at a time.
// Ownership: borrows the recorder, the connection, the record and the hooks, which outlive it.
// Errors of Finish(): kAborted: the transaction was ended by an error behind the function's back.
//   kInvalidArgument: a deferred foreign key is violated. kFailedPrecondition: a savepoint of the
//   unit was kept. kPermissionDenied: a table in no store was changed. Else the database's.

#ifndef VOUCH_UOW_INTERNAL_ATTEMPT_H_
#define VOUCH_UOW_INTERNAL_ATTEMPT_H_

#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/clock.h"
#include "storage/sqlite/connection.h"
#include "uow/capture.h"
#include "uow/internal/declared_writes.h"
#include "uow/internal/hooks.h"
#include "uow/internal/recorder.h"
#include "uow/ledger.h"
#include "uow/unit_of_work.h"

namespace vouch::uow {

class Attempt {
 public:
  Attempt(Recorder& recorder, storage::SqliteConnection& connection, UnitRecord& record,
          Hooks& hooks);
  ~Attempt();
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;

  UnitOfWork& unit() { return unit_; }
  // See UnitOfWork.
  absl::Status Track(std::string_view store, std::string_view record_id, Operation operation,
                     std::string_view payload);
  Hooks& hooks() { return hooks_; }

  // `execution_time` goes into the record; so does what was written.
  absl::StatusOr<Receipt> Finish(absl::Duration execution_time);

  // Whether any row may have been changed since the beginning.
  bool changed_rows() const { return connection_.total_changes() != changes_before_; }

 private:
  Recorder& recorder_;
  storage::SqliteConnection& connection_;
  UnitRecord& record_;
  Hooks& hooks_;
  const std::int64_t changes_before_;
  const std::size_t savepoints_before_;
  Capture capture_;
  DeclaredWrites declared_;
  UnitOfWork unit_;
};

}  // namespace vouch::uow

#endif  // VOUCH_UOW_INTERNAL_ATTEMPT_H_
