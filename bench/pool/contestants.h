#ifndef VOUCH_BENCH_POOL_CONTESTANTS_H_
#define VOUCH_BENCH_POOL_CONTESTANTS_H_

#include <chrono>
#include <memory>

#include "bench/pool/rivals/mutex_pool.h"
#include "pool/pool.h"

namespace vouch::bench {

// The pools under one face, so that all run the same workload: Acquire() returns something that
// releases on destruction and reaches an Item by `->`.

// A resource whose use costs next to nothing, on a cache line of its own.
struct alignas(64) Item {
  int uses = 0;
};

class Vouch {
 public:
  explicit Vouch(int size) : pool_(Make(size)) {}
  pool::Lease<Item> Acquire() { return *pool_->Acquire(absl::Seconds(30)); }

 private:
  static std::unique_ptr<pool::Pool<Item>> Make(int size) {
    pool::PoolOptions options;
    options.min = options.max = size;
    return *pool::Pool<Item>::Create(options, []() -> absl::StatusOr<std::unique_ptr<Item>> {
      return std::make_unique<Item>();
    });
  }

  const std::unique_ptr<pool::Pool<Item>> pool_;
};

class MutexAndCondition {
 public:
  explicit MutexAndCondition(int size) : pool_(size) {}
  MutexPool<Item>::Lease Acquire() { return pool_.Acquire(std::chrono::seconds(30)); }

 private:
  MutexPool<Item> pool_;
};

}  // namespace vouch::bench

#endif  // VOUCH_BENCH_POOL_CONTESTANTS_H_
