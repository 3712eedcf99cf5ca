#include "uow/internal/null_recorder.h"

#include "absl/strings/str_cat.h"
#include "storage/status_macros.h"

namespace vouch::uow {

absl::Status NullRecorder::MayUse(storage::Connection& connection) const {
  VOUCH_ASSIGN_OR_RETURN(
      const bool has_ledger,
      connection.QueryValue<bool>("SELECT EXISTS (SELECT 1 FROM main.sqlite_schema"
                                  " WHERE type = 'table' AND name = 'uow_ledger')"));
  if (!has_ledger) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("engine: ", options().path,
                   " has a ledger, whose chain of custody units without receipts would break; open"
                   " it with receipts"));
}

absl::Status NullRecorder::Open(storage::SqliteConnection& /*connection*/,
                                std::string_view /*new_id*/) {
  return absl::OkStatus();
}

absl::Status NullRecorder::Begin(storage::SqliteConnection& /*connection*/) {
  return absl::OkStatus();
}

void NullRecorder::Ended(bool /*committed*/) {}

absl::StatusOr<std::optional<Receipt>> NullRecorder::FindCommitted(
    storage::SqliteConnection& /*connection*/, std::string_view /*uow_id*/) {
  return std::nullopt;
}

absl::StatusOr<Receipt> NullRecorder::Append(storage::SqliteConnection& /*connection*/,
                                             UnitRecord& record, WriteSource /*writes*/) {
  return Receipt{.uow_id = record.uow_id,
                 .status = record.status,
                 .committed = Now(),
                 .retries = record.retries,
                 .execution_time = record.execution_time};
}

void NullRecorder::NoteCommitTime(std::int64_t /*first*/, std::int64_t /*last*/,
                                  absl::Duration /*time*/) {}

void NullRecorder::Add(UnitRecord /*record*/) {}

absl::StatusOr<bool> NullRecorder::TryEndDoubt(storage::SqliteConnection& /*connection*/) {
  return absl::FailedPreconditionError(
      "there are no receipts that would tell; open the engine again");
}

}  // namespace vouch::uow
