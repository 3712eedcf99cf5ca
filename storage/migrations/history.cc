#include "storage/migrations/history.h"

#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/error.h"
#include "storage/status_macros.h"

namespace vouch::storage {
namespace {

std::string_view ToText(HistoryStatus status) {
  switch (status) {
    case HistoryStatus::kApplied:
      return "applied";
    case HistoryStatus::kRolledBack:
      return "rolled_back";
    case HistoryStatus::kFailed:
      return "failed";
  }
  return "failed";
}

std::optional<HistoryStatus> StatusFromText(std::string_view text) {
  for (const HistoryStatus status :
       {HistoryStatus::kApplied, HistoryStatus::kRolledBack, HistoryStatus::kFailed}) {
    if (text == ToText(status)) return status;
  }
  return std::nullopt;
}

std::optional<std::string> NullIfEmpty(const std::string& text) {
  return text.empty() ? std::nullopt : std::make_optional(text);
}

}  // namespace

absl::StatusOr<std::vector<HistoryRow>> History::Read(Connection& connection) const {
  VOUCH_ASSIGN_OR_RETURN(
      const int tables,
      connection.QueryValue<int>(
          "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1", table_));
  std::vector<HistoryRow> rows;
  if (tables == 0) return rows;
  absl::StatusOr<StatementPtr> select = connection.Prepare(
      absl::StrCat("SELECT version, name, description, applied_at, applied_by, duration_ms, "
                   "checksum, status, component FROM ",
                   table_, " ORDER BY version"));
  if (absl::IsInvalidArgument(select.status())) {
    return absl::FailedPreconditionError(
        absl::StrCat("history: the table ", table_,
                     " is not a history of this program: ", select.status().message()));
  }
  VOUCH_RETURN_IF_ERROR(select.status());
  Statement& row = **select;
  while (true) {
    VOUCH_ASSIGN_OR_RETURN(const bool more, row.Step());
    if (!more) return rows;
    const std::optional<HistoryStatus> status = StatusFromText(row.Get<std::string_view>(7));
    if (!status.has_value() || row.Get<std::string_view>(8) != component_) {
      return absl::FailedPreconditionError(absl::StrCat(
          "history: the table ", table_, " holds a row that is not of this set: version ",
          row.Get<std::int64_t>(0), ", status \"", row.Get<std::string>(7), "\", component \"",
          row.Get<std::string>(8), "\""));
    }
    rows.push_back({.version = row.Get<std::int64_t>(0),
                    .name = row.Get<std::string>(1),
                    .description = row.Get<std::string>(2),
                    .applied_at = row.Get<std::string>(3),
                    .applied_by = row.Get<std::string>(4),
                    .duration_ms = row.Get<std::int64_t>(5),
                    .checksum = row.Get<std::string>(6),
                    .status = *status});
  }
}

absl::Status History::Create(Connection& connection) const {
  return connection.Execute(absl::StrCat("CREATE TABLE IF NOT EXISTS ", table_, R"sql((
  version INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  description TEXT,
  applied_at TEXT NOT NULL,
  applied_by TEXT,
  duration_ms INTEGER,
  checksum TEXT,
  status TEXT NOT NULL CHECK (status IN ('applied', 'rolled_back', 'failed')),
  component TEXT NOT NULL DEFAULT ''
) STRICT)sql"));
}

absl::Status History::Write(Connection& connection, const HistoryRow& row) const {
  return connection.Execute(absl::StrCat("INSERT INTO ", table_, R"sql((
  version, name, description, applied_at, applied_by, duration_ms, checksum, status, component)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
ON CONFLICT (version) DO UPDATE SET
  name = excluded.name, description = excluded.description, applied_at = excluded.applied_at,
  applied_by = excluded.applied_by, duration_ms = excluded.duration_ms,
  checksum = excluded.checksum, status = excluded.status
WHERE excluded.status <> 'failed' OR status <> 'applied')sql"),
                            row.version, row.name, NullIfEmpty(row.description), row.applied_at,
                            row.applied_by, row.duration_ms, row.checksum, ToText(row.status),
                            component_);
}

absl::Status History::MarkRolledBack(Connection& connection, std::int64_t version) const {
  return connection.Execute(
      absl::StrCat("UPDATE ", table_,
                   " SET status = 'rolled_back' WHERE version = ?1 AND status = 'applied'"),
      version);
}

}  // namespace vouch::storage
