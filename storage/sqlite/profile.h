// Profile: the settings every connection to a database has, applied when it opens and read back.
//
//   Profile profile = Profile::Balanced();
//   profile.synchronous = Synchronous::kNormal;    // faster; a power loss may undo last commits
//
// SQLite keeps most settings per connection and ignores or refuses some of them inside a
// transaction, so they are set outside one on every connection, and a setting that did not take is
// an error. The exceptions: auto_vacuum of a file that has tables already (only a full VACUUM
// changes it, see storage/sqlite/auto_vacuum.h); journal mode and memory mapping of an in-memory
// database, which has neither; and the journal mode as a connection for reading finds it, for it
// belongs to the file.
//
// With a rollback journal (JournalMode::kDelete) choose Synchronous::kExtra: a commit is the
// removal of the journal, and kFull does not sync the folder after it, so that a power loss can
// bring the journal back and undo a commit that was reported. The write-ahead log has no such gap
// at kFull.
//
// Thread safety: a value.

#ifndef VOUCH_STORAGE_SQLITE_PROFILE_H_
#define VOUCH_STORAGE_SQLITE_PROFILE_H_

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"

struct sqlite3;

namespace vouch::storage {

enum class JournalMode { kDelete, kWal };
// How hard a commit is pushed to the disk. Values as SQLite's PRAGMA synchronous reports them.
enum class Synchronous { kOff = 0, kNormal = 1, kFull = 2, kExtra = 3 };
enum class TempStore { kDefault = 0, kFile = 1, kMemory = 2 };
enum class AutoVacuum { kNone = 0, kFull = 1, kIncremental = 2 };

struct Profile {
  JournalMode journal_mode = JournalMode::kWal;
  Synchronous synchronous = Synchronous::kFull;
  bool foreign_keys = true;
  std::int64_t cache_size = -64000;  // Negative: KiB. Positive: pages.
  TempStore temp_store = TempStore::kMemory;
  std::int64_t mmap_size_bytes = 268'435'456;
  AutoVacuum auto_vacuum = AutoVacuum::kIncremental;
  // A log file that has become larger is cut to this when it is begun anew. Negative: never.
  std::int64_t journal_size_limit_bytes = 67'108'864;

  // Write-ahead log, full durability, 64 MB cache, 256 MB mapped: for services. The default.
  static Profile Balanced() { return {}; }
  // Write-ahead log, foreign keys, and Synchronous::kNormal (a power loss may undo last commits);
  // otherwise as SQLite is, except that the log is cut: 2 MB cache, nothing mapped. For small tools.
  static Profile Minimal();
  // As SQLite is unasked, rollback journal and all, except that foreign keys are enforced. For
  // files shared with programs that do not expect a write-ahead log.
  static Profile SqliteDefault();
};

// Sets `profile` on `db` and reads it back. `created`: the file is new and empty, so that
// auto_vacuum can still be chosen (which must happen before anything is written, and entering WAL
// writes). `in_memory`, `read_only`: which lines do not apply.
// kFailedPrecondition: a setting did not take; the message names it and both values.
struct ProfileScope {
  bool created = false;
  bool in_memory = false;
  bool read_only = false;
};
absl::Status ApplyProfile(sqlite3* db, const Profile& profile, ProfileScope scope);

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_SQLITE_PROFILE_H_
