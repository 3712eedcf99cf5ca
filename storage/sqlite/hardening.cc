#include "storage/sqlite/hardening.h"

#include <sqlite3.h>

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "storage/sqlite/error.h"
#include "storage/sqlite/internal/integrity.h"
#include "storage/status_macros.h"

namespace vouch::storage {
namespace {

struct Limit {
  int id;
  int value;
};

// From sqlite.org/security.html.
constexpr Limit kUntrustedLimits[] = {
    {SQLITE_LIMIT_LENGTH, 1'000'000},   {SQLITE_LIMIT_SQL_LENGTH, 100'000},
    {SQLITE_LIMIT_COLUMN, 100},         {SQLITE_LIMIT_EXPR_DEPTH, 10},
    {SQLITE_LIMIT_COMPOUND_SELECT, 3},  {SQLITE_LIMIT_VDBE_OP, 25'000},
    {SQLITE_LIMIT_FUNCTION_ARG, 8},     {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 50},
    {SQLITE_LIMIT_VARIABLE_NUMBER, 10}, {SQLITE_LIMIT_TRIGGER_DEPTH, 10},
    {SQLITE_LIMIT_WORKER_THREADS, 0},
};

absl::Status Configure(sqlite3* db, int option, bool on, const char* name) {
  int actual = -1;
  const int code = sqlite3_db_config(db, option, on ? 1 : 0, &actual);
  if (code != SQLITE_OK) return SqliteError(db, code, absl::StrCat("harden: ", name));
  if (actual == (on ? 1 : 0)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("harden: ", name, " is ", actual, ", not ", on ? 1 : 0, " as set"));
}

absl::Status Restrict(sqlite3* db, Limit limit) {
  sqlite3_limit(db, limit.id, limit.value);
  const int actual = sqlite3_limit(db, limit.id, -1);
  if (actual <= limit.value) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("harden: limit ", limit.id, " is ", actual, ", not ", limit.value, " as set"));
}

// The first column of the first row.
absl::StatusOr<std::string> Ask(sqlite3* db, const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  int code = sqlite3_prepare_v2(db, sql.c_str(), -1, &statement, nullptr);
  std::string answer;
  if (code == SQLITE_OK) code = sqlite3_step(statement);
  if (code == SQLITE_ROW) {
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
    if (text != nullptr) answer = text;
    code = SQLITE_DONE;
  }
  absl::Status status;
  if (code != SQLITE_DONE) status = SqliteError(db, code, "harden", sql);
  sqlite3_finalize(statement);
  if (!status.ok()) return status;
  return answer;
}

absl::Status DistrustFile(sqlite3* db) {
  for (const Limit& limit : kUntrustedLimits) VOUCH_RETURN_IF_ERROR(Restrict(db, limit));
  VOUCH_RETURN_IF_ERROR(Ask(db, "PRAGMA cell_size_check = ON").status());
  VOUCH_ASSIGN_OR_RETURN(const std::string checks, Ask(db, "PRAGMA cell_size_check"));
  if (checks == "1") return absl::OkStatus();
  return absl::FailedPreconditionError("harden: cell_size_check did not take");
}

}  // namespace

absl::Status Harden(sqlite3* db, HardeningScope scope) {
  const struct {
    int option;
    bool on;
    const char* name;
  } settings[] = {
      {SQLITE_DBCONFIG_DEFENSIVE, true, "DEFENSIVE"},
      {SQLITE_DBCONFIG_WRITABLE_SCHEMA, false, "WRITABLE_SCHEMA"},
      {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, false, "ENABLE_LOAD_EXTENSION"},
      {SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, false, "ENABLE_FTS3_TOKENIZER"},
      {SQLITE_DBCONFIG_DQS_DML, false, "DQS_DML"},
      {SQLITE_DBCONFIG_DQS_DDL, false, "DQS_DDL"},
      {SQLITE_DBCONFIG_TRUSTED_SCHEMA, scope.trusted_file, "TRUSTED_SCHEMA"},
      {SQLITE_DBCONFIG_ENABLE_TRIGGER, scope.trusted_file, "ENABLE_TRIGGER"},
      {SQLITE_DBCONFIG_ENABLE_VIEW, scope.trusted_file, "ENABLE_VIEW"},
#ifdef SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE
      {SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE, scope.unrestricted, "ENABLE_ATTACH_CREATE"},
      {SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE, scope.unrestricted, "ENABLE_ATTACH_WRITE"},
#endif
  };
  for (const auto& [option, on, name] : settings) {
    VOUCH_RETURN_IF_ERROR(Configure(db, option, on, name));
  }
  const bool attaches = scope.unrestricted && scope.trusted_file;
  VOUCH_RETURN_IF_ERROR(Restrict(db, {SQLITE_LIMIT_ATTACHED, attaches ? 1 : 0}));
  return scope.trusted_file ? absl::OkStatus() : DistrustFile(db);
}

absl::Status CheckUntrustedFile(sqlite3* db) {
  return storage_internal::CheckIntegrity(db, "PRAGMA quick_check(1)");
}

absl::Status CheckApplication(sqlite3* db, std::int32_t id, bool fresh) {
  if (id == 0) return absl::OkStatus();
  VOUCH_ASSIGN_OR_RETURN(const std::string actual, Ask(db, "PRAGMA application_id"));
  if (actual == absl::StrCat(id)) return absl::OkStatus();
  if (actual != "0") {
    return absl::FailedPreconditionError(absl::StrCat(
        "this is a file of another application: its application_id is ", actual, ", not ", id));
  }
  if (!fresh) return absl::OkStatus();
  VOUCH_RETURN_IF_ERROR(Ask(db, absl::StrCat("PRAGMA application_id = ", id)).status());
  VOUCH_ASSIGN_OR_RETURN(const std::string marked, Ask(db, "PRAGMA application_id"));
  if (marked == absl::StrCat(id)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("application_id is ", marked, ", not ", id, " as set"));
}

}  // namespace vouch::storage
