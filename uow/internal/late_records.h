// LateRecords: sees to it that units which failed get into the ledger soon, though no other unit
// comes and takes their records with it. Its thread waits for company for a while, then writes.
//
//     idle ──Expect()──> waiting for company ──`delay` later──> writing ──OK──> idle
//                                 ^                                │
//                                 └──────── later and later ───────┘ it failed
//
// The thread is started by the first Expect(): an engine whose units all succeed has none.
//
// Thread safety: any thread; Stop() by the owner.
// Ownership: what `write` touches must outlive Stop(), which the destructor calls. In a forked child,
//   where the thread does not exist, it is forgotten.
// Cost: Expect() is a lock, and a wake where the thread sleeps for want of anything to do.

#ifndef VOUCH_UOW_INTERNAL_LATE_RECORDS_H_
#define VOUCH_UOW_INTERNAL_LATE_RECORDS_H_

#include <functional>
#include <memory>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "pool/fork_guard.h"
#include "pool/mutex.h"

namespace vouch::uow {

class LateRecords {
 public:
  // `write` writes what there is to be written, which may be nothing; it is called by one thread.
  LateRecords(absl::Duration delay, std::function<absl::Status()> write);
  ~LateRecords() { Stop(); }
  LateRecords(const LateRecords&) = delete;
  LateRecords& operator=(const LateRecords&) = delete;

  // Has `write` called within `delay`, or as long as the one that is under way takes; not any more
  // after Stop().
  void Expect();

  // Returns when `write` is not running and will not be called again. What is still expected then is
  // the caller's to write. Idempotent.
  void Stop();

 private:
  void Run();
  // The thread, and the lock that it may have held, are the parent's.
  void Forget() ABSL_NO_THREAD_SAFETY_ANALYSIS { (void)thread_.release(); }
  // How long to wait before `write` is called again, after one that had been waited for so long.
  static absl::Duration NextDelay(absl::Duration delay);

  const absl::Duration delay_;
  const std::function<absl::Status()> write_;
  const pool::ForkGuard fork_guard_;

  pool::Mutex mutex_;
  pool::CondVar changed_;  // expected_ or stopped_; the thread waits.
  bool expected_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::unique_ptr<std::thread> thread_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace vouch::uow

#endif  // VOUCH_UOW_INTERNAL_LATE_RECORDS_H_
