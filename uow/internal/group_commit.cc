#include "uow/internal/group_commit.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/status_macros.h"
#include "uow/failure.h"
#include "uow/internal/deadline.h"

namespace vouch::uow {
namespace {

using pool::MutexLock;
using std::chrono::steady_clock;
using storage::Savepoint;
using storage::SqliteConnection;
using storage::Transaction;
using storage::TransactionMode;

// How often one that waits for a neighbour's end says so in the log.
constexpr auto kLookAround = std::chrono::seconds(10);
// A unit that was run again this often for its neighbours' sake runs alone.
constexpr int kMostReplays = 3;

template <typename Call>
absl::Duration Timed(const Call& call) {
  const auto before = steady_clock::now();
  call();
  return absl::FromChrono(steady_clock::now() - before);
}

}  // namespace

GroupCommit::TimePoint GroupCommit::Unit::DeadlineAt(TimePoint now) const {
  return has_run ? DeadlineAfter(now, timeout) : deadline;
}

bool GroupCommit::Unit::IsStop(const absl::Status& status) const {
  return !has_run && absl::IsCancelled(status) && stop.stop_requested();
}

GroupCommit::GroupCommit(const EngineOptions& options, storage::Database& database,
                         Recorder& recorder)
    : options_(options), database_(database), recorder_(recorder) {}

void GroupCommit::Run(Unit& unit) {
  unit.entered = steady_clock::now();
  Line::Event event = line_.Enter(unit, unit.deadline, unit.stop);
  if (event == Line::Event::kDeadline || event == Line::Event::kCancelled) {
    const std::string state = absl::StrCat(" while it waited for the writer (waiting ",
                                           line_.waiting(), ", ", Running(), ")");
    unit.record.status = UnitStatus::kFailed;
    unit.result =
        event == Line::Event::kCancelled
            ? absl::CancelledError(absl::StrCat("run: cancelled", state))
            : absl::DeadlineExceededError(absl::StrCat(
                  "run: deadline exceeded after ",
                  absl::FormatDuration(absl::FromChrono(options_.steady_clock->Now() - unit.begun)),
                  state));
    return;
  }
  while (event != Line::Event::kTold) {
    if (event == Line::Event::kTurn) {
      if (UseTurn(unit)) return;
    } else if (options_.log) {
      options_.log(LogLevel::kWarning, absl::StrCat("unit ", unit.record.uow_id,
                                                    " has run and waits for COMMIT: ", Running()));
    }
    event = line_.Await(unit, steady_clock::now() + kLookAround);
  }
}

// ---- The turn -------------------------------------------------------------------------------

bool GroupCommit::UseTurn(Unit& own) {
  bool own_is_told = false;
  for (Unit* unit = &own;;) {
    const Verdict verdict = RunOnce(*unit);
    const bool alone = unit->alone;  // It may be gone once it is told.
    switch (verdict) {
      case Verdict::kUndo:
        batch_undid_ = true;
        [[fallthrough]];
      case Verdict::kKeep:
        units_.push_back(unit);
        break;
      case Verdict::kDrop:
        if (unit != &own) line_.Tell(*unit);
        own_is_told = own_is_told || unit == &own;
        break;
      case Verdict::kFail:
        assert(unit == &own && units_.empty());
        unit->timings.rollback = Timed([&] { RollBack(); });
        EndBatch(own);
        line_.HandOn(own);
        return true;
      case Verdict::kReplay:
        savepoints_.Replayed();
        Replay(unit);
        line_.HandOn(own);
        return own_is_told;
      case Verdict::kReplayAlone:
        unit->alone = true;
        Replay(unit);
        line_.HandOn(own);
        return own_is_told;
      case Verdict::kReplayAndFail:
        Replay(nullptr);
        if (unit != &own) line_.Tell(*unit);
        own_is_told = own_is_told || unit == &own;
        line_.HandOn(own);
        return own_is_told;
    }
    Unit* const next = NextInBatch(alone);
    if (next == nullptr) {
      const bool committed = CommitBatch();
      if (committed) EndBatch(own);
      line_.HandOn(own);
      return committed || own_is_told;
    }
    if (next->any_thread) {
      unit = next;
      continue;
    }
    if (!own_is_told) {
      line_.HandTo(own, *next);
      return false;
    }
    line_.PutBack({{next}});
    line_.HandOn(own);
    return true;
  }
}

GroupCommit::Unit* GroupCommit::NextInBatch(bool last_is_alone) {
  if (last_is_alone || !options_.group.enabled) return nullptr;
  if (IsFull(options_.group, {.units = static_cast<int>(units_.size()),
                              .bytes = batch_bytes_,
                              .age = absl::FromChrono(steady_clock::now() - batch_begun_)})) {
    return nullptr;
  }
  Unit* const next = static_cast<Unit*>(line_.TakeNext());
  if (next == nullptr || !next->alone) return next;
  line_.PutBack({{next}});
  return nullptr;
}

// ---- One unit -------------------------------------------------------------------------------

Verdict GroupCommit::RunOnce(Unit& unit) {
  const TimePoint now = steady_clock::now();
  SetRunning(&unit, now);
  Outcome outcome{.has_neighbours = !units_.empty()};
  unit.exception = nullptr;
  unit.hooks.Discard();
  unit.timings = {.lock_wait = absl::FromChrono(now - unit.entered)};
  unit.record.status = UnitStatus::kFailed;  // Unless it turns out otherwise.
  unit.record.failed_store.clear();
  unit.result = Execute(unit, now, outcome);
  SetRunning(nullptr, now);

  if (!transaction_.has_value() || !(*lease_)->in_transaction()) outcome.in_transaction = false;
  outcome.ok = unit.result.ok();
  if (outcome.ok) {
    unit.has_run = true;
    batch_bytes_ += unit.result->bytes_written;
    return Judge(outcome);
  }
  const absl::Status& status = unit.result.status();
  const TimePoint end = steady_clock::now();
  if (status.code() == absl::StatusCode::kDeadlineExceeded) {
    outcome.own_limit = !unit.has_run && end >= unit.deadline;
    outcome.outstayed = outcome.has_neighbours && !outcome.own_limit &&
                        end >= DeadlineAfter(now, options_.group.patience);
  } else {
    outcome.own_limit = unit.exception == nullptr && unit.IsStop(status);
  }
  const std::string& participant = unit.participation.failed_store();
  unit.record.failed_store = participant.empty() ? recorder_.StoreOf(status) : participant;
  return Judge(outcome);
}

absl::StatusOr<Receipt> GroupCommit::Execute(Unit& unit, TimePoint now, Outcome& outcome) {
  if (!unit.has_run && unit.stop.stop_requested()) return absl::CancelledError("run: cancelled");
  if (!unit.has_run && now >= unit.deadline && outcome.has_neighbours) {
    return absl::DeadlineExceededError("run: the deadline passed before the unit's turn");
  }
  if (!transaction_.has_value()) VOUCH_RETURN_IF_ERROR(BeginBatch(unit, now));
  SqliteConnection& connection = **lease_;
  TimePoint until = unit.DeadlineAt(now);
  if (outcome.has_neighbours) until = std::min(until, DeadlineAfter(now, options_.group.patience));
  connection.SetDeadline(until == TimePoint::max() ? std::nullopt : std::optional(until));
  connection.SetStop(unit.has_run ? std::stop_token() : unit.stop);

  if (!unit.has_new_id) {
    VOUCH_ASSIGN_OR_RETURN(auto duplicate, recorder_.FindCommitted(connection, unit.record.uow_id));
    if (duplicate.has_value()) {
      unit.record.status = UnitStatus::kCommitted;
      return *std::move(duplicate);
    }
  }
  std::optional<Savepoint> savepoint;
  if (outcome.has_neighbours && savepoints_.use()) {
    VOUCH_ASSIGN_OR_RETURN(Savepoint begun, Savepoint::Begin(connection));
    savepoint.emplace(std::move(begun));
    outcome.has_savepoint = true;
  }
  absl::StatusOr<Receipt> receipt = CallFunction(unit, outcome);
  if (savepoint.has_value() && connection.in_transaction()) {
    const absl::Status ended = receipt.ok() ? savepoint->Release() : savepoint->Rollback();
    // Then only the end of the whole transaction can undo the unit.
    if (!ended.ok()) outcome.in_transaction = false;
  }
  return receipt;
}

absl::StatusOr<Receipt> GroupCommit::CallFunction(Unit& unit, Outcome& outcome) {
  Attempt attempt(recorder_, **lease_, unit.record, unit.hooks);
  absl::StatusOr<Receipt> receipt;
  absl::Status status;
  try {
    status = unit.participation.Begin(attempt.unit());
    if (status.ok()) status = unit.function(attempt.unit());
    if (status.ok()) status = unit.participation.Validate(attempt.unit());
  } catch (...) {
    unit.exception = std::current_exception();
    status = absl::CancelledError("the function threw an exception");
  }
  if (status.ok()) {
    unit.record.status = UnitStatus::kCommitted;
    receipt = attempt.Finish(absl::FromChrono(options_.steady_clock->Now() - unit.begun));
    if (!receipt.ok()) unit.record.status = UnitStatus::kFailed;
  } else {
    // Only the function itself can wish to be rolled back; what else stops a unit is a failure.
    const bool its_own = unit.participation.failed_store().empty();
    if (unit.exception != nullptr ||
        (its_own && IsCallersDecision(status) && !unit.IsStop(status))) {
      unit.record.status = UnitStatus::kRolledBack;
    }
    receipt = status;
  }
  if (!receipt.ok()) RollBackParticipants(unit);
  outcome.changed_rows = attempt.changed_rows();
  return receipt;
}

// ---- The transaction ------------------------------------------------------------------------

absl::Status GroupCommit::BeginBatch(Unit& unit, TimePoint now) {
  const TimePoint deadline = unit.DeadlineAt(now);
  if (!lease_.has_value()) {
    pool::AcquireOptions acquire{.timeout = TimeUntil(deadline, now)};
    if (!unit.has_run) acquire.stop = unit.stop;
    VOUCH_ASSIGN_OR_RETURN(storage::WriteLease lease, database_.Write(acquire, unit.site));
    // Whoever ends the batch gives it back.
    lease.MakeTransferable();
    lease_.emplace(std::move(lease));
  }
  SqliteConnection& connection = **lease_;
  VOUCH_RETURN_IF_ERROR(recorder_.EndDoubt(connection, deadline));
  // After a replay the connection is kept, and with it the limits of who had it before.
  connection.SetDeadline(deadline == TimePoint::max() ? std::nullopt : std::optional(deadline));
  connection.SetStop(unit.has_run ? std::stop_token() : unit.stop);
  VOUCH_ASSIGN_OR_RETURN(Transaction transaction,
                         Transaction::Begin(connection, TransactionMode::kWrite));
  transaction_.emplace(std::move(transaction));
  batch_begun_ = now;
  batch_bytes_ = 0;
  batch_undid_ = false;
  VOUCH_RETURN_IF_ERROR(recorder_.Begin(connection));
  unit.timings.begin = absl::FromChrono(steady_clock::now() - now);
  return absl::OkStatus();
}

bool GroupCommit::CommitBatch() {
  SqliteConnection& connection = **lease_;
  connection.SetDeadline(std::nullopt);
  connection.SetStop({});
  std::int64_t first = 0;
  std::int64_t last = 0;
  bool any_ended_well = false;
  for (const Unit* unit : units_) {
    if (!unit->result.ok() || unit->result->was_duplicate) continue;
    any_ended_well = true;
    if (first == 0) first = unit->result->seq;
    last = unit->result->seq;
  }
  if (!any_ended_well) {  // Nobody has changed anything.
    RollBack();
    return true;
  }
  const auto before = steady_clock::now();
  const absl::Status status = transaction_->Commit();
  const absl::Duration time = absl::FromChrono(steady_clock::now() - before);
  if (!status.ok()) {
    RollBack();
    if (status.code() == absl::StatusCode::kUnknown) {
      Settle(status);
      return true;
    }
    if (units_.size() == 1) {
      Unit& unit = *units_.front();
      unit.result = status;
      unit.record.status = UnitStatus::kFailed;
      unit.record.failed_store = recorder_.StoreOf(status);
      RollBackParticipants(unit);
      return true;
    }
    // One of them is why; alone it shows.
    for (Unit* const unit : units_) unit->alone = true;
    Replay(nullptr);
    return false;
  }
  transaction_.reset();
  recorder_.Ended(true);
  recorder_.NoteCommitTime(first, last, time);
  savepoints_.Committed(batch_undid_);
  for (Unit* const unit : units_) {
    if (!unit->result.ok() || unit->result->was_duplicate) continue;
    unit->result->commit_time = time;
    CommitParticipants(*unit);
  }
  const MutexLock lock(&mutex_);
  ++counts_.batches;
  counts_.largest = std::max(counts_.largest, static_cast<std::int64_t>(units_.size()));
  return true;
}

void GroupCommit::Settle(const absl::Status& lost) {
  std::vector<UnitRecord> records;
  for (Unit* const unit : units_) {
    if (unit->result.ok() && unit->result->was_duplicate) continue;
    records.push_back(unit->record);
    unit->is_recorded = true;
  }
  const absl::Status answer = recorder_.Settle(**lease_, records, lost);
  // Also those who failed, or are duplicates, may have done so for what a neighbour did.
  for (Unit* const unit : units_) {
    unit->record.status = UnitStatus::kFailed;
    unit->record.failed_store = recorder_.StoreOf(answer);
    unit->exception = nullptr;
    unit->result = answer;
    if (answer.code() != absl::StatusCode::kUnknown) RollBackParticipants(*unit);
  }
}

void GroupCommit::RollBack() {
  if (!transaction_.has_value()) return;
  (*lease_)->SetDeadline(std::nullopt);
  (*lease_)->SetStop({});
  (void)transaction_->Rollback();
  transaction_.reset();
  recorder_.Ended(false);
}

void GroupCommit::CommitParticipants(Unit& unit) {
  if (unit.participation.empty()) return;
  unit.result->store_errors = unit.participation.Commit(*unit.result);
  LogStoreErrors(options_, unit.record.uow_id, unit.result->store_errors);
}

void GroupCommit::RollBackParticipants(Unit& unit) {
  if (unit.participation.empty()) return;
  LogStoreErrors(options_, unit.record.uow_id, unit.participation.Rollback(unit.record.uow_id));
}

void GroupCommit::Replay(Unit* culprit) {
  RollBack();
  // They run again on another connection.
  if (lease_.has_value() && (*lease_)->is_suspect()) lease_.reset();
  if (culprit != nullptr) units_.push_back(culprit);
  std::vector<Line::Place*> places;
  for (Unit* const unit : units_) {
    if (++unit->replays >= kMostReplays) unit->alone = true;
    places.push_back(unit);
  }
  units_.clear();
  line_.PutBack(places);
  const MutexLock lock(&mutex_);
  ++counts_.replays;
}

void GroupCommit::EndBatch(const Unit& own) {
  for (Unit* const unit : units_) {
    if (unit != &own) line_.Tell(*unit);
  }
  units_.clear();
  // May run a checkpoint, while those just told come back into the line.
  lease_.reset();
}

// ---- Telling about it -----------------------------------------------------------------------

void GroupCommit::SetRunning(const Unit* unit, TimePoint since) {
  const MutexLock lock(&mutex_);
  running_ = unit;
  running_since_ = since;
}

std::string GroupCommit::Running() const {
  const MutexLock lock(&mutex_);
  if (running_ == nullptr) return "no unit running";
  return absl::StrCat("unit ", running_->record.uow_id, ", begun at ", running_->site.file, ":",
                      running_->site.line, ", running for ",
                      absl::FormatDuration(absl::FromChrono(steady_clock::now() - running_since_)));
}

GroupStats GroupCommit::stats() const {
  const MutexLock lock(&mutex_);
  return counts_;
}

}  // namespace vouch::uow
