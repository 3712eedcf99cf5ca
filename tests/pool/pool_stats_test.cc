// What the numbers count, with a clock that only the test moves.

#include <stop_token>
#include <thread>
#include <vector>

#include "tests/pool/executors.h"
#include "tests/pool/stress.h"
#include "tests/pool/widget.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"

namespace vouch::pool {
namespace {

constexpr uint64_t kSample = 256;

TEST(PoolStatsTest, ASampleCountsForThoseAfterIt) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  for (uint64_t i = 1; i <= 3 * kSample; ++i) {
    ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
    FakePlatform::Advance(absl::Seconds(1));
    lease.Release();
    ASSERT_EQ(pool->stats().hold.count(), i);
  }
  const Distribution hold = pool->stats().hold;
  EXPECT_EQ(hold.count(), pool->stats().acquired);
  EXPECT_EQ(hold.sum, 3 * kSample * absl::Seconds(1));
  EXPECT_EQ(hold.max, absl::Seconds(1));
  EXPECT_DOUBLE_EQ(pool->stats().utilisation, 1);  // it was leased all the time
}

// The first leases tell already: it does not take 256.
TEST(PoolStatsTest, AFewLongHoldsCount) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  for (int i = 1; i <= 100; ++i) {
    ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
    FakePlatform::Advance(absl::Microseconds(9700));
    lease.Release();
    FakePlatform::Advance(absl::Microseconds(300));
  }
  const PoolStats stats = pool->stats();
  EXPECT_EQ(stats.hold.count(), 100u);
  EXPECT_EQ(stats.hold.sum, 100 * absl::Microseconds(9700));
  EXPECT_DOUBLE_EQ(stats.utilisation, 0.97);
}

// A lease with a label is timed for itself: nothing else stands for it, and it stands for nothing
// else.
TEST(PoolStatsTest, NoHoldCountsTwice) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  uint64_t fast = 0, slow = 0;
  test::Random random;
  for (uint64_t i = 0; i < 20 * kSample; ++i) {
    const bool is_slow = i != 1 && random.OneIn(3);
    ASSERT_OK_AND_ASSIGN(auto lease, is_slow ? pool->Acquire({.label = "slow"}) : pool->Acquire());
    ++(is_slow || i == 0 ? slow : fast);
    FakePlatform::Advance(is_slow || i == 0 ? absl::Seconds(3) : absl::Seconds(1));
    ASSERT_EQ(pool->stats().hold.count(), i);  // this one is not over
    lease.Release();
    ASSERT_EQ(pool->stats().hold.sum, fast * absl::Seconds(1) + slow * absl::Seconds(3));
  }
}

TEST(PoolStatsTest, ADetachedLeaseCounts) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  FakePlatform::Advance(absl::Seconds(2));
  lease.Detach();
  EXPECT_EQ(pool->stats().hold.count(), 1u);
  EXPECT_EQ(pool->stats().hold.sum, absl::Seconds(2));
}

TEST(PoolStatsTest, EveryHoldThatWasWaitedForCounts) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  for (int i = 1; i <= 10; ++i) {
    ASSERT_OK_AND_ASSIGN(auto held, pool->Acquire({.label = "before"}));
    std::thread waiter([&] {
      const auto lease = pool->Acquire(absl::InfiniteDuration());
      ASSERT_OK(lease);
      FakePlatform::Advance(absl::Seconds(i));
    });
    AwaitWaiting(*pool, 1);
    FakePlatform::Advance(absl::Seconds(3));
    held.Release();
    waiter.join();
  }
  const PoolStats stats = pool->stats();
  EXPECT_EQ(stats.hold.count(), 20u);  // those before them have a label
  EXPECT_EQ(stats.hold.sum, 10 * absl::Seconds(3) + absl::Seconds(55));
  EXPECT_EQ(stats.hold.max, absl::Seconds(10));
  EXPECT_EQ(stats.wait.count(), 10u);
  EXPECT_EQ(stats.wait.sum, absl::Seconds(30));
  EXPECT_EQ(stats.wait.max, absl::Seconds(3));
  EXPECT_EQ(stats.waited, 10u);
}

TEST(PoolStatsTest, AnAsynchronousAcquireCountsLikeAThreads) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  ASSERT_OK_AND_ASSIGN(auto held, pool->Acquire());
  Answer<FakePool> answer;
  pool->AcquireAsync(RunAtOnce, answer.done());
  FakePlatform::Advance(absl::Seconds(2));
  held.Release();
  FakePlatform::Advance(absl::Seconds(5));
  answer->value().Release();
  const PoolStats stats = pool->stats();
  EXPECT_EQ(stats.waited, 1u);
  EXPECT_EQ(stats.wait.count(), 1u);
  EXPECT_EQ(stats.wait.sum, absl::Seconds(2));
  EXPECT_EQ(stats.hold.count(), 2u);
  EXPECT_EQ(stats.hold.sum, absl::Seconds(2) + absl::Seconds(5));
}

TEST(PoolStatsTest, WhoDidNotStandInTheLineIsNotInTheWaits) {
  WidgetFactory factory;
  PoolOptions options = Untimed(1, 1);
  options.max_waiters = 1;
  const auto pool = MakePool<FakePool>(options, &factory);
  ASSERT_OK_AND_ASSIGN(auto held, pool->Acquire());
  EXPECT_FALSE(pool->TryAcquire().ok());
  EXPECT_FALSE(pool->Acquire(absl::ZeroDuration()).ok());
  std::thread waiter([&] { EXPECT_OK(pool->Acquire(absl::InfiniteDuration())); });
  AwaitWaiting(*pool, 1);
  EXPECT_THAT(pool->Acquire(absl::InfiniteDuration()).status(),
              test::StatusIs(absl::StatusCode::kResourceExhausted));
  held.Release();
  waiter.join();
  EXPECT_EQ(pool->stats().waited, 1u);
  EXPECT_EQ(pool->stats().wait.count(), 1u);
}

TEST(PoolStatsTest, HowAWaitEndedIsCounted) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  ASSERT_OK_AND_ASSIGN(auto held, pool->Acquire({.transferable = true}));
  std::stop_source stop;
  std::vector<std::thread> waiters;
  waiters.emplace_back([&] { EXPECT_FALSE(pool->Acquire(absl::Seconds(1)).ok()); });
  waiters.emplace_back([&] { EXPECT_FALSE(pool->Acquire({.stop = stop.get_token()}).ok()); });
  waiters.emplace_back([&] { EXPECT_OK(pool->Acquire(absl::InfiniteDuration())); });
  AwaitWaiting(*pool, 3);
  FakePlatform::Advance(absl::Seconds(1));
  waiters[0].join();
  stop.request_stop();
  waiters[1].join();
  held.Release();
  waiters[2].join();
  const PoolStats stats = pool->stats();
  EXPECT_EQ(stats.timed_out, 1u);
  EXPECT_EQ(stats.stopped, 1u);
  EXPECT_EQ(stats.waited, 3u);
  EXPECT_EQ(stats.wait.count(), 3u);
  EXPECT_EQ(stats.handed_off, 1u);
  EXPECT_EQ(stats.acquired, 2u);
}

TEST(PoolStatsTest, UtilisationIsThePartOfTheSlots) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(2, 2), &factory);
  EXPECT_EQ(pool->stats().utilisation, 0);
  for (uint64_t i = 0; i < kSample; ++i) {  // one slot, half of the time
    ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
    FakePlatform::Advance(absl::Seconds(1));
    lease.Release();
    FakePlatform::Advance(absl::Seconds(1));
  }
  EXPECT_DOUBLE_EQ(pool->stats().utilisation, 0.25);
}

// Whoever waits, in whatever way, is in `wait` once; what a lease weighs is known from outside.
TEST(PoolStatsStressTest, CountsAreExact) {
  test::Random random;
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(0, 2), &factory);
  std::atomic<uint64_t> served{0};
  InThreads(8, random, [&](test::Random& mine) {
    for (int i = 0; i < 1500; ++i) {
      const auto lease = mine.OneIn(3) ? pool->Acquire(absl::Microseconds(mine.Uniform(0, 100)))
                                       : pool->Acquire(absl::InfiniteDuration());
      if (!lease.ok()) continue;
      ++served;
      Use(**lease, mine);
      const double utilisation = pool->stats().utilisation;
      EXPECT_TRUE(utilisation >= 0 && utilisation <= 1) << utilisation;
    }
  });
  const PoolStats stats = pool->stats();
  EXPECT_EQ(stats.acquired, served);
  EXPECT_EQ(stats.hold.count(), served);
  EXPECT_EQ(stats.wait.count(), stats.waited);
  EXPECT_LE(stats.handed_off, stats.waited);
  EXPECT_EQ(stats.idle + stats.leased, stats.size);
  EXPECT_EQ(stats.opened, 2u);
}

}  // namespace
}  // namespace vouch::pool
