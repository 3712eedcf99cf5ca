// A factory that fails, throws, or returns null, and what waiters see of it.

#include <stdexcept>
#include <thread>

#include "absl/strings/cord.h"
#include "tests/pool/widget.h"
#include "tests/support/status_matchers.h"

namespace vouch::pool {
namespace {

using test::StatusIs;
using testing::HasSubstr;

TEST(PoolFactoryTest, CreateReturnsTheFirstError) {
  int calls = 0;
  std::atomic<int> live{0};
  const auto pool =
      Pool<Widget>::Create(Untimed(3, 3), [&]() -> absl::StatusOr<std::unique_ptr<Widget>> {
        if (++calls == 2) return absl::NotFoundError("no file");
        return std::make_unique<Widget>(calls, &live);
      });
  EXPECT_THAT(pool.status(), StatusIs(absl::StatusCode::kNotFound,
                                      testing::StrEq("create widgets: open failed: no file")));
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(live, 0);
}

TEST(PoolFactoryTest, AnErrorReachesTheAcquirerWithItsCode) {
  WidgetFactory factory;
  factory.fails = true;
  const auto pool = MakePool(Untimed(0, 2), &factory);
  EXPECT_THAT(pool->Acquire().status(),
              StatusIs(absl::StatusCode::kUnavailable,
                       testing::StrEq("acquire widgets: open failed: the server is down")));
  EXPECT_EQ(pool->stats().open_failures, 1u);
  EXPECT_EQ(pool->stats().leased, 0);
  factory.fails = false;
  EXPECT_OK(pool->Acquire());
}

TEST(PoolFactoryTest, PayloadsAreKept) {
  absl::Status cause = absl::UnavailableError("down");
  cause.SetPayload("native", absl::Cord("14"));
  const auto pool = Pool<Widget>::Create(
      Untimed(0, 1), [&]() -> absl::StatusOr<std::unique_ptr<Widget>> { return cause; });
  ASSERT_OK(pool);
  EXPECT_EQ((*pool)->Acquire().status().GetPayload("native"), absl::Cord("14"));
}

TEST(PoolFactoryTest, AnExceptionBecomesInternal) {
  WidgetFactory factory;
  factory.throws = true;
  const auto pool = MakePool(Untimed(0, 1), &factory);
  EXPECT_THAT(pool->Acquire().status(),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("the factory threw: boom")));
  factory.throws = false;
  EXPECT_OK(pool->Acquire());
}

TEST(PoolFactoryTest, NullBecomesInternal) {
  const auto pool = Pool<Widget>::Create(
      Untimed(0, 1),
      []() -> absl::StatusOr<std::unique_ptr<Widget>> { return std::unique_ptr<Widget>(); });
  ASSERT_OK(pool);
  EXPECT_THAT((*pool)->Acquire().status(),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("returned null")));
}

// An opener that fails gives the empty slot on: nobody is left asleep beside it.
TEST(PoolFactoryTest, AFailureGivesTheNextWaiterItsChance) {
  std::atomic<bool> go{false};
  std::atomic<int> calls{0};
  auto pool = Pool<Widget>::Create(Untimed(0, 1), [&]() -> absl::StatusOr<std::unique_ptr<Widget>> {
    if (++calls == 1) {
      AwaitThat([&] { return go.load(); });
      return absl::UnavailableError("first");
    }
    return std::make_unique<Widget>(2);
  });
  ASSERT_OK(pool);
  std::thread opener(
      [&] { EXPECT_THAT((*pool)->Acquire().status(), StatusIs(absl::StatusCode::kUnavailable)); });
  AwaitThat([&] { return calls == 1; });
  std::thread waiter([&] { EXPECT_OK((*pool)->Acquire(absl::InfiniteDuration())); });
  AwaitWaiting(**pool, 1);
  go = true;
  opener.join();
  waiter.join();
}

// The opener sleeps between two attempts, by a clock that stands still until the test moves it.
TEST(PoolFactoryTest, ATimeoutTellsTheLastOpenError) {
  std::atomic<int> calls{0};
  PoolOptions options = Untimed(0, 1);
  options.open_attempts = 2;
  const auto pool = FakePool::Create(options, [&]() -> absl::StatusOr<std::unique_ptr<Widget>> {
    if (++calls == 1) return absl::UnavailableError("down");
    return std::make_unique<Widget>(calls);
  });
  ASSERT_OK(pool);
  std::thread opener([&] { EXPECT_OK((*pool)->Acquire(absl::Seconds(1))); });
  AwaitBackOff(**pool, 1);
  EXPECT_THAT((*pool)->Acquire(absl::ZeroDuration()).status(),
              StatusIs(absl::StatusCode::kDeadlineExceeded,
                       HasSubstr("; last open error: down; likely cause: resources cannot be")));
  FakePlatform::Advance(absl::Milliseconds(100));
  opener.join();
  EXPECT_EQ((*pool)->stats().opened, 1u);
}

}  // namespace
}  // namespace vouch::pool
