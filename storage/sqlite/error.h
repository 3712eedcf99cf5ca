// SQLite result codes as absl::Status, by the table in storage/error.h.
//
// Thread safety: CodeFor is pure; ErrorFrom reads the connection's last error, so it is called by
// the thread that got it, before anything else is done with the connection.

#ifndef VOUCH_STORAGE_SQLITE_ERROR_H_
#define VOUCH_STORAGE_SQLITE_ERROR_H_

#include <string_view>

#include "absl/status/status.h"

struct sqlite3;

namespace vouch::storage {

// The status code for an extended SQLite result code other than SQLITE_OK, _ROW and _DONE.
absl::StatusCode CodeForSqlite(int extended_code);

// The error `code` that `operation` got from `db` while working on `sql` (may be empty).
absl::Status SqliteError(sqlite3* db, int code, std::string_view operation,
                         std::string_view sql = {});

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_SQLITE_ERROR_H_
