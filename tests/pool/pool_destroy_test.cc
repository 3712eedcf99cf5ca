// The end of a pool, and releases that come after it was closed or from elsewhere.

#include <thread>
#include <utility>
#include <vector>

#include "tests/pool/stress.h"
#include "tests/pool/widget.h"
#include "tests/support/status_matchers.h"

namespace vouch::pool {
namespace {

// Destroys a pool while this very function holds a lease of it.
void DestroyInUse() {
  WidgetFactory factory;
  PoolOptions options = Untimed(0, 2);
  options.destroy_timeout = absl::Milliseconds(1);
  auto pool = MakePool(options, &factory);
  const auto lease = pool->Acquire({.label = "forgotten"});
  pool.reset();
}

TEST(PoolDestroyDeathTest, NamesTheHoldersAndAborts) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(DestroyInUse(),
               "a pool is being destroyed while it is in use: close widgets: 1 lease still out "
               "after 1ms; held at pool_destroy_test.cc:[0-9]+ 'forgotten'");
}

TEST(PoolDestroyTest, WaitsForALease) {
  WidgetFactory factory;
  for (int round = 0; round < 200; ++round) {
    auto pool = MakePool(Untimed(1, 1), &factory);
    auto lease = pool->Acquire();
    ASSERT_OK(lease);
    std::thread holder([held = *std::move(lease)]() mutable {
      std::this_thread::yield();
      ++held->uses;
      held.Release();
    });
    pool.reset();
    EXPECT_EQ(factory.live, 0);
    holder.join();
  }
}

TEST(PoolDestroyTest, AReleaseAfterCloseClosesTheResource) {
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(2, 2), &factory);
  ASSERT_OK_AND_ASSIGN(auto first, pool->Acquire());
  ASSERT_OK_AND_ASSIGN(auto second, pool->Acquire());
  EXPECT_FALSE(pool->Close(absl::ZeroDuration()).ok());
  EXPECT_EQ(factory.live, 2);
  first.Release();
  EXPECT_EQ(factory.live, 1);
  EXPECT_FALSE(pool->Close(absl::ZeroDuration()).ok());
  second.Release();
  EXPECT_EQ(factory.live, 0);
  EXPECT_OK(pool->Close(absl::ZeroDuration()));
  EXPECT_EQ(pool->stats().closed.shutdown, 2u);
}

TEST(PoolDestroyTest, AReleaseOnAnotherThread) {
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(1, 1), &factory);
  for (int i = 1; i <= 100; ++i) {
    auto lease = pool->Acquire({.transferable = true});
    ASSERT_OK(lease);
    EXPECT_EQ((*lease)->uses, i - 1);
    std::thread other([held = *std::move(lease)]() mutable { ++held->uses; });
    EXPECT_OK(pool->Acquire(absl::InfiniteDuration()));
    other.join();
  }
  EXPECT_EQ(pool->stats().deadlocks, 0u);
  ExpectComplete(*pool);
}

}  // namespace
}  // namespace vouch::pool
