#include "uow/internal/attempt.h"

#include "absl/strings/str_cat.h"
#include "storage/error.h"
#include "storage/status_macros.h"

namespace vouch::uow {

Attempt::Attempt(Recorder& recorder, storage::SqliteConnection& connection, UnitRecord& record,
                 Hooks& hooks)
    : recorder_(recorder),
      connection_(connection),
      record_(record),
      hooks_(hooks),
      changes_before_(connection.total_changes()),
      savepoints_before_(connection.open_savepoints()),
      capture_(recorder.stores(), recorder.capture_bytes()),
      unit_(*this, connection, record.uow_id, record.retries) {
  hooks_.Discard();
  if (recorder_.has_ledger()) connection_.SetChangeSink(&capture_);
}

// Nothing of the unit outlives it on the connection that others use next.
Attempt::~Attempt() {
  connection_.SetChangeSink(nullptr);
  connection_.CutOffLent();
}

absl::Status Attempt::Track(std::string_view store, std::string_view record_id, Operation operation,
                            std::string_view payload) {
  if (!connection_.in_transaction()) {
    return absl::AbortedError(
        "track: Cannot track write outside an active UnitOfWork context: the transaction was ended"
        " by an earlier error");
  }
  if (connection_.open_savepoints() != savepoints_before_) {
    return absl::FailedPreconditionError(
        "track: within a savepoint, whose end could not take the record back; track outside");
  }
  if (!recorder_.MayTrack(store)) {
    return absl::InvalidArgumentError(
        absl::StrCat("track: ", std::string(store),
                     recorder_.has_ledger() ? " is no participant of this engine"
                                            : " cannot be tracked: the engine keeps no receipts"));
  }
  return declared_.Add(connection_, capture_.touched(), store, record_id, operation, payload);
}

absl::StatusOr<Receipt> Attempt::Finish(absl::Duration execution_time) {
  connection_.SetChangeSink(nullptr);
  connection_.CutOffLent();
  if (!connection_.in_transaction()) {
    return absl::AbortedError(
        "commit: the transaction was ended by an earlier error; nothing of the unit is stored");
  }
  if (connection_.open_savepoints() != savepoints_before_) {
    return absl::FailedPreconditionError(
        absl::StrCat("commit: ", connection_.open_savepoints() - savepoints_before_,
                     " savepoints were kept beyond the function's end; release them within it"));
  }
  VOUCH_RETURN_IF_ERROR(capture_.Check());
  if (connection_.HasDeferredViolations()) {
    constexpr int kForeignKeyViolated = 787;  // SQLITE_CONSTRAINT_FOREIGNKEY
    return storage::WithNativeCode(
        absl::InvalidArgumentError(
            "commit: FOREIGN KEY constraint failed: a row refers to one that is not there"),
        kForeignKeyViolated);
  }
  record_.execution_time = execution_time;
  const std::vector<DeclaredWrite> declared = declared_.Take();
  return recorder_.Append(connection_, record_, [&](WriteSink sink) {
    return capture_.Tell(connection_, declared, sink);
  });
}

}  // namespace vouch::uow
