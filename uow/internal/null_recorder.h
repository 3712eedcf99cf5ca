// NullRecorder: the recorder of an engine that keeps no receipts.
//
// It has no ledger, and refuses a file that has one: units that left no receipt would break the chain
// of custody of every row they changed.

#ifndef VOUCH_UOW_INTERNAL_NULL_RECORDER_H_
#define VOUCH_UOW_INTERNAL_NULL_RECORDER_H_

#include "uow/internal/recorder.h"

namespace vouch::uow {

class NullRecorder final : public Recorder {
 public:
  using Recorder::Recorder;

  bool has_ledger() const override { return false; }
  absl::Status MayUse(storage::Connection& connection) const override;
  absl::Status Open(storage::SqliteConnection& connection, std::string_view new_id) override;
  absl::Status Begin(storage::SqliteConnection& connection) override;
  void Ended(bool committed) override;
  absl::StatusOr<std::optional<Receipt>> FindCommitted(storage::SqliteConnection& connection,
                                                       std::string_view uow_id) override;
  absl::StatusOr<Receipt> Append(storage::SqliteConnection& connection, UnitRecord& record,
                                 WriteSource writes) override;
  void NoteCommitTime(std::int64_t first, std::int64_t last, absl::Duration time) override;
  void Add(UnitRecord record) override;

 private:
  // There is nothing that would tell, so doubt lasts until the engine is opened again.
  absl::StatusOr<bool> TryEndDoubt(storage::SqliteConnection& connection) override;
};

}  // namespace vouch::uow

#endif  // VOUCH_UOW_INTERNAL_NULL_RECORDER_H_
