// CacheStats: how often the connections of one database found a statement prepared.
//
// Each connection counts for itself, in words that only its holder writes; CacheRegistry adds them
// up, including what connections counted that have been closed since.
//
// Thread safety: CacheCounters: Count…() by the connection's holder, Read() by any thread.
//   CacheRegistry: any thread.
// Memory ordering: all relaxed. Advisory, they decide nothing.
// Ownership: each registration holds the registry, so their order of destruction does not matter.
// Cost: counting is one plain load and store; Sum() takes a mutex and visits each connection.

#ifndef VOUCH_STORAGE_SQLITE_CACHE_STATS_H_
#define VOUCH_STORAGE_SQLITE_CACHE_STATS_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "pool/mutex.h"

namespace vouch::storage {

struct CacheStats {
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;

  // Between 0 and 1; 0 when nothing was asked for.
  double hit_ratio() const {
    const std::uint64_t all = hits + misses;
    return all == 0 ? 0 : static_cast<double>(hits) / static_cast<double>(all);
  }
};

class CacheCounters {
 public:
  void CountHit() { Add(hits_); }
  void CountMiss() { Add(misses_); }
  void Reset() {
    hits_.store(0, std::memory_order_relaxed);
    misses_.store(0, std::memory_order_relaxed);
  }
  CacheStats Read() const {
    return {.hits = hits_.load(std::memory_order_relaxed),
            .misses = misses_.load(std::memory_order_relaxed)};
  }

 private:
  // There is one writer at a time, whom the pool orders after the last: no read-modify-write.
  static void Add(std::atomic<std::uint64_t>& counter) {
    counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }

  std::atomic<std::uint64_t> hits_{0};
  std::atomic<std::uint64_t> misses_{0};
};

class CacheRegistry {
 public:
  CacheStats Sum() const {
    const pool::MutexLock lock(&mutex_);
    CacheStats sum = closed_;
    for (const CacheCounters* counters : open_) Accumulate(*counters, sum);
    return sum;
  }

  void Add(const CacheCounters& counters) {
    const pool::MutexLock lock(&mutex_);
    open_.push_back(&counters);
  }
  // Keeps what `counters` have counted, if they were added.
  void Remove(const CacheCounters& counters) {
    const pool::MutexLock lock(&mutex_);
    if (std::erase(open_, &counters) != 0) Accumulate(counters, closed_);
  }

 private:
  static void Accumulate(const CacheCounters& counters, CacheStats& sum) {
    const CacheStats stats = counters.Read();
    sum.hits += stats.hits;
    sum.misses += stats.misses;
  }

  mutable pool::Mutex mutex_;
  std::vector<const CacheCounters*> open_ ABSL_GUARDED_BY(mutex_);
  CacheStats closed_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_SQLITE_CACHE_STATS_H_
