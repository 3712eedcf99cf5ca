#include "storage/sqlite/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "storage/sqlite/internal/system_error.h"
#include "storage/status_macros.h"

namespace vouch::storage {
namespace {

// SQLite's names end at 512 bytes, and it wants room for "-journal".
constexpr std::size_t kMaxPathBytes = 504;

using storage_internal::SystemError;

absl::Status CheckFolder(const std::string& folder) {
  struct stat info;
  if (::stat(folder.c_str(), &info) != 0) return SystemError(errno, absl::StrCat("open ", folder));
  if ((info.st_mode & S_IWOTH) != 0 && (info.st_mode & S_ISVTX) == 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "open: everybody may replace files in ", folder, "; chmod o-w it, or set its sticky bit"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> ResolveDatabasePath(const std::string& path) {
  const std::string operation = absl::StrCat("open ", path);
  if (path.empty() || path.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError("open: the path is empty or holds a NUL byte");
  }
  const std::size_t slash = path.rfind('/');
  const std::string folder =
      slash == std::string::npos ? "." : (slash == 0 ? "/" : path.substr(0, slash));
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  if (name.empty() || name == "." || name == "..") {
    return absl::FailedPreconditionError(absl::StrCat(operation, ": this names a folder"));
  }
  char resolved[PATH_MAX];
  if (::realpath(folder.c_str(), resolved) == nullptr) {
    return SystemError(errno, absl::StrCat(operation, ": folder ", folder));
  }
  VOUCH_RETURN_IF_ERROR(CheckFolder(resolved));
  return absl::StrCat(resolved, std::strcmp(resolved, "/") == 0 ? "" : "/", name);
}

absl::StatusOr<DatabaseFile> PrepareDatabaseFile(const std::string& path, bool create) {
  const std::string operation = absl::StrCat("open ", path);
  DatabaseFile file;
  VOUCH_ASSIGN_OR_RETURN(file.path, ResolveDatabasePath(path));
  if (file.path.size() > kMaxPathBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("open: a path of ", file.path.size(), " bytes, more than ", kMaxPathBytes));
  }
  struct stat info;
  if (::lstat(file.path.c_str(), &info) != 0) {
    if (errno != ENOENT || !create) return SystemError(errno, operation);
    const int fd =
        ::open(file.path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 && errno != EEXIST) return SystemError(errno, operation);
    if (fd >= 0) {
      // The umask has taken its bits away from the mode, the owner's perhaps.
      const int changed = ::fchmod(fd, 0600);
      const int error = errno;
      ::close(fd);
      if (changed != 0) return SystemError(error, operation);
    }
    if (::lstat(file.path.c_str(), &info) != 0) return SystemError(errno, operation);
  }
  if (S_ISLNK(info.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat(operation, ": this is a symbolic link; name the file itself"));
  }
  if (!S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(operation, ": this is not a regular file"));
  }
  file.empty = info.st_size == 0;
  return file;
}

absl::Status CheckFolderMayBeWritten(const std::string& path) {
  const std::string folder = path.substr(0, std::max<std::size_t>(path.rfind('/'), 1));
  if (::faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) == 0) return absl::OkStatus();
  return SystemError(errno, absl::StrCat("open ", path, ": making files in ", folder));
}

std::string ImmutableUri(std::string_view path) {
  std::string uri = "file:";
  for (const char c : path) {
    if (c == '%' || c == '?' || c == '#') {
      absl::StrAppend(&uri, "%", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
    } else {
      uri.push_back(c);
    }
  }
  return uri + "?immutable=1";
}

absl::StatusOr<FileState> StateOfDatabaseFile(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) return SystemError(errno, absl::StrCat("open ", path));
  FileState state{.size = info.st_size,
                  .modified_ns = info.st_mtim.tv_sec * 1'000'000'000LL + info.st_mtim.tv_nsec};
  for (const char* suffix : {"-wal", "-journal"}) {
    if (::stat(absl::StrCat(path, suffix).c_str(), &info) == 0 && info.st_size > 0) {
      state.has_log = true;
    }
  }
  return state;
}

}  // namespace vouch::storage
