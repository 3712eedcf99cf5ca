// Property: an acquire that could only wait for threads which themselves wait is refused at once;
// no other is.
// Method: the circles are built one step at a time. A refusal that does not come is a test that
// hangs: the acquires have no deadline.

#include <string>
#include <thread>
#include <vector>

#include "tests/pool/executors.h"
#include "tests/pool/stress.h"
#include "tests/pool/widget.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"

namespace vouch::pool {
namespace {

using test::StatusIs;
using testing::AllOf;
using testing::HasSubstr;

constexpr absl::Duration kForEver = absl::InfiniteDuration();

TEST(PoolDeadlockTest, AThreadDoesNotWaitForItself) {
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(1, 1), &factory);
  const int held_at = __LINE__ + 1;
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  const int asked_at = __LINE__ + 1;
  const absl::Status refused = pool->Acquire(kForEver).status();
  const std::string file = "pool_deadlock_test.cc:";
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kFailedPrecondition,
                                AllOf(HasSubstr("at " + file + std::to_string(asked_at)),
                                      HasSubstr("held at " + file + std::to_string(held_at)),
                                      HasSubstr("would wait for ever"))));
  EXPECT_EQ(pool->stats().deadlocks, 1u);
  EXPECT_EQ(pool->stats().waiting, 0);
  lease.Release();
  EXPECT_OK(pool->Acquire(kForEver));
}

TEST(PoolDeadlockTest, AThreadThatHoldsThemAll) {
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(0, 3), &factory);
  std::vector<Lease<Widget>> leases;
  for (int i = 0; i < 3; ++i) leases.push_back(*pool->Acquire());
  EXPECT_THAT(pool->Acquire(kForEver).status(), StatusIs(absl::StatusCode::kFailedPrecondition));
  leases.pop_back();
  EXPECT_OK(pool->Acquire(kForEver));
}

// Each of `count` threads holds one and asks for another, on a pool of `count`.
void MakeCircle(int count) {
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(0, count), &factory);
  std::atomic<int> holding{0}, refused{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) {
    threads.emplace_back([&] {
      auto first = pool->Acquire(kForEver);
      ASSERT_OK(first);
      ++holding;
      AwaitThat([&] { return holding == count; });
      const auto second = pool->Acquire(kForEver);
      if (second.ok()) return;
      EXPECT_THAT(second.status(), StatusIs(absl::StatusCode::kFailedPrecondition,
                                            HasSubstr("would wait for ever")));
      ++refused;
      first->Release();  // which serves another
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(refused, 1);
  EXPECT_EQ(pool->stats().deadlocks, 1u);
  ExpectComplete(*pool);
}

TEST(PoolDeadlockTest, OneOfTwoIsRefusedAndTheOtherServed) {
  for (int round = 0; round < 300; ++round) MakeCircle(2);
}

TEST(PoolDeadlockTest, OneOfManyIsRefusedAndTheOthersServed) {
  for (int round = 0; round < 60; ++round) MakeCircle(5);
}

// The circle is closed by a slot that goes out of use: a thread that has the first waits for the
// second, which comes back when there is to be one only.
TEST(PoolDeadlockTest, AWaiterIsLeftAloneByAResize) {
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(0, 1), &factory);
  std::atomic<bool> has_first{false}, second_is_lent{false};
  std::thread waiter([&] {
    const auto first = pool->Acquire(kForEver);
    ASSERT_OK(first);
    has_first = true;
    AwaitThat([&] { return second_is_lent.load(); });
    EXPECT_THAT(pool->Acquire(kForEver).status(),
                StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("would wait for ever")));
  });
  AwaitThat([&] { return has_first.load(); });
  EXPECT_OK(pool->Resize(0, 2));
  ASSERT_OK_AND_ASSIGN(auto second, pool->Acquire());
  second_is_lent = true;
  AwaitWaiting(*pool, 1);
  EXPECT_OK(pool->Resize(0, 1));
  second.Release();
  waiter.join();
  EXPECT_EQ(pool->stats().deadlocks, 1u);
  ExpectComplete(*pool);
}

// Not refused

TEST(PoolDeadlockTest, ALeaseThatMayBeReleasedElsewhere) {
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(1, 2), &factory);
  ASSERT_OK_AND_ASSIGN(auto mine, pool->Acquire());
  ASSERT_OK_AND_ASSIGN(auto transferable, pool->Acquire({.transferable = true}));
  std::thread other([&] {
    AwaitWaiting(*pool, 1);
    transferable.Release();
  });
  EXPECT_OK(pool->Acquire(kForEver));
  other.join();
  EXPECT_EQ(pool->stats().deadlocks, 0u);
}

TEST(PoolDeadlockTest, ALeaseOfAnAsynchronousAcquire) {
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(1, 1), &factory);
  Answer<Pool<Widget>> answer;
  pool->AcquireAsync(RunAtOnce, answer.done());
  std::thread other([&] {
    AwaitWaiting(*pool, 1);
    answer->value().Release();
  });
  EXPECT_OK(pool->Acquire(kForEver));
  other.join();
}

TEST(PoolDeadlockTest, AHolderThatDoesNotWait) {
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(2, 2), &factory);
  ASSERT_OK_AND_ASSIGN(auto mine, pool->Acquire());
  std::atomic<bool> holds{false};
  std::thread other([&] {
    ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
    holds = true;
    AwaitWaiting(*pool, 1);
  });
  AwaitThat([&] { return holds.load(); });
  EXPECT_OK(pool->Acquire(kForEver));
  other.join();
}

TEST(PoolDeadlockTest, OneThatHoldsNothing) {
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(1, 1), &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  std::thread waiter([&] { EXPECT_OK(pool->Acquire(kForEver)); });
  AwaitWaiting(*pool, 1);
  lease.Release();
  waiter.join();
}

TEST(PoolDeadlockTest, AResourceThatIsBeingOpened) {
  std::atomic<bool> may_open{true};
  std::atomic<int> calls{0};
  auto created =
      Pool<Widget>::Create(Untimed(0, 2), [&]() -> absl::StatusOr<std::unique_ptr<Widget>> {
        const int call = ++calls;
        AwaitThat([&] { return may_open.load(); });
        if (call == 2) return absl::UnavailableError("down");
        return std::make_unique<Widget>(call);
      });
  ASSERT_OK(created);
  const auto pool = *std::move(created);
  ASSERT_OK_AND_ASSIGN(auto mine, pool->Acquire());
  may_open = false;
  std::thread opener([&] { EXPECT_FALSE(pool->Acquire(kForEver).ok()); });
  AwaitThat([&] { return calls == 2; });
  std::thread other([&] {
    AwaitWaiting(*pool, 1);
    may_open = true;
  });
  EXPECT_OK(pool->Acquire(kForEver));
  opener.join();
  other.join();
  EXPECT_EQ(pool->stats().deadlocks, 0u);
}

TEST(PoolDeadlockTest, AnIdleResourceOfASuspendedPool) {
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(2, 2), &factory);
  ASSERT_OK_AND_ASSIGN(auto mine, pool->Acquire());
  EXPECT_OK(pool->Suspend());
  std::thread other([&] {
    AwaitWaiting(*pool, 1);
    EXPECT_OK(pool->Resume());
  });
  EXPECT_OK(pool->Acquire(kForEver));
  other.join();
}

TEST(PoolDeadlockTest, AfterMakeTransferable) {
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(1, 1), &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  lease.MakeTransferable();
  std::thread other([&] {
    AwaitWaiting(*pool, 1);
    lease.Release();
  });
  EXPECT_OK(pool->Acquire(kForEver));
  other.join();
}

// Threads that hold one at a time never make a circle, however it looks from slot to slot.
TEST(PoolDeadlockStressTest, NoFalseRefusals) {
  test::Random random;
  for (const int max : {1, 2, 3}) {
    WidgetFactory factory;
    const auto pool = MakePool(Untimed(0, max), &factory);
    InThreads(8, random, [&](test::Random& mine) {
      for (int i = 0; i < 1500; ++i) {
        auto lease = mine.OneIn(4) ? pool->Acquire({.timeout = kForEver, .label = "odd"})
                                   : pool->Acquire(kForEver);
        ASSERT_OK(lease);
        Use(**lease, mine);
        if (mine.OneIn(50)) lease->MarkBroken();
        if (mine.OneIn(50)) lease->Detach().reset();
      }
    });
    EXPECT_EQ(pool->stats().deadlocks, 0u);
    ExpectComplete(*pool);
  }
}

// Threads that hold some while they ask for another: whoever is refused lets go and tries again, and
// all come to an end.
TEST(PoolDeadlockStressTest, RealCirclesAreAlwaysBroken) {
  test::Random random;
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(0, 3), &factory);
  InThreads(5, random, [&](test::Random& mine) {
    for (int i = 0; i < 400; ++i) {
      std::vector<Lease<Widget>> held;
      for (int wanted = mine.Uniform(1, 3); wanted > 0; --wanted) {
        auto lease = pool->Acquire(kForEver);
        if (!lease.ok()) {
          ASSERT_THAT(lease.status(), StatusIs(absl::StatusCode::kFailedPrecondition));
          ASSERT_FALSE(held.empty());
          break;
        }
        Use(**lease, mine);
        held.push_back(*std::move(lease));
      }
    }
  });
  ExpectComplete(*pool);
}

}  // namespace
}  // namespace vouch::pool
