// Suspend and Resume. The clock moves only when the test moves it.

#include <string>
#include <thread>
#include <vector>

#include "tests/pool/executors.h"
#include "tests/pool/stress.h"
#include "tests/pool/widget.h"
#include "tests/support/status_matchers.h"

namespace vouch::pool {
namespace {

using test::StatusIs;
using testing::AllOf;
using testing::HasSubstr;

TEST(PoolSuspendTest, NewcomersGetNothing) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 2), &factory);
  EXPECT_OK(pool->Acquire());  // this thread has a hint now
  EXPECT_OK(pool->Suspend());
  EXPECT_TRUE(pool->stats().suspended);
  EXPECT_THAT(pool->TryAcquire().status(),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("the pool is suspended")));
  EXPECT_THAT(pool->Acquire(absl::ZeroDuration()).status(),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_EQ(factory.live, 1);  // kept
  EXPECT_OK(pool->Resume());
  EXPECT_FALSE(pool->stats().suspended);
  ASSERT_OK_AND_ASSIGN(const auto lease, pool->Acquire(absl::ZeroDuration()));
  EXPECT_EQ(lease->id, 1);
}

TEST(PoolSuspendTest, ATimeoutNamesTheSuspension) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  EXPECT_OK(pool->Suspend());
  std::thread waiter([&] {
    EXPECT_THAT(
        pool->Acquire(absl::Seconds(3)).status(),
        StatusIs(absl::StatusCode::kDeadlineExceeded,
                 AllOf(HasSubstr("after 3s"), HasSubstr("the pool is suspended, until Resume()"))));
  });
  AwaitWaiting(*pool, 1);
  FakePlatform::Advance(absl::Seconds(3));
  waiter.join();
  EXPECT_OK(pool->Resume());
  EXPECT_OK(pool->Acquire(absl::ZeroDuration()));
}

TEST(PoolSuspendTest, WhatIsReleasedIsKept) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(0, 2), &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  EXPECT_OK(pool->Suspend());
  lease->uses = 7;  // still usable
  EXPECT_EQ(pool->stats().leased, 1);
  lease.Release();
  EXPECT_EQ(pool->stats().leased, 0);
  EXPECT_EQ(factory.live, 1);
  EXPECT_THAT(pool->TryAcquire().status(), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_OK(pool->Resume());
  ASSERT_OK_AND_ASSIGN(const auto again, pool->Acquire());
  EXPECT_EQ(again->uses, 7);
  EXPECT_EQ(ClosedInAll(pool->stats()), 0u);
}

TEST(PoolSuspendTest, WhatIsReleasedBrokenIsClosedAndReplacedAfterwards) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  EXPECT_OK(pool->Suspend());
  lease.MarkBroken();
  lease.Release();
  EXPECT_EQ(factory.live, 0);
  EXPECT_OK(pool->Resume());
  AwaitThat([&] { return pool->stats().size == 1; });
}

// Who waited before and who came meanwhile, threads and closures: all in their order.
TEST(PoolSuspendTest, WaitersKeepTheirPlaces) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  constexpr int kWaiters = 8;
  std::vector<int> order;  // guarded by holding the only widget
  std::vector<std::thread> threads;
  for (int i = 0; i < kWaiters; ++i) {
    if (i == kWaiters / 2) {
      EXPECT_OK(pool->Suspend());
    }
    if (i % 2 == 0) {
      threads.emplace_back([&, i] {
        const auto mine = pool->Acquire(absl::InfiniteDuration());
        ASSERT_OK(mine);
        order.push_back(i);
      });
    } else {
      pool->AcquireAsync(RunAtOnce,
                         [&order, i](absl::StatusOr<FakeLease> mine) {
                           EXPECT_OK(mine);
                           order.push_back(i);
                         },
                         {.timeout = absl::InfiniteDuration()});
    }
    AwaitWaiting(*pool, i + 1);
  }
  FakePlatform::Advance(absl::Milliseconds(1));
  lease.Release();
  EXPECT_EQ(pool->stats().leased, 0);
  EXPECT_EQ(pool->stats().waiting, kWaiters);
  EXPECT_OK(pool->Resume());
  for (std::thread& thread : threads) thread.join();
  AwaitWaiting(*pool, 0);
  EXPECT_THAT(order, testing::ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
}

TEST(PoolSuspendTest, YoungWaitersAreServedOnResume) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 2), &factory);  // one idle, one empty
  EXPECT_OK(pool->Suspend());
  std::vector<std::thread> threads;
  for (int i = 0; i < 5; ++i) {
    threads.emplace_back([&] { EXPECT_OK(pool->Acquire(absl::InfiniteDuration())); });
  }
  AwaitWaiting(*pool, 5);
  EXPECT_OK(pool->Resume());
  for (std::thread& thread : threads) thread.join();
}

TEST(PoolSuspendTest, BothAreIdempotent) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  EXPECT_OK(pool->Resume());
  EXPECT_OK(pool->Acquire());
  EXPECT_OK(pool->Suspend());
  EXPECT_OK(pool->Suspend());
  EXPECT_FALSE(pool->TryAcquire().ok());
  EXPECT_OK(pool->Resume());  // once is enough
  EXPECT_OK(pool->TryAcquire());
  EXPECT_OK(pool->Resume());
  ExpectComplete(*pool);
}

TEST(PoolSuspendTest, CloseWhileSuspended) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(2, 3), &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  EXPECT_OK(pool->Suspend());
  std::thread waiter([&] {
    EXPECT_THAT(pool->Acquire(absl::InfiniteDuration()).status(),
                StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("closed")));
  });
  AwaitWaiting(*pool, 1);
  EXPECT_THAT(pool->Close(absl::ZeroDuration()), StatusIs(absl::StatusCode::kDeadlineExceeded));
  waiter.join();
  EXPECT_EQ(factory.live, 1);
  lease.Release();
  EXPECT_OK(pool->Close(absl::ZeroDuration()));
  EXPECT_EQ(factory.live, 0);
  EXPECT_OK(pool->Resume());  // too late
  EXPECT_THAT(pool->TryAcquire().status(), StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST(PoolSuspendTest, ASuspendedPoolMayBeDestroyed) {
  WidgetFactory factory;
  EXPECT_OK(MakePool<FakePool>(Untimed(2, 2), &factory)->Suspend());
  EXPECT_EQ(factory.live, 0);
}

TEST(PoolSuspendTest, NothingIsRefilledUntilResume) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(0, 2), &factory);
  EXPECT_OK(pool->Suspend());
  EXPECT_OK(pool->Resize(2, 2));
  AwaitKeeper(*pool);
  EXPECT_EQ(factory.made, 0);
  EXPECT_OK(pool->Resume());
  AwaitThat([&] { return pool->stats().size == 2; });
}

}  // namespace
}  // namespace vouch::pool
