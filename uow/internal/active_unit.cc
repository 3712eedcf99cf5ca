#include "uow/internal/active_unit.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/status_macros.h"
#include "uow/internal/deadline.h"
#include "uow/internal/recorder.h"

namespace vouch::uow {
namespace {

using std::chrono::steady_clock;
using storage::Transaction;
using storage::TransactionMode;

}  // namespace

ActiveUnit::ActiveUnit(Engine& engine, UnitRecord record, TimePoint begun, TimePoint deadline,
                       pool::CallSite site)
    : engine_(engine),
      record_(std::move(record)),
      begun_(begun),
      deadline_(deadline),
      in_flight_(engine, record_.uow_id, site, InFlight::Thread::kAny) {}

ActiveUnit::~ActiveUnit() {
  if (attempt_.has_value()) (void)Rollback();
  attempt_.reset();
  if (transaction_.has_value()) {  // Begun, and Start() failed.
    transaction_.reset();
    engine_.recorder_->Ended(false);
  }
  lease_.reset();
  if (entered_) engine_.Leave(in_flight_);
}

absl::Status ActiveUnit::Start(const RunOptions& options) {
  summary_ = options.summary;
  if (options.participants) participation_ = Participation(engine_.options_.participants);
  VOUCH_RETURN_IF_ERROR(engine_.Enter(in_flight_));
  entered_ = true;
  const pool::AcquireOptions acquire{.timeout = TimeUntil(deadline_, steady_clock::now()),
                                     .stop = options.stop};
  const TimePoint asked = steady_clock::now();
  VOUCH_ASSIGN_OR_RETURN(storage::WriteLease lease,
                         engine_.database_->Write(acquire, in_flight_.site()));
  // The unit may be handed to another thread.
  lease.MakeTransferable();
  lease_.emplace(std::move(lease));
  const TimePoint given = steady_clock::now();
  VOUCH_RETURN_IF_ERROR(engine_.recorder_->EndDoubt(connection(), deadline_));
  connection().SetDeadline(deadline_ == TimePoint::max() ? std::nullopt : std::optional(deadline_));
  connection().SetStop(options.stop);
  timings_.lock_wait = absl::FromChrono(given - asked);
  VOUCH_ASSIGN_OR_RETURN(Transaction transaction,
                         Transaction::Begin(connection(), TransactionMode::kWrite));
  transaction_.emplace(std::move(transaction));
  VOUCH_RETURN_IF_ERROR(engine_.recorder_->Begin(connection()));
  timings_.begin = absl::FromChrono(steady_clock::now() - given);
  VOUCH_ASSIGN_OR_RETURN(const auto duplicate,
                         engine_.recorder_->FindCommitted(connection(), record_.uow_id));
  if (duplicate.has_value()) {
    return absl::AlreadyExistsError(
        absl::StrCat("begin: unit ", record_.uow_id, " is committed, as number ", duplicate->seq));
  }
  attempt_.emplace(*engine_.recorder_, connection(), record_, hooks_);
  const absl::Status begun = participation_.Begin(unit());
  if (begun.ok()) return begun;
  RollBackParticipants();
  End(UnitStatus::kFailed, begun);
  return begun;
}

absl::StatusOr<Receipt> ActiveUnit::Commit() {
  absl::StatusOr<Receipt> receipt = TryCommit();
  if (receipt.ok()) {
    lease_.reset();
    engine_.CountCommitted();
    timings_.commit = receipt->commit_time;
    Conclude(absl::OkStatus(), receipt->committed);
    return receipt;
  }
  if (receipt.status().code() != absl::StatusCode::kUnknown) RollBackParticipants();
  End(UnitStatus::kFailed, receipt.status());
  return receipt;
}

absl::StatusOr<Receipt> ActiveUnit::TryCommit() {
  VOUCH_RETURN_IF_ERROR(participation_.Validate(unit()));
  VOUCH_ASSIGN_OR_RETURN(
      Receipt receipt,
      attempt_->Finish(absl::FromChrono(engine_.options_.steady_clock->Now() - begun_)));
  attempt_.reset();
  connection().SetDeadline(std::nullopt);
  connection().SetStop({});
  const auto before = steady_clock::now();
  const absl::Status status = transaction_->Commit();
  receipt.commit_time = absl::FromChrono(steady_clock::now() - before);
  if (!status.ok()) {
    (void)transaction_->Rollback();
    transaction_.reset();
    engine_.recorder_->Ended(false);
    if (status.code() != absl::StatusCode::kUnknown) return status;
    is_recorded_ = true;
    return engine_.recorder_->Settle(connection(), {&record_, 1}, status);
  }
  transaction_.reset();
  engine_.recorder_->Ended(true);
  engine_.recorder_->NoteCommitTime(receipt.seq, receipt.seq, receipt.commit_time);
  receipt.store_errors = participation_.Commit(receipt);
  LogStoreErrors(engine_.options_, record_.uow_id, receipt.store_errors);
  return receipt;
}

absl::Status ActiveUnit::Rollback() {
  RollBackParticipants();
  attempt_.reset();
  const TimePoint before = steady_clock::now();
  const absl::Status status = transaction_->Rollback();
  timings_.rollback = absl::FromChrono(steady_clock::now() - before);
  End(UnitStatus::kRolledBack, status);
  return status;
}

void ActiveUnit::Conclude(const absl::Status& status, std::string_view committed) {
  engine_.Conclude({record_, status, committed, timings_, hooks_, participation_, summary_});
}

void ActiveUnit::RollBackParticipants() {
  LogStoreErrors(engine_.options_, record_.uow_id, participation_.Rollback(record_.uow_id));
}

void ActiveUnit::End(UnitStatus status, const absl::Status& why) {
  attempt_.reset();
  if (transaction_.has_value()) {
    transaction_.reset();
    engine_.recorder_->Ended(false);
  }
  record_.status = status;
  record_.failed_store = participation_.failed_store().empty() ? engine_.recorder_->StoreOf(why)
                                                               : participation_.failed_store();
  lease_.reset();
  record_.execution_time = absl::FromChrono(engine_.options_.steady_clock->Now() - begun_);
  engine_.RecordFailure(record_, why, is_recorded_);
  Conclude(why, {});
}

}  // namespace vouch::uow
