#include "uow/engine.h"

#include <algorithm>
#include <chrono>
#include <random>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/error.h"
#include "storage/migrations/migrator.h"
#include "storage/migrations/sets.h"
#include "storage/status_macros.h"
#include "uow/internal/active_unit.h"
#include "uow/internal/deadline.h"
#include "uow/internal/group_commit.h"
#include "uow/internal/hooks.h"
#include "uow/internal/in_flight.h"
#include "uow/internal/late_records.h"
#include "uow/internal/participation.h"
#include "uow/internal/recorder.h"

namespace vouch::uow {
namespace {

using pool::MutexLock;
using storage::MigrationInfo;
using storage::MigrationSet;
using storage::MigrationState;
using storage::Migrator;
using storage::SqliteConnection;
using storage::StatementPtr;
using storage::Transaction;
using storage::TransactionMode;

// How long recording what is left may wait for the writer, and for the file's lock, where it need
// not be done now; and Close() when its own time is up.
constexpr absl::Duration kFlushTimeout = absl::Seconds(1);

}  // namespace

// ---- Opening --------------------------------------------------------------------------------

absl::StatusOr<std::unique_ptr<Engine>> Engine::Open(EngineOptions options) {
  VOUCH_RETURN_IF_ERROR(options.Validate());
  storage::DatabaseOptions database_options{.path = options.path,
                                            .writer_policy = storage::Policy::kUnit,
                                            .is_protected = IsOwnTable,
                                            .application_id = options.application_id,
                                            .max_readers = options.max_readers,
                                            .busy_timeout = options.busy_timeout,
                                            .governor = options.governor};
  database_options.profile.synchronous = options.synchronous;
  VOUCH_ASSIGN_OR_RETURN(auto database, storage::Database::Open(std::move(database_options)));
  auto engine = std::unique_ptr<Engine>(new Engine(std::move(options), std::move(database)));
  VOUCH_RETURN_IF_ERROR(engine->Migrate());
  VOUCH_RETURN_IF_ERROR(engine->OpenLedger());
  return engine;
}

Engine::Engine(EngineOptions options, std::unique_ptr<storage::Database> database)
    : options_(std::move(options)),
      database_(std::move(database)),
      ids_(*options_.wall_clock),
      recorder_(Recorder::Make(options_)),
      group_(std::make_unique<GroupCommit>(options_, *database_, *recorder_)),
      random_(std::random_device()()),
      late_records_(std::make_unique<LateRecords>(options_.record_failures_within, [this] {
        return recorder_->unrecorded() == 0 ? absl::OkStatus() : FlushPending(kFlushTimeout);
      })) {}

Engine::~Engine() { (void)Close(absl::InfiniteDuration()); }

absl::Status Engine::Migrate() {
  VOUCH_ASSIGN_OR_RETURN(const auto connection, database_->OpenUnrestricted());
  VOUCH_RETURN_IF_ERROR(recorder_->MayUse(*connection));
  std::vector<const MigrationSet*> sets;
  if (recorder_->has_ledger()) sets.push_back(&storage::CoreMigrations());
  for (const MigrationSet& set : options_.migrations) sets.push_back(&set);
  for (const MigrationSet* set : sets) {
    Migrator migrator(*connection, *set,
                      {.lock_timeout = options_.busy_timeout,
                       .wall_clock = options_.wall_clock,
                       .steady_clock = options_.steady_clock});
    if (options_.migrate) {
      VOUCH_ASSIGN_OR_RETURN(const auto applied, migrator.Up());
      for (const auto& migration : applied) {
        Log(LogLevel::kInfo,
            absl::StrCat("migrated ", set->Describe(migration.version, migration.name)));
      }
      continue;
    }
    VOUCH_ASSIGN_OR_RETURN(const auto migrations, migrator.Status());
    for (const MigrationInfo& migration : migrations) {
      if (migration.state == MigrationState::kApplied) continue;
      return absl::FailedPreconditionError(
          absl::StrCat("engine: the schema of ", options_.path,
                       " is not up to date: ", set->Describe(migration.version, migration.name),
                       " is not applied; run `vouch migrate up`"));
    }
  }
  return absl::OkStatus();
}

absl::Status Engine::OpenLedger() {
  VOUCH_ASSIGN_OR_RETURN(storage::WriteLease lease, database_->Write());
  VOUCH_ASSIGN_OR_RETURN(Transaction transaction,
                         Transaction::Begin(*lease, TransactionMode::kWrite));
  VOUCH_RETURN_IF_ERROR(recorder_->Open(*lease, ids_.Next()));
  return transaction.Commit();
}

// ---- Running --------------------------------------------------------------------------------

absl::StatusOr<UnitRecord> Engine::NewRecord(const RunOptions& options) {
  VOUCH_RETURN_IF_ERROR(options.Validate());
  if (!options.uow_id.empty() && !recorder_->has_ledger()) {
    return absl::InvalidArgumentError(
        absl::StrCat("run: uow_id ", options.uow_id,
                     " is given, and the engine keeps no receipts: it could not tell whether the"
                     " unit was committed before"));
  }
  return UnitRecord{.uow_id = options.uow_id.empty() ? ids_.Next() : options.uow_id,
                    .created = storage::FormatUtcMillis(options_.wall_clock->Now()),
                    .envelope_id = options.envelope_id,
                    .space_id = options.space_id,
                    .actor_id = options.actor_id,
                    .device_id = options.device_id,
                    .correlation_id = options.correlation_id,
                    .band = options.band};
}

absl::Status Engine::Enter(InFlight& unit) {
  if (const InFlight* other = unit.Enclosing()) {
    return absl::FailedPreconditionError(
        absl::StrCat("run: called within unit ", other->uow_id(), " of the same engine, begun at ",
                     other->site().file, ":", other->site().line, ": it would wait for itself"));
  }
  const MutexLock lock(&mutex_);
  if (closing_) return absl::FailedPreconditionError("run: the engine is closed");
  unit.position_ = in_flight_.insert(in_flight_.end(), &unit);
  return absl::OkStatus();
}

void Engine::Leave(InFlight& unit) {
  const MutexLock lock(&mutex_);
  in_flight_.erase(unit.position_);
  if (in_flight_.empty()) changed_.SignalAll();
}

absl::StatusOr<Receipt> Engine::Run(const RunOptions& options,
                                    absl::FunctionRef<absl::Status(UnitOfWork&)> function,
                                    pool::CallSite site) {
  const auto begun = options_.steady_clock->Now();
  const absl::Duration timeout = options.timeout.value_or(options_.unit_timeout);
  const auto deadline = DeadlineAfter(std::chrono::steady_clock::now(), timeout);
  const RetryOptions& retry = options.retry.has_value() ? *options.retry : options_.retry;
  VOUCH_ASSIGN_OR_RETURN(UnitRecord record, NewRecord(options));
  InFlight in_flight(*this, record.uow_id, site, InFlight::Thread::kThis);
  VOUCH_RETURN_IF_ERROR(Enter(in_flight));
  struct LeaveAtEnd {
    ~LeaveAtEnd() { engine.Leave(unit); }
    Engine& engine;
    InFlight& unit;
  } const leave{*this, in_flight};

  while (true) {
    GroupCommit::Unit unit(record, function);
    unit.site = site;
    unit.begun = begun;
    unit.deadline = deadline;
    unit.timeout = timeout;
    unit.stop = options.stop;
    if (options.participants) unit.participation = Participation(options_.participants);
    unit.alone = options.alone || !unit.participation.empty();
    unit.has_new_id = options.uow_id.empty();
    unit.any_thread = options.any_thread;
    group_->Run(unit);
    const auto ended = [&](std::string_view committed) {
      return EndedUnit{record,     unit.result.status(), committed,      unit.timings,
                       unit.hooks, unit.participation,   options.summary};
    };
    if (unit.result.ok()) {
      in_flight.Unbind();
      if (unit.result->was_duplicate) {
        if (options.summary != nullptr)
          *options.summary = Summarize(record, unit.result->committed, {});
        return std::move(unit.result);
      }
      CountCommitted();
      unit.timings.commit = unit.result->commit_time;
      Conclude(ended(unit.result->committed));
      return std::move(unit.result);
    }
    const absl::Status& status = unit.result.status();
    const absl::Duration used = absl::FromChrono(options_.steady_clock->Now() - begun);
    const auto delay = unit.exception != nullptr ? std::nullopt
                                                 : DelayBeforeRetry(retry, status, record.retries,
                                                                    timeout - used, Random());
    if (!delay.has_value()) {
      record.execution_time = used;
      RecordFailure(record, status, unit.is_recorded);
      in_flight.Unbind();
      Conclude(ended({}));
      if (unit.exception != nullptr) std::rethrow_exception(unit.exception);
      return status;
    }
    Log(LogLevel::kWarning,
        absl::StrCat("unit ", record.uow_id, " is tried again after ", absl::FormatDuration(*delay),
                     ": ", std::string(status.message())));
    std::this_thread::sleep_for(absl::ToChronoNanoseconds(*delay));
    ++record.retries;
    const MutexLock lock(&mutex_);
    ++counts_.retries;
  }
}

absl::StatusOr<InteractiveUnit> Engine::Begin(const RunOptions& options, pool::CallSite site) {
  const auto begun = options_.steady_clock->Now();
  const absl::Duration timeout = options.timeout.value_or(options_.unit_timeout);
  VOUCH_ASSIGN_OR_RETURN(UnitRecord record, NewRecord(options));
  auto active =
      std::make_unique<ActiveUnit>(*this, std::move(record), begun,
                                   DeadlineAfter(std::chrono::steady_clock::now(), timeout), site);
  VOUCH_RETURN_IF_ERROR(active->Start(options));
  return InteractiveUnit(std::move(active));
}

absl::StatusOr<storage::ReadLease> Engine::Read(pool::CallSite site) {
  return database_->Read(site);
}

// ---- What is written after the fact ---------------------------------------------------------

void Engine::RecordFailure(UnitRecord& record, const absl::Status& status, bool is_recorded) {
  recorder_->DescribeFailure(record, status);
  {
    const MutexLock lock(&mutex_);
    ++(record.status == UnitStatus::kFailed ? counts_.failed : counts_.rolled_back);
  }
  if (!is_recorded) recorder_->Add(record);
  if (recorder_->unrecorded() == 0) return;
  // Whoever has the writer next records this one too. Where units wait, that is soon.
  if (options_.record_failures_within > absl::ZeroDuration()) {
    late_records_->Expect();
  } else if (group_->waiting() == 0) {
    (void)FlushPending(absl::ZeroDuration());
  }
}

absl::Status Engine::FlushPending(absl::Duration timeout) {
  VOUCH_ASSIGN_OR_RETURN(storage::WriteLease lease, database_->Write(timeout));
  const auto flush = [&]() -> absl::Status {
    VOUCH_RETURN_IF_ERROR(recorder_->EndDoubt(*lease, Recorder::TimePoint::max()));
    lease->SetDeadline(DeadlineAfter(std::chrono::steady_clock::now(), kFlushTimeout));
    VOUCH_ASSIGN_OR_RETURN(Transaction transaction,
                           Transaction::Begin(*lease, TransactionMode::kWrite));
    VOUCH_RETURN_IF_ERROR(recorder_->Begin(*lease));
    return transaction.Commit();
  };
  const absl::Status status = flush();
  recorder_->Ended(status.ok());
  if (!status.ok()) {
    Log(LogLevel::kWarning,
        absl::StrCat("a failed unit is not recorded yet: ", std::string(status.message())));
  }
  return status;
}

// ---- Closing --------------------------------------------------------------------------------

absl::Status Engine::Close(absl::Duration timeout) {
  const auto begun = options_.steady_clock->Now();
  const auto time_left = [&] {
    return std::max(absl::ZeroDuration(),
                    timeout - absl::FromChrono(options_.steady_clock->Now() - begun));
  };
  {
    const MutexLock lock(&mutex_);
    closing_ = true;
    if (closed_) return absl::OkStatus();
    while (!in_flight_.empty() && time_left() > absl::ZeroDuration()) {
      changed_.WaitFor(&mutex_, time_left());
    }
    if (!in_flight_.empty()) {
      std::string units;
      for (const InFlight* unit : in_flight_) {
        absl::StrAppend(&units, units.empty() ? "" : ", ", unit->uow_id(), " begun at ",
                        unit->site().file, ":", unit->site().line);
      }
      return absl::DeadlineExceededError(absl::StrCat("close: ", in_flight_.size(),
                                                      " units are still running after ",
                                                      absl::FormatDuration(timeout), ": ", units));
    }
  }
  late_records_->Stop();
  (void)FlushPending(std::max(time_left(), kFlushTimeout));
  const absl::Status status = database_->Close(time_left());
  if (status.ok()) {
    const MutexLock lock(&mutex_);
    closed_ = true;
  }
  return status;
}

EngineStats Engine::stats() const {
  EngineStats stats;
  {
    const MutexLock lock(&mutex_);
    stats = counts_;
    stats.in_flight = static_cast<std::int64_t>(in_flight_.size());
  }
  stats.unrecorded = recorder_->unrecorded();
  stats.lost_records = recorder_->lost_records();
  stats.in_doubt = recorder_->in_doubt();
  const GroupStats group = group_->stats();
  stats.waiting = static_cast<std::int64_t>(group_->waiting());
  stats.batches = group.batches;
  stats.largest_batch = group.largest;
  stats.replays = group.replays;
  stats.database = database_->stats();
  return stats;
}

const std::string& Engine::ledger_id() const { return recorder_->ledger().id(); }

void Engine::CountCommitted() {
  const MutexLock lock(&mutex_);
  ++counts_.committed;
}

void Engine::Conclude(const EndedUnit& unit) {
  RunHooks(unit);
  if (unit.summary == nullptr && !options_.on_event && !options_.track_performance) return;
  TransactionSummary told = Summarize(unit.record, unit.committed, unit.timings);
  unit.participation.AddTo(told);
  if (options_.track_performance) store_totals_.Add(told);
  if (options_.on_event && !unit.in_doubt() &&
      !Announce(options_.on_event, EventOf(told, options_.wall_clock->Now()))) {
    Log(LogLevel::kWarning, absl::StrCat("on_event threw, of unit ", unit.record.uow_id));
  }
  if (unit.summary != nullptr) *unit.summary = std::move(told);
}

void Engine::RunHooks(const EndedUnit& unit) {
  if (unit.in_doubt()) return unit.hooks.Discard();
  const UnitRecord& record = unit.record;
  for (const std::string& thrown : unit.hooks.Run(record.status == UnitStatus::kCommitted)) {
    Log(LogLevel::kWarning, absl::StrCat("a hook of unit ", record.uow_id, ", which is ",
                                         NameOf(record.status), ", threw: ", thrown));
  }
}

double Engine::Random() {
  const MutexLock lock(&mutex_);
  // SplitMix64, for jitter only.
  random_ += 0x9E3779B97F4A7C15;
  std::uint64_t z = random_;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

void Engine::Log(LogLevel level, std::string_view message) const {
  if (options_.log) options_.log(level, message);
}

// ---- InteractiveUnit ------------------------------------------------------------------------

InteractiveUnit::InteractiveUnit(std::unique_ptr<ActiveUnit> unit) : unit_(std::move(unit)) {}
InteractiveUnit::InteractiveUnit(InteractiveUnit&&) noexcept = default;

InteractiveUnit::~InteractiveUnit() {
  if (unit_ != nullptr) (void)Rollback();
}

UnitOfWork* InteractiveUnit::operator->() const { return &unit_->unit(); }
UnitOfWork& InteractiveUnit::operator*() const { return unit_->unit(); }

absl::Status InteractiveUnit::Track(std::string_view store, std::string_view record_id,
                                    Operation operation, std::string_view payload) {
  if (unit_ == nullptr) {
    return absl::FailedPreconditionError(
        "track: Cannot track write outside an active UnitOfWork context");
  }
  return unit_->unit().Track(store, record_id, operation, payload);
}

absl::StatusOr<Receipt> InteractiveUnit::Commit() {
  if (unit_ == nullptr) {
    return absl::FailedPreconditionError("commit: the unit has been committed or rolled back");
  }
  const std::unique_ptr<ActiveUnit> unit = std::move(unit_);
  return unit->Commit();
}

absl::Status InteractiveUnit::Rollback() {
  if (unit_ == nullptr) {
    return absl::FailedPreconditionError("rollback: the unit has been committed or rolled back");
  }
  const std::unique_ptr<ActiveUnit> unit = std::move(unit_);
  return unit->Rollback();
}

}  // namespace vouch::uow
