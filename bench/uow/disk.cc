#include "bench/uow/disk.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>

namespace vouch::bench {
namespace {

// Counters and a setting of their own each; the threads that are measured add, and what is read is
// read after they ended, or may be a moment old.
std::atomic<std::int64_t> written_bytes{0};
std::atomic<std::int64_t> log_pages{0};
std::atomic<std::int64_t> syncs{0};
std::atomic<std::int64_t> sync_nanoseconds{-1};  // Below 0: the disk's own.

// A page of a write-ahead log is written after its header, which nothing else is as long as.
constexpr std::size_t kFrameHeader = 24;

void Sleep(std::int64_t nanoseconds) {
  // The kernel may add 50 µs to a thread's sleep otherwise.
  thread_local const int exact [[maybe_unused]] = prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);
  const timespec length = {nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000};
  clock_nanosleep(CLOCK_MONOTONIC, 0, &length, nullptr);
}

}  // namespace

DiskUse DiskUseNow() {
  return {written_bytes.load(std::memory_order_relaxed), log_pages.load(std::memory_order_relaxed),
          syncs.load(std::memory_order_relaxed)};
}

EmulatedSync::EmulatedSync(std::optional<std::chrono::microseconds> length) {
  if (length.has_value()) {
    sync_nanoseconds.store(std::chrono::nanoseconds(*length).count(), std::memory_order_relaxed);
  }
}

EmulatedSync::~EmulatedSync() { sync_nanoseconds.store(-1, std::memory_order_relaxed); }

}  // namespace vouch::bench

// A program's own definitions come before libc's for every library it loads, SQLite's among them.
extern "C" {

int fdatasync(int fd) {
  using namespace vouch::bench;
  syncs.fetch_add(1, std::memory_order_relaxed);
  const std::int64_t length = sync_nanoseconds.load(std::memory_order_relaxed);
  if (length < 0) return static_cast<int>(syscall(SYS_fdatasync, fd));
  if (length > 0) Sleep(length);
  return 0;
}

ssize_t pwrite64(int fd, const void* bytes, std::size_t size, off64_t offset) {
  using namespace vouch::bench;
  written_bytes.fetch_add(static_cast<std::int64_t>(size), std::memory_order_relaxed);
  if (size == kFrameHeader) log_pages.fetch_add(1, std::memory_order_relaxed);
  return syscall(SYS_pwrite64, fd, bytes, size, offset);
}

}  // extern "C"
