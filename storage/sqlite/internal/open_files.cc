#include "storage/sqlite/internal/open_files.h"

#include <sys/stat.h>

#include <map>

#include "pool/mutex.h"

namespace vouch::storage::storage_internal {
namespace {

struct Counts {
  pool::Mutex mutex;
  std::map<FileIdentity, int> open ABSL_GUARDED_BY(mutex);
};

Counts& Global() {
  static auto* counts = new Counts();
  return *counts;
}

}  // namespace

std::optional<FileIdentity> IdentityOf(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) return std::nullopt;
  return FileIdentity(info.st_dev, info.st_ino);
}

bool IsOpenHere(const std::string& path) {
  const std::optional<FileIdentity> file = IdentityOf(path);
  if (!file.has_value()) return false;
  Counts& counts = Global();
  const pool::MutexLock lock(&counts.mutex);
  return counts.open.contains(*file);
}

OpenFile::OpenFile(const std::string& path) : file_(IdentityOf(path)) {
  if (!file_.has_value()) return;
  Counts& counts = Global();
  const pool::MutexLock lock(&counts.mutex);
  ++counts.open[*file_];
}

OpenFile::~OpenFile() {
  if (!file_.has_value()) return;
  Counts& counts = Global();
  const pool::MutexLock lock(&counts.mutex);
  const auto found = counts.open.find(*file_);
  if (--found->second == 0) counts.open.erase(found);
}

}  // namespace vouch::storage::storage_internal
