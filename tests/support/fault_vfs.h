// FaultVfs: SQLite's default file system with errors on demand and a memory of what was written.
//
//   FaultVfs vfs;                                      // the default for files opened from now on
//   vfs.Arm({.at = 7, .fault = IoFault::kError});      // the seventh call fails
//   … use a database …
//   vfs.Disarm();
//   if (!vfs.failed().empty()) std::cout << vfs.failed();   // "write of app.db-wal"
//
// Every call that a fault can hit is counted. Files are read through calls, never through a
// mapping, so that reads are counted too. A sync does nothing: the tests that use this do not lose
// power, they build what a loss of power would leave from the recorded events
// (tests/support/power_loss.h).
//
// Thread safety: any thread, except construction and destruction.
// Ownership: files opened through it must be closed before it is destroyed. One at a time.

#ifndef VOUCH_TESTS_SUPPORT_FAULT_VFS_H_
#define VOUCH_TESTS_SUPPORT_FAULT_VFS_H_

#include <sqlite3.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pool/mutex.h"

namespace vouch::test {

enum class IoCall {
  kOpen,
  kRead,
  kWrite,
  kTruncate,
  kSync,
  kFileSize,
  kLock,
  kShmMap,
  kShmLock,
  kDelete,
  kAccess,
};
inline constexpr std::size_t kIoCalls = 11;
const char* NameOf(IoCall call);

enum class IoFault {
  kError,       // Any call: nothing is done, and SQLite gets its I/O error for that call.
  kFull,        // Writes, and making room for shared memory: nothing is done, the disk is full.
  kShortWrite,  // Writes: the first half is written, the rest is an I/O error.
};

struct FaultPlan {
  std::int64_t at = 0;  // Which of the calls that `fault` can hit, from 1; 0: none.
  bool sticky = false;  // And all after it.
  IoFault fault = IoFault::kError;
  std::optional<IoCall> call = {};  // Only calls of this kind are hit, and counted by `at`;
  bool spreads = false;             // but after the first, if sticky, calls of all kinds.
};

// Something that changed the disk, or may have.
struct IoEvent {
  enum class Kind { kOpen, kWrite, kTruncate, kSync, kFailedSync, kDelete };
  Kind kind;
  std::string name;         // Without its folder.
  std::int64_t offset = 0;  // kTruncate: the new size.
  std::string data = {};
  bool directory = false;  // kSync and kDelete: its folder is synced as well.
};

class FaultVfs {
 public:
  FaultVfs();
  ~FaultVfs();
  FaultVfs(const FaultVfs&) = delete;
  FaultVfs& operator=(const FaultVfs&) = delete;

  // Counts from zero, and fails what `plan` says.
  void Arm(const FaultPlan& plan);
  void Disarm() { Arm({}); }

  // Files opened from now on have no shared memory, as on network file systems.
  void HideSharedMemory();

  // Since Arm(): the calls that its fault can hit, those of one kind, and the first that failed.
  std::int64_t calls() const;
  std::int64_t calls(IoCall call) const;
  std::string failed() const;

  // The events since construction or StartRecording(), of files that have a name.
  void StartRecording();
  std::vector<IoEvent> events() const;
  std::size_t event_count() const;

 private:
  struct File;
  struct Methods;

  // Whether this call of `file`, which may be null, is to fail.
  bool Fails(IoCall call, const char* file);
  IoFault Fault() const;
  bool HasSharedMemory() const;
  void Record(IoEvent event);

  sqlite3_vfs* const real_;
  sqlite3_vfs vfs_;

  mutable pool::Mutex mutex_;
  bool has_shared_memory_ ABSL_GUARDED_BY(mutex_) = true;
  FaultPlan plan_ ABSL_GUARDED_BY(mutex_);
  std::int64_t hit_ ABSL_GUARDED_BY(mutex_) = 0;
  std::array<std::int64_t, kIoCalls> counts_ ABSL_GUARDED_BY(mutex_){};
  std::string failed_ ABSL_GUARDED_BY(mutex_);
  std::vector<IoEvent> events_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace vouch::test

#endif  // VOUCH_TESTS_SUPPORT_FAULT_VFS_H_
