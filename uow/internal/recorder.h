// Recorder: the ledger as the holder of the writer sees it: what is kept of it in memory, and what is
// still to be written about units that have ended.
//
// A transaction that holds units is framed by it:
//
//     Transaction::Begin ──> Begin() ──> units, each Append()ed ──> COMMIT ──> Ended(true)
//                                │                            └──> ROLLBACK ──> Ended(false)
//                                └─ writes what earlier units left: failures, commit times
//
// A COMMIT that failed while it was written is invisible now and can be there after a crash: its
// frames are in the log. Looking does not tell, writing does: the next COMMIT that succeeds overwrites
// them, or makes them stay. Until then its units are in doubt, and no other unit may begin:
//
//                     ┌───────── EndDoubt() ──────────┐
//                     v                               │
//     units commit: certain ──COMMIT is lost──> Settle() ──> in doubt ──┐ EndDoubt()
//                     ^                          │                ^     │ fails
//                     └──────────────────────────┘                └─────┘
//
//   certain    every unit that has ended is in the ledger as what it is, or waits to be recorded as
//              failed
//   in doubt   the units of one COMMIT; the recorder keeps what is to be said of them
//
// Both edges back to certain are one transaction: it looks for each unit, by then a row that is there
// stays (another process may have recovered the log), and who has none is recorded as failed; then
// COMMIT. Settle() tries it at once; after that whoever has the writer next does, before its own unit.
// When the process ends in doubt, what the log then holds decides.
//
// Thread safety: the holder of the writer, one thread at a time; Add(), unrecorded(), in_doubt() and
//   lost_records() any thread.
// Ownership: borrows the options.
// Errors: those of the database, and of Ledger.

#ifndef VOUCH_UOW_INTERNAL_RECORDER_H_
#define VOUCH_UOW_INTERNAL_RECORDER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "pool/mutex.h"
#include "storage/clock.h"
#include "storage/sqlite/connection.h"
#include "uow/ledger.h"
#include "uow/options.h"
#include "uow/receipt.h"
#include "uow/store.h"

namespace vouch::uow {

class Recorder {
 public:
  using TimePoint = storage::SteadyClock::TimePoint;

  // The one that the options ask for.
  static std::unique_ptr<Recorder> Make(const EngineOptions& options);

  explicit Recorder(const EngineOptions& options) : options_(options) {}
  virtual ~Recorder() = default;
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  // False: no receipts are kept (uow/internal/null_recorder.h).
  virtual bool has_ledger() const { return true; }
  // Before anything is done to the file: whether its schema lets this recorder work.
  virtual absl::Status MayUse(storage::Connection& /*connection*/) const {
    return absl::OkStatus();
  }

  // Reads the ledger, which gets `new_id` when it is a new one, and the schema, and checks the
  // stores. REQUIRES: a write transaction.
  virtual absl::Status Open(storage::SqliteConnection& connection, std::string_view new_id);

  // At the beginning of a write transaction: looks whether others have written, and writes what
  // earlier units left to be written.
  virtual absl::Status Begin(storage::SqliteConnection& connection);
  // At its end, whether it was committed. Without Begin() nothing happens.
  virtual void Ended(bool committed);

  // The receipt of the unit that was committed under this id, if one was.
  virtual absl::StatusOr<std::optional<Receipt>> FindCommitted(
      storage::SqliteConnection& connection, std::string_view uow_id);
  // Appends the receipt of a unit that ends well now.
  virtual absl::StatusOr<Receipt> Append(storage::SqliteConnection& connection, UnitRecord& record,
                                         WriteSource writes);

  // Units `first` to `last` were committed by one COMMIT that took `time`; the next transaction
  // writes it down.
  virtual void NoteCommitTime(std::int64_t first, std::int64_t last, absl::Duration time);

  // What is to be recorded of a unit that failed or was rolled back; the next transaction does it.
  // More than the queue holds are counted as lost.
  virtual void Add(UnitRecord record);

  // Of a COMMIT of these units that failed while it was written. Nobody else need see to their
  // records. Returns what to tell them. kAborted: they are not committed. kUnknown: they are in doubt,
  // or were found to be committed after all.
  absl::Status Settle(storage::SqliteConnection& connection, std::span<const UnitRecord> units,
                      const absl::Status& lost);

  // Before anything else that is done with the writer: ends the doubt that there is, if there is one;
  // tries until `until` at the latest. Changes the connection's limits. kFailedPrecondition: it lasts,
  // and nothing may be begun. REQUIRES: no transaction is open.
  absl::Status EndDoubt(storage::SqliteConnection& connection, TimePoint until);

  // A record with what the ledger says of its failure, now.
  void DescribeFailure(UnitRecord& record, const absl::Status& status) const;

  // How much memory the capture of one unit takes (uow/capture.h).
  std::int64_t capture_bytes() const { return options_.capture_bytes; }
  // Whether it is an explicit store, whose records units may declare.
  bool MayTrack(std::string_view store) const;

  const Ledger& ledger() const { return ledger_; }
  const StoreMap& stores() const { return stores_; }
  // The store that an error is about, as far as it can be told; empty otherwise.
  std::string StoreOf(const absl::Status& status) const;

  std::int64_t unrecorded() const;
  std::int64_t in_doubt() const;
  std::int64_t lost_records() const;

 protected:
  const EngineOptions& options() const { return options_; }
  std::string Now() const;

 private:
  // One try. Whether any of the units was found to be committed.
  virtual absl::StatusOr<bool> TryEndDoubt(storage::SqliteConnection& connection);
  // Unless it was `tried` before and is there: that try's COMMIT may have been lost as well.
  absl::Status AppendFailure(storage::SqliteConnection& connection, UnitRecord& record, bool tried);
  std::vector<UnitRecord> Doubtful() const;
  void Log(LogLevel level, const std::string& line) const;
  absl::Status ReloadSchema(storage::SqliteConnection& connection);
  absl::Status RefuseUnreceiptedRows(storage::SqliteConnection& connection);

  const EngineOptions& options_;

  // Of the holder of the writer.
  Ledger ledger_;
  StoreMap stores_;
  std::int64_t schema_version_ = 0;
  struct CommitTime {
    std::int64_t first;
    std::int64_t last;
    absl::Duration time;
  };
  std::optional<CommitTime> commit_time_;   // Of the last units, not yet in their rows.
  std::vector<UnitRecord> being_recorded_;  // Taken from unrecorded_ by the open transaction.
  bool tried_ = false;  // A transaction with some of unrecorded_ did not end well.

  mutable pool::Mutex mutex_;
  std::vector<UnitRecord> unrecorded_ ABSL_GUARDED_BY(mutex_);
  std::vector<UnitRecord> doubtful_ ABSL_GUARDED_BY(mutex_);  // As failures.
  std::int64_t lost_records_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace vouch::uow

#endif  // VOUCH_UOW_INTERNAL_RECORDER_H_
