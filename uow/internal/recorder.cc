#include "uow/internal/recorder.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/error.h"
#include "storage/status_macros.h"
#include "storage/transaction.h"
#include "uow/failure.h"
#include "uow/internal/declared_writes.h"
#include "uow/internal/null_recorder.h"
#include "uow/participant.h"

namespace vouch::uow {
namespace {

using pool::MutexLock;
using storage::SqliteConnection;
using storage::StatementPtr;
using storage::Transaction;
using storage::TransactionMode;

// Failed units that wait to be recorded; more are counted as lost.
constexpr std::size_t kMostUnrecorded = 1024;
// How long writing the failures may take after a COMMIT whose outcome was lost.
constexpr auto kSettleTimeout = std::chrono::seconds(5);

absl::StatusOr<std::int64_t> SchemaVersion(SqliteConnection& connection) {
  VOUCH_ASSIGN_OR_RETURN(const StatementPtr query,
                         connection.PrepareTrusted("PRAGMA schema_version"));
  VOUCH_RETURN_IF_ERROR(query->Step().status());
  return query->Get<std::int64_t>(0);
}

}  // namespace

std::unique_ptr<Recorder> Recorder::Make(const EngineOptions& options) {
  if (options.receipts) return std::make_unique<Recorder>(options);
  return std::make_unique<NullRecorder>(options);
}

std::string Recorder::Now() const { return storage::FormatUtcMillis(options_.wall_clock->Now()); }

// ---- Opening --------------------------------------------------------------------------------

absl::Status Recorder::Open(SqliteConnection& connection, std::string_view new_id) {
  VOUCH_RETURN_IF_ERROR(ledger_.Open(connection, new_id, Now()));
  for (const auto& participant : options_.participants) {
    VOUCH_RETURN_IF_ERROR(DeclaredWrites::Prepare(connection, participant->name()));
  }
  VOUCH_RETURN_IF_ERROR(ReloadSchema(connection));
  return RefuseUnreceiptedRows(connection);
}

absl::Status Recorder::ReloadSchema(SqliteConnection& connection) {
  VOUCH_ASSIGN_OR_RETURN(schema_version_, SchemaVersion(connection));
  VOUCH_ASSIGN_OR_RETURN(stores_,
                         StoreMap::Build(connection, options_.stores, options_.unreceipted_tables));
  return absl::OkStatus();
}

absl::Status Recorder::RefuseUnreceiptedRows(SqliteConnection& connection) {
  for (const StoreTable* table : stores_.tables()) {
    VOUCH_ASSIGN_OR_RETURN(const bool has_rows, connection.QueryValue<bool>(absl::StrCat(
                                                    "SELECT EXISTS (SELECT 1 FROM main.",
                                                    QuoteIdentifier(table->schema.name), ")")));
    if (!has_rows) continue;
    // Record ids of a table are those from "name/" up to, not including, "name0".
    const std::string first(table->encoder.record_prefix());
    std::string past = first;
    ++past.back();
    VOUCH_ASSIGN_OR_RETURN(
        const bool receipted,
        connection.QueryValue<bool>("SELECT EXISTS (SELECT 1 FROM uow_writes"
                                    " WHERE record_id >= ?1 AND record_id < ?2 AND store = ?3)",
                                    first, past, table->store));
    if (receipted) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("engine: table ", table->schema.name, " of store ", table->store,
                     " holds rows that no receipt tells of; leave the table out of the stores, or"
                     " write its rows through units of work"));
  }
  return absl::OkStatus();
}

// ---- A transaction --------------------------------------------------------------------------

absl::Status Recorder::Begin(SqliteConnection& connection) {
  VOUCH_ASSIGN_OR_RETURN(const bool others_wrote, ledger_.Refresh(connection));
  if (others_wrote) {
    VOUCH_ASSIGN_OR_RETURN(const std::int64_t version, SchemaVersion(connection));
    if (version != schema_version_) VOUCH_RETURN_IF_ERROR(ReloadSchema(connection));
  }
  if (commit_time_.has_value()) {
    VOUCH_RETURN_IF_ERROR(ledger_.RecordCommitTime(connection, commit_time_->first,
                                                   commit_time_->last, commit_time_->time));
  }
  {
    const MutexLock lock(&mutex_);
    being_recorded_.swap(unrecorded_);
  }
  for (UnitRecord& record : being_recorded_) {
    VOUCH_RETURN_IF_ERROR(ledger_.Append(connection, record, {}).status());
  }
  return absl::OkStatus();
}

void Recorder::Ended(bool committed) {
  if (committed) {
    ledger_.Committed();
    commit_time_.reset();
    being_recorded_.clear();
    return;
  }
  ledger_.Abandoned();
  if (being_recorded_.empty()) return;
  const MutexLock lock(&mutex_);
  unrecorded_.insert(unrecorded_.begin(), std::make_move_iterator(being_recorded_.begin()),
                     std::make_move_iterator(being_recorded_.end()));
  being_recorded_.clear();
}

absl::StatusOr<std::optional<Receipt>> Recorder::FindCommitted(SqliteConnection& connection,
                                                               std::string_view uow_id) {
  VOUCH_ASSIGN_OR_RETURN(const auto seq, ledger_.FindCommitted(connection, uow_id));
  if (!seq.has_value()) return std::nullopt;
  VOUCH_ASSIGN_OR_RETURN(StoredReceipt stored, ReadReceipt(connection, *seq));
  stored.receipt.was_duplicate = true;
  return std::move(stored.receipt);
}

absl::StatusOr<Receipt> Recorder::Append(SqliteConnection& connection, UnitRecord& record,
                                         WriteSource writes) {
  std::string now = Now();
  VOUCH_ASSIGN_OR_RETURN(Receipt receipt, ledger_.Append(connection, record, now, writes));
  receipt.committed = std::move(now);
  return receipt;
}

void Recorder::NoteCommitTime(std::int64_t first, std::int64_t last, absl::Duration time) {
  // What would be written as 0 is so already.
  if (time >= absl::Milliseconds(1)) commit_time_ = {.first = first, .last = last, .time = time};
}

// ---- Failures -------------------------------------------------------------------------------

void Recorder::DescribeFailure(UnitRecord& record, const absl::Status& status) const {
  record.parts.clear();
  if (record.status != UnitStatus::kFailed) {
    record.failed_store.clear();
    return;
  }
  record.error_type = ErrorTypeOf(status);
  record.error_message = std::string(status.message());
  record.error_time = Now();
  record.recovery_attempted = true;
}

void Recorder::Add(UnitRecord record) {
  const MutexLock lock(&mutex_);
  if (unrecorded_.size() >= kMostUnrecorded) {
    ++lost_records_;
    return;
  }
  unrecorded_.push_back(std::move(record));
}

absl::Status Recorder::Settle(SqliteConnection& connection, std::span<const UnitRecord> units,
                              const absl::Status& lost) {
  connection.SetDeadline(std::chrono::steady_clock::now() + kSettleTimeout);
  const auto record = [&]() -> absl::Status {
    VOUCH_ASSIGN_OR_RETURN(Transaction transaction,
                           Transaction::Begin(connection, TransactionMode::kWrite));
    VOUCH_RETURN_IF_ERROR(Begin(connection));
    for (UnitRecord failure : units) {
      failure.status = UnitStatus::kFailed;
      DescribeFailure(failure, lost);
      VOUCH_RETURN_IF_ERROR(ledger_.Append(connection, failure, {}).status());
    }
    return transaction.Commit();
  };
  const absl::Status status = record();
  Ended(status.ok());
  if (status.ok()) {
    return absl::AbortedError(absl::StrCat("commit: not committed: ", std::string(lost.message())));
  }
  return OutcomeUnknown(lost);
}

absl::Status Recorder::OutcomeUnknown(const absl::Status& lost) {
  return storage::Annotate(lost, "commit: outcome unknown, open the engine again to go on: ");
}

bool Recorder::MayTrack(std::string_view store) const {
  return has_ledger() &&
         std::any_of(options_.participants.begin(), options_.participants.end(),
                     [&](const auto& participant) { return participant->name() == store; });
}

std::string Recorder::StoreOf(const absl::Status& status) const {
  if (const auto table = TableOfError(status)) {
    if (const StoreTable* found = stores_.Find(*table)) return found->store;
  }
  const std::string* only = stores_.OnlyStore();
  return only == nullptr ? std::string() : *only;
}

std::int64_t Recorder::unrecorded() const {
  const MutexLock lock(&mutex_);
  return static_cast<std::int64_t>(unrecorded_.size());
}

std::int64_t Recorder::lost_records() const {
  const MutexLock lock(&mutex_);
  return lost_records_;
}

}  // namespace vouch::uow
