#ifndef VOUCH_TESTS_POOL_STRESS_H_
#define VOUCH_TESTS_POOL_STRESS_H_

#include <pthread.h>

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "tests/pool/widget.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"

// What the pool's stress tests share.

namespace vouch::pool {

// Holds the widget for a moment and checks that nobody else does.
inline void Use(Widget& widget, test::Random& random) {
  EXPECT_EQ(++widget.holders, 1);
  ++widget.uses;
  if (random.OneIn(4)) std::this_thread::yield();
  if (random.OneIn(64)) std::this_thread::sleep_for(std::chrono::microseconds(100));
  EXPECT_EQ(--widget.holders, 0);
}

// Runs `body` in so many threads, each with its own random numbers, and waits for them.
template <typename Body>
void InThreads(int count, test::Random& random, const Body& body) {
  std::vector<std::thread> threads;
  for (int t = 0; t < count; ++t) {
    threads.emplace_back([&body, seed = random.Next()] {
      test::Random mine(seed);
      body(mine);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// Threads that are made while it lives have small stacks: then there can be many.
class SmallStacks {
 public:
  SmallStacks() {
    pthread_attr_t attributes;
    if (pthread_getattr_default_np(&attributes) != 0) std::abort();
    if (pthread_attr_getstacksize(&attributes, &usual_size_) != 0) std::abort();
    pthread_attr_destroy(&attributes);
    Set(kSize);
  }
  ~SmallStacks() { Set(usual_size_); }
  SmallStacks(const SmallStacks&) = delete;
  SmallStacks& operator=(const SmallStacks&) = delete;

 private:
  static constexpr size_t kSize = 1024 * 1024;  // the sanitizers need most of it

  static void Set(size_t size) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    if (pthread_attr_setstacksize(&attributes, size) != 0) std::abort();
    if (pthread_setattr_default_np(&attributes) != 0) std::abort();
    pthread_attr_destroy(&attributes);
  }

  size_t usual_size_ = 0;
};

// All places are there: all can be taken at once, and no more. A place that is missing makes the
// last acquire wait for this thread itself, which is refused.
template <typename AnyPool>
void ExpectComplete(AnyPool& pool) {
  const int capacity = pool.stats().capacity;
  std::vector<typename AnyPool::LeaseType> leases;
  for (int i = 0; i < capacity; ++i) {
    ASSERT_OK_AND_ASSIGN(auto lease, pool.Acquire(absl::InfiniteDuration()));
    leases.push_back(std::move(lease));
  }
  EXPECT_FALSE(pool.TryAcquire().ok());
  EXPECT_EQ(pool.stats().waiting, 0);
  EXPECT_EQ(pool.stats().opening, 0);
}

// Resources opened are those that are open, were detached, or were closed for some reason.
inline uint64_t ClosedInAll(const PoolStats& stats) {
  const PoolStats::Closed& closed = stats.closed;
  return closed.idle + closed.lifetime + closed.broken + closed.invalid + closed.rejected +
         closed.resize + closed.shutdown;
}

}  // namespace vouch::pool

#endif  // VOUCH_TESTS_POOL_STRESS_H_
