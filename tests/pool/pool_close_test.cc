#include <atomic>
#include <thread>
#include <vector>

#include "tests/pool/executors.h"
#include "tests/pool/widget.h"
#include "tests/support/status_matchers.h"

namespace vouch::pool {
namespace {

using test::StatusIs;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

TEST(PoolCloseTest, ClosesIdleResources) {
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(3, 3), &factory);
  EXPECT_OK(pool->Close(absl::ZeroDuration()));
  EXPECT_EQ(factory.live, 0);
  EXPECT_EQ(pool->stats().closed.shutdown, 3u);
  EXPECT_EQ(pool->stats().size, 0);
}

TEST(PoolCloseTest, RefusesNewcomers) {
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(1, 2), &factory);
  EXPECT_OK(pool->Close(absl::ZeroDuration()));
  EXPECT_THAT(pool->Acquire().status(), StatusIs(absl::StatusCode::kFailedPrecondition,
                                                 HasSubstr("acquire widgets: the pool is closed")));
  EXPECT_THAT(pool->Acquire(absl::ZeroDuration()).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(pool->TryAcquire().status(), StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST(PoolCloseTest, IsIdempotent) {
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(1, 2), &factory);
  EXPECT_OK(pool->Close(absl::ZeroDuration()));
  EXPECT_OK(pool->Close(absl::InfiniteDuration()));
  EXPECT_EQ(pool->stats().closed.shutdown, 1u);
}

TEST(PoolCloseTest, SaysWhoStillHoldsALease) {
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(1, 2), &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  const int line = __LINE__ - 1;
  EXPECT_THAT(pool->Close(absl::Milliseconds(1)),
              StatusIs(absl::StatusCode::kDeadlineExceeded,
                       AllOf(StartsWith("close widgets: 1 lease still out after 1ms; held at "),
                             HasSubstr("pool_close_test.cc:" + std::to_string(line)))));
  lease->uses = 1;  // still usable
  lease.Release();
  EXPECT_EQ(factory.live, 0);
  EXPECT_OK(pool->Close(absl::ZeroDuration()));
}

// There is no lease, and nobody to blame but the factory.
TEST(PoolCloseTest, SaysThatThePoolItselfIsOpening) {
  std::atomic<bool> may_open{true};
  std::atomic<int> calls{0};
  auto created = FakePool::Create(Untimed(1, 1), [&]() -> absl::StatusOr<std::unique_ptr<Widget>> {
    const int call = ++calls;
    AwaitThat([&] { return may_open.load(); });
    return std::make_unique<Widget>(call);
  });
  ASSERT_OK(created);
  const auto pool = *std::move(created);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire({.label = "innocent"}));
  may_open = false;
  lease.MarkBroken();
  lease.Release();
  AwaitThat([&] { return calls == 2; });
  FakePlatform::Advance(absl::Seconds(2));
  EXPECT_THAT(pool->Close(absl::ZeroDuration()),
              StatusIs(absl::StatusCode::kDeadlineExceeded,
                       testing::StrEq("close widgets: 1 resource being opened after 0; being "
                                      "opened by the pool itself (for 2s)")));
  may_open = true;
  EXPECT_OK(pool->Close(absl::InfiniteDuration()));
}

// Handed over, but its new owner has not come for it.
TEST(PoolCloseTest, SaysThatAResourceIsOnItsWay) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  ClosureQueue executor;
  Answer<FakePool> answer;
  pool->AcquireAsync(executor.executor(), answer.done());
  lease.Release();
  EXPECT_THAT(pool->Close(absl::ZeroDuration()),
              StatusIs(absl::StatusCode::kDeadlineExceeded,
                       testing::StrEq("close widgets: 1 resource being closed or on its way after "
                                      "0")));
  executor.DropOne();
  EXPECT_OK(pool->Close(absl::ZeroDuration()));
}

TEST(PoolCloseTest, WaitsForLeases) {
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(1, 2), &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  std::atomic<bool> released{false};
  std::thread holder([&] {
    // The pool is closing once it refuses.
    AwaitThat([&] {
      return pool->TryAcquire().status().code() == absl::StatusCode::kFailedPrecondition;
    });
    released = true;
    lease.Release();
  });
  EXPECT_OK(pool->Close(absl::InfiniteDuration()));
  EXPECT_TRUE(released);
  holder.join();
}

TEST(PoolCloseTest, SendsWaitersAway) {
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(1, 1), &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  std::vector<std::thread> waiters;
  for (int i = 0; i < 5; ++i) {
    waiters.emplace_back([&] {
      EXPECT_THAT(pool->Acquire(absl::InfiniteDuration()).status(),
                  StatusIs(absl::StatusCode::kFailedPrecondition));
    });
  }
  AwaitWaiting(*pool, 5);
  EXPECT_THAT(pool->Close(absl::ZeroDuration()), StatusIs(absl::StatusCode::kDeadlineExceeded));
  for (std::thread& waiter : waiters) waiter.join();
  lease.Release();
  EXPECT_EQ(factory.live, 0);
}

// Closing a resource may take long: here, until the waiter has gone.
TEST(PoolCloseTest, SendsWaitersAwayBeforeItClosesResources) {
  WidgetFactory factory;
  std::atomic<bool> gone{false};
  PoolHooks<Widget> hooks;
  hooks.before_close = [&](Widget&, CloseReason) { AwaitThat([&] { return gone.load(); }); };
  const auto pool = MakePool(Untimed(1, 1), &factory, hooks);
  ASSERT_OK(pool->Suspend());
  std::thread waiter([&] {
    EXPECT_THAT(pool->Acquire(absl::InfiniteDuration()).status(),
                StatusIs(absl::StatusCode::kFailedPrecondition));
    gone = true;
  });
  AwaitWaiting(*pool, 1);
  EXPECT_OK(pool->Close(absl::InfiniteDuration()));
  waiter.join();
  EXPECT_EQ(factory.live, 0);
}

TEST(PoolCloseTest, TheDestructorSendsWaitersAwayToo) {
  WidgetFactory factory;
  auto pool = MakePool(Untimed(1, 1), &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  std::thread waiter([&lease, raw = pool.get()] {
    EXPECT_THAT(raw->Acquire(absl::InfiniteDuration()).status(),
                StatusIs(absl::StatusCode::kFailedPrecondition));
    lease.Release();
  });
  AwaitWaiting(*pool, 1);
  pool.reset();
  waiter.join();
  EXPECT_EQ(factory.live, 0);
}

TEST(PoolCloseTest, ABrokenLeaseMayComeBackLate) {
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(1, 1), &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  EXPECT_FALSE(pool->Close(absl::ZeroDuration()).ok());
  lease.MarkBroken();
  lease.Release();
  EXPECT_EQ(factory.live, 0);
  EXPECT_OK(pool->Close(absl::ZeroDuration()));
  EXPECT_EQ(pool->stats().size, 0);
}

}  // namespace
}  // namespace vouch::pool
