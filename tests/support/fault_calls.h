// FaultCalls: the system calls that the storage layer makes itself, past SQLite, with errors on
// demand: of backups and restores, which name, copy and sync files.
//
//   FaultCalls calls;
//   calls.Arm({.at = 7, .error = EIO});
//   … BackUp(…) …
//   calls.Disarm();
//   if (!calls.failed().empty()) std::cout << calls.failed();   // "fsync"
//
// The linker puts these in the place of libc's (--wrap) in what is linked into the test itself;
// SQLite, a library by itself, has tests/support/fault_vfs.h. Calls that only ask or clear away
// (stat, close, unlink) do not fail.
//
// Thread safety: any thread. Ownership: one at a time.

#ifndef VOUCH_TESTS_SUPPORT_FAULT_CALLS_H_
#define VOUCH_TESTS_SUPPORT_FAULT_CALLS_H_

#include <cstdint>
#include <string>

namespace vouch::test {

struct CallPlan {
  std::int64_t at = 0;  // Which of the calls that `error` can hit, from 1; 0: none.
  bool sticky = false;  // And all after it.
  int error = 0;        // ENOSPC hits what may need room, others all; 0: a write writes only half.
};

class FaultCalls {
 public:
  FaultCalls() = default;
  ~FaultCalls() { Disarm(); }
  FaultCalls(const FaultCalls&) = delete;
  FaultCalls& operator=(const FaultCalls&) = delete;

  // Counts from zero, and fails what `plan` says.
  void Arm(const CallPlan& plan);
  void Disarm() { Arm({}); }

  // Since Arm(): the first call that failed, empty when none did.
  std::string failed() const;
};

}  // namespace vouch::test

#endif  // VOUCH_TESTS_SUPPORT_FAULT_CALLS_H_
