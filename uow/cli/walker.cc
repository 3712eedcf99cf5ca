#include "uow/cli/walker.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/status_macros.h"
#include "uow/cli/path_range.h"

namespace vouch::cli {
namespace {

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};
using OpenFolder = std::unique_ptr<DIR, CloseFolder>;

struct Listing {
  std::vector<std::string> files;
  std::vector<std::string> folders;
};

enum class Kind { kFile, kFolder, kOther };

Kind KindOf(const std::string& folder, const dirent& entry) {
  if (entry.d_type == DT_REG) return Kind::kFile;
  if (entry.d_type == DT_DIR) return Kind::kFolder;
  if (entry.d_type != DT_UNKNOWN) return Kind::kOther;
  // This file system does not say.
  struct stat info;
  if (::lstat(JoinPath(folder, entry.d_name).c_str(), &info) != 0) return Kind::kOther;
  if (S_ISREG(info.st_mode)) return Kind::kFile;
  return S_ISDIR(info.st_mode) ? Kind::kFolder : Kind::kOther;
}

absl::StatusOr<OpenFolder> Open(const std::string& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return FileError(errno, "open");
  OpenFolder open(::fdopendir(fd));
  if (open == nullptr) {
    const int error = errno;
    ::close(fd);
    return FileError(error, "open");
  }
  return open;
}

absl::StatusOr<Listing> List(const std::string& folder) {
  VOUCH_ASSIGN_OR_RETURN(const OpenFolder open, Open(folder));
  Listing listing;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(open.get());
    if (entry == nullptr) break;
    std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    const Kind kind = KindOf(folder, *entry);
    if (kind == Kind::kFile) {
      listing.files.push_back(std::move(name));
    } else if (kind == Kind::kFolder) {
      listing.folders.push_back(std::move(name));
    }
  }
  if (errno != 0) return FileError(errno, "read");
  std::sort(listing.files.begin(), listing.files.end());
  std::sort(listing.folders.begin(), listing.folders.end());
  return listing;
}

absl::StatusOr<std::string> Resolve(const std::string& folder) {
  const std::unique_ptr<char, void (*)(void*)> path(::realpath(folder.c_str(), nullptr),
                                                    &std::free);
  if (path == nullptr) return FileError(errno, folder);
  struct stat info;
  if (::stat(path.get(), &info) != 0) return FileError(errno, folder);
  if (!S_ISDIR(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(folder, ": this is not a folder"));
  }
  return std::string(path.get());
}

}  // namespace

bool Walk(const std::string& folder, FileVisitor& visitor) {
  std::vector<std::string> to_read = {folder};
  while (!to_read.empty()) {
    const std::string current = std::move(to_read.back());
    to_read.pop_back();
    const absl::StatusOr<Listing> listing = List(current);
    if (!listing.ok()) {
      if (!visitor.OnUnreadable(current, listing.status())) return false;
      continue;
    }
    for (const std::string& name : listing->files) {
      if (!visitor.OnFile(JoinPath(current, name))) return false;
    }
    for (auto name = listing->folders.rbegin(); name != listing->folders.rend(); ++name) {
      to_read.push_back(JoinPath(current, *name));
    }
  }
  return true;
}

absl::StatusOr<std::vector<std::string>> ResolveFolders(const std::vector<std::string>& folders) {
  std::vector<std::string> resolved;
  for (const std::string& folder : folders) {
    VOUCH_ASSIGN_OR_RETURN(std::string path, Resolve(folder));
    resolved.push_back(std::move(path));
  }
  std::vector<std::string> outermost;
  for (const std::string& path : resolved) {
    const bool covered = std::any_of(resolved.begin(), resolved.end(), [&](const auto& other) {
      return FolderRange(other).Contains(path);
    });
    const bool listed = std::find(outermost.begin(), outermost.end(), path) != outermost.end();
    if (!covered && !listed) outermost.push_back(path);
  }
  return outermost;
}

std::string JoinPath(const std::string& folder, const std::string& name) {
  return absl::StrCat(folder, folder == "/" ? "" : "/", name);
}

absl::Status FileError(int error, const std::string& operation) {
  const std::string message = absl::StrCat(operation, ": ", std::strerror(error));
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(message);
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(message);
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return absl::ResourceExhaustedError(message);
    default:
      return absl::FailedPreconditionError(message);
  }
}

}  // namespace vouch::cli
