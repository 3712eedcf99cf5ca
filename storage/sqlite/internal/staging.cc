#include "storage/sqlite/internal/staging.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/error.h"
#include "storage/sqlite/internal/system_error.h"
#include "storage/status_macros.h"

namespace vouch::storage::storage_internal {
namespace {

std::string FolderOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string StageFor(const std::string& target) {
  const std::size_t slash = target.rfind('/');
  return absl::StrCat(target.substr(0, slash), "/.", target.substr(slash + 1), ".vouch-new");
}

// Names that are taken fail, as with rename(2)'s newer form, on file systems that lack that.
int RenameToFreeName(const std::string& from, const std::string& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return -1;
  if (::link(from.c_str(), to.c_str()) != 0) return -1;
  return ::unlink(from.c_str());
}

absl::Status WriteNew(const std::string& path, std::string_view text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return SystemError(errno, absl::StrCat("write ", path));
  const ssize_t written = ::write(fd, text.data(), text.size());
  const int error = written < 0 ? errno : ENOSPC;
  const bool complete = written == static_cast<ssize_t>(text.size());
  ::close(fd);
  return complete ? absl::OkStatus() : SystemError(error, absl::StrCat("write ", path));
}

}  // namespace

absl::Status SyncFile(const std::string& path, std::string_view operation) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return SystemError(errno, operation);
  const int synced = ::fsync(fd);
  const int error = errno;
  ::close(fd);
  return synced == 0 ? absl::OkStatus() : SystemError(error, operation);
}

Staging::Staging(std::string target)
    : target_(std::move(target)),
      folder_(FolderOf(target_)),
      stage_(StageFor(target_)),
      path_(stage_ + "/database") {}

absl::StatusOr<std::unique_ptr<Staging>> Staging::Create(const std::string& target) {
  auto staging = std::unique_ptr<Staging>(new Staging(target));
  VOUCH_RETURN_IF_ERROR(staging->Lock());
  staging->Clear();
  VOUCH_RETURN_IF_ERROR(WriteNew(staging->path_, ""));
  if (::chmod(staging->path_.c_str(), 0600) != 0) {
    return SystemError(errno, absl::StrCat("chmod ", staging->path_));
  }
  return staging;
}

absl::Status Staging::Lock() {
  // Each turn is lost to somebody who was just removing the folder.
  for (int turn = 0; turn < 100; ++turn) {
    VOUCH_ASSIGN_OR_RETURN(const bool locked, TryLock());
    if (locked) return absl::OkStatus();
  }
  return absl::UnavailableError(absl::StrCat(stage_, ": cannot be locked"));
}

absl::StatusOr<bool> Staging::TryLock() {
  const bool made = ::mkdir(stage_.c_str(), 0700) == 0;
  if (!made && errno != EEXIST) return SystemError(errno, absl::StrCat("make ", stage_));
  const int fd = ::open(stage_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return false;
  if (fd < 0) return Unmade(made, SystemError(errno, absl::StrCat("open ", stage_)));
  struct stat locked = {};
  struct stat named = {};
  const bool got = ::flock(fd, LOCK_EX | LOCK_NB) == 0;
  const int error = got ? 0 : errno;
  const bool same = got && ::fstat(fd, &locked) == 0 && ::lstat(stage_.c_str(), &named) == 0 &&
                    locked.st_ino == named.st_ino && locked.st_dev == named.st_dev;
  if (!same) ::close(fd);
  if (!got && error != EWOULDBLOCK) {
    return Unmade(made, SystemError(error, absl::StrCat("lock ", stage_)));
  }
  if (!got) {
    return absl::UnavailableError(
        absl::StrCat(target_, ": another backup or restore writes it just now"));
  }
  if (!same) return false;
  lock_ = fd;  // From here on the destructor removes the folder.
  if (locked.st_uid != ::geteuid()) {
    return absl::FailedPreconditionError(absl::StrCat(stage_, ": belongs to somebody else"));
  }
  if (::fchmod(fd, 0700) != 0) return SystemError(errno, absl::StrCat("chmod ", stage_));
  return true;
}

absl::Status Staging::Unmade(bool made, absl::Status status) const {
  if (made) ::rmdir(stage_.c_str());
  return status;
}

Staging::~Staging() {
  if (lock_ < 0) return;
  Clear();
  ::rmdir(stage_.c_str());
  ::close(lock_);
}

void Staging::Clear() const {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(stage_, error)) {
    ::unlink(entry.path().c_str());
  }
}

absl::Status Staging::Sync() { return SyncFile(path_, absl::StrCat("sync ", path_)); }

absl::Status Staging::SyncFolder() const {
  return SyncFile(folder_, absl::StrCat("sync ", folder_));
}

absl::Status Staging::Install(bool replace) {
  const int renamed =
      replace ? ::rename(path_.c_str(), target_.c_str()) : RenameToFreeName(path_, target_);
  if (renamed != 0) return SystemError(errno, target_);
  const absl::Status synced = SyncFolder();
  if (synced.ok()) return synced;
  if (!replace) {
    ::unlink(target_.c_str());
    return synced;
  }
  return absl::UnknownError(absl::StrCat(target_, " is replaced, but ", synced.message()));
}

absl::Status Staging::InstallNote(std::string_view suffix, std::string_view text) {
  const std::string staged = stage_ + "/note";
  const std::string name = absl::StrCat(target_, std::string(suffix));
  VOUCH_RETURN_IF_ERROR(WriteNew(staged, text));
  VOUCH_RETURN_IF_ERROR(SyncFile(staged, absl::StrCat("sync ", staged)));
  if (::rename(staged.c_str(), name.c_str()) != 0) return SystemError(errno, name);
  const absl::Status synced = SyncFolder();
  if (!synced.ok()) ::unlink(name.c_str());
  return synced;
}

}  // namespace vouch::storage::storage_internal
