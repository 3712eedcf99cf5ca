#include "storage/sqlite/error.h"

#include <sqlite3.h>

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/error.h"

namespace vouch::storage {
namespace {

// Where in `sql` the connection's last error is, when it is about a place in the text.
std::optional<int> OffsetOf(sqlite3* db, int code, std::string_view sql) {
  if (db == nullptr || (code & 0xFF) != SQLITE_ERROR) return std::nullopt;
  if ((sqlite3_extended_errcode(db) & 0xFF) != SQLITE_ERROR) return std::nullopt;
  const int offset = sqlite3_error_offset(db);
  if (offset < 0 || static_cast<std::size_t>(offset) > sql.size()) return std::nullopt;
  return offset;
}

}  // namespace

absl::StatusCode CodeForSqlite(int extended_code) {
  switch (extended_code) {
    case SQLITE_BUSY_SNAPSHOT:
    case SQLITE_CONSTRAINT_COMMITHOOK:  // A collation failed earlier in the transaction.
      return absl::StatusCode::kAborted;
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
      return absl::StatusCode::kAlreadyExists;
    case SQLITE_IOERR_DATA:
    case SQLITE_IOERR_CORRUPTFS:
    case SQLITE_IOERR_SHORT_READ:
      return absl::StatusCode::kDataLoss;
    case SQLITE_IOERR_NOMEM:
      return absl::StatusCode::kResourceExhausted;
    // Not this connection's rights: somebody who may write has to recover the file first, or it has
    // been moved away.
    case SQLITE_READONLY_RECOVERY:
    case SQLITE_READONLY_ROLLBACK:
    case SQLITE_READONLY_CANTINIT:
    case SQLITE_READONLY_CANTLOCK:
    case SQLITE_READONLY_DBMOVED:
      return absl::StatusCode::kFailedPrecondition;
    default:
      break;
  }
  switch (extended_code & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
    case SQLITE_IOERR:
      return absl::StatusCode::kUnavailable;
    case SQLITE_ABORT:
    case SQLITE_SCHEMA:
      return absl::StatusCode::kAborted;
    case SQLITE_ERROR:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
    case SQLITE_RANGE:
      return absl::StatusCode::kInvalidArgument;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
      return absl::StatusCode::kPermissionDenied;
    case SQLITE_FULL:
    case SQLITE_NOMEM:
      return absl::StatusCode::kResourceExhausted;
    case SQLITE_INTERRUPT:
      return absl::StatusCode::kCancelled;
    case SQLITE_CORRUPT:
      return absl::StatusCode::kDataLoss;
    case SQLITE_NOTADB:
    case SQLITE_CANTOPEN:
    case SQLITE_NOLFS:
      return absl::StatusCode::kFailedPrecondition;
    default:
      return absl::StatusCode::kInternal;
  }
}

absl::Status SqliteError(sqlite3* db, int code, std::string_view operation, std::string_view sql) {
  std::string words = sqlite3_errstr(code);
  if (db != nullptr) {
    // The connection's own words are more exact, when they are about this very code.
    const int last = sqlite3_extended_errcode(db);
    if ((last & 0xFF) == (code & 0xFF)) {
      code = last;
      words = sqlite3_errmsg(db);
    }
  }
  std::string message = absl::StrCat(std::string(operation), ": ", words, " (SQLite ", code, ")");
  const std::optional<int> offset = sql.empty() ? std::nullopt : OffsetOf(db, code, sql);
  if (offset.has_value()) absl::StrAppend(&message, " at byte ", *offset);
  if (!sql.empty()) {
    absl::StrAppend(&message, " in \"", ShortSqlAround(sql, offset.value_or(0)), "\"");
  }
  absl::Status status = WithNativeCode(absl::Status(CodeForSqlite(code), message), code);
  return offset.has_value() ? WithSqlOffset(std::move(status), *offset) : status;
}

}  // namespace vouch::storage
