#ifndef VOUCH_POOL_INTERNAL_KEEPER_H_
#define VOUCH_POOL_INTERNAL_KEEPER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <utility>

#include "pool/internal/platform.h"
#include "pool/mutex.h"

namespace vouch::pool::pool_internal {

// Keeper is a thread that looks after something: it runs a pass, sleeps until the time the pass
// returned, and runs the next; Nudge() has it run one now. A pool has one for its slots and one for
// the deadlines of its asynchronous acquires.
//
// Thread safety: Start, Nudge and Stop from any thread; Join by the owner.
// Ownership: what the pass touches must outlive Join(), which the destructor calls.
// Cost: Nudge and Stop are one system call; a keeper that was not started costs nothing.
template <typename Platform>
class Keeper {
 public:
  // Runs a pass; returns when the next is due on Platform's clock, kForever for never.
  using Pass = std::function<int64_t()>;

  Keeper() = default;
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;
  ~Keeper() {
    Stop();
    Join();
  }

  // Starts the thread, unless it has been started.
  void Start(Pass pass) {
    if (started_.load(std::memory_order_relaxed)) return;
    MutexLock lock(&mutex_);
    if (started_.load(std::memory_order_relaxed)) return;
    thread_ = std::thread([this, run = std::move(pass)] { Run(run); });
    started_.store(true, std::memory_order_relaxed);
  }

  void Nudge() {
    signal_.fetch_add(1, std::memory_order_release);
    Platform::Unpark(signal_);
  }

  // No pass begins after this; one that is under way ends by itself.
  void Stop() {
    stopped_.store(true, std::memory_order_release);
    Nudge();
  }

  bool stopped() const { return stopped_.load(std::memory_order_acquire); }

  // REQUIRES: Stop().
  void Join() {
    std::thread thread = TakeThread();
    if (thread.joinable()) thread.join();
  }

 private:
  std::thread TakeThread() {
    MutexLock lock(&mutex_);
    return std::move(thread_);
  }

  void Run(const Pass& pass) {
    for (;;) {
      // Read before the pass: what nudges during the pass makes Park return at once.
      const uint32_t signal = signal_.load(std::memory_order_acquire);
      if (stopped()) return;
      const int64_t next = pass();
      Platform::Park(signal_, signal, next);
    }
  }

  // signal_: counts nudges; the thread parks on it. Written by Nudge (release), read by the thread
  //   (acquire): a pass sees what was done before the nudge that caused it.
  // stopped_: written by Stop before its nudge (release), read by the thread (acquire).
  // started_: written by Start under the mutex, read by Start also without: relaxed, as who reads
  //   true does nothing.
  typename Platform::template Atomic<uint32_t> signal_{0};
  typename Platform::template Atomic<bool> stopped_{false};
  typename Platform::template Atomic<bool> started_{false};

  Mutex mutex_;
  std::thread thread_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace vouch::pool::pool_internal

#endif  // VOUCH_POOL_INTERNAL_KEEPER_H_
