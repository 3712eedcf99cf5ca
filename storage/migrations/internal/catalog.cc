#include "storage/migrations/internal/catalog.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "storage/migrations/internal/view.h"
#include "storage/status_macros.h"

namespace vouch::storage::migrations_internal {
namespace {

std::string Quoted(std::string_view name) {
  return absl::StrCat("\"", absl::StrReplaceAll(View(name), {{"\"", "\"\""}}), "\"");
}

bool IsNumber(std::string_view text) {
  if (text.starts_with("-") || text.starts_with("+")) text.remove_prefix(1);
  return !text.empty() && text.find_first_not_of("0123456789.") == std::string_view::npos;
}

// One quoted text, quotes inside doubled.
bool IsText(std::string_view text) {
  if (text.size() < 2 || text.front() != '\'' || text.back() != '\'') return false;
  text = text.substr(1, text.size() - 2);
  for (std::size_t at = text.find('\''); at != std::string_view::npos;
       at = text.find('\'', at + 2)) {
    if (at + 1 == text.size() || text[at + 1] != '\'') return false;
  }
  return true;
}

// The value a column has when nobody sets it, as SQL; "NULL" when there is none or when it is not
// the same for every row.
std::string DefaultValue(const std::optional<std::string>& text) {
  if (!text.has_value()) return "NULL";
  if (IsNumber(*text) || IsText(*text)) return *text;
  const std::string word = absl::AsciiStrToUpper(*text);
  if (word == "TRUE") return "1";  // `x IS NOT TRUE` would ask something else.
  if (word == "FALSE") return "0";
  return "NULL";
}

}  // namespace

absl::StatusOr<Catalog> ReadCatalog(Connection& connection) {
  VOUCH_ASSIGN_OR_RETURN(
      StatementPtr select,
      connection.Prepare("SELECT t.name, c.name, c.dflt_value "
                         "FROM pragma_table_list AS t JOIN pragma_table_xinfo(t.name) AS c "
                         "WHERE t.schema = 'main' AND t.type IN ('table', 'virtual') "
                         "AND t.name NOT GLOB 'sqlite_*' AND c.hidden = 0"));
  Catalog catalog;
  while (true) {
    VOUCH_ASSIGN_OR_RETURN(const bool row, select->Step());
    if (!row) return catalog;
    catalog[select->Get<std::string>(0)][select->Get<std::string>(1)] =
        select->Get<std::optional<std::string>>(2);
  }
}

std::vector<Loss> FindLosses(const Catalog& before, const Catalog& after) {
  std::vector<Loss> losses;
  for (const auto& [table, columns] : before) {
    const auto there = after.find(table);
    if (there == after.end()) {
      losses.push_back({.table = table});
      continue;
    }
    for (const auto& [column, column_default] : columns) {
      if (there->second.contains(column)) continue;
      losses.push_back({.table = table, .column = column, .column_default = column_default});
    }
  }
  return losses;
}

absl::StatusOr<std::int64_t> CountRows(Connection& connection, const Loss& loss,
                                       const std::vector<DefaultRows>& default_rows) {
  std::string query = absl::StrCat("SELECT count(*) FROM ", Quoted(loss.table), " WHERE ");
  if (loss.column.empty()) {
    absl::StrAppend(&query, "TRUE");
    for (const DefaultRows& rows : default_rows) {
      if (rows.table != loss.table) continue;
      absl::StrAppend(&query, " AND (", rows.where, ") IS NOT TRUE");
    }
  } else {
    absl::StrAppend(&query, Quoted(loss.column), " IS NOT (", DefaultValue(loss.column_default),
                    " COLLATE BINARY)");
  }
  return connection.QueryValue<std::int64_t>(query);
}

}  // namespace vouch::storage::migrations_internal
