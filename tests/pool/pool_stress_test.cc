// Property: under real threads no resource has two holders, none is lost, and everybody who waits
// without a deadline is served.
// Method: random acquires, holds, timeouts, broken leases and releases, seeded; then the pool must
// still have all its places. ThreadSanitizer checks that one holder's writes reach the next
// (Widget::uses is not atomic).
// Failure looks like a wrong count, a data race, or a test that hangs.

#include <thread>
#include <vector>

#include "tests/pool/stress.h"
#include "tests/pool/widget.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"

namespace vouch::pool {
namespace {

TEST(PoolStressTest, EverybodyIsServed) {
  test::Random random;
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(1, 3), &factory);
  std::atomic<uint64_t> served{0};
  InThreads(12, random, [&](test::Random& mine) {
    for (int i = 0; i < 1500; ++i) {
      auto lease = pool->Acquire(absl::InfiniteDuration());
      ASSERT_OK(lease);
      Use(**lease, mine);
      ++served;
    }
  });
  EXPECT_EQ(served, 12u * 1500u);
  EXPECT_EQ(pool->stats().acquired, served);
  EXPECT_LE(factory.made, 3);
  ExpectComplete(*pool);
}

// Timeouts so short that grants race them all the time.
TEST(PoolStressTest, AGrantThatRacesATimeoutIsNotLost) {
  test::Random random;
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(2, 2), &factory);
  std::atomic<uint64_t> served{0};
  std::atomic<uint64_t> timed_out{0};
  InThreads(10, random, [&](test::Random& mine) {
    for (int i = 0; i < 1500; ++i) {
      auto lease = pool->Acquire(absl::Microseconds(mine.Uniform(1, 300)));
      if (lease.ok()) {
        ++served;
        Use(**lease, mine);
      } else {
        EXPECT_THAT(lease.status(), test::StatusIs(absl::StatusCode::kDeadlineExceeded));
        ++timed_out;
      }
    }
  });
  EXPECT_EQ(pool->stats().acquired, served);
  EXPECT_EQ(pool->stats().timed_out, timed_out);
  ExpectComplete(*pool);
}

// A thousand threads at once, of which some have deadlines and some none.
TEST(PoolStressTest, AThousandThreadsWithDeadlines) {
  constexpr int kThreads = 1000;
  test::Random random;
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(0, 2), &factory);
  ASSERT_OK_AND_ASSIGN(auto first, pool->Acquire({.transferable = true}));
  ASSERT_OK_AND_ASSIGN(auto second, pool->Acquire({.transferable = true}));
  std::atomic<int> begun{0}, served{0}, timed_out{0}, patient{0};
  std::thread releaser([&] {  // when all have come, and the first of them have given up perhaps
    AwaitThat([&] { return begun == kThreads; });
    first.Release();
    second.Release();
  });
  {
    const SmallStacks small;
    InThreads(kThreads, random, [&](test::Random& mine) {
      const bool has_deadline = mine.OneIn(2);
      if (!has_deadline) ++patient;
      ++begun;
      auto lease = pool->Acquire(has_deadline ? absl::Milliseconds(mine.Uniform(1, 200))
                                              : absl::InfiniteDuration());
      if (lease.ok()) {
        Use(**lease, mine);
        ++served;
      } else {
        EXPECT_TRUE(has_deadline);
        EXPECT_THAT(lease.status(), test::StatusIs(absl::StatusCode::kDeadlineExceeded));
        ++timed_out;
      }
    });
  }
  releaser.join();
  EXPECT_EQ(served + timed_out, kThreads);
  EXPECT_GE(served, patient);
  EXPECT_EQ(pool->stats().timed_out, static_cast<uint64_t>(timed_out));
  EXPECT_EQ(pool->stats().acquired, static_cast<uint64_t>(served + 2));
  ExpectComplete(*pool);
}

TEST(PoolStressTest, BrokenResourcesAndFailingFactories) {
  test::Random random;
  WidgetFactory factory;
  PoolOptions options = Untimed(1, 4);
  const auto pool = MakePool(options, &factory);
  InThreads(8, random, [&](test::Random& mine) {
    for (int i = 0; i < 1000; ++i) {
      if (mine.OneIn(50)) factory.fails = !factory.fails;
      auto lease = pool->Acquire(absl::InfiniteDuration());
      if (!lease.ok()) continue;
      Use(**lease, mine);
      if (mine.OneIn(20)) lease->MarkBroken();
    }
  });
  factory.fails = false;
  ExpectComplete(*pool);
  EXPECT_LE(factory.live, 4);
}

// The keeper closes and reopens all the time: its reservations meet everybody else.
TEST(PoolStressTest, ResourcesEndWhileTheyAreUsed) {
  test::Random random;
  WidgetFactory factory;
  PoolOptions options = Untimed(1, 3);
  options.idle_timeout = absl::Microseconds(200);
  options.max_lifetime = absl::Microseconds(500);
  const auto pool = MakePool(options, &factory);
  InThreads(6, random, [&](test::Random& mine) {
    for (int i = 0; i < 1000; ++i) {
      auto lease = pool->Acquire(absl::InfiniteDuration());
      ASSERT_OK(lease);
      Use(**lease, mine);
    }
  });
  EXPECT_LE(factory.live, 3);
  EXPECT_GT(pool->stats().closed.lifetime + pool->stats().closed.idle, 0u);
}

TEST(PoolStressTest, CloseRacesAcquires) {
  test::Random random;
  for (int round = 0; round < 100; ++round) {
    WidgetFactory factory;
    const auto pool = MakePool(Untimed(1, 2), &factory);
    std::thread closer([&] { EXPECT_OK(pool->Close(absl::InfiniteDuration())); });
    InThreads(4, random, [&](test::Random& mine) {
      for (;;) {
        auto lease = pool->Acquire(absl::InfiniteDuration());
        if (!lease.ok()) {
          EXPECT_THAT(lease.status(), test::StatusIs(absl::StatusCode::kFailedPrecondition));
          break;
        }
        Use(**lease, mine);
      }
    });
    closer.join();
    EXPECT_EQ(factory.live, 0);
  }
}

// The destructor may run as soon as the last lease is being released.
TEST(PoolStressTest, DestructionRacesTheLastRelease) {
  WidgetFactory factory;
  for (int round = 0; round < 2000; ++round) {
    auto pool = MakePool(Untimed(0, 2), &factory);
    auto first = pool->Acquire();
    auto second = pool->Acquire();
    std::thread releaser([lease = *std::move(first)]() mutable { lease.Release(); });
    std::thread other([lease = *std::move(second)]() mutable { lease.Release(); });
    pool.reset();
    releaser.join();
    other.join();
  }
  EXPECT_EQ(factory.live, 0);
}

TEST(PoolStressTest, DestructionSendsWaitersAway) {
  WidgetFactory factory;
  for (int round = 0; round < 300; ++round) {
    auto pool = MakePool(Untimed(0, 1), &factory);
    auto lease = pool->Acquire();
    std::vector<std::thread> waiters;
    for (int i = 0; i < 3; ++i) {
      waiters.emplace_back([raw = pool.get()] {
        const auto mine = raw->Acquire(absl::InfiniteDuration());
        EXPECT_TRUE(mine.ok() || absl::IsFailedPrecondition(mine.status()));
      });
    }
    AwaitWaiting(*pool, 3);
    std::thread releaser([held = *std::move(lease)]() mutable { held.Release(); });
    pool.reset();
    releaser.join();
    for (std::thread& waiter : waiters) waiter.join();
  }
  EXPECT_EQ(factory.live, 0);
}

}  // namespace
}  // namespace vouch::pool
