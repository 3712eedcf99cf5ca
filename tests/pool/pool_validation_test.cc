// When resources are validated, with a clock that only the test moves.

#include <utility>

#include "tests/pool/widget.h"
#include "tests/support/status_matchers.h"

namespace vouch::pool {
namespace {

constexpr absl::Duration kIdle = absl::Milliseconds(500);

struct Validator {
  std::atomic<int> calls{0};
  std::atomic<int> bad_up_to{0};

  PoolHooks<Widget> hooks() {
    PoolHooks<Widget> hooks;
    hooks.validate = [this](Widget& widget) {
      ++calls;
      return widget.id <= bad_up_to ? absl::UnavailableError("gone") : absl::OkStatus();
    };
    return hooks;
  }
};

// Borrows now and then, after more idle time than is asked for, until the condition holds. The
// keeper needs a moment to notice that time has passed.
void BorrowUntil(FakePool& pool, const std::function<bool()>& condition) {
  int tries = 0;
  AwaitThat([&] {
    FakePlatform::Advance(2 * kIdle);
    if (++tries % 50 == 0) {
      EXPECT_OK(pool.Acquire());
    }
    return condition();
  });
}

TEST(PoolValidationTest, WhatWasUsedRecentlyIsLentAsItIs) {
  WidgetFactory factory;
  Validator validator;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory, validator.hooks());
  for (int i = 0; i < 100; ++i) EXPECT_OK(pool->Acquire());
  AwaitKeeper(*pool);  // its time counts from when it sees these uses
  FakePlatform::Advance(kIdle - absl::Nanoseconds(1));
  AwaitKeeper(*pool);
  for (int i = 0; i < 100; ++i) EXPECT_OK(pool->Acquire());
  EXPECT_EQ(validator.calls, 0);
}

// However short that was, and though this thread has had it last: there is no short cut.
TEST(PoolValidationTest, WhatWasKeptBackIsValidatedOnce) {
  WidgetFactory factory;
  Validator validator;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory, validator.hooks());
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  ASSERT_OK(pool->Suspend());
  lease.Release();
  ASSERT_OK(pool->Resume());
  for (int i = 0; i < 100; ++i) EXPECT_OK(pool->Acquire());
  EXPECT_EQ(validator.calls, 1);
  validator.bad_up_to = 1;
  ASSERT_OK(pool->Suspend());
  ASSERT_OK(pool->Resume());
  ASSERT_OK_AND_ASSIGN(const auto fresh, pool->Acquire());
  EXPECT_EQ(fresh->id, 2);
  EXPECT_EQ(validator.calls, 2);
}

TEST(PoolValidationTest, WhatWasKeptBackIsNotIfNothingIs) {
  WidgetFactory factory;
  Validator validator;
  PoolOptions options = Untimed(1, 1);
  options.validate_after_idle = absl::InfiniteDuration();
  const auto pool = MakePool<FakePool>(options, &factory, validator.hooks());
  ASSERT_OK(pool->Suspend());
  ASSERT_OK(pool->Resume());
  EXPECT_OK(pool->Acquire());
  EXPECT_EQ(validator.calls, 0);
}

TEST(PoolValidationTest, WhatWasIdleIsValidatedOnce) {
  WidgetFactory factory;
  Validator validator;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory, validator.hooks());
  BorrowUntil(*pool, [&] { return validator.calls > 0; });
  for (int i = 0; i < 100; ++i) EXPECT_OK(pool->Acquire());
  EXPECT_EQ(validator.calls, 1);
  EXPECT_EQ(pool->stats().validation_failures, 0u);
  EXPECT_EQ(factory.made, 1);
}

TEST(PoolValidationTest, AnInvalidOneIsReplacedOnBorrow) {
  WidgetFactory factory;
  Validator validator;
  validator.bad_up_to = 1;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory, validator.hooks());
  BorrowUntil(*pool, [&] { return pool->stats().validation_failures > 0; });
  ASSERT_OK_AND_ASSIGN(const auto lease, pool->Acquire());
  EXPECT_EQ(lease->id, 2);
  EXPECT_EQ(pool->stats().validation_failures, 1u);
  EXPECT_EQ(pool->stats().closed.invalid, 1u);
  EXPECT_EQ(factory.live, 1);
}

TEST(PoolValidationTest, InfiniteMeansNever) {
  WidgetFactory factory;
  Validator validator;
  PoolOptions options = Untimed(1, 1);
  options.validate_after_idle = absl::InfiniteDuration();
  options.keepalive_interval = absl::Seconds(10);
  const auto pool = MakePool<FakePool>(options, &factory, validator.hooks());
  AwaitThat([&] {  // the keeper is at work
    FakePlatform::Advance(absl::Seconds(1));
    return validator.calls > 0;
  });
  const int calls = validator.calls;
  for (int i = 0; i < 100; ++i) EXPECT_OK(pool->Acquire());
  EXPECT_EQ(validator.calls, calls);
}

TEST(PoolValidationTest, KeepAliveValidatesIdleOnesAgainAndAgain) {
  WidgetFactory factory;
  Validator validator;
  PoolOptions options = Untimed(2, 2);
  options.keepalive_interval = absl::Seconds(10);
  const auto pool = MakePool<FakePool>(options, &factory, validator.hooks());
  AwaitKeeper(*pool);
  FakePlatform::Advance(absl::Seconds(10) - absl::Nanoseconds(1));
  AwaitKeeper(*pool);
  EXPECT_EQ(validator.calls, 0);
  AwaitThat([&] {
    FakePlatform::Advance(absl::Seconds(1));
    return validator.calls >= 6;
  });
  EXPECT_EQ(factory.made, 2);
  EXPECT_EQ(pool->stats().acquired, 0u);
}

TEST(PoolValidationTest, KeepAliveReplacesWhatFails) {
  WidgetFactory factory;
  Validator validator;
  validator.bad_up_to = 2;
  PoolOptions options = Untimed(2, 3);
  options.keepalive_interval = absl::Seconds(10);
  const auto pool = MakePool<FakePool>(options, &factory, validator.hooks());
  AwaitThat([&] {
    FakePlatform::Advance(absl::Seconds(1));
    return pool->stats().closed.invalid == 2 && pool->stats().size == 2;
  });
  EXPECT_EQ(pool->stats().validation_failures, 2u);
  EXPECT_EQ(factory.made, 4);
}

TEST(PoolValidationTest, KeepAliveLeavesLeasedOnesAlone) {
  WidgetFactory factory;
  Validator validator;
  validator.bad_up_to = 1;
  PoolOptions options = Untimed(1, 2);
  options.keepalive_interval = absl::Seconds(10);
  const auto pool = MakePool<FakePool>(options, &factory, validator.hooks());
  ASSERT_OK_AND_ASSIGN(const auto first, pool->Acquire());
  EXPECT_OK(pool->Acquire());  // the second widget, idle now
  AwaitThat([&] {
    FakePlatform::Advance(absl::Seconds(1));
    return validator.calls >= 3;
  });
  EXPECT_EQ(pool->stats().validation_failures, 0u);
}

TEST(PoolValidationTest, WithoutTheHookTheTimesMeanNothing) {
  WidgetFactory factory;
  PoolOptions options = Untimed(1, 1);
  options.keepalive_interval = absl::Seconds(1);
  options.max_lifetime = absl::Hours(1);  // something to wait for
  const auto pool = MakePool<FakePool>(options, &factory);
  FakePlatform::Advance(absl::Minutes(50));
  EXPECT_OK(pool->Acquire());
  FakePlatform::Advance(absl::Minutes(20));
  AwaitThat([&] { return pool->stats().closed.lifetime == 1 && pool->stats().size == 1; });
  EXPECT_EQ(pool->stats().closed.invalid, 0u);
  EXPECT_EQ(pool->stats().validation_failures, 0u);
}

}  // namespace
}  // namespace vouch::pool
