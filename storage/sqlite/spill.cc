#include "storage/sqlite/spill.h"

#include <sqlite3.h>

#include "storage/sqlite/error.h"
#include "storage/status_macros.h"

namespace vouch::storage {
namespace {

std::string_view BlobOf(sqlite3_stmt* row, int column) {
  const void* bytes = sqlite3_column_blob(row, column);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(row, column));
  return bytes == nullptr ? std::string_view()
                          : std::string_view(static_cast<const char*>(bytes), size);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Spill>> Spill::Open() {
  std::unique_ptr<Spill> spill(new Spill());
  VOUCH_RETURN_IF_ERROR(spill->Initialize());
  return spill;
}

Spill::~Spill() {
  sqlite3_finalize(insert_);
  sqlite3_close(db_);
}

absl::Status Spill::Initialize() {
  // A database without a name is a temporary one of this connection alone.
  const int code = sqlite3_open_v2(
      "", &db_,
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
      nullptr);
  if (code != SQLITE_OK) return Failed(code);
  // The sorters go by the size of the cache too, and keep what is more in files of their own.
  VOUCH_RETURN_IF_ERROR(Run("PRAGMA temp_store = FILE"));
  VOUCH_RETURN_IF_ERROR(Run("PRAGMA cache_size = -2000"));
  VOUCH_RETURN_IF_ERROR(Run("PRAGMA journal_mode = OFF"));
  VOUCH_RETURN_IF_ERROR(Run("PRAGMA synchronous = OFF"));
  VOUCH_RETURN_IF_ERROR(Run("CREATE TABLE entry(key BLOB, first BLOB, last BLOB)"));
  VOUCH_RETURN_IF_ERROR(Run("BEGIN"));
  const int prepared = sqlite3_prepare_v3(db_, "INSERT INTO entry VALUES (?1, ?2, ?3)", -1,
                                          SQLITE_PREPARE_PERSISTENT, &insert_, nullptr);
  return prepared == SQLITE_OK ? absl::OkStatus() : Failed(prepared);
}

absl::Status Spill::Add(std::string_view key, std::string_view first, std::string_view last) {
  int code = SQLITE_OK;
  int index = 0;
  for (const std::string_view value : {key, first, last}) {
    if (code == SQLITE_OK) {
      code = sqlite3_bind_blob64(insert_, ++index, value.data(), value.size(), SQLITE_STATIC);
    }
  }
  if (code == SQLITE_OK) code = sqlite3_step(insert_);
  const absl::Status status = code == SQLITE_DONE ? absl::OkStatus() : Failed(code);
  sqlite3_reset(insert_);
  return status;
}

absl::Status Spill::ForEach(Visit visit) {
  sqlite3_stmt* rows = nullptr;
  int code = sqlite3_prepare_v2(
      db_, "SELECT key, min(first), max(last) FROM entry GROUP BY key ORDER BY 2", -1, &rows,
      nullptr);
  const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> owner(rows, &sqlite3_finalize);
  if (code != SQLITE_OK) return Failed(code);
  while ((code = sqlite3_step(rows)) == SQLITE_ROW) {
    const std::string_view key = BlobOf(rows, 0);
    const std::string_view first = BlobOf(rows, 1);
    const std::string_view last = BlobOf(rows, 2);
    VOUCH_RETURN_IF_ERROR(visit(key, first, last));
  }
  return code == SQLITE_DONE ? absl::OkStatus() : Failed(code);
}

absl::Status Spill::Run(const char* sql) {
  const int code = sqlite3_exec(db_, sql, nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : Failed(code);
}

absl::Status Spill::Failed(int code) const { return SqliteError(db_, code, "spill"); }

}  // namespace vouch::storage
