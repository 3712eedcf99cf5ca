#include "uow/internal/active_unit.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/error.h"
#include "storage/status_macros.h"
#include "uow/failure.h"

namespace vouch::uow {
namespace {

using storage::SqliteConnection;
using storage::Transaction;
using storage::TransactionMode;

// How long a unit's failure may take to be settled after a COMMIT whose outcome was lost.
constexpr absl::Duration kSettleTimeout = absl::Seconds(5);

SqliteConnection::TimePoint DeadlineAfter(absl::Duration timeout) {
  return std::chrono::steady_clock::now() +
         std::chrono::duration_cast<std::chrono::steady_clock::duration>(
             absl::ToChronoNanoseconds(timeout));
}

}  // namespace

ActiveUnit::~ActiveUnit() {
  (void)Rollback();
  lease_.reset();
  if (token_.has_value()) engine_.Leave(*token_);
}

absl::Duration ActiveUnit::TimeLeft() const {
  if (timeout_ == absl::InfiniteDuration()) return timeout_;
  const absl::Duration used = absl::FromChrono(engine_.options_.steady_clock->Now() - begun_);
  return std::max(absl::ZeroDuration(), timeout_ - used);
}

absl::Status ActiveUnit::Start(pool::CallSite site) {
  VOUCH_ASSIGN_OR_RETURN(storage::WriteLease lease, engine_.database_->Write(TimeLeft(), site));
  lease_.emplace(std::move(lease));
  if (timeout_ != absl::InfiniteDuration()) connection().SetDeadline(DeadlineAfter(TimeLeft()));
  VOUCH_ASSIGN_OR_RETURN(Transaction transaction,
                         Transaction::Begin(connection(), TransactionMode::kWrite));
  transaction_.emplace(std::move(transaction));
  VOUCH_RETURN_IF_ERROR(engine_.WritePending(connection()));
  VOUCH_RETURN_IF_ERROR(FindDuplicate());
  if (duplicate_.has_value()) return Rollback();
  capture_.emplace(engine_.stores_);
  connection().SetChangeSink(&*capture_);
  unit_.reset(new UnitOfWork(connection(), record_.uow_id, record_.retries));
  return absl::OkStatus();
}

absl::Status ActiveUnit::FindDuplicate() {
  VOUCH_ASSIGN_OR_RETURN(const auto seq,
                         engine_.ledger_.FindCommitted(connection(), record_.uow_id));
  if (!seq.has_value()) return absl::OkStatus();
  VOUCH_ASSIGN_OR_RETURN(StoredReceipt stored, ReadReceipt(connection(), *seq));
  duplicate_ = std::move(stored.receipt);
  duplicate_->was_duplicate = true;
  return absl::OkStatus();
}

absl::StatusOr<Receipt> ActiveUnit::Append() {
  if (!connection().in_transaction()) {
    return absl::AbortedError(
        "commit: the transaction was ended by an earlier error; nothing of the unit is stored");
  }
  VOUCH_ASSIGN_OR_RETURN(record_.writes, capture_->Finish(connection()));
  if (connection().HasDeferredViolations()) {
    constexpr int kForeignKeyViolated = 787;  // SQLITE_CONSTRAINT_FOREIGNKEY
    return storage::WithNativeCode(
        absl::InvalidArgumentError(
            "commit: FOREIGN KEY constraint failed: a row refers to one that is not there"),
        kForeignKeyViolated);
  }
  record_.execution_time = absl::FromChrono(engine_.options_.steady_clock->Now() - begun_);
  return engine_.ledger_.Append(connection(), record_,
                                storage::FormatUtcMillis(engine_.options_.wall_clock->Now()));
}

absl::StatusOr<Receipt> ActiveUnit::Commit() {
  if (!transaction_.has_value()) {
    return absl::FailedPreconditionError("commit: the unit has ended already");
  }
  connection().SetChangeSink(nullptr);
  absl::StatusOr<Receipt> receipt = Append();
  if (!receipt.ok()) {
    (void)Rollback();
    return receipt;
  }
  const auto before = engine_.options_.steady_clock->Now();
  const absl::Status status = transaction_->Commit();
  receipt->commit_time = absl::FromChrono(engine_.options_.steady_clock->Now() - before);
  if (!status.ok()) {
    (void)Rollback();
    if (status.code() == absl::StatusCode::kUnknown) return Settle(status);
    return status;
  }
  transaction_.reset();
  engine_.PendingWritten(true);
  engine_.commit_time_ = {.seq = receipt->seq, .time = receipt->commit_time};
  return receipt;
}

absl::Status ActiveUnit::Rollback() {
  if (!transaction_.has_value()) {
    return absl::FailedPreconditionError("rollback: the unit has ended already");
  }
  connection().SetChangeSink(nullptr);
  const absl::Status status = transaction_->Rollback();
  transaction_.reset();
  engine_.PendingWritten(false);
  return status;
}

// A COMMIT whose sync failed is invisible now, and can be there after a crash: its frames are in
// the log. Looking would not tell; writing does, for it overwrites them. So the failure is recorded
// first, and only then is the unit said not to be committed.
absl::Status ActiveUnit::Settle(const absl::Status& lost) {
  connection().SetDeadline(DeadlineAfter(kSettleTimeout));
  UnitRecord failure = record_;
  failure.writes.clear();
  failure.status = UnitStatus::kFailed;
  failure.error_type = ErrorTypeOf(lost);
  failure.error_message = std::string(lost.message());
  failure.error_time = storage::FormatUtcMillis(engine_.options_.wall_clock->Now());
  failure.recovery_attempted = true;
  const auto record = [&]() -> absl::Status {
    VOUCH_ASSIGN_OR_RETURN(Transaction transaction,
                           Transaction::Begin(connection(), TransactionMode::kWrite));
    VOUCH_RETURN_IF_ERROR(engine_.WritePending(connection()));
    VOUCH_RETURN_IF_ERROR(engine_.ledger_.Append(connection(), failure, {}).status());
    return transaction.Commit();
  };
  const absl::Status recorded = record();
  engine_.PendingWritten(recorded.ok());
  if (recorded.ok()) {
    return absl::AbortedError(absl::StrCat("commit: not committed: ", std::string(lost.message())));
  }
  engine_.SetInDoubt();
  return storage::Annotate(lost, "commit: outcome unknown, open the engine again to go on: ");
}

absl::StatusOr<Receipt> ActiveUnit::End(UnitStatus outcome) {
  absl::StatusOr<Receipt> receipt = Receipt();
  if (outcome == UnitStatus::kCommitted) {
    receipt = Commit();
    if (receipt.ok()) {
      engine_.CountCommitted();
      return receipt;
    }
    record_.status = UnitStatus::kFailed;
    record_.failed_store = StoreOf(receipt.status());
  } else {
    const absl::Status status = Rollback();
    if (!status.ok()) receipt = status;
    record_.status = UnitStatus::kRolledBack;
  }
  unit_.reset();
  capture_.reset();
  lease_.reset();
  engine_.RecordFailure(record_, receipt.status());
  return receipt;
}

std::string ActiveUnit::StoreOf(const absl::Status& status) const {
  if (const auto table = TableOfError(status)) {
    if (const StoreTable* found = engine_.stores_.Find(*table)) return found->store;
  }
  const std::string* only = engine_.stores_.OnlyStore();
  return only == nullptr || !lease_.has_value() ? std::string() : *only;
}

}  // namespace vouch::uow
