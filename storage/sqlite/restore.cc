#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/sqlite/backup.h"
#include "storage/sqlite/file.h"
#include "storage/sqlite/internal/bounds.h"
#include "storage/sqlite/internal/open_files.h"
#include "storage/sqlite/internal/staging.h"
#include "storage/sqlite/internal/system_error.h"
#include "storage/sqlite/internal/target_lock.h"
#include "storage/sqlite/internal/verify.h"
#include "storage/status_macros.h"

namespace vouch::storage {
namespace {

using storage_internal::Bounds;
using storage_internal::FileFacts;
using storage_internal::IdentityOf;
using storage_internal::IsOpenHere;
using storage_internal::Staging;
using storage_internal::SystemError;
using storage_internal::TargetLock;

bool Exists(const std::string& path) {
  struct stat info;
  return ::lstat(path.c_str(), &info) == 0;
}

// A backup is a file by itself that nobody has open.
absl::Status CheckBackup(const std::string& backup) {
  struct stat info;
  if (::stat(backup.c_str(), &info) != 0) return SystemError(errno, backup);
  if (!S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(backup, " is not a regular file"));
  }
  if (IsOpenHere(backup)) {
    return absl::FailedPreconditionError(absl::StrCat(backup, " is open in this process"));
  }
  VOUCH_ASSIGN_OR_RETURN(const FileState state, StateOfDatabaseFile(backup));
  if (!state.has_log) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      backup, " has a log beside it, so it is a database in use or after a crash, not a backup"));
}

// True when there is a file to be replaced.
absl::StatusOr<bool> CheckTarget(const std::string& target, const std::string& backup) {
  struct stat info;
  if (::lstat(target.c_str(), &info) != 0) {
    for (const char* suffix : {"-wal", "-journal"}) {
      const std::string log = target + suffix;
      if (Exists(log)) {
        return absl::FailedPreconditionError(absl::StrCat(
            log, " is there without its database, and would be taken for the new one's; move it"));
      }
    }
    return false;
  }
  if (!S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat(target, S_ISDIR(info.st_mode) ? " is a folder" : " is not a regular file"));
  }
  if (IdentityOf(target) == IdentityOf(backup)) {
    return absl::FailedPreconditionError(absl::StrCat(target, " is the backup itself"));
  }
  return true;
}

// The digest in FILE.sha256, as `sha256sum` writes it.
absl::StatusOr<std::optional<Digest>> NotedDigest(const std::string& backup) {
  const std::string path = absl::StrCat(backup, ".sha256");
  if (!Exists(path)) return std::nullopt;
  std::ifstream file(path);
  if (file.peek() == '\\') file.get();  // The name after the digest is escaped.
  std::string hex(64, '\0');
  file.read(hex.data(), 64);
  const std::optional<Digest> digest = DigestFromHex(hex);
  if (!file || !digest.has_value()) {
    return absl::DataLossError(absl::StrCat(path, " holds no digest"));
  }
  return digest;
}

absl::StatusOr<Digest> CopyBytes(const std::string& from, const std::string& to,
                                 const RestoreOptions& options, const Bounds& bounds) {
  const int fd = ::open(to.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return SystemError(errno, to);
  VOUCH_ASSIGN_OR_RETURN(const FileState state, StateOfDatabaseFile(from));
  Sha256 hash;
  BackupProgress progress{.total_bytes = state.size};
  const absl::Status status = ReadPieces(from, bounds, [&](std::string_view piece) -> absl::Status {
    hash.Update(piece);
    progress.copied_bytes += static_cast<std::int64_t>(piece.size());
    while (!piece.empty()) {
      const ssize_t written = ::write(fd, piece.data(), piece.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return SystemError(errno, absl::StrCat("write ", to));
      piece.remove_prefix(static_cast<std::size_t>(written));
    }
    if (options.progress) options.progress(progress);
    return absl::OkStatus();
  });
  ::close(fd);
  if (!status.ok()) return status;
  return hash.Finish();
}

// The copy beside the target, complete, whole and on the disk.
absl::Status StageCopy(const std::string& backup, Staging& staging, const RestoreOptions& options,
                       const Bounds& bounds, RestoreResult& result) {
  std::optional<Digest> wanted = options.digest;
  if (!wanted.has_value()) {
    VOUCH_ASSIGN_OR_RETURN(wanted, NotedDigest(backup));
  }
  VOUCH_ASSIGN_OR_RETURN(result.digest, CopyBytes(backup, staging.path(), options, bounds));
  result.digest_compared = wanted.has_value();
  if (wanted.has_value() && *wanted != result.digest) {
    return absl::DataLossError(absl::StrCat(backup, " has the digest ", HexOf(result.digest),
                                            ", not ", HexOf(*wanted), " as when it was made"));
  }
  if (options.progress) options.progress({.phase = BackupPhase::kChecking});
  // The copy, not the backup: what was checked is what takes the target's place.
  VOUCH_ASSIGN_OR_RETURN(const FileFacts facts,
                         VerifyFile(staging.path(),
                                    {.functions = options.functions,
                                     .collations = options.collations,
                                     .foreign_keys = options.check_foreign_keys},
                                    bounds));
  if (facts.pages == 0) return absl::DataLossError(absl::StrCat(backup, " is empty"));
  result.pages = facts.pages;
  result.page_size_bytes = facts.page_size_bytes;
  return staging.Sync();
}

// The old file under a second name, and of a damaged one what lies beside it, until released.
class OldFile {
 public:
  ~OldFile() {
    bool all_back = true;
    for (auto moved = moved_.rbegin(); moved != moved_.rend(); ++moved) {
      all_back = ::rename(moved->second.c_str(), moved->first.c_str()) == 0 && all_back;
    }
    // A log that stays behind stays beside its file.
    if (!kept_as_.empty() && all_back) ::unlink(kept_as_.c_str());
  }
  OldFile() = default;
  OldFile(const OldFile&) = delete;
  OldFile& operator=(const OldFile&) = delete;

  absl::Status Keep(const std::string& target, const std::string& name) {
    if (::link(target.c_str(), name.c_str()) != 0) {
      return SystemError(errno, absl::StrCat("keep the old file as ", name));
    }
    kept_as_ = name;
    return absl::OkStatus();
  }
  absl::Status MoveBeside(const std::string& target, const char* suffix) {
    const std::string from = target + suffix;
    const std::string to = kept_as_ + suffix;
    if (!Exists(from)) return absl::OkStatus();
    if (Exists(to)) return absl::AlreadyExistsError(absl::StrCat(to, " is there already"));
    if (::rename(from.c_str(), to.c_str()) != 0) return SystemError(errno, from);
    moved_.emplace_back(from, to);
    return absl::OkStatus();
  }
  // The new one is in place.
  std::string Release() {
    moved_.clear();
    return std::exchange(kept_as_, "");
  }

 private:
  std::string kept_as_;
  std::vector<std::pair<std::string, std::string>> moved_;
};

absl::Status Replace(const std::string& target, Staging& staging, const RestoreOptions& options,
                     const Bounds& bounds, RestoreResult& result) {
  VOUCH_ASSIGN_OR_RETURN(const auto lock,
                         TargetLock::Acquire(target, options.lock_timeout, bounds));
  OldFile old;
  std::string keep_as = options.keep_old_as;
  if (keep_as.empty() && lock->damaged()) keep_as = target + ".damaged";
  if (!keep_as.empty()) VOUCH_RETURN_IF_ERROR(old.Keep(target, keep_as));
  if (lock->damaged()) {
    VOUCH_RETURN_IF_ERROR(old.MoveBeside(target, "-wal"));
    VOUCH_RETURN_IF_ERROR(old.MoveBeside(target, "-journal"));
    ::unlink((target + "-shm").c_str());
  }
  const absl::Status status = staging.Install(/*replace=*/true);
  if (!status.ok() && !absl::IsUnknown(status)) return status;
  result.old_kept_as = old.Release();
  return status;
}

absl::StatusOr<RestoreResult> RestoreBounded(const std::string& backup, const std::string& path,
                                             const RestoreOptions& options, const Bounds& bounds) {
  VOUCH_RETURN_IF_ERROR(bounds.Check());
  VOUCH_ASSIGN_OR_RETURN(const std::string target, ResolveDatabasePath(path));
  VOUCH_RETURN_IF_ERROR(CheckBackup(backup));
  RestoreResult result;
  VOUCH_ASSIGN_OR_RETURN(result.replaced, CheckTarget(target, backup));
  if (result.replaced && IsOpenHere(target)) {
    return absl::FailedPreconditionError(absl::StrCat(target, " is open in this process"));
  }
  // Keep() finds it as well, but only once the target's log is folded in.
  if (result.replaced && !options.keep_old_as.empty() && Exists(options.keep_old_as)) {
    return absl::AlreadyExistsError(
        absl::StrCat("keep the old file as ", options.keep_old_as, ": that is there already"));
  }
  VOUCH_ASSIGN_OR_RETURN(const auto staging, Staging::Create(target));
  VOUCH_RETURN_IF_ERROR(StageCopy(backup, *staging, options, bounds, result));
  VOUCH_RETURN_IF_ERROR(bounds.Check());
  VOUCH_RETURN_IF_ERROR(result.replaced ? Replace(target, *staging, options, bounds, result)
                                        : staging->Install(/*replace=*/false));
  return result;
}

}  // namespace

absl::StatusOr<RestoreResult> Restore(const std::string& backup, const std::string& target,
                                      const RestoreOptions& options) {
  const Bounds bounds(absl::StrCat("restore ", target), options.stop, options.timeout);
  absl::StatusOr<RestoreResult> result = RestoreBounded(backup, target, options, bounds);
  if (!result.ok()) return bounds.Explain(result.status());
  if (options.progress) {
    const std::int64_t bytes = result->pages * result->page_size_bytes;
    options.progress({.phase = BackupPhase::kDone, .copied_bytes = bytes, .total_bytes = bytes});
  }
  return result;
}

}  // namespace vouch::storage
