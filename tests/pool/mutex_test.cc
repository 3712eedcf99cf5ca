#include "pool/mutex.h"

#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace vouch::pool {
namespace {

struct Counter {
  Mutex mutex;
  CondVar changed;
  int value ABSL_GUARDED_BY(mutex) = 0;
};

TEST(MutexTest, Excludes) {
  Counter counter;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&counter] {
      for (int i = 0; i < 1000; ++i) {
        MutexLock lock(&counter.mutex);
        ++counter.value;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  MutexLock lock(&counter.mutex);
  EXPECT_EQ(counter.value, 4000);
}

TEST(MutexTest, TryLockFailsWhileHeld) {
  Mutex mutex;
  mutex.Lock();
  std::thread other([&mutex] {
    const bool locked = mutex.TryLock();
    EXPECT_FALSE(locked);
    if (locked) mutex.Unlock();
  });
  other.join();
  mutex.Unlock();
  if (mutex.TryLock()) {
    mutex.Unlock();
  } else {
    ADD_FAILURE() << "a free mutex could not be locked";
  }
}

TEST(CondVarTest, WakesAWaiter) {
  Counter counter;
  std::thread other([&counter] {
    MutexLock lock(&counter.mutex);
    counter.value = 1;
    counter.changed.SignalAll();
  });
  {
    MutexLock lock(&counter.mutex);
    while (counter.value == 0) counter.changed.Wait(&counter.mutex);
    EXPECT_EQ(counter.value, 1);
  }
  other.join();
}

TEST(CondVarTest, WaitForSaysWhenTimeRanOut) {
  Counter counter;
  MutexLock lock(&counter.mutex);
  while (counter.changed.WaitFor(&counter.mutex, absl::Milliseconds(1))) {
  }
}

TEST(CondVarTest, WaitsForEver) {
  Counter counter;
  std::thread other([&counter] {
    MutexLock lock(&counter.mutex);
    counter.value = 1;
    counter.changed.Signal();
  });
  {
    MutexLock lock(&counter.mutex);
    while (counter.value == 0) {
      EXPECT_TRUE(counter.changed.WaitFor(&counter.mutex, absl::InfiniteDuration()));
    }
  }
  other.join();
}

}  // namespace
}  // namespace vouch::pool
