#include "uow/engine.h"

#include <algorithm>
#include <random>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/error.h"
#include "storage/migrations/migrator.h"
#include "storage/migrations/sets.h"
#include "storage/status_macros.h"
#include "uow/failure.h"
#include "uow/internal/active_unit.h"

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

// Failed units that wait to be recorded; more are counted as lost.
constexpr std::size_t kMostUnrecorded = 1024;
// How long Close() tries to record what is left when its own time is up.
constexpr absl::Duration kLastFlush = absl::Seconds(1);

absl::StatusOr<std::int64_t> SchemaVersion(SqliteConnection& connection) {
  VOUCH_ASSIGN_OR_RETURN(const StatementPtr query,
                         connection.PrepareTrusted("PRAGMA schema_version"));
  VOUCH_RETURN_IF_ERROR(query->Step().status());
  return query->Get<std::int64_t>(0);
}

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
      random_(std::random_device()()) {}

Engine::~Engine() { (void)Close(absl::InfiniteDuration()); }

absl::Status Engine::Migrate() {
  VOUCH_ASSIGN_OR_RETURN(const auto connection, database_->OpenUnrestricted());
  std::vector<const MigrationSet*> sets = {&storage::CoreMigrations()};
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
  VOUCH_RETURN_IF_ERROR(
      ledger_.Open(*lease, ids_.Next(), storage::FormatUtcMillis(options_.wall_clock->Now())));
  VOUCH_RETURN_IF_ERROR(ReloadSchema(*lease));
  VOUCH_RETURN_IF_ERROR(RefuseUnreceiptedRows(*lease));
  return transaction.Commit();
}

absl::Status Engine::ReloadSchema(SqliteConnection& connection) {
  VOUCH_ASSIGN_OR_RETURN(schema_version_, SchemaVersion(connection));
  VOUCH_ASSIGN_OR_RETURN(stores_,
                         StoreMap::Build(connection, options_.stores, options_.unreceipted_tables));
  return absl::OkStatus();
}

absl::Status Engine::RefuseUnreceiptedRows(SqliteConnection& connection) {
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

// ---- Running --------------------------------------------------------------------------------

absl::StatusOr<UnitRecord> Engine::NewRecord(const RunOptions& options) {
  VOUCH_RETURN_IF_ERROR(options.Validate());
  return UnitRecord{.uow_id = options.uow_id.empty() ? ids_.Next() : options.uow_id,
                    .created = storage::FormatUtcMillis(options_.wall_clock->Now()),
                    .envelope_id = options.envelope_id,
                    .space_id = options.space_id,
                    .actor_id = options.actor_id,
                    .device_id = options.device_id,
                    .correlation_id = options.correlation_id,
                    .band = options.band};
}

absl::StatusOr<Engine::InFlightToken> Engine::Enter(const std::string& uow_id, pool::CallSite site,
                                                    bool runs_here) {
  const std::thread::id self = std::this_thread::get_id();
  const MutexLock lock(&mutex_);
  if (closing_) return absl::FailedPreconditionError("run: the engine is closed");
  if (in_doubt_) {
    return absl::FailedPreconditionError(
        "run: the outcome of an earlier commit is unknown; open the engine again");
  }
  for (const InFlight& other : in_flight_) {
    if (other.thread != self) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("run: called within unit ", other.uow_id, " of the same engine, begun at ",
                     other.site.file, ":", other.site.line, ": it would wait for itself"));
  }
  in_flight_.push_back(
      {.uow_id = uow_id, .site = site, .thread = runs_here ? std::optional(self) : std::nullopt});
  return std::prev(in_flight_.end());
}

void Engine::Leave(InFlightToken token) {
  const MutexLock lock(&mutex_);
  in_flight_.erase(token);
  if (in_flight_.empty()) changed_.SignalAll();
}

absl::StatusOr<Receipt> Engine::Run(const RunOptions& options,
                                    absl::FunctionRef<absl::Status(UnitOfWork&)> function,
                                    pool::CallSite site) {
  const auto begun = options_.steady_clock->Now();
  const absl::Duration timeout = options.timeout.value_or(options_.unit_timeout);
  const RetryOptions& retry = options.retry.has_value() ? *options.retry : options_.retry;
  VOUCH_ASSIGN_OR_RETURN(UnitRecord record, NewRecord(options));
  VOUCH_ASSIGN_OR_RETURN(const InFlightToken token, Enter(record.uow_id, site, true));
  struct LeaveAtEnd {
    ~LeaveAtEnd() { engine.Leave(token); }
    Engine& engine;
    InFlightToken token;
  } const leave{*this, token};

  while (true) {
    absl::StatusOr<Receipt> receipt;
    try {
      receipt = Attempt(record, function, begun, timeout, site);
    } catch (...) {
      RecordFailure(record, absl::CancelledError("the function threw an exception"));
      throw;
    }
    if (receipt.ok()) return receipt;
    const absl::Duration used = absl::FromChrono(options_.steady_clock->Now() - begun);
    const auto delay =
        DelayBeforeRetry(retry, receipt.status(), record.retries, timeout - used, Random());
    if (!delay.has_value()) {
      RecordFailure(record, receipt.status());
      return receipt;
    }
    Log(LogLevel::kWarning,
        absl::StrCat("unit ", record.uow_id, " is tried again after ", absl::FormatDuration(*delay),
                     ": ", std::string(receipt.status().message())));
    std::this_thread::sleep_for(absl::ToChronoNanoseconds(*delay));
    ++record.retries;
    const MutexLock lock(&mutex_);
    ++counts_.retries;
  }
}

absl::StatusOr<Receipt> Engine::Attempt(UnitRecord& record,
                                        absl::FunctionRef<absl::Status(UnitOfWork&)> function,
                                        storage::SteadyClock::TimePoint begun,
                                        absl::Duration timeout, pool::CallSite site) {
  record.status = UnitStatus::kCommitted;
  record.failed_store.clear();
  ActiveUnit active(*this, record, begun, timeout);
  record.status = UnitStatus::kFailed;  // Unless it turns out otherwise.
  VOUCH_RETURN_IF_ERROR(active.Start(site));
  if (active.duplicate().has_value()) return *active.duplicate();

  absl::Status status;
  try {
    status = function(active.unit());
  } catch (...) {
    record.status = UnitStatus::kRolledBack;
    throw;
  }
  if (!status.ok()) {
    if (IsCallersDecision(status)) record.status = UnitStatus::kRolledBack;
    record.failed_store = active.StoreOf(status);
    (void)active.Rollback();
    return status;
  }
  absl::StatusOr<Receipt> receipt = active.Commit();
  if (!receipt.ok()) {
    record.failed_store = active.StoreOf(receipt.status());
    return receipt;
  }
  CountCommitted();
  return receipt;
}

absl::StatusOr<InteractiveUnit> Engine::Begin(const RunOptions& options, pool::CallSite site) {
  const auto begun = options_.steady_clock->Now();
  VOUCH_ASSIGN_OR_RETURN(UnitRecord record, NewRecord(options));
  VOUCH_ASSIGN_OR_RETURN(const InFlightToken token, Enter(record.uow_id, site, false));
  auto active = std::make_unique<ActiveUnit>(*this, std::move(record), begun,
                                             options.timeout.value_or(options_.unit_timeout));
  active->Own(token);
  VOUCH_RETURN_IF_ERROR(active->Start(site));
  if (active->duplicate().has_value()) {
    return absl::AlreadyExistsError(absl::StrCat(
        "begin: unit ", options.uow_id, " is committed, as number ", active->duplicate()->seq));
  }
  return InteractiveUnit(std::move(active));
}

absl::StatusOr<storage::ReadLease> Engine::Read(pool::CallSite site) {
  return database_->Read(site);
}

// ---- What is written after the fact ---------------------------------------------------------

absl::Status Engine::WritePending(SqliteConnection& connection) {
  VOUCH_ASSIGN_OR_RETURN(const bool others_wrote, ledger_.Refresh(connection));
  if (others_wrote) {
    VOUCH_ASSIGN_OR_RETURN(const std::int64_t version, SchemaVersion(connection));
    if (version != schema_version_) VOUCH_RETURN_IF_ERROR(ReloadSchema(connection));
  }
  if (commit_time_.has_value() && commit_time_->time >= absl::Milliseconds(1)) {
    VOUCH_RETURN_IF_ERROR(
        ledger_.RecordCommitTime(connection, commit_time_->seq, commit_time_->time));
  }
  {
    const MutexLock lock(&mutex_);
    being_recorded_.swap(unrecorded_);
  }
  for (const UnitRecord& record : being_recorded_) {
    VOUCH_RETURN_IF_ERROR(ledger_.Append(connection, record, {}).status());
  }
  return absl::OkStatus();
}

void Engine::PendingWritten(bool written) {
  if (written) {
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

void Engine::RecordFailure(UnitRecord record, const absl::Status& status) {
  record.writes.clear();
  if (record.status == UnitStatus::kFailed) {
    record.error_type = ErrorTypeOf(status);
    record.error_message = std::string(status.message());
    record.error_time = storage::FormatUtcMillis(options_.wall_clock->Now());
    record.recovery_attempted = true;
  } else {
    record.failed_store.clear();
  }
  {
    const MutexLock lock(&mutex_);
    ++(record.status == UnitStatus::kFailed ? counts_.failed : counts_.rolled_back);
    if (unrecorded_.size() >= kMostUnrecorded) {
      ++counts_.lost_records;
      return;
    }
    unrecorded_.push_back(std::move(record));
  }
  // When the writer is busy, whoever has it next records this one too.
  (void)FlushPending(absl::ZeroDuration());
}

absl::Status Engine::FlushPending(absl::Duration timeout) {
  VOUCH_ASSIGN_OR_RETURN(storage::WriteLease lease, database_->Write(timeout));
  const auto flush = [&]() -> absl::Status {
    VOUCH_ASSIGN_OR_RETURN(Transaction transaction,
                           Transaction::Begin(*lease, TransactionMode::kWrite));
    VOUCH_RETURN_IF_ERROR(WritePending(*lease));
    return transaction.Commit();
  };
  const absl::Status status = flush();
  PendingWritten(status.ok());
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
  bool in_doubt = false;
  {
    const MutexLock lock(&mutex_);
    closing_ = true;
    if (closed_) return absl::OkStatus();
    while (!in_flight_.empty() && time_left() > absl::ZeroDuration()) {
      changed_.WaitFor(&mutex_, time_left());
    }
    if (!in_flight_.empty()) {
      std::string units;
      for (const InFlight& unit : in_flight_) {
        absl::StrAppend(&units, units.empty() ? "" : ", ", unit.uow_id, " begun at ",
                        unit.site.file, ":", unit.site.line);
      }
      return absl::DeadlineExceededError(absl::StrCat("close: ", in_flight_.size(),
                                                      " units are still running after ",
                                                      absl::FormatDuration(timeout), ": ", units));
    }
    in_doubt = in_doubt_;
  }
  if (!in_doubt) (void)FlushPending(std::max(time_left(), kLastFlush));
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
    stats.unrecorded = static_cast<std::int64_t>(unrecorded_.size());
  }
  stats.database = database_->stats();
  return stats;
}

void Engine::CountCommitted() {
  const MutexLock lock(&mutex_);
  ++counts_.committed;
}

void Engine::SetInDoubt() {
  {
    const MutexLock lock(&mutex_);
    in_doubt_ = true;
  }
  Log(LogLevel::kError, "the outcome of a commit is unknown: no more units until reopened");
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

absl::StatusOr<Receipt> InteractiveUnit::Commit() {
  if (unit_ == nullptr) {
    return absl::FailedPreconditionError("commit: the unit has been committed or rolled back");
  }
  const std::unique_ptr<ActiveUnit> unit = std::move(unit_);
  return unit->End(UnitStatus::kCommitted);
}

absl::Status InteractiveUnit::Rollback() {
  if (unit_ == nullptr) {
    return absl::FailedPreconditionError("rollback: the unit has been committed or rolled back");
  }
  const std::unique_ptr<ActiveUnit> unit = std::move(unit_);
  return unit->End(UnitStatus::kRolledBack).status();
}

}  // namespace vouch::uow
