#include <thread>
#include <utility>

#include "tests/pool/stress.h"
#include "tests/pool/widget.h"
#include "tests/support/status_matchers.h"

namespace vouch::pool {
namespace {

TEST(PoolDetachTest, TheResourceSurvivesThePool) {
  WidgetFactory factory;
  std::unique_ptr<Widget> widget;
  {
    const auto pool = MakePool(Untimed(1, 1), &factory);
    ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
    widget = lease.Detach();
    EXPECT_FALSE(lease);
    AwaitThat([&] { return pool->stats().size == 1; });  // another in its place
  }
  EXPECT_EQ(widget->id, 1);
  EXPECT_EQ(factory.live, 1);
}

TEST(PoolDetachTest, TheSlotIsUsedAgain) {
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(0, 1), &factory);
  for (int i = 1; i <= 3; ++i) {
    ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
    const auto widget = lease.Detach();
    EXPECT_EQ(widget->id, i);
    EXPECT_EQ(pool->stats().size, 0);
    EXPECT_EQ(pool->stats().leased, 0);
  }
  const PoolStats stats = pool->stats();
  EXPECT_EQ(stats.detached, 3u);
  EXPECT_EQ(stats.opened, 3u);
  EXPECT_EQ(ClosedInAll(stats), 0u);
  EXPECT_EQ(factory.live, 0);
}

TEST(PoolDetachTest, AWaiterGetsTheSlot) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(0, 1), &factory);
  for (const bool old : {false, true}) {
    ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
    const int first = lease->id;
    std::thread waiter([&] {
      ASSERT_OK_AND_ASSIGN(const auto mine, pool->Acquire(absl::InfiniteDuration()));
      EXPECT_NE(mine->id, first);
    });
    AwaitWaiting(*pool, 1);
    if (old) FakePlatform::Advance(absl::Milliseconds(1));
    const auto widget = lease.Detach();
    waiter.join();
    EXPECT_EQ(widget->id, first);
  }
}

TEST(PoolDetachTest, AfterCloseAndWhileSuspended) {
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(0, 2), &factory);
  ASSERT_OK_AND_ASSIGN(auto first, pool->Acquire());
  ASSERT_OK_AND_ASSIGN(auto second, pool->Acquire());
  EXPECT_OK(pool->Suspend());
  const auto one = first.Detach();
  EXPECT_FALSE(pool->Close(absl::ZeroDuration()).ok());
  const auto two = second.Detach();
  EXPECT_OK(pool->Close(absl::ZeroDuration()));
  EXPECT_EQ(factory.live, 2);
  EXPECT_EQ(pool->stats().detached, 2u);
}

}  // namespace
}  // namespace vouch::pool
