#include "storage/sqlite/policy.h"

#include <sqlite3.h>

#include <algorithm>
#include <array>

#include "absl/strings/match.h"

namespace vouch::storage {
namespace {

// PRAGMAs that only tell something, with or without an argument.
constexpr std::array<std::string_view, 17> kTellingPragmas = {
    "collation_list",   "compile_options", "database_list", "data_version", "foreign_key_check",
    "foreign_key_list", "function_list",   "index_info",    "index_list",   "index_xinfo",
    "integrity_check",  "module_list",     "pragma_list",   "quick_check",  "table_info",
    "table_list",       "table_xinfo"};

// PRAGMAs that tell a setting when they have no argument, and change it when they have one.
constexpr std::array<std::string_view, 18> kSettingPragmas = {
    "application_id", "auto_vacuum",    "busy_timeout",      "cache_size",         "encoding",
    "foreign_keys",   "freelist_count", "journal_mode",      "journal_size_limit", "locking_mode",
    "max_page_count", "mmap_size",      "page_count",        "page_size",          "synchronous",
    "temp_store",     "user_version",   "wal_autocheckpoint"};

template <typename Names>
bool Contains(const Names& names, std::string_view name) {
  return std::any_of(names.begin(), names.end(), [&](std::string_view candidate) {
    return absl::EqualsIgnoreCase(absl::string_view(candidate.data(), candidate.size()),
                                  absl::string_view(name.data(), name.size()));
  });
}

bool MayRunPragma(std::string_view name, std::string_view argument) {
  if (Contains(kTellingPragmas, name)) return true;
  return argument.data() == nullptr && Contains(kSettingPragmas, name);
}

bool IsSchemaTable(std::string_view table) {
  return table == "sqlite_master" || table == "sqlite_temp_master" || table == "sqlite_schema";
}

}  // namespace

const char* WhyDenied(Policy policy, int action, std::string_view first, std::string_view second,
                      std::string_view database,
                      const std::function<bool(std::string_view)>& is_protected) {
  if (policy == Policy::kUnrestricted) return nullptr;
  switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_FUNCTION:
    case SQLITE_RECURSIVE:
      return nullptr;
    case SQLITE_PRAGMA:
      return MayRunPragma(first, second)
                 ? nullptr
                 : "settings are the profile's and checkpoints the governor's: see "
                   "storage/sqlite/profile.h";
    case SQLITE_TRANSACTION:
    case SQLITE_SAVEPOINT:
      return "transactions are begun and ended by their guards, not by SQL text";
    case SQLITE_ATTACH:
    case SQLITE_DETACH:
      return "a connection has one database: a commit over attached files is not atomic";
    default:
      break;
  }
  if (policy == Policy::kReader) return "this lease is for reading: use the writer";
  if (action == SQLITE_INSERT || action == SQLITE_UPDATE || action == SQLITE_DELETE) {
    if (policy == Policy::kWriter) return nullptr;
    if (database == "temp") return "a unit of work changes no temporary tables";
    if (IsSchemaTable(first)) return "a unit of work does not change the schema: use a migration";
    if (is_protected && is_protected(first)) return "this table is the library's own";
    return nullptr;
  }
  return policy == Policy::kWriter ? nullptr
                                   : "a unit of work does not change the schema: use a migration";
}

}  // namespace vouch::storage
