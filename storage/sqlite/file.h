// What is settled about a database file before SQLite opens it.
//
// SQLite creates files readable by everybody, follows symbolic links, and on some distributions
// takes any name that begins with "file:" as a URI with options. So the name is made absolute, the
// folder resolved, a new file created for its owner only, and a link in the last place refused.
//
// Thread safety: any thread.
// Errors: kNotFound: no such file or folder. kFailedPrecondition: a folder, a symbolic link, or a
//   folder in which others may replace the file. kPermissionDenied: the file's mode.
//   kInvalidArgument: an empty name, one with a NUL byte, or one longer than SQLite takes.

#ifndef VOUCH_STORAGE_SQLITE_FILE_H_
#define VOUCH_STORAGE_SQLITE_FILE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vouch::storage {

struct DatabaseFile {
  std::string path;    // Absolute, its folder without symbolic links.
  bool empty = false;  // Nothing has been written to it yet.
};

// `path` made absolute, its folder checked and without symbolic links. The file need not be there.
absl::StatusOr<std::string> ResolveDatabasePath(const std::string& path);

// Checks `path`, and with `create` makes the file (mode 0600) when it is not there.
absl::StatusOr<DatabaseFile> PrepareDatabaseFile(const std::string& path, bool create);

// For a file that is to be written: SQLite makes its log beside it. kPermissionDenied: this process
// may not make files in the folder of `path`.
absl::Status CheckFolderMayBeWritten(const std::string& path);

// `path` as a URI that opens the file as immutable.
std::string ImmutableUri(std::string_view path);

// What a reader without locks relies on: while equal, nobody has touched the database.
struct FileState {
  std::int64_t size = 0;
  std::int64_t modified_ns = 0;
  bool has_log = false;  // A write-ahead log or rollback journal that is not empty is beside it.

  friend bool operator==(const FileState&, const FileState&) = default;
};
absl::StatusOr<FileState> StateOfDatabaseFile(const std::string& path);

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_SQLITE_FILE_H_
