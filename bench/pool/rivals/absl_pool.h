#ifndef VOUCH_BENCH_POOL_RIVALS_ABSL_POOL_H_
#define VOUCH_BENCH_POOL_RIVALS_ABSL_POOL_H_

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "bench/pool/rivals/lent.h"

namespace vouch::bench {

// AbslPool is MutexPool as users of Abseil write it: an absl::Mutex that knows the condition it is
// awaited with, and wakes a thread for which it is true.
template <typename Resource>
class AbslPool {
 public:
  using Lease = Lent<AbslPool, Resource>;

  AbslPool(int size, const std::string& database) {
    absl::MutexLock lock(&mutex_);
    for (int i = 0; i < size; ++i) {
      resources_.push_back(std::make_unique<Resource>(database));
      idle_.push_back(resources_.back().get());
    }
  }

  Lease Acquire() { return AcquireWithin(std::chrono::seconds(30)); }
  // Empty after the timeout.
  Lease AcquireWithin(std::chrono::nanoseconds timeout) {
    absl::MutexLock lock(&mutex_);
    if (idle_.empty() && !mutex_.AwaitWithTimeout(absl::Condition(this, &AbslPool::HasIdle),
                                                  absl::FromChrono(timeout))) {
      return Lease();
    }
    Resource* const resource = idle_.back();
    idle_.pop_back();
    return Lease(this, resource);
  }

 private:
  friend Lease;

  bool HasIdle() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return !idle_.empty(); }
  void Release(Resource* resource) {
    absl::MutexLock lock(&mutex_);
    idle_.push_back(resource);
  }

  absl::Mutex mutex_;
  std::vector<Resource*> idle_ ABSL_GUARDED_BY(mutex_);
  // Constant after construction
  std::vector<std::unique_ptr<Resource>> resources_;
};

}  // namespace vouch::bench

#endif  // VOUCH_BENCH_POOL_RIVALS_ABSL_POOL_H_
