// OwnFiles: the files of the open database itself, which are never read as documents.
//
// Reading them would not only index a moving target. POSIX drops all of a process's locks on a
// file as soon as it closes any descriptor of it, so opening the database a second time, by
// whatever name, takes SQLite's locks away under its feet. Hence the test is made before a file is
// opened, and by what the file is, not by what it is called.
//
// Thread safety: immutable once made; any thread.

#ifndef VOUCH_UOW_CLI_OWN_FILES_H_
#define VOUCH_UOW_CLI_OWN_FILES_H_

#include <sys/stat.h>

#include <string>
#include <utility>
#include <vector>

namespace vouch::cli {

class OwnFiles {
 public:
  // REQUIRES: the database at `path` is open, so that its log and shared memory are there.
  explicit OwnFiles(const std::string& path) {
    for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
      struct stat info;
      if (::stat((path + suffix).c_str(), &info) == 0) files_.push_back(Identity(info));
    }
  }

  bool Contain(const struct stat& info) const {
    for (const auto& file : files_) {
      if (file == Identity(info)) return true;
    }
    return false;
  }

 private:
  static std::pair<dev_t, ino_t> Identity(const struct stat& info) {
    return {info.st_dev, info.st_ino};
  }

  std::vector<std::pair<dev_t, ino_t>> files_;
};

}  // namespace vouch::cli

#endif  // VOUCH_UOW_CLI_OWN_FILES_H_
