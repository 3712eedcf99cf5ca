#include "uow/contract.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/sha256.h"
#include "storage/status_macros.h"
#include "uow/format.h"
#include "uow/table.h"

namespace vouch::uow {
namespace {

using storage::Connection;
using storage::StatementPtr;
using storage::ValueType;
using storage::ValueView;

constexpr std::string_view kUnits = "unit_of_work";
constexpr std::string_view kWrites = "uow_writes";

// The contract's columns; the first kRead are those that a rule reads, in the order of Column.
enum Column : std::size_t {
  kUowId,
  kStatus,
  kCreated,
  kExecutionTime,
  kCommitTime,
  kErrorType,
  kReceiptHash,
  kBand,
  kVersion,
  kRead
};
constexpr std::array<std::string_view, 23> kColumns = {"uow_id",
                                                       "status",
                                                       "created_ts",
                                                       "total_execution_time_ms",
                                                       "commit_time_ms",
                                                       "error_type",
                                                       "receipt_hash",
                                                       "band",
                                                       "contract_version",
                                                       "envelope_id",
                                                       "committed_ts",
                                                       "store_count",
                                                       "total_bytes_written",
                                                       "retry_count",
                                                       "error_message",
                                                       "failed_store",
                                                       "error_ts",
                                                       "recovery_attempted",
                                                       "receipt_signature",
                                                       "space_id",
                                                       "actor_id",
                                                       "device_id",
                                                       "correlation_id"};
constexpr std::array<std::string_view, 3> kWriteColumns = {"store", "record_id", "operation_type"};

// "unit_of_work.band is not …"
const char* WordsOf(ContractRule rule) {
  switch (rule) {
    case ContractRule::kTableMissing:
      return "is not a table of this database";
    case ContractRule::kColumnMissing:
      return "is not there";
    case ContractRule::kWrongType:
      return "has a value of the wrong type";
    case ContractRule::kNegativeTime:
      return "is negative";
    case ContractRule::kNoErrorType:
      return "is missing though the unit failed";
    case ContractRule::kBadReceiptHash:
      return "is not a SHA-256 in hex";
    case ContractRule::kBadBand:
      return "is not GREEN, AMBER, RED or BLACK";
    case ContractRule::kBadVersion:
      return "is not a version n.n.n";
    case ContractRule::kNoUnitId:
    case ContractRule::kNoCreationTime:
    case ContractRule::kUnnamedStore:
      return "is missing";
  }
  return "";
}

// What was found, counted by rule and column.
class Tally {
 public:
  explicit Tally(std::string_view table) : table_(table) {}

  void AddTable(ContractRule rule) { counts_[{rule, ""}].rows = 0; }
  void AddColumn(std::string_view column) {
    counts_[{ContractRule::kColumnMissing, column}].rows = 0;
  }
  void AddRow(ContractRule rule, std::string_view column, std::string_view unit) {
    Count& count = counts_[{rule, column}];
    if (count.rows++ == 0) count.first = unit;
  }

  void MoveTo(std::vector<ContractViolation>& violations) const {
    for (const auto& [key, count] : counts_) {
      const auto& [rule, column] = key;
      ContractViolation violation{.rule = rule,
                                  .field = std::string(column.empty() ? table_ : column),
                                  .count = std::max<std::int64_t>(count.rows, 1),
                                  .example = count.first};
      violation.message = absl::StrCat("contract: ", std::string(table_), column.empty() ? "" : ".",
                                       std::string(column), " ", WordsOf(rule));
      if (count.rows > 0) {
        absl::StrAppend(&violation.message, " in ", count.rows, count.rows == 1 ? " row" : " rows");
      }
      if (!count.first.empty()) absl::StrAppend(&violation.message, ", first of ", count.first);
      violations.push_back(std::move(violation));
    }
  }

 private:
  struct Count {
    std::int64_t rows = 0;
    std::string first;
  };

  const std::string_view table_;
  std::map<std::pair<ContractRule, std::string_view>, Count> counts_;
};

bool IsMissing(ValueView value) {
  return value.is_null() || (value.type() == ValueType::kText && value.bytes().empty());
}

// A value that is not null and not of the type its rule is about.
bool IsOtherThan(ValueType type, ValueView value) {
  return !value.is_null() && value.type() != type;
}

bool IsNegative(ValueView value) {
  return (value.type() == ValueType::kInteger && value.integer() < 0) ||
         (value.type() == ValueType::kReal && value.real() < 0);
}

// A row of unit_of_work: the columns that rules read, null where the table has none.
using UnitRow = std::array<ValueView, kRead>;

std::optional<ContractRule> WhatIsWrong(Column column, const UnitRow& row) {
  const ValueView value = row[column];
  switch (column) {
    case kUowId:
      if (IsMissing(value)) return ContractRule::kNoUnitId;
      return std::nullopt;
    case kCreated:
      if (IsMissing(value)) return ContractRule::kNoCreationTime;
      return std::nullopt;
    case kExecutionTime:
    case kCommitTime:
      if (IsNegative(value)) return ContractRule::kNegativeTime;
      if (IsOtherThan(ValueType::kInteger, value)) return ContractRule::kWrongType;
      return std::nullopt;
    case kErrorType:
      if (IsMissing(value) && row[kStatus] == ValueView::Text("failed")) {
        return ContractRule::kNoErrorType;
      }
      return std::nullopt;
    case kReceiptHash:
      if (value.is_null()) return std::nullopt;
      if (value.type() != ValueType::kText) return ContractRule::kWrongType;
      if (!storage::DigestFromHex(value.bytes()).has_value()) return ContractRule::kBadReceiptHash;
      return std::nullopt;
    case kBand:
      if (value.is_null()) return std::nullopt;
      if (value.type() != ValueType::kText) return ContractRule::kWrongType;
      if (!ParseBand(value.bytes()).has_value()) return ContractRule::kBadBand;
      return std::nullopt;
    case kVersion:
      if (IsOtherThan(ValueType::kText, value)) return ContractRule::kWrongType;
      if (value.is_null() || !IsContractVersion(value.bytes())) return ContractRule::kBadVersion;
      return std::nullopt;
    case kStatus:
    case kRead:
      break;
  }
  return std::nullopt;
}

// Which of `columns` the table has, in their order; nothing when there is no such table.
absl::StatusOr<std::optional<std::vector<std::string_view>>> ColumnsOf(
    Connection& connection, std::string_view table, std::span<const std::string_view> columns) {
  const auto schema = ReadTableSchema(connection, table);
  if (absl::IsNotFound(schema.status())) return std::nullopt;
  VOUCH_RETURN_IF_ERROR(schema.status());
  if (schema->kind == TableKind::kView) return std::nullopt;
  std::vector<std::string_view> present;
  for (const std::string_view column : columns) {
    const bool found =
        std::any_of(schema->columns.begin(), schema->columns.end(),
                    [&](const ColumnInfo& info) { return SameName(info.name, column); });
    if (found) present.push_back(column);
  }
  return present;
}

bool Contains(const std::vector<std::string_view>& columns, std::string_view column) {
  return std::find(columns.begin(), columns.end(), column) != columns.end();
}

// SELECT of `columns`, those that are not `present` as NULL.
std::string SelectSql(std::string_view table, std::span<const std::string_view> columns,
                      const std::vector<std::string_view>& present) {
  std::string sql = "SELECT ";
  for (const std::string_view column : columns) {
    absl::StrAppend(&sql, column == columns.front() ? "" : ", ",
                    Contains(present, column) ? std::string(column) : "NULL");
  }
  return absl::StrCat(sql, " FROM main.", std::string(table), " NOT INDEXED");
}

absl::Status CheckUnits(Connection& connection, ContractReport& report) {
  Tally tally(kUnits);
  VOUCH_ASSIGN_OR_RETURN(const auto present, ColumnsOf(connection, kUnits, kColumns));
  if (!present.has_value()) {
    tally.AddTable(ContractRule::kTableMissing);
    tally.MoveTo(report.violations);
    return absl::OkStatus();
  }
  for (const std::string_view column : kColumns) {
    if (!Contains(*present, column)) tally.AddColumn(column);
  }
  VOUCH_ASSIGN_OR_RETURN(
      const StatementPtr query,
      connection.Prepare(SelectSql(kUnits, std::span(kColumns).first(kRead), *present)));
  VOUCH_RETURN_IF_ERROR(query->ForEach([&](const storage::Row& stored) {
    ++report.units;
    UnitRow row;
    for (std::size_t i = 0; i < kRead; ++i) row[i] = stored.column(static_cast<int>(i));
    for (std::size_t i = 0; i < kRead; ++i) {
      if (!Contains(*present, kColumns[i])) continue;
      const auto rule = WhatIsWrong(static_cast<Column>(i), row);
      if (rule.has_value()) tally.AddRow(*rule, kColumns[i], stored.Get<std::string_view>(kUowId));
    }
  }));
  tally.MoveTo(report.violations);
  return absl::OkStatus();
}

// There need not be a table of writes.
absl::Status CheckWrites(Connection& connection, ContractReport& report) {
  Tally tally(kWrites);
  VOUCH_ASSIGN_OR_RETURN(const auto present, ColumnsOf(connection, kWrites, kWriteColumns));
  if (!present.has_value()) return absl::OkStatus();
  for (const std::string_view column : kWriteColumns) {
    if (!Contains(*present, column)) tally.AddColumn(column);
  }
  VOUCH_ASSIGN_OR_RETURN(const StatementPtr query,
                         connection.Prepare(SelectSql(kWrites, kWriteColumns, *present)));
  VOUCH_RETURN_IF_ERROR(query->ForEach([&](const storage::Row& stored) {
    ++report.writes;
    if (Contains(*present, kWriteColumns[0]) && IsMissing(stored.column(0))) {
      tally.AddRow(ContractRule::kUnnamedStore, kWriteColumns[0], "");
    }
  }));
  tally.MoveTo(report.violations);
  return absl::OkStatus();
}

}  // namespace

const char* NameOf(ContractRule rule) {
  switch (rule) {
    case ContractRule::kTableMissing:
      return "table_missing";
    case ContractRule::kColumnMissing:
      return "column_missing";
    case ContractRule::kWrongType:
      return "wrong_type";
    case ContractRule::kNegativeTime:
      return "negative_time";
    case ContractRule::kNoErrorType:
      return "no_error_type";
    case ContractRule::kBadReceiptHash:
      return "bad_receipt_hash";
    case ContractRule::kBadBand:
      return "bad_band";
    case ContractRule::kBadVersion:
      return "bad_contract_version";
    case ContractRule::kNoUnitId:
      return "no_unit_id";
    case ContractRule::kNoCreationTime:
      return "no_creation_time";
    case ContractRule::kUnnamedStore:
      return "unnamed_store";
  }
  return "unknown";
}

absl::StatusOr<ContractReport> CheckContract(Connection& connection) {
  ContractReport report;
  VOUCH_RETURN_IF_ERROR(CheckUnits(connection, report));
  VOUCH_RETURN_IF_ERROR(CheckWrites(connection, report));
  return report;
}

}  // namespace vouch::uow
