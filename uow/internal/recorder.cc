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
// How long finding out the outcome of a COMMIT that was lost may take.
constexpr auto kSettleTimeout = std::chrono::seconds(5);

absl::StatusOr<std::int64_t> SchemaVersion(SqliteConnection& connection) {
  VOUCH_ASSIGN_OR_RETURN(const StatementPtr query,
                         connection.PrepareTrusted("PRAGMA schema_version"));
  VOUCH_RETURN_IF_ERROR(query->Step().status());
  return query->Get<std::int64_t>(0);
}

// A COMMIT of what has changed nothing writes nothing, and makes nothing certain. This sets a number
// in the file's header to what it is, for which SQLite writes the page.
absl::Status WriteSomething(SqliteConnection& connection) {
  VOUCH_ASSIGN_OR_RETURN(const StatementPtr query,
                         connection.PrepareTrusted("PRAGMA main.user_version"));
  VOUCH_RETURN_IF_ERROR(query->Step().status());
  const auto version = query->Get<std::int64_t>(0);
  query->Reset();
  VOUCH_ASSIGN_OR_RETURN(const StatementPtr set, connection.PrepareTrusted(absl::StrCat(
                                                     "PRAGMA main.user_version = ", version)));
  return set->Run();
}

void SetLimit(SqliteConnection& connection, Recorder::TimePoint until) {
  connection.SetDeadline(std::min(until, std::chrono::steady_clock::now() + kSettleTimeout));
  connection.SetStop({});
}

// What to tell the units of a COMMIT that was `lost`, by what came of settling it.
absl::Status AnswerTo(const absl::Status& lost, const absl::StatusOr<bool>& came_back) {
  if (!came_back.ok()) return storage::Annotate(lost, "commit: outcome unknown: ");
  if (*came_back) return storage::Annotate(lost, "commit: failed, and is in the ledger: ");
  return absl::AbortedError(absl::StrCat("commit: not committed: ", std::string(lost.message())));
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
    VOUCH_RETURN_IF_ERROR(AppendFailure(connection, record, tried_));
  }
  return absl::OkStatus();
}

void Recorder::Ended(bool committed) {
  if (committed) {
    ledger_.Committed();
    commit_time_.reset();
    being_recorded_.clear();
    tried_ = false;
    return;
  }
  ledger_.Abandoned();
  if (being_recorded_.empty()) return;
  tried_ = true;
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

// ---- Doubt ----------------------------------------------------------------------------------

absl::Status Recorder::Settle(SqliteConnection& connection, std::span<const UnitRecord> units,
                              const absl::Status& lost) {
  {
    const MutexLock lock(&mutex_);
    for (UnitRecord failure : units) {
      failure.status = UnitStatus::kFailed;
      DescribeFailure(failure, lost);
      doubtful_.push_back(std::move(failure));
    }
  }
  SetLimit(connection, TimePoint::max());
  const absl::StatusOr<bool> came_back = TryEndDoubt(connection);
  if (!came_back.ok()) {
    Log(LogLevel::kError,
        absl::StrCat("the outcome of a commit of ", units.size(),
                     " units is unknown: ", std::string(came_back.status().message())));
  }
  return AnswerTo(lost, came_back);
}

absl::Status Recorder::EndDoubt(SqliteConnection& connection, TimePoint until) {
  const std::int64_t units = in_doubt();
  if (units == 0) return absl::OkStatus();
  SetLimit(connection, until);
  const absl::StatusOr<bool> came_back = TryEndDoubt(connection);
  if (!came_back.ok()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "run: the outcome of an earlier commit of ", units,
        " units is unknown, and still is: ", std::string(came_back.status().message())));
  }
  Log(LogLevel::kWarning,
      absl::StrCat("the outcome of a commit of ", units,
                   " units is known now: ", *came_back ? "committed" : "not committed"));
  return absl::OkStatus();
}

absl::StatusOr<bool> Recorder::TryEndDoubt(SqliteConnection& connection) {
  bool came_back = false;
  const auto write = [&]() -> absl::Status {
    VOUCH_ASSIGN_OR_RETURN(Transaction transaction,
                           Transaction::Begin(connection, TransactionMode::kWrite));
    VOUCH_RETURN_IF_ERROR(Begin(connection));
    std::vector<UnitRecord> failures = Doubtful();
    for (UnitRecord& failure : failures) {
      VOUCH_ASSIGN_OR_RETURN(const auto seq, ledger_.FindCommitted(connection, failure.uow_id));
      came_back = came_back || seq.has_value();
      if (seq.has_value()) continue;
      VOUCH_RETURN_IF_ERROR(AppendFailure(connection, failure, /*tried=*/true));
    }
    VOUCH_RETURN_IF_ERROR(WriteSomething(connection));
    return transaction.Commit();
  };
  const absl::Status status = write();
  Ended(status.ok());
  VOUCH_RETURN_IF_ERROR(status);
  const MutexLock lock(&mutex_);
  doubtful_.clear();
  return came_back;
}

absl::Status Recorder::AppendFailure(SqliteConnection& connection, UnitRecord& record, bool tried) {
  if (tried) {
    VOUCH_ASSIGN_OR_RETURN(const bool is_there, ledger_.HasFailure(connection, record));
    if (is_there) return absl::OkStatus();
  }
  return ledger_.Append(connection, record, {}).status();
}

std::vector<UnitRecord> Recorder::Doubtful() const {
  const MutexLock lock(&mutex_);
  return doubtful_;
}

// ---- Telling about it -----------------------------------------------------------------------

void Recorder::Log(LogLevel level, const std::string& line) const {
  if (options_.log) options_.log(level, line);
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

std::int64_t Recorder::in_doubt() const {
  const MutexLock lock(&mutex_);
  return static_cast<std::int64_t>(doubtful_.size());
}

std::int64_t Recorder::lost_records() const {
  const MutexLock lock(&mutex_);
  return lost_records_;
}

}  // namespace vouch::uow
