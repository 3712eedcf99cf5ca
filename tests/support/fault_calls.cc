#include "tests/support/fault_calls.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <utility>

#include "pool/mutex.h"

namespace vouch::test {
namespace {

using pool::MutexLock;

enum class Needs { kNothing, kRoom };

pool::Mutex mutex;
CallPlan plan ABSL_GUARDED_BY(mutex);
std::int64_t hit ABSL_GUARDED_BY(mutex) = 0;
std::string first_failed ABSL_GUARDED_BY(mutex);

// True: the call is to fail, with errno set; 0 stands for a half write.
bool Fails(const char* name, Needs needs, bool writes = false) {
  const MutexLock lock(&mutex);
  if (plan.at == 0) return false;
  if (plan.error == 0 && !writes) return false;
  if (plan.error == ENOSPC && needs == Needs::kNothing) return false;
  ++hit;
  if (hit != plan.at && !(plan.sticky && hit > plan.at)) return false;
  if (first_failed.empty()) first_failed = name;
  errno = plan.error;
  return true;
}

}  // namespace

void FaultCalls::Arm(const CallPlan& new_plan) {
  const MutexLock lock(&mutex);
  plan = new_plan;
  hit = 0;
  first_failed.clear();
}

std::string FaultCalls::failed() const {
  const MutexLock lock(&mutex);
  return first_failed;
}

}  // namespace vouch::test

using vouch::test::Fails;
using vouch::test::Needs;

extern "C" {

// NOLINTBEGIN: names are the linker's.
int __real_open(const char* path, int flags, ...);
int __real_mkdir(const char* path, mode_t mode);
int __real_fchmod(int fd, mode_t mode);
int __real_chmod(const char* path, mode_t mode);
int __real_flock(int fd, int operation);
int __real_fsync(int fd);
ssize_t __real_read(int fd, void* buffer, std::size_t size);
ssize_t __real_write(int fd, const void* buffer, std::size_t size);
ssize_t __real_pwrite(int fd, const void* buffer, std::size_t size, off_t offset);
int __real_link(const char* from, const char* to);
int __real_rename(const char* from, const char* to);
int __real_renameat2(int from_fd, const char* from, int to_fd, const char* to, unsigned flags);

int __wrap_open(const char* path, int flags, ...) {
  mode_t mode = 0;
  if ((flags & O_CREAT) != 0) {
    va_list arguments;
    va_start(arguments, flags);
    mode = va_arg(arguments, mode_t);
    va_end(arguments);
  }
  if (Fails("open", (flags & O_CREAT) != 0 ? Needs::kRoom : Needs::kNothing)) return -1;
  return __real_open(path, flags, mode);
}
int __wrap_mkdir(const char* path, mode_t mode) {
  return Fails("mkdir", Needs::kRoom) ? -1 : __real_mkdir(path, mode);
}
int __wrap_fchmod(int fd, mode_t mode) {
  return Fails("fchmod", Needs::kNothing) ? -1 : __real_fchmod(fd, mode);
}
int __wrap_chmod(const char* path, mode_t mode) {
  return Fails("chmod", Needs::kNothing) ? -1 : __real_chmod(path, mode);
}
int __wrap_flock(int fd, int operation) {
  return Fails("flock", Needs::kNothing) ? -1 : __real_flock(fd, operation);
}
int __wrap_fsync(int fd) { return Fails("fsync", Needs::kRoom) ? -1 : __real_fsync(fd); }
ssize_t __wrap_read(int fd, void* buffer, std::size_t size) {
  return Fails("read", Needs::kNothing) ? -1 : __real_read(fd, buffer, size);
}
ssize_t __wrap_write(int fd, const void* buffer, std::size_t size) {
  if (!Fails("write", Needs::kRoom, /*writes=*/true)) return __real_write(fd, buffer, size);
  return errno != 0 ? -1 : __real_write(fd, buffer, (size + 1) / 2);
}
ssize_t __wrap_pwrite(int fd, const void* buffer, std::size_t size, off_t offset) {
  if (!Fails("pwrite", Needs::kRoom, /*writes=*/true)) {
    return __real_pwrite(fd, buffer, size, offset);
  }
  return errno != 0 ? -1 : __real_pwrite(fd, buffer, (size + 1) / 2, offset);
}
int __wrap_link(const char* from, const char* to) {
  return Fails("link", Needs::kRoom) ? -1 : __real_link(from, to);
}
int __wrap_rename(const char* from, const char* to) {
  return Fails("rename", Needs::kRoom) ? -1 : __real_rename(from, to);
}
int __wrap_renameat2(int from_fd, const char* from, int to_fd, const char* to, unsigned flags) {
  return Fails("renameat2", Needs::kRoom) ? -1 : __real_renameat2(from_fd, from, to_fd, to, flags);
}
// NOLINTEND

}  // extern "C"
