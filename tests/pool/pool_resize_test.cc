// Resize. The clock moves only when the test moves it.

#include <string>
#include <thread>
#include <vector>

#include "tests/pool/stress.h"
#include "tests/pool/widget.h"
#include "tests/support/status_matchers.h"

namespace vouch::pool {
namespace {

using test::StatusIs;
using testing::AllOf;
using testing::HasSubstr;

std::vector<FakeLease> AcquireAll(FakePool& pool) {
  std::vector<FakeLease> leases;
  for (int i = pool.stats().capacity; i > 0; --i) {
    auto lease = pool.Acquire();
    EXPECT_OK(lease);
    leases.push_back(*std::move(lease));
  }
  return leases;
}

TEST(PoolResizeTest, GrowingServesWaitersAtOnce) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(0, 1), &factory);
  for (const bool old : {false, true}) {
    EXPECT_OK(pool->Resize(0, 1));
    const auto leases = AcquireAll(*pool);
    std::atomic<int> served{0};
    std::vector<std::thread> waiters;
    for (int i = 0; i < 2; ++i) {
      waiters.emplace_back([&] {
        const auto lease = pool->Acquire(absl::InfiniteDuration());
        EXPECT_OK(lease);
        ++served;
        AwaitThat([&] { return served == 2; });
      });
    }
    AwaitWaiting(*pool, 2);
    if (old) FakePlatform::Advance(absl::Milliseconds(1));
    EXPECT_OK(pool->Resize(0, 3));
    for (std::thread& waiter : waiters) waiter.join();
    EXPECT_EQ(pool->stats().capacity, 3);
  }
}

TEST(PoolResizeTest, ShrinkingClosesIdleSurplusAtOnce) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(4, 4), &factory);
  EXPECT_OK(pool->Resize(1, 2));
  EXPECT_EQ(factory.live, 2);
  EXPECT_EQ(pool->stats().closed.resize, 2u);
  EXPECT_EQ(pool->stats().min, 1);
  EXPECT_EQ(pool->stats().capacity, 2);
  ExpectComplete(*pool);
}

TEST(PoolResizeTest, ShrinkingClosesLeasedSurplusOnRelease) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(3, 3), &factory);
  auto leases = AcquireAll(*pool);
  EXPECT_OK(pool->Resize(1, 1));
  EXPECT_EQ(factory.live, 3);
  leases.clear();
  EXPECT_EQ(factory.live, 1);
  EXPECT_EQ(pool->stats().closed.resize, 2u);
  ExpectComplete(*pool);
}

TEST(PoolResizeTest, GrowingAgainKeepsWhatWasNotReleasedYet) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(3, 3), &factory);
  auto leases = AcquireAll(*pool);
  EXPECT_OK(pool->Resize(1, 1));
  EXPECT_OK(pool->Resize(1, 3));
  leases.clear();
  EXPECT_EQ(factory.live, 3);
  EXPECT_EQ(pool->stats().closed.resize, 0u);
  ExpectComplete(*pool);
  EXPECT_EQ(factory.made, 3);
}

TEST(PoolResizeTest, SlotsThatWereRetiredAreUsedAgain) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(0, 3), &factory);
  for (const int max : {1, 3, 2, 7, 1, 7}) {
    EXPECT_OK(pool->Resize(0, max));
    EXPECT_EQ(AcquireAll(*pool).size(), static_cast<size_t>(max));
    ExpectComplete(*pool);
    EXPECT_EQ(factory.live, max);
  }
}

TEST(PoolResizeTest, AHigherMinIsRefilled) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(0, 4), &factory);  // has no keeper yet
  EXPECT_OK(pool->Resize(3, 4));
  AwaitThat([&] { return pool->stats().size == 3; });
  EXPECT_OK(pool->Resize(4, 8));
  AwaitThat([&] { return pool->stats().size == 4; });
  EXPECT_EQ(pool->stats().acquired, 0u);
}

TEST(PoolResizeTest, ALowerMinLetsIdleOnesGo) {
  WidgetFactory factory;
  PoolOptions options = Untimed(3, 3);
  options.idle_timeout = absl::Seconds(10);
  const auto pool = MakePool<FakePool>(options, &factory);
  EXPECT_OK(pool->Resize(1, 3));
  AwaitThat([&] {
    FakePlatform::Advance(absl::Seconds(1));
    return pool->stats().size == 1;
  });
}

// The surplus was counted as there; when it goes, what remains is less than min.
TEST(PoolResizeTest, MinIsRefilledAfterTheSurplusIsGone) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(0, 2), &factory);
  auto first = AcquireAll(*pool);
  EXPECT_OK(pool->Resize(0, 4));
  ASSERT_OK_AND_ASSIGN(auto third, pool->Acquire());
  ASSERT_OK_AND_ASSIGN(auto fourth, pool->Acquire());
  for (FakeLease& lease : first) lease.MarkBroken();
  first.clear();
  EXPECT_OK(pool->Resize(2, 2));  // two are open, in slots that are not to be used any more
  third.Release();
  fourth.Release();
  AwaitThat([&] { return pool->stats().size == 2; });
  EXPECT_EQ(pool->stats().closed.resize, 2u);
}

TEST(PoolResizeTest, BadSizesAreRefusedAndChangeNothing) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 2), &factory);
  struct Case {
    int min, max;
    const char* message;
  };
  for (const Case& c :
       {Case{0, 0, "max is 0"}, Case{0, -1, "max is -1"}, Case{0, 4097, "max is 4097"},
        Case{-1, 2, "min is -1"}, Case{3, 2, "min is 3, must not exceed max, which is 2"}}) {
    EXPECT_THAT(pool->Resize(c.min, c.max),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr("widgets"), HasSubstr(c.message))));
  }
  EXPECT_EQ(pool->stats().min, 1);
  EXPECT_EQ(pool->stats().capacity, 2);
  ExpectComplete(*pool);
}

TEST(PoolResizeTest, UpToTheLargestCapacity) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(0, 1), &factory);
  EXPECT_OK(pool->Resize(0, PoolOptions::kMaxCapacity));
  EXPECT_EQ(AcquireAll(*pool).size(), static_cast<size_t>(PoolOptions::kMaxCapacity));
  EXPECT_OK(pool->Resize(0, 1));
  EXPECT_EQ(factory.live, 1);
}

TEST(PoolResizeTest, AClosedPoolStaysClosed) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  EXPECT_OK(pool->Close(absl::ZeroDuration()));
  EXPECT_OK(pool->Resize(2, 4));
  EXPECT_THAT(pool->TryAcquire().status(), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(factory.live, 0);
  EXPECT_OK(pool->Close(absl::ZeroDuration()));
}

TEST(PoolResizeTest, WhileSuspended) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(3, 3), &factory);
  EXPECT_OK(pool->Suspend());
  EXPECT_OK(pool->Resize(0, 1));
  EXPECT_EQ(factory.live, 1);
  EXPECT_OK(pool->Resize(0, 2));
  EXPECT_FALSE(pool->TryAcquire().ok());
  EXPECT_OK(pool->Resume());
  ExpectComplete(*pool);
}

}  // namespace
}  // namespace vouch::pool
