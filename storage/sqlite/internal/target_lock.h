// TargetLock: a database file that nobody else has open, while it is replaced.
//
// A database that SQLite can read is brought into one file first: its log is folded in and removed,
// so that none is there for SQLite to play into the file that takes its place. It is in
// rollback-journal mode then, and locked exclusively. Who opened the file before it was replaced and
// waits for the lock gets the old one, and cannot write to it: before it makes a log or a journal by
// the file's name, SQLite looks whether the file still has that name.
//
// A file that SQLite cannot read is only locked, with the same bytes and calls that SQLite uses, and
// stays as it is.
//
// Connections in write-ahead-log mode lock a file as long as they have it open, and others while
// they use it. One in rollback-journal mode that does nothing is seen only when it is of this
// process (open_files.h).
//
// Thread safety: one thread at a time. Excludes connections of this process too.
// Ownership: unlocks when destroyed.

#ifndef VOUCH_STORAGE_SQLITE_INTERNAL_TARGET_LOCK_H_
#define VOUCH_STORAGE_SQLITE_INTERNAL_TARGET_LOCK_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/sqlite/internal/bounds.h"

struct sqlite3;

namespace vouch::storage::storage_internal {

class TargetLock {
 public:
  // kFailedPrecondition: somebody has it open, still after `patience`.
  static absl::StatusOr<std::unique_ptr<TargetLock>> Acquire(const std::string& path,
                                                             absl::Duration patience,
                                                             const Bounds& bounds);
  ~TargetLock();
  TargetLock(const TargetLock&) = delete;
  TargetLock& operator=(const TargetLock&) = delete;

  // SQLite could not read the file; its log, if any, is still beside it.
  bool damaged() const { return damaged_; }

 private:
  enum class Attempt { kLocked, kBusy, kDamaged };

  TargetLock() = default;

  absl::StatusOr<Attempt> Try();
  absl::StatusOr<Attempt> Run(const char* sql, std::string* value = nullptr);
  absl::StatusOr<Attempt> TryUnread();

  sqlite3* db_ = nullptr;
  bool damaged_ = false;
};

}  // namespace vouch::storage::storage_internal

#endif  // VOUCH_STORAGE_SQLITE_INTERNAL_TARGET_LOCK_H_
