#include "storage/migrations/migrator.h"

#include <cstddef>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "storage/error.h"
#include "storage/migrations/internal/catalog.h"
#include "storage/migrations/internal/statements.h"
#include "storage/migrations/internal/view.h"
#include "storage/status_macros.h"

namespace vouch::storage {
namespace {

using migrations_internal::Catalog;
using migrations_internal::Loss;
using migrations_internal::SqlStatement;
using migrations_internal::View;

// `script` moved down to where it stands in its file, so that the engine's messages name that line.
std::string AtLine(std::string_view script, int first_line) {
  return std::string(static_cast<std::size_t>(first_line - 1), '\n').append(script);
}

MigrationState StateOf(const HistoryRow& row, const Migration* migration) {
  switch (row.status) {
    case HistoryStatus::kRolledBack:
      return MigrationState::kRolledBack;
    case HistoryStatus::kFailed:
      return MigrationState::kFailed;
    case HistoryStatus::kApplied:
      break;
  }
  if (migration == nullptr) return MigrationState::kUnknown;
  return row.checksum == Checksum(*migration) ? MigrationState::kApplied : MigrationState::kEdited;
}

// Downwards, a target is fixed when the run begins: two processes that revert one migration each
// at the same time mean the same one.
MigrationTarget Fixed(MigrationTarget target, const std::vector<PlanStep>& steps) {
  if (target.kind() != MigrationTarget::Kind::kDownBy || steps.empty()) return target;
  return MigrationTarget::DownTo(steps.back().migration->version - 1);
}

}  // namespace

Migrator::Migrator(Connection& connection, const MigrationSet& set, MigratorOptions options)
    : connection_(connection), set_(set), history_(set), options_(std::move(options)) {}

absl::StatusOr<std::vector<MigrationInfo>> Migrator::Status() {
  VOUCH_ASSIGN_OR_RETURN(const std::vector<HistoryRow> history, history_.Read(connection_));
  std::map<std::int64_t, MigrationInfo> infos;
  for (const Migration& migration : set_.migrations()) {
    infos[migration.version] = {.version = migration.version, .name = migration.name};
  }
  for (const HistoryRow& row : history) {
    infos[row.version] = {.version = row.version,
                          .name = row.name,
                          .state = StateOf(row, set_.Find(row.version)),
                          .applied_at = row.applied_at,
                          .duration = absl::Milliseconds(row.duration_ms)};
  }
  std::vector<MigrationInfo> sorted;
  for (auto& [version, info] : infos) sorted.push_back(std::move(info));
  return sorted;
}

absl::StatusOr<std::vector<MigrationResult>> Migrator::Up(std::optional<std::int64_t> to) {
  return Run(to.has_value() ? MigrationTarget::UpTo(*to) : MigrationTarget::Latest());
}

absl::StatusOr<std::vector<MigrationResult>> Migrator::Down(std::int64_t count) {
  return Run(MigrationTarget::DownBy(count));
}

absl::StatusOr<std::vector<MigrationResult>> Migrator::To(std::int64_t version) {
  return Run(MigrationTarget::Version(version));
}

absl::StatusOr<std::vector<MigrationResult>> Migrator::Run(MigrationTarget target) {
  std::vector<MigrationResult> done;
  VOUCH_ASSIGN_OR_RETURN(const std::vector<HistoryRow> history, history_.Read(connection_));
  VOUCH_ASSIGN_OR_RETURN(const std::vector<PlanStep> steps, Plan(set_, history, target));
  if (steps.empty()) return done;
  const MigrationTarget fixed = Fixed(target, steps);
  while (true) {
    VOUCH_ASSIGN_OR_RETURN(const bool more, RunNext(fixed, &done));
    if (!more) return done;
  }
}

// Takes the lock, looks what is still to be done, and does the first of it. False: nothing was.
absl::StatusOr<bool> Migrator::RunNext(MigrationTarget target, std::vector<MigrationResult>* done) {
  std::optional<Transaction> transaction;
  {
    VOUCH_ASSIGN_OR_RETURN(Transaction begun, BeginWrite());
    transaction.emplace(std::move(begun));
  }
  VOUCH_ASSIGN_OR_RETURN(const std::vector<HistoryRow> history, history_.Read(connection_));
  VOUCH_ASSIGN_OR_RETURN(const std::vector<PlanStep> steps, Plan(set_, history, target));
  if (steps.empty()) return false;

  const PlanStep step = steps.front();
  const Migration& migration = *step.migration;
  MigrationResult result = {
      .version = migration.version, .name = migration.name, .direction = step.direction};
  Report(MigrationEvent::Kind::kBegun, result, absl::OkStatus());
  const SteadyClock::TimePoint begin = options_.steady_clock->Now();
  absl::Status status = Take(step, *transaction, begin);
  transaction.reset();  // Rolls back unless committed.
  result.duration = Since(begin);
  if (status.ok()) {
    Report(MigrationEvent::Kind::kDone, result, absl::OkStatus());
    done->push_back(std::move(result));
    return true;
  }
  const std::string verb = step.direction == MigrationDirection::kUp ? "apply" : "revert";
  status = Annotate(status, absl::StrCat(verb, " migration ",
                                         set_.Describe(migration.version, migration.name), ": "));
  if (step.direction == MigrationDirection::kUp) {
    const absl::Status recorded = RecordFailure(migration, result.duration);
    if (!recorded.ok()) {
      status = Annotate(status, absl::StrCat("(not recorded: ", recorded.message(), ") "));
    }
  }
  Report(MigrationEvent::Kind::kFailed, result, status);
  return status;
}

absl::StatusOr<Transaction> Migrator::BeginWrite() {
  const SteadyClock::TimePoint begin = options_.steady_clock->Now();
  while (true) {
    absl::StatusOr<Transaction> transaction =
        Transaction::Begin(connection_, TransactionMode::kWrite);
    if (!absl::IsUnavailable(transaction.status())) return transaction;
    if (Since(begin) >= options_.lock_timeout) {
      return Annotate(transaction.status(),
                      absl::StrCat("migrate: waited ", absl::FormatDuration(Since(begin)),
                                   " for the write lock: "));
    }
    absl::SleepFor(absl::Milliseconds(10));
  }
}

absl::Status Migrator::Take(const PlanStep& step, Transaction& transaction,
                            SteadyClock::TimePoint begin) {
  VOUCH_RETURN_IF_ERROR(step.direction == MigrationDirection::kUp ? Apply(*step.migration, begin)
                                                                  : Revert(*step.migration));
  return transaction.Commit();
}

absl::Status Migrator::Apply(const Migration& migration, SteadyClock::TimePoint begin) {
  VOUCH_RETURN_IF_ERROR(history_.Create(connection_));
  VOUCH_RETURN_IF_ERROR(RunScript(migration.up, migration.up_line));
  VOUCH_RETURN_IF_ERROR(Verify(migration));
  return history_.Write(connection_, RowOf(migration, HistoryStatus::kApplied, Since(begin)));
}

absl::Status Migrator::Revert(const Migration& migration) {
  if (!options_.accept_data_loss) VOUCH_RETURN_IF_ERROR(RefuseLosses(migration));
  VOUCH_RETURN_IF_ERROR(RunScript(migration.down, migration.down_line));
  return history_.MarkRolledBack(connection_, migration.version);
}

// The savepoint around the script tells whether it stayed in our transaction: COMMIT and ROLLBACK
// end the savepoint too, even when a BEGIN follows.
absl::Status Migrator::RunScript(std::string_view script, int first_line) {
  VOUCH_ASSIGN_OR_RETURN(Savepoint savepoint, Savepoint::Begin(connection_));
  VOUCH_RETURN_IF_ERROR(connection_.ExecuteScript(AtLine(script, first_line)));
  const absl::Status released = savepoint.Release();
  if (released.ok()) return absl::OkStatus();
  // "No such savepoint" is 1 (SQLITE_ERROR). Another code is a failure of the machine's.
  if (NativeCode(released).value_or(1) != 1) return released;
  return absl::InvalidArgumentError(
      absl::StrCat("the script ended the transaction it runs in, and what it did before may have "
                   "stayed: ",
                   released.message()));
}

absl::Status Migrator::Verify(const Migration& migration) {
  for (const SqlStatement& query : migrations_internal::SplitStatements(migration.verify)) {
    const auto failed = [&](std::string_view what) {
      return absl::FailedPreconditionError(
          absl::StrCat("verify at line ", migration.verify_line + query.line - 1, " gave ",
                       View(what), ", not 1: ", ShortSql(query.text)));
    };
    VOUCH_ASSIGN_OR_RETURN(StatementPtr statement, connection_.Prepare(query.text));
    VOUCH_ASSIGN_OR_RETURN(const bool row, statement->Step());
    if (!row) return failed("no row");
    const ValueView value = statement->column(0);
    if (value != ValueView::Integer(1)) {
      return failed(value.type() == ValueType::kInteger ? std::to_string(value.integer())
                                                        : "another value");
    }
    VOUCH_ASSIGN_OR_RETURN(const bool second, statement->Step());
    if (second) return failed("more than one row");
  }
  return absl::OkStatus();
}

// Runs `down` for a try and takes it back, to see what is missing afterwards and what that held.
absl::Status Migrator::RefuseLosses(const Migration& migration) {
  VOUCH_ASSIGN_OR_RETURN(const Catalog before, migrations_internal::ReadCatalog(connection_));
  VOUCH_ASSIGN_OR_RETURN(Savepoint trial, Savepoint::Begin(connection_));
  VOUCH_RETURN_IF_ERROR(connection_.ExecuteScript(AtLine(migration.down, migration.down_line)));
  VOUCH_ASSIGN_OR_RETURN(const Catalog after, migrations_internal::ReadCatalog(connection_));
  VOUCH_RETURN_IF_ERROR(trial.Rollback());
  std::vector<std::string> lost;
  for (const Loss& loss : migrations_internal::FindLosses(before, after)) {
    VOUCH_ASSIGN_OR_RETURN(const std::int64_t rows, migrations_internal::CountRows(
                                                        connection_, loss, migration.default_rows));
    if (rows == 0) continue;
    lost.push_back(absl::StrCat(loss.column.empty() ? "table " : "column ", loss.table,
                                loss.column.empty() ? "" : ".", loss.column, " (", rows,
                                rows == 1 ? " row)" : " rows)"));
  }
  if (lost.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("would lose data: ", absl::StrJoin(lost, ", "), "; nothing was changed"));
}

absl::Status Migrator::RecordFailure(const Migration& migration, absl::Duration duration) {
  VOUCH_ASSIGN_OR_RETURN(Transaction transaction, BeginWrite());
  VOUCH_RETURN_IF_ERROR(history_.Create(connection_));
  VOUCH_RETURN_IF_ERROR(
      history_.Write(connection_, RowOf(migration, HistoryStatus::kFailed, duration)));
  return transaction.Commit();
}

HistoryRow Migrator::RowOf(const Migration& migration, HistoryStatus status,
                           absl::Duration duration) {
  return {.version = migration.version,
          .name = migration.name,
          .description = migration.description,
          .applied_at = FormatUtcMillis(options_.wall_clock->Now()),
          .applied_by = options_.applied_by,
          .duration_ms = absl::ToInt64Milliseconds(duration),
          .checksum = Checksum(migration),
          .status = status};
}

absl::Duration Migrator::Since(SteadyClock::TimePoint begin) {
  return absl::FromChrono(options_.steady_clock->Now() - begin);
}

void Migrator::Report(MigrationEvent::Kind kind, const MigrationResult& migration,
                      const absl::Status& status) {
  if (!options_.progress) return;
  options_.progress({.kind = kind, .migration = migration, .status = status});
}

}  // namespace vouch::storage
