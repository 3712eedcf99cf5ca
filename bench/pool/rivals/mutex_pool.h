#ifndef VOUCH_BENCH_POOL_RIVALS_MUTEX_POOL_H_
#define VOUCH_BENCH_POOL_RIVALS_MUTEX_POOL_H_

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace vouch::bench {

// MutexPool is the pool most programs write: a vector of idle resources, last in first out, under a
// mutex, and a condition variable to wait on. Written as well as its shape allows: no allocation
// after construction, one notification per release, sent after unlocking and only if somebody
// waits.
template <typename Resource>
class MutexPool {
 public:
  class Lease {
   public:
    Lease() = default;
    Lease(MutexPool* pool, Resource* resource) : pool_(pool), resource_(resource) {}
    Lease(Lease&& other) noexcept
        : pool_(other.pool_), resource_(std::exchange(other.resource_, nullptr)) {}
    Lease& operator=(Lease&&) = delete;
    ~Lease() {
      if (resource_ != nullptr) pool_->Release(resource_);
    }
    explicit operator bool() const { return resource_ != nullptr; }
    Resource* operator->() const { return resource_; }

   private:
    MutexPool* pool_ = nullptr;
    Resource* resource_ = nullptr;
  };

  explicit MutexPool(int size) {
    for (int i = 0; i < size; ++i) {
      resources_.push_back(std::make_unique<Resource>());
      idle_.push_back(resources_.back().get());
    }
  }

  // Empty after the timeout.
  Lease Acquire(std::chrono::nanoseconds timeout) {
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
