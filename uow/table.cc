#include "uow/table.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "storage/status_macros.h"

namespace vouch::uow {
namespace {

using storage::Connection;
using storage::StatementPtr;

// SQL folds ASCII letters only, and without a locale.
constexpr char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

std::string Lowered(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), Lower);
  return lower;
}

TableKind KindOf(std::string_view name) {
  if (name == "virtual") return TableKind::kVirtual;
  if (name == "shadow") return TableKind::kShadow;
  if (name == "view") return TableKind::kView;
  return TableKind::kOrdinary;
}

absl::StatusOr<TableSchema> ReadTable(Connection& connection, std::string_view table) {
  VOUCH_ASSIGN_OR_RETURN(const StatementPtr list,
                         connection.Prepare("SELECT name, type, wr, strict FROM pragma_table_list"
                                            " WHERE schema = 'main' AND name = ?1 COLLATE NOCASE"));
  VOUCH_RETURN_IF_ERROR(list->BindAll(table));
  VOUCH_ASSIGN_OR_RETURN(const bool found, list->Step());
  if (!found) return absl::NotFoundError(absl::StrCat("table: no ", QuoteIdentifier(table)));
  TableSchema schema;
  schema.name = list->Get<std::string>(0);
  schema.kind = KindOf(list->Get<std::string_view>(1));
  schema.without_rowid = list->Get<bool>(2);
  schema.strict = list->Get<bool>(3);
  return schema;
}

// Also says the declared type of the last key column, which decides about the rowid.
absl::StatusOr<std::string> ReadColumns(Connection& connection, TableSchema& schema) {
  enum Hidden { kOrdinary = 0, kVirtualGenerated = 2 };
  VOUCH_ASSIGN_OR_RETURN(const StatementPtr info,
                         connection.Prepare("SELECT name, type, \"notnull\", pk, hidden"
                                            " FROM pragma_table_xinfo(?1, 'main') ORDER BY cid"));
  VOUCH_RETURN_IF_ERROR(info->BindAll(schema.name));
  std::string key_type;
  while (true) {
    VOUCH_ASSIGN_OR_RETURN(const bool row, info->Step());
    if (!row) return key_type;
    ColumnInfo column;
    column.name = info->Get<std::string>(0);
    column.real_affinity = HasRealAffinity(info->Get<std::string_view>(1));
    column.text_affinity = HasTextAffinity(info->Get<std::string_view>(1));
    column.not_null = info->Get<bool>(2);
    column.key_position = info->Get<int>(3);
    column.captured = info->Get<int>(4) == kOrdinary;
    column.is_virtual = info->Get<int>(4) == kVirtualGenerated;
    schema.has_virtual_columns |= column.is_virtual;
    if (column.key_position > 0) key_type = info->Get<std::string>(1);
    schema.columns.push_back(std::move(column));
  }
}

void SortColumns(TableSchema& schema) {
  const auto name = [&](int i) -> const std::string& {
    return schema.columns[static_cast<std::size_t>(i)].name;
  };
  const auto position = [&](int i) {
    return schema.columns[static_cast<std::size_t>(i)].key_position;
  };
  for (int i = 0; i < static_cast<int>(schema.columns.size()); ++i) {
    const ColumnInfo& column = schema.columns[static_cast<std::size_t>(i)];
    if (!column.captured) continue;
    schema.captured.push_back(i);
    (column.key_position > 0 ? schema.key : schema.rest).push_back(i);
  }
  std::sort(schema.key.begin(), schema.key.end(),
            [&](int a, int b) { return position(a) < position(b); });
  std::sort(schema.rest.begin(), schema.rest.end(),
            [&](int a, int b) { return name(a) < name(b); });
}

std::string ColumnName(const TableSchema& schema, int index) {
  return QuoteIdentifier(schema.columns[static_cast<std::size_t>(index)].name);
}

std::string SelectCaptured(const TableSchema& schema) {
  std::string sql = "SELECT ";
  for (const int index : schema.captured) {
    absl::StrAppend(&sql, index == schema.captured.front() ? "" : ", ", ColumnName(schema, index));
  }
  absl::StrAppend(&sql, " FROM main.", QuoteIdentifier(schema.name));
  return sql;
}

// Seen on SQLite 3.40: for the old row of a WITHOUT ROWID table its change hook takes the place at
// which a column is stored for the number of a column, and makes a real of an integer where the
// column of that number is REAL. Which integer it was, or whether it was a real, cannot be told any
// more. Returns a column that is stored at such a place, and the REAL one.
std::optional<std::pair<int, int>> MistakenForReal(const TableSchema& schema) {
  if (!schema.without_rowid) return std::nullopt;
  std::vector<int> stored = schema.key;  // In the order in which the table stores its columns.
  for (int i = 0; i < static_cast<int>(schema.columns.size()); ++i) {
    const ColumnInfo& column = schema.columns[static_cast<std::size_t>(i)];
    if (column.key_position == 0 && !column.is_virtual) stored.push_back(i);
  }
  for (std::size_t place = 0; place < stored.size(); ++place) {
    const ColumnInfo& column = schema.columns[static_cast<std::size_t>(stored[place])];
    if (!column.captured || column.real_affinity || column.text_affinity) continue;
    if (schema.columns[place].real_affinity) {
      return std::pair(stored[place], static_cast<int>(place));
    }
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<TableSchema> ReadTableSchema(Connection& connection, std::string_view table) {
  VOUCH_ASSIGN_OR_RETURN(TableSchema schema, ReadTable(connection, table));
  VOUCH_ASSIGN_OR_RETURN(const std::string key_type, ReadColumns(connection, schema));
  SortColumns(schema);
  if (schema.kind != TableKind::kOrdinary || schema.without_rowid || schema.key.size() != 1 ||
      !SameName(key_type, "INTEGER")) {
    return schema;
  }
  // An INTEGER PRIMARY KEY is the rowid, but for one spelt with DESC at the column. That one, like
  // every other key, has an index to enforce it.
  VOUCH_ASSIGN_OR_RETURN(
      const bool indexed,
      connection.QueryValue<bool>(
          "SELECT count(*) > 0 FROM pragma_index_list(?1, 'main') WHERE origin = 'pk'",
          schema.name));
  if (!indexed) schema.rowid_alias = schema.key.front();
  return schema;
}

std::optional<std::string> WhyNotReceipted(const TableSchema& schema) {
  if (IsOwnTable(schema.name)) return "is one of vouch's own";
  if (Lowered(schema.name).rfind("sqlite_", 0) == 0) return "is one of SQLite's own";
  if (schema.kind == TableKind::kView) return "is a view";
  if (schema.kind == TableKind::kVirtual) return "is virtual: its rows lie in its module";
  if (schema.kind == TableKind::kShadow) return "holds the contents of a virtual table";
  if (schema.key.empty()) return "has no primary key";
  for (int i = 0; i < schema.rowid_alias; ++i) {
    // SQLite's change hook then mistakes another column for the key.
    if (!schema.columns[static_cast<std::size_t>(i)].is_virtual) continue;
    return absl::StrCat("has the VIRTUAL column ", ColumnName(schema, i), " before its key ",
                        ColumnName(schema, schema.rowid_alias), ": declare the key first");
  }
  if (schema.rowid_alias >= 0 || schema.without_rowid || schema.strict) return std::nullopt;
  for (const int index : schema.key) {
    if (schema.columns[static_cast<std::size_t>(index)].not_null) continue;
    return absl::StrCat("has a key that can be NULL: declare ", ColumnName(schema, index),
                        " NOT NULL, or the table STRICT or WITHOUT ROWID");
  }
  return std::nullopt;
}

std::optional<std::string> WhyNotCaptured(const TableSchema& schema) {
  if (auto reason = WhyNotReceipted(schema); reason.has_value()) return reason;
  const auto columns = MistakenForReal(schema);
  if (!columns.has_value()) return std::nullopt;
  return absl::StrCat("is WITHOUT ROWID and stores ", ColumnName(schema, columns->first),
                      " where REAL ", ColumnName(schema, columns->second),
                      " is declared: declare the key's columns first, in the key's order");
}

bool HasRealAffinity(std::string_view declared_type) {
  const std::string type = Lowered(declared_type);
  const auto contains = [&](std::string_view part) { return type.find(part) != std::string::npos; };
  for (const std::string_view earlier : {"int", "char", "clob", "text", "blob"}) {
    if (contains(earlier)) return false;
  }
  return contains("real") || contains("floa") || contains("doub");
}

bool HasTextAffinity(std::string_view declared_type) {
  const std::string type = Lowered(declared_type);
  const auto contains = [&](std::string_view part) { return type.find(part) != std::string::npos; };
  return !contains("int") && (contains("char") || contains("clob") || contains("text"));
}

bool IsOwnTable(std::string_view table) {
  static constexpr std::array<std::string_view, 9> kNames = {
      "uow_ledger",   "unit_of_work", "uow_writes",           "uow_tree",         "uow_checkpoints",
      "uow_payloads", "uow_outbox",   "uow_idempotency_keys", "schema_migrations"};
  static constexpr std::string_view kHistorySuffix = "_schema_migrations";
  static constexpr std::string_view kStoragePrefix = "storage_";
  const std::string name = Lowered(table);
  if (std::find(kNames.begin(), kNames.end(), name) != kNames.end()) return true;
  if (name.rfind(kStoragePrefix, 0) == 0) return true;
  return name.size() > kHistorySuffix.size() &&
         name.compare(name.size() - kHistorySuffix.size(), std::string::npos, kHistorySuffix) == 0;
}

bool SameName(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return Lower(x) == Lower(y); });
}

std::string QuoteIdentifier(std::string_view name) {
  std::string quoted = "\"";
  for (const char c : name) quoted.append(c == '"' ? 2 : 1, c);
  quoted.push_back('"');
  return quoted;
}

std::string SelectRowsSql(const TableSchema& schema, RowOrder order) {
  std::string sql = SelectCaptured(schema);
  if (order == RowOrder::kAsStored) {
    sql += " NOT INDEXED";
    return sql;
  }
  sql += " ORDER BY ";
  for (const int index : schema.key) {
    absl::StrAppend(&sql, index == schema.key.front() ? "" : ", ", ColumnName(schema, index));
  }
  return sql;
}

std::string SelectRowSql(const TableSchema& schema) {
  std::string sql = SelectCaptured(schema);
  for (std::size_t i = 0; i < schema.key.size(); ++i) {
    const std::string column = ColumnName(schema, schema.key[i]);
    // The first comparison can use the key's index, the second decides.
    absl::StrAppend(&sql, i == 0 ? " WHERE " : " AND ", column, " = ?", i + 1);
    if (schema.rowid_alias < 0) {
      absl::StrAppend(&sql, " AND ", column, " = ?", i + 1, " COLLATE BINARY");
    }
  }
  return sql;
}

absl::StatusOr<std::vector<ListedTable>> ListTables(Connection& connection) {
  VOUCH_ASSIGN_OR_RETURN(
      const StatementPtr list,
      connection.Prepare("SELECT name, type FROM pragma_table_list"
                         " WHERE schema = 'main' AND type <> 'view'"
                         " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"));
  std::vector<ListedTable> tables;
  while (true) {
    VOUCH_ASSIGN_OR_RETURN(const bool row, list->Step());
    if (!row) return tables;
    if (IsOwnTable(list->Get<std::string_view>(0))) continue;
    tables.push_back({list->Get<std::string>(0), KindOf(list->Get<std::string_view>(1))});
  }
}

}  // namespace vouch::uow
