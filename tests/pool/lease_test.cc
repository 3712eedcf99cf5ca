#include "pool/lease.h"

#include <optional>
#include <thread>
#include <type_traits>
#include <utility>

#include "tests/pool/widget.h"
#include "tests/support/status_matchers.h"

namespace vouch::pool {
namespace {

static_assert(!std::is_copy_constructible_v<Lease<Widget>>);
static_assert(!std::is_copy_assignable_v<Lease<Widget>>);
static_assert(std::is_nothrow_move_constructible_v<Lease<Widget>>);
static_assert(std::is_nothrow_move_assignable_v<Lease<Widget>>);

class LeaseTest : public testing::Test {
 protected:
  WidgetFactory factory_;
  std::unique_ptr<Pool<Widget>> pool_ = MakePool(Untimed(2, 2), &factory_);
};

TEST_F(LeaseTest, ReachesTheResource) {
  ASSERT_OK_AND_ASSIGN(Lease<Widget> lease, pool_->Acquire());
  EXPECT_TRUE(lease);
  lease->uses = 7;
  EXPECT_EQ((*lease).uses, 7);
  EXPECT_EQ(lease.get()->uses, 7);
}

TEST_F(LeaseTest, IsEmptyByDefault) {
  Lease<Widget> lease;
  EXPECT_FALSE(lease);
  EXPECT_EQ(lease.get(), nullptr);
  lease.Release();
}

TEST_F(LeaseTest, ReturnsTheResourceWhenDestroyed) {
  {
    ASSERT_OK_AND_ASSIGN(const Lease<Widget> lease, pool_->Acquire());
    EXPECT_EQ(pool_->stats().leased, 1);
  }
  EXPECT_EQ(pool_->stats().leased, 0);
  EXPECT_EQ(pool_->stats().idle, 2);
}

TEST_F(LeaseTest, ReleasesOnce) {
  ASSERT_OK_AND_ASSIGN(Lease<Widget> lease, pool_->Acquire());
  lease.Release();
  EXPECT_FALSE(lease);
  EXPECT_EQ(pool_->stats().leased, 0);
  ASSERT_OK_AND_ASSIGN(const Lease<Widget> other, pool_->Acquire());
  lease.Release();
  EXPECT_EQ(pool_->stats().leased, 1);
}

TEST_F(LeaseTest, MovesLeaveNothingBehind) {
  ASSERT_OK_AND_ASSIGN(Lease<Widget> first, pool_->Acquire());
  Widget* const widget = first.get();
  Lease<Widget> second = std::move(first);
  EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(second.get(), widget);
  EXPECT_EQ(pool_->stats().leased, 1);
}

TEST_F(LeaseTest, AssignmentReleasesWhatWasHeld) {
  ASSERT_OK_AND_ASSIGN(Lease<Widget> first, pool_->Acquire());
  ASSERT_OK_AND_ASSIGN(Lease<Widget> second, pool_->Acquire());
  Widget* const widget = second.get();
  first = std::move(second);
  EXPECT_EQ(first.get(), widget);
  EXPECT_EQ(pool_->stats().leased, 1);
  Lease<Widget>& same = first;
  first = std::move(same);
  EXPECT_EQ(first.get(), widget);
}

TEST_F(LeaseTest, MayBeReleasedByAnotherThread) {
  ASSERT_OK_AND_ASSIGN(Lease<Widget> lease, pool_->Acquire());
  lease->uses = 1;
  std::thread other([moved = std::move(lease)]() mutable { ++moved->uses; });
  other.join();
  EXPECT_EQ(pool_->stats().leased, 0);
}

TEST_F(LeaseTest, ABrokenResourceIsClosedAndReplaced) {
  ASSERT_OK_AND_ASSIGN(Lease<Widget> lease, pool_->Acquire());
  const int broken = lease->id;
  lease.MarkBroken();
  lease.Release();
  EXPECT_EQ(pool_->stats().closed.broken, 1u);
  AwaitThat([&] { return pool_->stats().size == 2; });
  ASSERT_OK_AND_ASSIGN(const Lease<Widget> first, pool_->Acquire());
  ASSERT_OK_AND_ASSIGN(const Lease<Widget> second, pool_->Acquire());
  EXPECT_NE(first->id, broken);
  EXPECT_NE(second->id, broken);
  EXPECT_EQ(factory_.live, 2);
}

TEST_F(LeaseTest, BrokenMovesWithTheLease) {
  ASSERT_OK_AND_ASSIGN(Lease<Widget> first, pool_->Acquire());
  first.MarkBroken();
  Lease<Widget> second = std::move(first);
  second.Release();
  EXPECT_EQ(pool_->stats().closed.broken, 1u);
}

}  // namespace
}  // namespace vouch::pool
