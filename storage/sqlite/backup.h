// Backups: a copy of an open database, made while others use it, and putting one back.
//
//   VOUCH_ASSIGN_OR_RETURN(const BackupResult backup,
//                          BackUp(*database, "/backup/app-20260101.db"));
//   …
//   VOUCH_RETURN_IF_ERROR(Restore("/backup/app-20260101.db", "/srv/app.db").status());
//
// A backup is one consistent state, that of the moment in which BackUp() began to copy: it reads a
// snapshot, so writers neither wait nor make it start again. While it runs the log cannot be
// emptied, and grows by what is written meanwhile; a slow backup of a busy database costs that. (A
// database in rollback-journal mode, or in memory, has no snapshots: there its writers wait.)
//
// The copy is made in a folder beside its target, checked there (integrity, foreign keys, number of
// pages), brought to the disk, and only then given its name. A crash at any moment leaves under the
// name either nothing or the whole backup; what it left beside is removed by the next backup to the
// same name. FILE.sha256 beside it holds its digest in the form that `sha256sum -c` reads; Restore()
// compares it. The copy is in rollback-journal mode and needs no other file: it can be read from a
// medium that cannot be written. Opened as a Database it goes back to the profile's mode.
//
// Restore() copies a backup beside its target, checks the copy, locks the target against everybody,
// folds the target's own log into it, and renames the copy over it: at every moment one of the two
// is there, complete. Nobody may have the target open.
//
// Thread safety: any thread. Callbacks are called by the thread that called, and must not throw.
// Ownership: the Database must outlive the call. Files are for their owner only (0600).
// Errors; nothing is changed then, and nothing left behind:
//   kAlreadyExists       BackUp: the target is there. Restore: so is keep_old_as.
//   kNotFound            no such file or folder.
//   kFailedPrecondition  the target is a folder, or a link; rows violate foreign keys; Restore: the
//                        target is open, the backup is, or has a log beside it.
//   kDataLoss            the source is damaged, or the backup is not what was backed up.
//   kResourceExhausted   the disk is full.
//   kUnavailable         another backup or restore writes the same target, or an I/O error.
//   kCancelled, kDeadlineExceeded   the caller's own stop token and timeout.
//   kUnknown             Restore: done, but a power loss may bring the old file back.
// Cost: reads the database once, and the copy twice more (for the checks and the digest). A
//   connection of its own, of no pool. Checks take CPU time about as the copying takes I/O.

#ifndef VOUCH_STORAGE_SQLITE_BACKUP_H_
#define VOUCH_STORAGE_SQLITE_BACKUP_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/sha256.h"
#include "storage/sqlite/function.h"

namespace vouch::storage {

class Database;

enum class BackupPhase { kCopying, kChecking, kDone };

struct BackupProgress {
  BackupPhase phase = BackupPhase::kCopying;
  std::int64_t copied_bytes = 0;
  std::int64_t total_bytes = 0;  // 0 while that is not known.
};

enum class BackupMethod {
  kPages,   // Page by page, as they are. May be slowed down.
  kVacuum,  // VACUUM INTO: without free pages and gaps, so smaller; more CPU, no rate, and progress
            // only at its ends. Not the same bytes, and rows without a row id of their own may get
            // another.
};

struct BackupOptions {
  BackupMethod method = BackupMethod::kPages;
  // With kPages: pages between two looks at the stop token and two calls of `progress`, and how
  // long to rest there. 256 pages of 4 KiB with a pause of 10 ms are at most 100 MB/s.
  int pages_per_step = 256;
  absl::Duration pause = absl::ZeroDuration();
  // False: also of a database whose rows violate its foreign keys.
  bool check_foreign_keys = true;
  // Writes FILE.sha256.
  bool write_digest = true;
  std::function<void(const BackupProgress&)> progress = {};
  std::stop_token stop = {};
  absl::Duration timeout = absl::InfiniteDuration();
};

struct BackupResult {
  std::string path = {};  // Absolute.
  std::int64_t pages = 0;
  std::int64_t page_size_bytes = 0;
  Digest digest = {};  // SHA-256 of the file.
};

// Copies `database` into the new file `target`.
absl::StatusOr<BackupResult> BackUp(Database& database, const std::string& target,
                                    const BackupOptions& options = {});

struct RestoreOptions {
  // The digest that the backup must have. Nothing: that in FILE.sha256, where there is one.
  std::optional<Digest> digest = std::nullopt;
  // A name on the same file system for the file that is replaced. Empty: it is not kept, unless it
  // is damaged: then it becomes TARGET.damaged, with its log.
  std::string keep_old_as = {};
  // How long to wait for others to close the target.
  absl::Duration lock_timeout = absl::Seconds(1);
  bool check_foreign_keys = true;
  // Those that the schema uses.
  std::vector<SqlFunction> functions = {};
  std::vector<SqlCollation> collations = {};
  std::function<void(const BackupProgress&)> progress = {};
  std::stop_token stop = {};
  absl::Duration timeout = absl::InfiniteDuration();
};

struct RestoreResult {
  std::int64_t pages = 0;
  std::int64_t page_size_bytes = 0;
  Digest digest = {};
  bool digest_compared = false;  // False: there was none to compare with, only the checks.
  bool replaced = false;         // There was a file.
  std::string old_kept_as = {};  // Empty: not kept.
};

// Puts the database in the file `backup` under the name `target`, in place of what has that name.
absl::StatusOr<RestoreResult> Restore(const std::string& backup, const std::string& target,
                                      const RestoreOptions& options = {});

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_SQLITE_BACKUP_H_
