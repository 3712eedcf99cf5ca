// What this process asks of its disk, counted where SQLite leaves for the operating system; and a
// sync that takes as long as one likes, as another disk's would.

#ifndef VOUCH_BENCH_UOW_DISK_H_
#define VOUCH_BENCH_UOW_DISK_H_

#include <chrono>
#include <cstdint>
#include <optional>

namespace vouch::bench {

// Since the process began, of all files. SQLite's are the only ones.
struct DiskUse {
  std::int64_t written_bytes = 0;
  std::int64_t log_pages = 0;  // Frames written to a write-ahead log.
  std::int64_t syncs = 0;
};

DiskUse DiskUseNow();

// While it lives, a sync is a sleep of this length, and nothing reaches the disk for it. None: the
// disk's own syncs.
class EmulatedSync {
 public:
  explicit EmulatedSync(std::optional<std::chrono::microseconds> length);
  ~EmulatedSync();
  EmulatedSync(const EmulatedSync&) = delete;
  EmulatedSync& operator=(const EmulatedSync&) = delete;
};

}  // namespace vouch::bench

#endif  // VOUCH_BENCH_UOW_DISK_H_
