// How resources are opened: never too many at once, and again after kUnavailable.

#include <algorithm>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "tests/pool/executors.h"
#include "tests/pool/widget.h"
#include "tests/support/status_matchers.h"

namespace vouch::pool {
namespace {

using test::StatusIs;

// A factory that does not return until it may.
struct SlowFactory {
  std::atomic<bool> may_return{false};
  std::atomic<int> inside{0};
  std::atomic<int> most_inside{0};
  std::atomic<int> made{0};

  absl::StatusOr<std::unique_ptr<Widget>> operator()() {
    const int now = ++inside;
    int most = most_inside;
    while (now > most && !most_inside.compare_exchange_weak(most, now)) {
    }
    AwaitThat([this] { return may_return.load(); });
    --inside;
    return std::make_unique<Widget>(++made);
  }
};

template <typename AnyPool = Pool<Widget>>
std::unique_ptr<AnyPool> MakeSlowPool(int max, int opens, SlowFactory* factory,
                                      PoolHooks<Widget> hooks = {}) {
  PoolOptions options = Untimed(0, max);
  options.max_concurrent_opens = opens;
  auto pool = AnyPool::Create(
      options, [factory] { return (*factory)(); }, std::move(hooks));
  if (!pool.ok()) std::abort();
  return *std::move(pool);
}

TEST(PoolOpenTest, NeverMoreThanTheLimitAtOnce) {
  constexpr int kThreads = 8, kOpens = 2;
  SlowFactory factory;
  const auto pool = MakeSlowPool(kThreads, kOpens, &factory);
  std::atomic<int> served{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      const auto lease = pool->Acquire(absl::InfiniteDuration());
      ASSERT_OK(lease);
      ++served;
      AwaitThat([&] { return served == kThreads; });  // so that each needs a resource of its own
    });
  }
  AwaitWaiting(*pool, kThreads - kOpens);
  AwaitThat([&] { return factory.inside == kOpens; });
  EXPECT_EQ(pool->stats().opening, kOpens);
  EXPECT_THAT(pool->TryAcquire().status(), StatusIs(absl::StatusCode::kResourceExhausted));
  factory.may_return = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(factory.made, kThreads);
  EXPECT_EQ(factory.most_inside, kOpens);
  EXPECT_EQ(pool->stats().opening, 0);
}

TEST(PoolOpenTest, AReleaseServesAWaiterWhileOpensAreBlocked) {
  SlowFactory factory;
  const auto pool = MakeSlowPool(3, 1, &factory);
  factory.may_return = true;
  auto held = pool->Acquire();
  ASSERT_OK(held);
  factory.may_return = false;
  std::thread opener([&] { EXPECT_OK(pool->Acquire(absl::InfiniteDuration())); });
  AwaitThat([&] { return factory.inside == 1; });
  std::thread waiter([&] {
    const auto lease = pool->Acquire(absl::InfiniteDuration());
    ASSERT_OK(lease);
    EXPECT_EQ((*lease)->id, 1);
  });
  AwaitWaiting(*pool, 1);
  held->Release();
  waiter.join();  // though the opener is still inside
  EXPECT_EQ(factory.inside, 1);
  factory.may_return = true;
  opener.join();
}

// One that had an idle resource, found it unfit and may not open another, waits like everybody.
TEST(PoolOpenTest, AReplacementWaitsForItsTurnToo) {
  SlowFactory factory;
  PoolHooks<Widget> hooks;
  std::atomic<bool> rejects{false};
  hooks.before_lend = [&](Widget& widget) {
    return rejects && widget.id == 1 ? absl::DataLossError("worn") : absl::OkStatus();
  };
  const auto pool = MakeSlowPool(2, 1, &factory, std::move(hooks));
  factory.may_return = true;
  auto first = pool->Acquire();
  ASSERT_OK(first);
  factory.may_return = false;
  std::thread opener([&] { EXPECT_OK(pool->Acquire(absl::InfiniteDuration())); });
  AwaitThat([&] { return factory.inside == 1; });
  rejects = true;
  first->Release();
  std::thread replacer([&] { EXPECT_OK(pool->Acquire(absl::InfiniteDuration())); });
  AwaitWaiting(*pool, 1);
  EXPECT_EQ(pool->stats().closed.rejected, 1u);
  factory.may_return = true;
  opener.join();
  replacer.join();
  EXPECT_EQ(factory.most_inside, 1);
}

// The keeper keeps to the limit as well.
TEST(PoolOpenTest, TheRefillWaitsForItsTurn) {
  SlowFactory factory;
  const auto pool = MakeSlowPool(3, 1, &factory);
  std::thread opener([&] { EXPECT_OK(pool->Acquire(absl::InfiniteDuration())); });
  AwaitThat([&] { return factory.inside == 1; });
  EXPECT_OK(pool->Resize(3, 3));
  factory.may_return = true;
  opener.join();
  AwaitThat([&] { return pool->stats().size == 3; });
  EXPECT_EQ(factory.most_inside, 1);
}

// Telling

std::string Here(int line) { return "pool_open_test.cc:" + std::to_string(line); }

// The slot was leased before, and seen: that is over.
TEST(PoolOpenTest, WhoOpensIsNamedAndNotTheLastHolder) {
  SlowFactory factory;
  factory.may_return = true;
  const auto pool = MakeSlowPool<FakePool>(1, 1, &factory);
  ASSERT_OK_AND_ASSIGN(auto last, pool->Acquire({.label = "last"}));
  EXPECT_FALSE(pool->TryAcquire().ok());
  last.MarkBroken();
  last.Release();
  factory.may_return = false;
  FakePlatform::Advance(absl::Seconds(3));
  const int line = __LINE__ + 1;
  std::thread opener([&] { EXPECT_OK(pool->Acquire(absl::InfiniteDuration())); });
  AwaitThat([&] { return factory.inside == 1; });
  FakePlatform::Advance(absl::Milliseconds(150));
  EXPECT_TRUE(pool->holders().empty());
  EXPECT_THAT(pool->TryAcquire().status(),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       testing::StrEq("acquire widgets: none available (capacity 1, leased 0, "
                                      "waiting 0, opening 1); being opened by " +
                                      Here(line) + " (for 150ms)")));
  factory.may_return = true;
  opener.join();
}

// One is leased all the time, by one after the other, and one is being opened.
TEST(PoolOpenTest, ASlowOpenIsTheLikelyCauseBesideShortLeases) {
  SlowFactory factory;
  factory.may_return = true;
  const auto pool = MakeSlowPool<FakePool>(2, 1, &factory);
  ASSERT_OK_AND_ASSIGN(auto first, pool->Acquire({.transferable = true}));
  factory.may_return = false;
  std::thread opener([&] { EXPECT_OK(pool->Acquire(absl::InfiniteDuration())); });
  AwaitThat([&] { return factory.inside == 1; });
  Answer<FakePool> second;
  pool->AcquireAsync(RunAtOnce, second.done());
  std::thread waiter([&] {
    EXPECT_THAT(pool->Acquire(absl::Seconds(1)).status(),
                StatusIs(absl::StatusCode::kDeadlineExceeded,
                         testing::EndsWith("likely cause: opening a resource takes too long")));
  });
  AwaitWaiting(*pool, 2);
  FakePlatform::Advance(absl::Milliseconds(900));
  first.Release();
  ASSERT_EQ(second.calls(), 1);
  FakePlatform::Advance(absl::Milliseconds(100));
  waiter.join();
  factory.may_return = true;
  opener.join();
}

// The slot whose resource could not be opened is gone; the error stays, as what it is: old.
TEST(PoolOpenTest, AnOldErrorIsNoCause) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(0, 1), &factory);
  ASSERT_OK_AND_ASSIGN(const auto lease, pool->Acquire({.transferable = true}));
  EXPECT_OK(pool->Resize(0, 2));
  factory.fails = true;
  EXPECT_FALSE(pool->Acquire().ok());
  EXPECT_OK(pool->Resize(0, 1));
  FakePlatform::Advance(absl::Hours(1));
  std::thread waiter([&] {
    EXPECT_THAT(
        pool->Acquire(absl::Seconds(1)).status(),
        StatusIs(absl::StatusCode::kDeadlineExceeded,
                 testing::EndsWith("; last open error, 1h1s ago: the server is down; likely "
                                   "cause: a lease was not released, or its work hangs, "
                                   "for 1h1s")));
  });
  AwaitWaiting(*pool, 1);
  FakePlatform::Advance(absl::Seconds(1));
  waiter.join();
}

TEST(PoolOpenTest, AnErrorDuringTheWaitIsTheLikelyCause) {
  WidgetFactory factory;
  PoolOptions options = Untimed(0, 2);
  options.open_attempts = 2;
  const auto pool = MakePool<FakePool>(options, &factory);
  ASSERT_OK_AND_ASSIGN(const auto lease, pool->Acquire({.transferable = true}));
  factory.fails = true;
  std::thread opener([&] { EXPECT_FALSE(pool->Acquire(absl::InfiniteDuration()).ok()); });
  AwaitBackOff(*pool, 1);
  std::thread waiter([&] {
    EXPECT_THAT(pool->Acquire(absl::Milliseconds(50)).status(),
                StatusIs(absl::StatusCode::kDeadlineExceeded,
                         testing::EndsWith("likely cause: resources cannot be opened")));
  });
  AwaitWaiting(*pool, 1);
  FakePlatform::Advance(absl::Milliseconds(50));
  waiter.join();
  FakePlatform::Advance(absl::Milliseconds(50));
  opener.join();
}

// Trying again

// Fails with `code` until it has been called `failures` times.
struct FlakyFactory {
  absl::StatusCode code = absl::StatusCode::kUnavailable;
  int failures = 0;
  std::atomic<int> calls{0};

  absl::StatusOr<std::unique_ptr<Widget>> operator()() {
    if (++calls <= failures) return absl::Status(code, "not yet");
    return std::make_unique<Widget>(calls);
  }
};

std::unique_ptr<FakePool> MakeFlakyPool(int attempts, FlakyFactory* factory) {
  PoolOptions options = Untimed(0, 1);
  options.open_attempts = attempts;
  auto pool = FakePool::Create(options, [factory] { return (*factory)(); });
  if (!pool.ok()) std::abort();
  return *std::move(pool);
}

TEST(PoolOpenTest, UnavailableIsTriedAgainWithABackOff) {
  FlakyFactory factory{.failures = 2};
  const auto pool = MakeFlakyPool(3, &factory);
  std::thread opener([&] { EXPECT_OK(pool->Acquire(absl::Seconds(30))); });
  AwaitBackOff(*pool, 1);
  FakePlatform::Advance(absl::Milliseconds(99));
  AwaitLook();
  EXPECT_EQ(factory.calls, 1);
  FakePlatform::Advance(absl::Milliseconds(1));
  AwaitBackOff(*pool, 2);
  FakePlatform::Advance(absl::Milliseconds(199));
  AwaitLook();
  EXPECT_EQ(factory.calls, 2);
  FakePlatform::Advance(absl::Milliseconds(1));
  opener.join();
  EXPECT_EQ(factory.calls, 3);
}

TEST(PoolOpenTest, TheLastAttemptsErrorIsReturned) {
  FlakyFactory factory{.failures = 100};
  const auto pool = MakeFlakyPool(2, &factory);
  std::thread opener([&] {
    EXPECT_THAT(pool->Acquire(absl::InfiniteDuration()).status(),
                StatusIs(absl::StatusCode::kUnavailable,
                         testing::StrEq("acquire widgets: open failed: not yet")));
  });
  AwaitBackOff(*pool, 1);
  FakePlatform::Advance(absl::Milliseconds(100));
  opener.join();
  EXPECT_EQ(factory.calls, 2);
  EXPECT_EQ(pool->stats().opening, 0);
}

TEST(PoolOpenTest, OtherErrorsAreNotTriedAgain) {
  for (const absl::StatusCode code :
       {absl::StatusCode::kNotFound, absl::StatusCode::kInternal,
        absl::StatusCode::kResourceExhausted, absl::StatusCode::kDeadlineExceeded}) {
    FlakyFactory factory{.code = code, .failures = 1};
    const auto pool = MakeFlakyPool(5, &factory);
    EXPECT_THAT(pool->Acquire(absl::InfiniteDuration()).status(), StatusIs(code));
    EXPECT_EQ(factory.calls, 1);
  }
}

// The clock stands still: an attempt beyond the deadline is not waited for.
TEST(PoolOpenTest, TheDeadlineCutsTheAttempts) {
  FlakyFactory factory{.failures = 100};
  const auto pool = MakeFlakyPool(5, &factory);
  EXPECT_THAT(pool->Acquire(absl::Milliseconds(100)).status(),
              StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(factory.calls, 1);
  EXPECT_THAT(pool->TryAcquire().status(), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(factory.calls, 2);
  std::thread opener([&] {
    EXPECT_THAT(pool->Acquire(absl::Milliseconds(300)).status(),
                StatusIs(absl::StatusCode::kUnavailable));
  });
  AwaitBackOff(*pool, 3);
  FakePlatform::Advance(absl::Milliseconds(100));
  opener.join();  // 200 ms more would be the deadline
  EXPECT_EQ(factory.calls, 4);
}

// The clock stands still: what sleeps until the next attempt sleeps for ever.
std::unique_ptr<FakePool> MakePatientPool(WidgetFactory* factory) {
  factory->fails = true;
  PoolOptions options = Untimed(0, 1);
  options.open_attempts = 5;
  return MakePool<FakePool>(options, factory);
}

TEST(PoolOpenTest, AStopTokenEndsTheBackOff) {
  WidgetFactory factory;
  const auto pool = MakePatientPool(&factory);
  std::stop_source stop;
  std::thread acquirer([&] {
    EXPECT_THAT(
        pool->Acquire({.timeout = absl::InfiniteDuration(), .stop = stop.get_token()}).status(),
        StatusIs(absl::StatusCode::kCancelled));
  });
  AwaitThat([&] { return pool->stats().open_failures == 1; });
  stop.request_stop();
  acquirer.join();
  EXPECT_EQ(pool->stats().opening, 0);
  factory.fails = false;
  EXPECT_OK(pool->Acquire());
}

TEST(PoolOpenTest, CloseEndsTheBackOff) {
  WidgetFactory factory;
  const auto pool = MakePatientPool(&factory);
  std::thread acquirer([&] {
    EXPECT_THAT(pool->Acquire(absl::InfiniteDuration()).status(),
                StatusIs(absl::StatusCode::kFailedPrecondition, testing::HasSubstr("closed")));
  });
  AwaitThat([&] { return pool->stats().open_failures == 1; });
  EXPECT_OK(pool->Close(absl::InfiniteDuration()));
  acquirer.join();
}

}  // namespace
}  // namespace vouch::pool
