// What the hooks are called for, what their errors do, and that before_close sees the end of every
// resource once, with the reason.

#include <map>
#include <stdexcept>
#include <utility>
#include <vector>

#include "pool/mutex.h"
#include "tests/pool/widget.h"
#include "tests/support/status_matchers.h"

namespace vouch::pool {
namespace {

using test::StatusIs;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

// What before_close was told: why each widget was closed.
class Closings {
 public:
  std::function<void(Widget&, CloseReason)> hook() {
    return [this](Widget& widget, CloseReason reason) {
      MutexLock lock(&mutex_);
      reasons_[widget.id].push_back(reason);
    };
  }
  std::vector<CloseReason> Of(int id) {
    MutexLock lock(&mutex_);
    return reasons_[id];
  }

 private:
  Mutex mutex_;
  std::map<int, std::vector<CloseReason>> reasons_ ABSL_GUARDED_BY(mutex_);
};

// A hook that fails for the widgets up to this number.
std::function<absl::Status(Widget&)> FailsUpTo(int last) {
  return [last](Widget& widget) {
    return widget.id <= last ? absl::DataLossError("it is worn") : absl::OkStatus();
  };
}
absl::Status Throws(Widget&) { throw std::runtime_error("boom"); }

TEST(PoolHooksTest, AfterOpenRefusesAResource) {
  WidgetFactory factory;
  Closings closings;
  const auto pool = MakePool(Untimed(0, 2), &factory,
                             {.after_open = FailsUpTo(1), .before_close = closings.hook()});
  EXPECT_THAT(pool->Acquire().status(),
              StatusIs(absl::StatusCode::kDataLoss,
                       testing::StrEq("acquire widgets: open failed: it is worn")));
  EXPECT_THAT(closings.Of(1), ElementsAre(CloseReason::kRejected));
  EXPECT_EQ(factory.live, 0);
  EXPECT_EQ(pool->stats().open_failures, 1u);
  EXPECT_EQ(pool->stats().opened, 0u);
  EXPECT_OK(pool->Acquire());
  EXPECT_EQ(pool->stats().size, 1);
}

TEST(PoolHooksTest, AfterOpenIsAskedByCreate) {
  WidgetFactory factory;
  const auto pool = Pool<Widget>::Create(Untimed(2, 2), [&factory] { return factory(); },
                                         {.after_open = FailsUpTo(1)});
  EXPECT_THAT(pool.status(),
              StatusIs(absl::StatusCode::kDataLoss, StartsWith("create widgets: open failed")));
  EXPECT_EQ(factory.live, 0);
}

TEST(PoolHooksTest, BeforeLendRefusesAndAnotherIsOpened) {
  WidgetFactory factory;
  Closings closings;
  const auto pool = MakePool(Untimed(1, 1), &factory,
                             {.before_lend = FailsUpTo(1), .before_close = closings.hook()});
  ASSERT_OK_AND_ASSIGN(const auto lease, pool->Acquire());
  EXPECT_EQ(lease->id, 2);
  EXPECT_THAT(closings.Of(1), ElementsAre(CloseReason::kRejected));
  EXPECT_EQ(pool->stats().closed.rejected, 1u);
  EXPECT_EQ(factory.live, 1);
}

TEST(PoolHooksTest, WhatBeforeLendSaysOfTheFreshOneEndsTheAcquire) {
  WidgetFactory factory;
  Closings closings;
  const auto pool = MakePool(Untimed(1, 1), &factory,
                             {.before_lend = FailsUpTo(2), .before_close = closings.hook()});
  EXPECT_THAT(pool->Acquire().status(),
              StatusIs(absl::StatusCode::kDataLoss,
                       testing::AllOf(StartsWith("acquire widgets: "), HasSubstr("it is worn"))));
  EXPECT_THAT(closings.Of(1), ElementsAre(CloseReason::kRejected));
  EXPECT_THAT(closings.Of(2), ElementsAre(CloseReason::kRejected));
  AwaitThat([&] { return pool->stats().size == 1; });  // the keeper's
  ASSERT_OK_AND_ASSIGN(const auto lease, pool->Acquire());
  EXPECT_EQ(lease->id, 3);
}

TEST(PoolHooksTest, AfterReturnRefusesWhatComesBack) {
  WidgetFactory factory;
  Closings closings;
  const auto pool = MakePool(Untimed(0, 1), &factory,
                             {.after_return = FailsUpTo(1), .before_close = closings.hook()});
  for (const int expected : {1, 2, 2}) {
    ASSERT_OK_AND_ASSIGN(const auto lease, pool->Acquire());
    EXPECT_EQ(lease->id, expected);
  }
  EXPECT_THAT(closings.Of(1), ElementsAre(CloseReason::kRejected));
  EXPECT_THAT(closings.Of(2), ElementsAre());
  EXPECT_EQ(pool->stats().closed.rejected, 1u);
}

TEST(PoolHooksTest, BeforeLendAndAfterReturnSeeEveryLease) {
  WidgetFactory factory;
  int lent = 0, returned = 0;
  PoolHooks<Widget> hooks;
  hooks.before_lend = [&](Widget&) { return ++lent, absl::OkStatus(); };
  hooks.after_return = [&](Widget&) { return ++returned, absl::OkStatus(); };
  const auto pool = MakePool(Untimed(1, 1), &factory, std::move(hooks));
  for (int i = 1; i <= 10; ++i) {
    auto lease = i % 2 == 0 ? pool->Acquire() : pool->TryAcquire();
    ASSERT_OK(lease);
    EXPECT_EQ(lent, i);
    EXPECT_EQ(returned, i - 1);
    lease->Release();
    EXPECT_EQ(returned, i);
  }
}

TEST(PoolHooksTest, BeforeCloseHearsOfBroken) {
  WidgetFactory factory;
  Closings closings;
  const auto pool = MakePool(Untimed(0, 1), &factory, {.before_close = closings.hook()});
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  lease.MarkBroken();
  lease.Release();
  EXPECT_THAT(closings.Of(1), ElementsAre(CloseReason::kBroken));
}

TEST(PoolHooksTest, BeforeCloseHearsOfIdle) {
  WidgetFactory factory;
  Closings closings;
  PoolOptions options = Untimed(0, 1);
  options.idle_timeout = absl::Seconds(10);
  const auto pool = MakePool<FakePool>(options, &factory, {.before_close = closings.hook()});
  EXPECT_OK(pool->Acquire());
  AwaitThat([&] {
    FakePlatform::Advance(absl::Seconds(1));
    return pool->stats().closed.idle == 1;
  });
  EXPECT_THAT(closings.Of(1), ElementsAre(CloseReason::kIdle));
}

TEST(PoolHooksTest, BeforeCloseHearsOfLifetime) {
  WidgetFactory factory;
  Closings closings;
  PoolOptions options = Untimed(0, 1);
  options.max_lifetime = absl::Seconds(10);
  const auto pool = MakePool<FakePool>(options, &factory, {.before_close = closings.hook()});
  EXPECT_OK(pool->Acquire());
  FakePlatform::Advance(absl::Seconds(10));
  AwaitThat([&] { return pool->stats().closed.lifetime == 1; });
  EXPECT_THAT(closings.Of(1), ElementsAre(CloseReason::kLifetime));
}

TEST(PoolHooksTest, BeforeCloseHearsOfInvalid) {
  WidgetFactory factory;
  Closings closings;
  PoolOptions options = Untimed(0, 1);
  options.keepalive_interval = absl::Seconds(10);
  const auto pool = MakePool<FakePool>(options, &factory,
                                       {.before_close = closings.hook(), .validate = FailsUpTo(1)});
  EXPECT_OK(pool->Acquire());
  AwaitThat([&] {
    FakePlatform::Advance(absl::Seconds(1));
    return pool->stats().closed.invalid == 1;
  });
  EXPECT_THAT(closings.Of(1), ElementsAre(CloseReason::kInvalid));
}

TEST(PoolHooksTest, BeforeCloseHearsOfResizeAndOfShutdown) {
  WidgetFactory factory;
  Closings closings;
  const auto pool = MakePool(Untimed(2, 2), &factory, {.before_close = closings.hook()});
  EXPECT_OK(pool->Resize(1, 1));
  EXPECT_THAT(closings.Of(2), ElementsAre(CloseReason::kResize));
  EXPECT_OK(pool->Close(absl::ZeroDuration()));
  EXPECT_THAT(closings.Of(1), ElementsAre(CloseReason::kShutdown));
  EXPECT_THAT(closings.Of(2), ElementsAre(CloseReason::kResize));
}

TEST(PoolHooksTest, ADetachedResourceIsNotClosed) {
  WidgetFactory factory;
  Closings closings;
  {
    const auto pool = MakePool(Untimed(0, 1), &factory, {.before_close = closings.hook()});
    ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
    EXPECT_EQ(lease.Detach()->id, 1);
  }
  EXPECT_THAT(closings.Of(1), ElementsAre());
}

// Hooks that throw

TEST(PoolHooksTest, AfterOpenThatThrowsHasFailed) {
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(0, 1), &factory, {.after_open = Throws});
  EXPECT_THAT(pool->Acquire().status(),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("after_open threw: boom")));
  EXPECT_EQ(factory.live, 0);
  EXPECT_EQ(pool->stats().leased, 0);
}

TEST(PoolHooksTest, BeforeLendThatThrowsHasFailed) {
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(0, 1), &factory, {.before_lend = Throws});
  EXPECT_THAT(pool->Acquire().status(),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("before_lend threw: boom")));
  EXPECT_EQ(factory.live, 0);
  EXPECT_EQ(pool->stats().opening, 0);
  EXPECT_EQ(pool->stats().leased, 0);
}

TEST(PoolHooksTest, AfterReturnThatThrowsHasFailed) {
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(0, 1), &factory, {.after_return = Throws});
  EXPECT_OK(pool->Acquire());
  EXPECT_EQ(pool->stats().closed.rejected, 1u);
  EXPECT_EQ(factory.live, 0);
}

TEST(PoolHooksTest, BeforeCloseThatThrowsClosesAllTheSame) {
  WidgetFactory factory;
  const auto pool =
      MakePool(Untimed(2, 2), &factory, {.before_close = [](Widget&, CloseReason) { throw 1; }});
  EXPECT_OK(pool->Close(absl::ZeroDuration()));
  EXPECT_EQ(factory.live, 0);
}

TEST(PoolHooksTest, ValidateThatThrowsHasFailed) {
  WidgetFactory factory;
  PoolOptions options = Untimed(0, 1);
  options.keepalive_interval = absl::Seconds(1);
  const auto pool = MakePool<FakePool>(options, &factory, {.validate = Throws});
  EXPECT_OK(pool->Acquire());
  AwaitThat([&] {
    FakePlatform::Advance(absl::Seconds(1));
    return pool->stats().closed.invalid == 1;
  });
  EXPECT_EQ(pool->stats().validation_failures, 1u);
  EXPECT_EQ(factory.live, 0);
}

TEST(PoolHooksTest, OnLeakThatThrowsIsCounted) {
  WidgetFactory factory;
  PoolOptions options = Untimed(1, 1);
  options.leak_threshold = absl::Seconds(1);
  const auto pool =
      MakePool<FakePool>(options, &factory, {.on_leak = [](const Holder&) { throw 1; }});
  ASSERT_OK_AND_ASSIGN(const auto lease, pool->Acquire());
  AwaitThat([&] {
    FakePlatform::Advance(absl::Seconds(1));
    return pool->stats().leaks == 1;
  });
}

}  // namespace
}  // namespace vouch::pool
