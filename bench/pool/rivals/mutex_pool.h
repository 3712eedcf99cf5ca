#ifndef VOUCH_BENCH_POOL_RIVALS_MUTEX_POOL_H_
#define VOUCH_BENCH_POOL_RIVALS_MUTEX_POOL_H_

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bench/pool/rivals/lent.h"

namespace vouch::bench {

// MutexPool is the pool most programs write: a vector of idle resources, last in first out, under a
// mutex, and a condition variable to wait on. Written as well as its shape allows: no allocation
// after construction, one notification per release, sent after unlocking and only if somebody
// waits.
template <typename Resource>
class MutexPool {
 public:
  using Lease = Lent<MutexPool, Resource>;

  MutexPool(int size, const std::string& database) {
    for (int i = 0; i < size; ++i) {
      resources_.push_back(std::make_unique<Resource>(database));
      idle_.push_back(resources_.back().get());
    }
  }

  Lease Acquire() { return AcquireWithin(std::chrono::seconds(30)); }
  // Empty after the timeout.
  Lease AcquireWithin(std::chrono::nanoseconds timeout) {
    std::unique_lock<std::mutex> lock(mutex_);
    if (idle_.empty()) {
      ++waiting_;
      const bool available = available_.wait_for(lock, timeout, [this] { return !idle_.empty(); });
      --waiting_;
      if (!available) return Lease();
    }
    Resource* const resource = idle_.back();
    idle_.pop_back();
    return Lease(this, resource);
  }

 private:
  friend Lease;

  void Release(Resource* resource) {
    bool wake = false;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      idle_.push_back(resource);
      wake = waiting_ > 0;
    }
    if (wake) available_.notify_one();
  }

  std::mutex mutex_;
  std::condition_variable available_;
  // Guarded by mutex_
  std::vector<Resource*> idle_;
  int waiting_ = 0;
  // Constant after construction
  std::vector<std::unique_ptr<Resource>> resources_;
};

}  // namespace vouch::bench

#endif  // VOUCH_BENCH_POOL_RIVALS_MUTEX_POOL_H_
