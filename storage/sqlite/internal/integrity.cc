#include "storage/sqlite/internal/integrity.h"

#include <sqlite3.h>

#include <algorithm>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "storage/sqlite/error.h"
#include "storage/status_macros.h"

namespace vouch::storage::storage_internal {
namespace {

constexpr int kPieceBytes = 1 << 16;

// "ok", or what is wrong.
absl::StatusOr<std::string> Ask(sqlite3* db, const std::string& pragma) {
  sqlite3_stmt* statement = nullptr;
  std::string findings;
  int code = sqlite3_prepare_v2(db, pragma.c_str(), -1, &statement, nullptr);
  while (code == SQLITE_OK || code == SQLITE_ROW) {
    code = sqlite3_step(statement);
    if (code != SQLITE_ROW) break;
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
    absl::StrAppend(&findings, findings.empty() ? "" : "; ", text == nullptr ? "" : text);
  }
  absl::Status status;
  if (code != SQLITE_DONE) status = SqliteError(db, code, "check", pragma);
  sqlite3_finalize(statement);
  if (!status.ok()) return status;
  return findings;
}

absl::Status ReadThrough(sqlite3* db) {
  sqlite3_file* file = nullptr;
  sqlite3_int64 size = 0;
  int code = sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
  if (code == SQLITE_OK && file->pMethods == nullptr) return absl::OkStatus();  // In memory.
  if (code == SQLITE_OK) code = file->pMethods->xFileSize(file, &size);
  const auto buffer = std::make_unique<char[]>(kPieceBytes);
  for (sqlite3_int64 at = 0; code == SQLITE_OK && at < size; at += kPieceBytes) {
    const auto piece = static_cast<int>(std::min<sqlite3_int64>(kPieceBytes, size - at));
    code = file->pMethods->xRead(file, buffer.get(), piece, at);
  }
  return code == SQLITE_OK ? absl::OkStatus() : SqliteError(nullptr, code, "check");
}

}  // namespace

absl::Status CheckIntegrity(sqlite3* db, const std::string& pragma) {
  VOUCH_ASSIGN_OR_RETURN(std::string findings, Ask(db, pragma));
  if (findings != "ok") {
    VOUCH_RETURN_IF_ERROR(ReadThrough(db));
    VOUCH_ASSIGN_OR_RETURN(findings, Ask(db, pragma));
  }
  if (findings == "ok") return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("damaged: ", findings));
}

}  // namespace vouch::storage::storage_internal
