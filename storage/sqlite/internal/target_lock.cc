#include "storage/sqlite/internal/target_lock.h"

#include <sqlite3.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "storage/sqlite/error.h"
#include "storage/sqlite/internal/open_files.h"
#include "storage/status_macros.h"

namespace vouch::storage::storage_internal {
namespace {

constexpr absl::Duration kRetry = absl::Milliseconds(10);

}  // namespace

absl::StatusOr<std::unique_ptr<TargetLock>> TargetLock::Acquire(const std::string& path,
                                                                absl::Duration patience,
                                                                const Bounds& bounds) {
  const absl::Time give_up = absl::Now() + patience;
  while (true) {
    VOUCH_RETURN_IF_ERROR(bounds.Check());
    // Asked first: SQLite may not be let near a file whose locks it does not know of.
    Attempt attempt = Attempt::kBusy;
    auto lock = std::unique_ptr<TargetLock>(new TargetLock());
    if (!IsOpenHere(path)) {
      const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE;
      const int code = sqlite3_open_v2(path.c_str(), &lock->db_, flags, nullptr);
      if (code != SQLITE_OK) return SqliteError(lock->db_, code, "open");
      // A log that cannot be folded in must not be tried again when this is closed.
      sqlite3_db_config(lock->db_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
      VOUCH_ASSIGN_OR_RETURN(attempt, lock->Try());
    }
    // One of this process may have come meanwhile that locks nothing while it does nothing.
    if (attempt == Attempt::kLocked && !IsOpenHere(path)) return lock;
    lock.reset();
    if (absl::Now() >= give_up) break;
    VOUCH_RETURN_IF_ERROR(bounds.Sleep(kRetry));
  }
  return absl::FailedPreconditionError(absl::StrCat(
      path, " is open", IsOpenHere(path) ? " in this process" : "", "; close it everywhere first"));
}

TargetLock::~TargetLock() {
  if (db_ == nullptr) return;  // SQLite had no memory for it.
  if (sqlite3_get_autocommit(db_) == 0) sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
  sqlite3_close(db_);
}

absl::StatusOr<TargetLock::Attempt> TargetLock::Try() {
  std::string mode;
  VOUCH_ASSIGN_OR_RETURN(Attempt attempt, Run("PRAGMA journal_mode = DELETE", &mode));
  if (attempt == Attempt::kLocked && mode != "delete") attempt = Attempt::kBusy;
  if (attempt == Attempt::kLocked) {
    VOUCH_ASSIGN_OR_RETURN(attempt, Run("BEGIN EXCLUSIVE"));
  }
  if (attempt == Attempt::kLocked) {
    // Somebody may have come between and gone back to a log, where EXCLUSIVE excludes only writers.
    VOUCH_ASSIGN_OR_RETURN(attempt, Run("PRAGMA journal_mode", &mode));
    if (attempt == Attempt::kLocked && mode != "delete") attempt = Attempt::kBusy;
  }
  if (attempt != Attempt::kDamaged) return attempt;
  damaged_ = true;
  return TryUnread();
}

absl::StatusOr<TargetLock::Attempt> TargetLock::Run(const char* sql, std::string* value) {
  sqlite3_stmt* statement = nullptr;
  int code = sqlite3_prepare_v2(db_, sql, -1, &statement, nullptr);
  if (code == SQLITE_OK) code = sqlite3_step(statement);
  if (code == SQLITE_ROW && value != nullptr) {
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
    *value = text == nullptr ? "" : text;
  }
  while (code == SQLITE_ROW) code = sqlite3_step(statement);
  absl::Status status;
  if (code != SQLITE_OK && code != SQLITE_DONE) status = SqliteError(db_, code, "lock", sql);
  sqlite3_finalize(statement);
  switch (code & 0xFF) {
    case SQLITE_OK:
    case SQLITE_DONE:
      return Attempt::kLocked;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Attempt::kBusy;
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
    case SQLITE_ERROR:
      return Attempt::kDamaged;
    default:
      return status;
  }
}

absl::StatusOr<TargetLock::Attempt> TargetLock::TryUnread() {
  sqlite3_file* file = nullptr;
  int code = sqlite3_file_control(db_, "main", SQLITE_FCNTL_FILE_POINTER, &file);
  if (code == SQLITE_OK) code = file->pMethods->xLock(file, SQLITE_LOCK_SHARED);
  if (code == SQLITE_OK) code = file->pMethods->xLock(file, SQLITE_LOCK_EXCLUSIVE);
  if (code == SQLITE_OK) return Attempt::kLocked;
  if ((code & 0xFF) == SQLITE_BUSY) return Attempt::kBusy;
  return SqliteError(nullptr, code, "lock");
}

}  // namespace vouch::storage::storage_internal
