// What the keeper does, with a clock that only the test moves.

#include <thread>

#include "tests/pool/widget.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"

namespace vouch::pool {
namespace {

PoolOptions Timed(int min, int max, absl::Duration idle, absl::Duration lifetime) {
  PoolOptions options = Untimed(min, max);
  options.idle_timeout = idle;
  options.max_lifetime = lifetime;
  return options;
}

TEST(PoolKeeperTest, ClosesUnusedResourcesDownToMin) {
  WidgetFactory factory;
  const auto pool =
      MakePool<FakePool>(Timed(1, 3, absl::Seconds(10), absl::InfiniteDuration()), &factory);
  {
    const auto a = pool->Acquire(), b = pool->Acquire(), c = pool->Acquire();
    EXPECT_EQ(pool->stats().size, 3);
  }
  // The keeper may have looked while they were leased, so the time counts from a look after it.
  AwaitThat([&] {
    FakePlatform::Advance(absl::Seconds(1));
    return pool->stats().closed.idle >= 2;
  });
  FakePlatform::Advance(absl::Hours(1));
  AwaitKeeper(*pool);
  EXPECT_EQ(pool->stats().closed.idle, 2u);
  EXPECT_EQ(pool->stats().size, 1);
  EXPECT_EQ(factory.live, 1);
}

TEST(PoolKeeperTest, AUsedResourceStays) {
  WidgetFactory factory;
  const auto pool =
      MakePool<FakePool>(Timed(0, 1, absl::Seconds(10), absl::InfiniteDuration()), &factory);
  {
    ASSERT_OK_AND_ASSIGN(const auto lease, pool->Acquire());
    AwaitKeeper(*pool);
    FakePlatform::Advance(absl::Hours(1));
    AwaitKeeper(*pool);
  }
  AwaitKeeper(*pool);
  EXPECT_EQ(pool->stats().closed.idle, 0u);
  for (int i = 0; i < 5; ++i) {  // used every nine seconds
    FakePlatform::Advance(absl::Seconds(9));
    EXPECT_OK(pool->Acquire());
    AwaitKeeper(*pool);
    EXPECT_EQ(pool->stats().closed.idle, 0u);
  }
  FakePlatform::Advance(absl::Seconds(10));
  AwaitThat([&] { return pool->stats().closed.idle == 1; });
}

TEST(PoolKeeperTest, ReplacesOldResources) {
  WidgetFactory factory;
  const auto pool =
      MakePool<FakePool>(Timed(2, 2, absl::InfiniteDuration(), absl::Seconds(60)), &factory);
  FakePlatform::Advance(absl::Seconds(58));  // jitter is a fortieth at most
  AwaitKeeper(*pool);
  EXPECT_EQ(pool->stats().closed.lifetime, 0u);
  FakePlatform::Advance(absl::Seconds(2));
  AwaitThat([&] { return pool->stats().closed.lifetime == 2 && pool->stats().size == 2; });
  EXPECT_EQ(factory.made, 4);
}

TEST(PoolKeeperTest, AnOldLeasedResourceIsClosedByItsRelease) {
  WidgetFactory factory;
  const auto pool =
      MakePool<FakePool>(Timed(0, 1, absl::InfiniteDuration(), absl::Seconds(60)), &factory);
  // Until the keeper has marked it, a release merely puts it back; then the keeper closes it itself.
  // The two meet now and then: each time it has to be one of them.
  test::Random random;
  for (int round = 1; round <= 2000; ++round) {
    ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
    EXPECT_EQ(lease->id, round);
    FakePlatform::Advance(absl::Seconds(60));
    EXPECT_OK(pool->Resize(0, 1));  // nudges the keeper
    for (int i = random.Uniform(0, 40); i > 0; --i) std::this_thread::yield();
    lease.Release();
    AwaitThat([&] {
      FakePlatform::Advance(absl::Seconds(1));  // it may be missed, but not for long
      return pool->stats().closed.lifetime == static_cast<uint64_t>(round);
    });
  }
}

TEST(PoolKeeperTest, RefillsWhenTheFactoryRecovers) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(2, 2), &factory);
  factory.fails = true;
  for (int i = 0; i < 2; ++i) {
    ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
    lease.MarkBroken();
    lease.Release();
    if (i == 0) AwaitThat([&] { return pool->stats().open_failures == 1; });
  }
  AwaitThat([&] { return pool->stats().size == 0; });
  factory.throws = true;
  FakePlatform::Advance(absl::Milliseconds(100));
  AwaitThat([&] { return pool->stats().open_failures >= 2; });
  // It backs off: 200 ms now.
  FakePlatform::Advance(absl::Milliseconds(199));
  AwaitKeeper(*pool);
  EXPECT_EQ(pool->stats().open_failures, 2u);
  factory.throws = false;
  factory.fails = false;
  FakePlatform::Advance(absl::Milliseconds(1));
  AwaitThat([&] { return pool->stats().size == 2; });
  EXPECT_EQ(pool->stats().idle, 2);
}

// What somebody else is opening will be there: the keeper opens no more than `min` beside it. If
// that fails it is the keeper's turn.
TEST(PoolKeeperTest, CountsWhatIsBeingOpened) {
  for (const bool fails : {false, true}) {
    WidgetFactory factory;
    std::atomic<bool> opening{false}, may_open{false};
    auto created =
        FakePool::Create(Untimed(0, 2), [&]() -> absl::StatusOr<std::unique_ptr<Widget>> {
          if (opening.exchange(true)) return factory();
          AwaitThat([&] { return may_open.load(); });
          if (fails) return absl::UnavailableError("the server is down");
          return factory();
        });
    ASSERT_OK(created);
    FakePool& pool = **created;
    std::thread opener([&] { EXPECT_EQ(pool.Acquire().ok(), !fails); });
    AwaitThat([&] { return opening.load(); });
    EXPECT_OK(pool.Resize(1, 2));
    AwaitKeeper(pool);
    EXPECT_EQ(factory.made, 0);
    may_open = true;
    opener.join();
    AwaitThat([&] {
      FakePlatform::Advance(absl::Milliseconds(100));
      return pool.stats().size == 1;
    });
    AwaitKeeper(pool);
    EXPECT_EQ(factory.made, 1);
  }
}

TEST(PoolKeeperTest, ClosingDoesNotWaitForAnythingDue) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Timed(2, 4, absl::Hours(1), absl::Hours(2)), &factory);
  EXPECT_OK(pool->Close(absl::InfiniteDuration()));
  EXPECT_EQ(factory.live, 0);
}

}  // namespace
}  // namespace vouch::pool
