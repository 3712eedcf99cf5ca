#ifndef VOUCH_BENCH_POOL_RIVALS_FIFO_POOL_H_
#define VOUCH_BENCH_POOL_RIVALS_FIFO_POOL_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bench/pool/rivals/lent.h"
#include "pool/park.h"

namespace vouch::bench {

// FifoPool is the least that first come, first served can be: a mutex, a line of waiters, and a
// release that gives the resource to the oldest of them and wakes it up. No timeout, no statistics.
// Where a pool is exhausted it shows what being fair costs on this machine, whoever does it.
template <typename Resource>
class FifoPool {
 public:
  using Lease = Lent<FifoPool, Resource>;

  FifoPool(int size, const std::string& database) {
    for (int i = 0; i < size; ++i) {
      resources_.push_back(std::make_unique<Resource>(database));
      idle_.push_back(resources_.back().get());
    }
  }

  Lease Acquire() {
    Waiter self;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (!idle_.empty()) {
        Resource* const resource = idle_.back();
        idle_.pop_back();
        return Lease(this, resource);
      }
      line_.push_back(&self);
    }
    while (self.served.load(std::memory_order_acquire) == 0) {
      pool::Park(self.served, 0, pool::kForever);
    }
    return Lease(this, self.resource);
  }

 private:
  friend Lease;

  // On the waiter's stack.
  struct Waiter {
    Resource* resource = nullptr;  // handed over by `served`
    std::atomic<uint32_t> served{0};
  };

  void Release(Resource* resource) {
    Waiter* oldest = nullptr;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (line_.empty()) {
        idle_.push_back(resource);
        return;
      }
      oldest = line_.front();
      line_.pop_front();
    }
    oldest->resource = resource;
    oldest->served.store(1, std::memory_order_release);
    // The waiter may have left meanwhile: waking an address that nobody sleeps on is harmless.
    pool::Unpark(&oldest->served);
  }

  std::mutex mutex_;
  // Guarded by mutex_
  std::vector<Resource*> idle_;
  std::deque<Waiter*> line_;
  // Constant after construction
  std::vector<std::unique_ptr<Resource>> resources_;
};

}  // namespace vouch::bench

#endif  // VOUCH_BENCH_POOL_RIVALS_FIFO_POOL_H_
