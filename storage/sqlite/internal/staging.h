// Staging: where a file is made before it appears, whole, under its name.
//
// The place is a folder beside the target, .NAME.vouch-new, on the same file system and for its owner
// only, so that whatever SQLite puts beside a database is in it too. It is locked while in use, by a
// lock that the kernel gives back when the process ends however it ends: what a killed process left
// is cleared away by the next one, and two never write to one place.
//
// Thread safety: one thread at a time. Two for one target exclude each other, in a process too.
// Ownership: removes the folder, and with it what was not installed.

#ifndef VOUCH_STORAGE_SQLITE_INTERNAL_STAGING_H_
#define VOUCH_STORAGE_SQLITE_INTERNAL_STAGING_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vouch::storage::storage_internal {

class Staging {
 public:
  // `target` is absolute. kUnavailable: another has it. kNotFound: no such folder.
  static absl::StatusOr<std::unique_ptr<Staging>> Create(const std::string& target);
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // The file to be made. It is there, empty, mode 0600.
  const std::string& path() const { return path_; }

  // Brings the file to the disk. REQUIRES: no connection has it open (open_files.h says why).
  absl::Status Sync();
  // Gives the file its name. kAlreadyExists: without `replace`, the name is taken. kUnknown: it has
  // replaced the old one, but a power loss may bring that back.
  absl::Status Install(bool replace);
  // Writes `text` as `target` + `suffix`, in place of what has that name, on the disk when it is
  // there.
  absl::Status InstallNote(std::string_view suffix, std::string_view text);

 private:
  explicit Staging(std::string target);

  absl::Status Lock();
  absl::StatusOr<bool> TryLock();
  // `status`; the folder goes, if it was just `made`.
  absl::Status Unmade(bool made, absl::Status status) const;
  void Clear() const;
  absl::Status SyncFolder() const;

  const std::string target_;
  const std::string folder_;  // Of the target,
  const std::string stage_;   // the one beside it,
  const std::string path_;    // and the file in that.
  int lock_ = -1;             // Of stage_.
};

// What of `path` is on the disk when this returns.
absl::Status SyncFile(const std::string& path, std::string_view operation);

}  // namespace vouch::storage::storage_internal

#endif  // VOUCH_STORAGE_SQLITE_INTERNAL_STAGING_H_
