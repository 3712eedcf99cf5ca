#ifndef VOUCH_POOL_INTERNAL_KEEPER_H_
#define VOUCH_POOL_INTERNAL_KEEPER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include "pool/internal/platform.h"
#include "pool/mutex.h"

namespace vouch::pool::pool_internal {

// Keeper is the one thread of a pool. It runs a pass over the slots, sleeps until the time the pass
// returned, and runs the next; Nudge() has it run one now.
//
// Thread safety: Start, Nudge and Stop from any thread; Join and Abandon by the owner.
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
    MutexLock lock(&mutex_);
    if (thread_ != nullptr) return;
    thread_ = std::make_unique<std::thread>([this, run = std::move(pass)] { Run(run); });
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
    const std::unique_ptr<std::thread> thread = TakeThread();
    if (thread != nullptr) thread->join();
  }

  // In a forked child, where the thread does not exist: forgets it.
  void Abandon() { TakeThread().release(); }

 private:
  std::unique_ptr<std::thread> TakeThread() {
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
  typename Platform::template Atomic<uint32_t> signal_{0};
  typename Platform::template Atomic<bool> stopped_{false};

  Mutex mutex_;
  std::unique_ptr<std::thread> thread_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace vouch::pool::pool_internal

#endif  // VOUCH_POOL_INTERNAL_KEEPER_H_
