// Property: code that the pool calls cannot acquire from the pool, whichever way, and is told where
// it tried; afterwards the thread can again. Method: each hook first gives back the lease that the
// thread had last, so that the fast way would find an idle resource if it were open.

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tests/pool/executors.h"
#include "tests/pool/widget.h"
#include "tests/support/status_matchers.h"

namespace vouch::pool {
namespace {

using test::StatusIs;
using testing::AllOf;
using testing::HasSubstr;

constexpr absl::Duration kWhile = absl::Seconds(1);

// Called by a hook: tries every way to acquire, once.
class Intruder {
 public:
  // From now on the next hook intrudes; `held` is what it releases first.
  void Arm(FakePool* pool, FakeLease held) {
    held_ = std::move(held);
    pool_ = pool;
  }
  absl::Status Intrude() {
    FakePool* const pool = pool_.exchange(nullptr);
    if (pool == nullptr) return absl::OkStatus();
    held_.Release();
    Answer<FakePool> answer;
    first_line_ = __LINE__ + 1;
    refusals_.push_back(pool->Acquire(absl::InfiniteDuration()).status());
    refusals_.push_back(pool->Acquire({.label = "again"}).status());
    refusals_.push_back(pool->TryAcquire().status());
    pool->AcquireAsync(RunAtOnce, answer.done());
    refusals_.push_back(answer->status());
    done_ = true;
    return absl::OkStatus();
  }
  bool done() const { return done_; }

  void ExpectRefused(const std::string& hook) const {
    ASSERT_EQ(refusals_.size(), 4u);
    for (int i = 0; i < 4; ++i) {
      const std::string place = "pool_reentry_test.cc:" + std::to_string(first_line_ + i);
      EXPECT_THAT(refusals_[static_cast<size_t>(i)],
                  StatusIs(absl::StatusCode::kFailedPrecondition,
                           AllOf(HasSubstr("acquire widgets at " + place),
                                 HasSubstr("called from " + hook + " of the same pool"))));
    }
  }

 private:
  std::atomic<FakePool*> pool_{nullptr};
  FakeLease held_;
  std::vector<absl::Status> refusals_;
  int first_line_ = 0;
  std::atomic<bool> done_{false};
};

// A pool of 3 whose hooks are the intruder's.
struct Fixture {
  WidgetFactory factory;
  Intruder intruder;
  std::unique_ptr<FakePool> pool;

  explicit Fixture(PoolHooks<Widget> hooks, PoolOptions options = Untimed(0, 3),
                   bool in_factory = false) {
    auto created = FakePool::Create(
        std::move(options),
        [this, in_factory] {
          if (in_factory) intruder.Intrude().IgnoreError();
          return factory();
        },
        std::move(hooks));
    if (!created.ok()) std::abort();
    pool = *std::move(created);
  }

  // Another lease, then the one whose slot this thread remembers.
  FakeLease Arm() {
    auto other = pool->Acquire(), last = pool->Acquire();
    EXPECT_OK(other);
    EXPECT_OK(last);
    intruder.Arm(pool.get(), *std::move(last));
    return *std::move(other);
  }

  void ExpectWorksAgain() {
    for (int i = 0; i < 3; ++i) EXPECT_OK(pool->Acquire(absl::ZeroDuration()));
    EXPECT_OK(pool->TryAcquire());
  }
};

PoolHooks<Widget> With(std::function<absl::Status(Widget&)> PoolHooks<Widget>::*hook,
                       Fixture** fixture) {
  PoolHooks<Widget> hooks;
  hooks.*hook = [fixture](Widget&) {
    return *fixture == nullptr ? absl::OkStatus() : (*fixture)->intruder.Intrude();
  };
  return hooks;
}

TEST(PoolReentryTest, TheFactory) {
  Fixture fixture({}, Untimed(0, 3), true);
  const FakeLease other = fixture.Arm();
  EXPECT_OK(fixture.pool->Acquire());
  fixture.intruder.ExpectRefused("the factory");
  fixture.ExpectWorksAgain();
}

TEST(PoolReentryTest, AfterOpen) {
  Fixture* self = nullptr;
  Fixture fixture(With(&PoolHooks<Widget>::after_open, &self));
  const FakeLease other = fixture.Arm();
  self = &fixture;
  EXPECT_OK(fixture.pool->Acquire());
  fixture.intruder.ExpectRefused("after_open");
  fixture.ExpectWorksAgain();
}

TEST(PoolReentryTest, BeforeLend) {
  Fixture* self = nullptr;
  Fixture fixture(With(&PoolHooks<Widget>::before_lend, &self));
  const FakeLease other = fixture.Arm();
  self = &fixture;
  EXPECT_OK(fixture.pool->Acquire());
  fixture.intruder.ExpectRefused("before_lend");
  fixture.ExpectWorksAgain();
}

TEST(PoolReentryTest, AfterReturn) {
  Fixture* self = nullptr;
  Fixture fixture(With(&PoolHooks<Widget>::after_return, &self));
  FakeLease other = fixture.Arm();
  self = &fixture;
  other.Release();
  fixture.intruder.ExpectRefused("after_return");
  fixture.ExpectWorksAgain();
}

TEST(PoolReentryTest, BeforeClose) {
  Fixture* self = nullptr;
  PoolHooks<Widget> hooks;
  hooks.before_close = [&self](Widget&, CloseReason) {
    if (self != nullptr) self->intruder.Intrude().IgnoreError();
  };
  Fixture fixture(std::move(hooks));
  FakeLease other = fixture.Arm();
  self = &fixture;
  other.MarkBroken();
  other.Release();
  fixture.intruder.ExpectRefused("before_close");
  fixture.ExpectWorksAgain();
}

// Changing the gate calls before_close while nobody else may change it: a hook that did would wait
// for itself.
TEST(PoolReentryTest, TheGate) {
  WidgetFactory factory;
  FakePool* pool = nullptr;
  std::vector<absl::Status> refused;
  PoolHooks<Widget> hooks;
  hooks.before_close = [&](Widget&, CloseReason) {
    if (refused.empty()) {
      refused = {pool->Suspend(), pool->Resume(), pool->Resize(1, 1),
                 pool->Close(absl::ZeroDuration())};
    }
  };
  auto created = FakePool::Create(
      Untimed(2, 2), [&factory] { return factory(); }, std::move(hooks));
  ASSERT_OK(created);
  pool = created->get();
  EXPECT_OK(pool->Resize(1, 1));
  ASSERT_EQ(refused.size(), 4u);
  for (const absl::Status& status : refused) {
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kFailedPrecondition,
                                 HasSubstr("called from before_close of the same pool")));
  }
  EXPECT_EQ(pool->stats().closed.resize, 1u);
}

// On the keeper's thread.
TEST(PoolReentryTest, Validate) {
  Fixture* self = nullptr;
  PoolOptions options = Untimed(0, 3);
  options.keepalive_interval = kWhile;
  Fixture fixture(With(&PoolHooks<Widget>::validate, &self), options);
  self = &fixture;
  fixture.Arm().Release();
  AwaitThat([&] {
    FakePlatform::Advance(kWhile);
    return fixture.intruder.done();
  });
  fixture.intruder.ExpectRefused("validate");
  fixture.ExpectWorksAgain();
}

TEST(PoolReentryTest, OnLeak) {
  Fixture* self = nullptr;
  PoolOptions options = Untimed(0, 3);
  options.leak_threshold = kWhile;
  PoolHooks<Widget> hooks;
  hooks.on_leak = [&self](const Holder&) { self->intruder.Intrude().IgnoreError(); };
  Fixture fixture(std::move(hooks), options);
  self = &fixture;
  const FakeLease other = fixture.Arm();
  AwaitThat([&] {
    FakePlatform::Advance(kWhile);
    return fixture.intruder.done();
  });
  fixture.intruder.ExpectRefused("on_leak");
  fixture.ExpectWorksAgain();
}

// A hook may release, and that may serve an asynchronous acquire where it stands; the hook must not
// get at the pool that way either.
TEST(PoolReentryTest, AfterAnAsynchronousAcquireWasServedInsideTheHook) {
  FakePool* self = nullptr;
  FakeLease held;
  absl::Status refused;
  WidgetFactory factory;
  PoolHooks<Widget> hooks;
  hooks.before_close = [&](Widget&, CloseReason reason) {
    if (reason != CloseReason::kBroken) return;
    held.Release();
    refused = self->Acquire(absl::ZeroDuration()).status();
  };
  const auto pool = MakePool<FakePool>(Untimed(2, 2), &factory, std::move(hooks));
  self = pool.get();
  ASSERT_OK_AND_ASSIGN(auto broken, pool->Acquire());
  ASSERT_OK_AND_ASSIGN(held, pool->Acquire());
  bool served = false;
  pool->AcquireAsync(RunAtOnce, [&](absl::StatusOr<FakeLease> lease) { served = lease.ok(); });
  broken.MarkBroken();
  broken.Release();
  EXPECT_TRUE(served);
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kFailedPrecondition));
}

// The hooks of one pool may use another.
TEST(PoolReentryTest, AnotherPoolIsOpen) {
  WidgetFactory inner_factory;
  const auto inner = MakePool(Untimed(1, 1), &inner_factory);
  WidgetFactory factory;
  PoolHooks<Widget> hooks;
  hooks.before_lend = [&](Widget&) { return inner->Acquire().status(); };
  const auto pool = MakePool(Untimed(1, 1), &factory, std::move(hooks));
  for (int i = 0; i < 3; ++i) EXPECT_OK(pool->Acquire());
  EXPECT_EQ(inner->stats().acquired, 3u);
}

}  // namespace
}  // namespace vouch::pool
