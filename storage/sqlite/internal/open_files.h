// OpenFile: which database files the connections of this process have open.
//
// POSIX drops all locks that a process has on a file when it closes any descriptor of it, and does
// not hold its locks against itself. So whoever is about to read a database file as bytes, or to put
// another in its place, asks here first. Files are told by what they are, not by their names.
//
// Thread safety: any thread.
// Cost: one stat() and a mutex for each open and close of a connection.

#ifndef VOUCH_STORAGE_SQLITE_INTERNAL_OPEN_FILES_H_
#define VOUCH_STORAGE_SQLITE_INTERNAL_OPEN_FILES_H_

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>

namespace vouch::storage::storage_internal {

using FileIdentity = std::pair<dev_t, ino_t>;

// Nothing when there is no such file.
std::optional<FileIdentity> IdentityOf(const std::string& path);

// Whether a connection of this process has `path` open.
bool IsOpenHere(const std::string& path);

// Counts a file as open while it lives.
class OpenFile {
 public:
  OpenFile() = default;  // None.
  explicit OpenFile(const std::string& path);
  OpenFile(OpenFile&& other) noexcept : file_(std::exchange(other.file_, std::nullopt)) {}
  OpenFile& operator=(OpenFile&& other) noexcept {
    std::swap(file_, other.file_);
    return *this;
  }
  ~OpenFile();

 private:
  std::optional<FileIdentity> file_;
};

}  // namespace vouch::storage::storage_internal

#endif  // VOUCH_STORAGE_SQLITE_INTERNAL_OPEN_FILES_H_
