#include "uow/cli/stable_read.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/error.h"
#include "storage/status_macros.h"

namespace vouch::cli {
namespace {

using storage::Access;
using storage::FileState;

// Of SQLite's file format: where it keeps its locks on a database file.
constexpr off_t kSharedFirst = 0x40000002;
constexpr off_t kSharedSize = 510;

bool Exists(const std::string& path) {
  struct stat info;
  return ::lstat(path.c_str(), &info) == 0;
}

// The files of a log that are not there, and so must not be there afterwards.
std::vector<std::string> MissingLogFiles(const std::string& path) {
  std::vector<std::string> missing;
  for (const char* suffix : {"-wal", "-shm"}) {
    if (!Exists(path + suffix)) missing.push_back(path + suffix);
  }
  return missing;
}

// Removes what a reader has made of these. It is what SQLite does when the last connection closes:
// every connection that uses a log holds a shared lock on the database file, so whoever gets the
// exclusive one is alone. When somebody else came meanwhile the files are theirs, and stay.
// REQUIRES: no connection of this process is open (closing a file drops the process's locks on it).
void RemoveLeftovers(const std::string& path, const std::vector<std::string>& were_missing) {
  bool any = false;
  for (const std::string& file : were_missing) any = any || Exists(file);
  if (!any) return;
  const int fd = ::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return;
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = kSharedFirst;
  lock.l_len = kSharedSize;
  if (::fcntl(fd, F_SETLK, &lock) == 0) {
    for (const std::string& file : were_missing) {
      struct stat info;
      const bool is_log = file.ends_with("-wal");
      if (::lstat(file.c_str(), &info) == 0 && (!is_log || info.st_size == 0)) {
        (void)::unlink(file.c_str());
      }
    }
  }
  ::close(fd);
}

absl::Status ReadOnce(const std::string& path, Access access, absl::Duration busy_timeout,
                      absl::FunctionRef<absl::Status(storage::Connection&)> read) {
  // Unrestricted, as an audit asks for more than a reader may; it cannot write all the same.
  VOUCH_ASSIGN_OR_RETURN(const auto connection,
                         storage::SqliteConnection::Open({.path = path,
                                                          .access = access,
                                                          .policy = storage::Policy::kUnrestricted,
                                                          .is_protected = {},
                                                          .busy_timeout = busy_timeout}));
  return read(*connection);
}

// What to do about a log that cannot be opened because its folder cannot be written.
absl::Status ExplainLog(const absl::Status& status, const std::string& path) {
  const std::string folder = path.substr(0, path.rfind('/') + 1);
  if (status.ok() || ::access(folder.c_str(), W_OK) == 0) return status;
  return absl::Status(
      status.code(),
      absl::StrCat(std::string(status.message()), "; ", path, " has a write-ahead log, and ",
                   folder,
                   " cannot be written: copy the database with its -wal to a folder that"
                   " can"));
}

}  // namespace

Access AccessFor(const FileState& state) {
  return state.has_log ? Access::kReadOnly : Access::kImmutable;
}

bool MustReadAgain(Access used, const FileState& before, const FileState& after) {
  return used == Access::kImmutable && before != after;
}

LogLeftovers::LogLeftovers(const std::string& path)
    : path_(path), were_missing_(MissingLogFiles(path)) {}

LogLeftovers::~LogLeftovers() { RemoveLeftovers(path_, were_missing_); }

absl::Status StableRead(const std::string& path, absl::Duration busy_timeout,
                        absl::FunctionRef<absl::Status(storage::Connection&)> read) {
  VOUCH_ASSIGN_OR_RETURN(const FileState before, storage::StateOfDatabaseFile(path));
  const LogLeftovers leftovers(path);
  Access access = AccessFor(before);
  absl::Status status;
  if (access == Access::kImmutable) {
    status = ReadOnce(path, access, busy_timeout, read);
    VOUCH_ASSIGN_OR_RETURN(const FileState after, storage::StateOfDatabaseFile(path));
    if (!MustReadAgain(access, before, after)) return status;
    access = Access::kReadOnly;
  }
  status = ReadOnce(path, access, busy_timeout, read);
  return ExplainLog(status, path);
}

}  // namespace vouch::cli
