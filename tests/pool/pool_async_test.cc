// Acquiring without a thread that waits. The clock moves only when the test moves it.

#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/pool/executors.h"
#include "tests/pool/stress.h"
#include "tests/pool/widget.h"
#include "tests/support/status_matchers.h"

namespace vouch::pool {
namespace {

using test::StatusIs;
using testing::AllOf;
using testing::HasSubstr;

using FakeAnswer = Answer<FakePool>;
const AcquireOptions kForEver{.timeout = absl::InfiniteDuration()};

TEST(PoolAsyncTest, AnIdleResourceComesAtOnce) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  FakeAnswer answer;
  pool->AcquireAsync(RunAtOnce, answer.done());
  ASSERT_EQ(answer.calls(), 1);
  ASSERT_OK(*answer);
  EXPECT_EQ((**answer)->id, 1);
  EXPECT_EQ(pool->stats().waited, 0u);
  EXPECT_EQ(pool->stats().acquired, 1u);
}

TEST(PoolAsyncTest, OpensOneIfThereAreLessThanMax) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(0, 1), &factory);
  FakeAnswer answer;
  ClosureQueue queue;
  pool->AcquireAsync(queue.executor(), answer.done());
  EXPECT_EQ(factory.made, 0);  // the executor's thread opens it
  queue.RunAll();
  ASSERT_EQ(answer.calls(), 1);
  EXPECT_OK(*answer);
  EXPECT_EQ(factory.made, 1);
  EXPECT_EQ(pool->stats().opening, 0);
}

TEST(PoolAsyncTest, TheFactorysErrorIsPassedOn) {
  WidgetFactory factory;
  factory.fails = true;
  const auto pool = MakePool<FakePool>(Untimed(0, 1), &factory);
  FakeAnswer answer;
  pool->AcquireAsync(RunAtOnce, answer.done());
  EXPECT_THAT(answer->status(), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("open failed")));
  EXPECT_EQ(pool->stats().leased, 0);
  EXPECT_EQ(pool->stats().opening, 0);
}

TEST(PoolAsyncTest, WaitsInLineWithThreads) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  constexpr int kWaiters = 10;
  std::vector<int> order;  // guarded by holding the only widget
  std::vector<std::thread> threads;
  for (int i = 0; i < kWaiters; ++i) {
    if (i % 3 == 0) {
      threads.emplace_back([&, i] {
        const auto mine = pool->Acquire(absl::InfiniteDuration());
        ASSERT_OK(mine);
        order.push_back(i);
      });
    } else {
      pool->AcquireAsync(
          RunAtOnce,
          [&order, i](absl::StatusOr<FakeLease> mine) {
            EXPECT_OK(mine);
            order.push_back(i);
          },
          kForEver);
    }
    AwaitWaiting(*pool, i + 1);
  }
  FakePlatform::Advance(absl::Milliseconds(1));
  lease.Release();
  for (std::thread& thread : threads) thread.join();
  ASSERT_OK_AND_ASSIGN(const auto last, pool->Acquire(absl::InfiniteDuration()));
  EXPECT_THAT(order, testing::ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
  EXPECT_EQ(pool->stats().waited, static_cast<uint64_t>(kWaiters));
}

// It does not compete, so a young one is handed its slot as well.
TEST(PoolAsyncTest, IsHandedTheSlotWithoutPatience) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  FakeAnswer answer;
  pool->AcquireAsync(RunAtOnce, answer.done(), kForEver);
  EXPECT_EQ(pool->stats().waiting, 1);
  EXPECT_EQ(answer.calls(), 0);
  lease.Release();
  ASSERT_EQ(answer.calls(), 1);
  EXPECT_OK(*answer);
  EXPECT_EQ(pool->stats().handed_off, 1u);
  EXPECT_EQ(pool->stats().waiting, 0);
}

TEST(PoolAsyncTest, TheLeaseHasNoOwnerThread) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  FakeAnswer answer;
  pool->AcquireAsync(RunAtOnce, answer.done());
  // Else this would be refused as a deadlock, with another code.
  std::thread clock([&] {
    AwaitWaiting(*pool, 1);
    FakePlatform::Advance(absl::Seconds(1));
  });
  EXPECT_THAT(pool->Acquire(absl::Seconds(1)).status(),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  clock.join();
}

TEST(PoolAsyncTest, ItsCallSiteAndLabelAreTold) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  FakeAnswer answer;
  const int line = __LINE__ + 1;
  pool->AcquireAsync(RunAtOnce, answer.done(), {.label = "prefetch"});
  ASSERT_EQ(pool->holders().size(), 1u);
  EXPECT_EQ(pool->holders()[0].site.line, line);
  EXPECT_EQ(pool->holders()[0].label, "prefetch");
}

// Stopping

TEST(PoolAsyncTest, StoppedWhileWaiting) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  FakeAnswer answer;
  std::stop_source stop;
  pool->AcquireAsync(RunAtOnce, answer.done(), {.stop = stop.get_token()});
  EXPECT_EQ(answer.calls(), 0);
  stop.request_stop();
  ASSERT_EQ(answer.calls(), 1);
  EXPECT_THAT(answer->status(), StatusIs(absl::StatusCode::kCancelled,
                                         HasSubstr("acquire widgets: stopped by the caller")));
  EXPECT_EQ(pool->stats().stopped, 1u);
  EXPECT_EQ(pool->stats().waiting, 0);
  lease.Release();
  ExpectComplete(*pool);
}

TEST(PoolAsyncTest, StoppedBefore) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  std::stop_source stop;
  stop.request_stop();
  {
    ASSERT_OK_AND_ASSIGN(const auto lease, pool->Acquire());
    FakeAnswer answer;
    pool->AcquireAsync(RunAtOnce, answer.done(), {.stop = stop.get_token()});
    ASSERT_EQ(answer.calls(), 1);
    EXPECT_THAT(answer->status(), StatusIs(absl::StatusCode::kCancelled));
  }
  FakeAnswer answer;  // there is nothing to wait for: it is no wait that could be ended
  pool->AcquireAsync(RunAtOnce, answer.done(), {.stop = stop.get_token()});
  ASSERT_EQ(answer.calls(), 1);
  EXPECT_OK(*answer);
}

TEST(PoolAsyncTest, StoppedAfterwards) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  FakeAnswer answer;
  std::stop_source stop;
  pool->AcquireAsync(RunAtOnce, answer.done(), {.stop = stop.get_token()});
  lease.Release();
  stop.request_stop();
  ASSERT_EQ(answer.calls(), 1);
  EXPECT_OK(*answer);
  EXPECT_EQ(pool->stats().stopped, 0u);
}

TEST(PoolAsyncTest, OneInTheMiddleIsPassedOver) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  FakeAnswer first, second, third;
  std::stop_source stop;
  pool->AcquireAsync(RunAtOnce, first.done(), kForEver);
  pool->AcquireAsync(RunAtOnce, second.done(), {.stop = stop.get_token()});
  pool->AcquireAsync(RunAtOnce, third.done(), kForEver);
  stop.request_stop();
  lease.Release();
  ASSERT_EQ(first.calls(), 1);
  first->value().Release();
  EXPECT_EQ(second.calls(), 1);
  EXPECT_EQ(third.calls(), 1);
  EXPECT_OK(*third);
}

// Deadlines

TEST(PoolAsyncTest, TheDeadlinePasses) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(0, 1), &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  FakeAnswer late, early, never;
  pool->AcquireAsync(RunAtOnce, late.done(), {.timeout = absl::Seconds(20)});
  pool->AcquireAsync(RunAtOnce, early.done(), {.timeout = absl::Seconds(10)});
  pool->AcquireAsync(RunAtOnce, never.done(), kForEver);
  FakePlatform::Advance(absl::Seconds(10) - absl::Nanoseconds(1));
  AwaitLook();
  EXPECT_EQ(early.calls(), 0);
  FakePlatform::Advance(absl::Nanoseconds(1));
  AwaitThat([&] { return early.calls() == 1; });
  EXPECT_THAT(early->status(),
              StatusIs(absl::StatusCode::kDeadlineExceeded,
                       AllOf(HasSubstr("after 10s"), HasSubstr("pool_async_test.cc"))));
  AwaitLook();
  EXPECT_EQ(late.calls(), 0);
  FakePlatform::Advance(absl::Seconds(10));
  AwaitThat([&] { return late.calls() == 1; });
  EXPECT_THAT(late->status(), StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_EQ(never.calls(), 0);
  lease.Release();
  EXPECT_EQ(never.calls(), 1);
  EXPECT_EQ(pool->stats().timed_out, 2u);
}

// The keeper of the slots does not come back from the factory.
TEST(PoolAsyncTest, TheDeadlinePassesWhileTheFactoryIsBusy) {
  WidgetFactory factory;
  std::atomic<bool> may_return{false}, refilling{false};
  auto created = FakePool::Create(Untimed(2, 2), [&]() -> absl::StatusOr<std::unique_ptr<Widget>> {
    if (factory.made == 2) {
      refilling = true;
      AwaitThat([&] { return may_return.load(); });
    }
    return factory();
  });
  ASSERT_OK(created);
  const auto pool = *std::move(created);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  ASSERT_OK_AND_ASSIGN(auto broken, pool->Acquire());
  broken.MarkBroken();
  broken.Release();
  AwaitThat([&] { return refilling.load(); });
  FakeAnswer answer;
  pool->AcquireAsync(RunAtOnce, answer.done(), {.timeout = absl::Seconds(10)});
  FakePlatform::Advance(absl::Seconds(10));
  AwaitThat([&] { return answer.calls() == 1; });
  EXPECT_THAT(answer->status(), StatusIs(absl::StatusCode::kDeadlineExceeded));
  may_return = true;
}

TEST(PoolAsyncTest, ATimeoutOfZeroEndsAtOnce) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(0, 1), &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  for (const absl::Duration timeout : {absl::ZeroDuration(), -absl::Seconds(5)}) {
    FakeAnswer answer;
    pool->AcquireAsync(RunAtOnce, answer.done(), {.timeout = timeout});
    ASSERT_EQ(answer.calls(), 1);
    EXPECT_THAT(answer->status(), StatusIs(absl::StatusCode::kDeadlineExceeded));
  }
  EXPECT_EQ(pool->stats().waited, 0u);
}

TEST(PoolAsyncTest, ADeadlineThatIsNotReachedIsForgotten) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(0, 1), &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  FakeAnswer answer, later;
  pool->AcquireAsync(RunAtOnce, answer.done(), {.timeout = absl::Seconds(10)});
  lease.Release();
  ASSERT_EQ(answer.calls(), 1);
  pool->AcquireAsync(RunAtOnce, later.done(), {.timeout = absl::Seconds(20)});
  FakePlatform::Advance(absl::Seconds(20));
  AwaitThat([&] { return later.calls() == 1; });
  EXPECT_EQ(answer.calls(), 1);
  EXPECT_OK(*answer);
}

// Refusals

TEST(PoolAsyncTest, AClosedPoolRefuses) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  EXPECT_OK(pool->Close(absl::ZeroDuration()));
  FakeAnswer answer;
  pool->AcquireAsync(RunAtOnce, answer.done());
  ASSERT_EQ(answer.calls(), 1);
  EXPECT_THAT(answer->status(), StatusIs(absl::StatusCode::kFailedPrecondition,
                                         HasSubstr("acquire widgets: the pool is closed")));
}

TEST(PoolAsyncTest, AFullLineRefuses) {
  WidgetFactory factory;
  PoolOptions options = Untimed(1, 1);
  options.max_waiters = 1;
  const auto pool = MakePool<FakePool>(options, &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  FakeAnswer first, second;
  pool->AcquireAsync(RunAtOnce, first.done(), kForEver);
  pool->AcquireAsync(RunAtOnce, second.done(), kForEver);
  EXPECT_EQ(first.calls(), 0);
  ASSERT_EQ(second.calls(), 1);
  EXPECT_THAT(second->status(), StatusIs(absl::StatusCode::kResourceExhausted,
                                         HasSubstr("the line is full, max_waiters is 1")));
  lease.Release();
  EXPECT_EQ(first.calls(), 1);
}

TEST(PoolAsyncTest, CloseEndsThoseThatWait) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  FakeAnswer answers[3];
  for (FakeAnswer& answer : answers) pool->AcquireAsync(RunAtOnce, answer.done());
  EXPECT_FALSE(pool->Close(absl::ZeroDuration()).ok());
  for (FakeAnswer& answer : answers) {
    ASSERT_EQ(answer.calls(), 1);
    EXPECT_THAT(answer->status(), StatusIs(absl::StatusCode::kFailedPrecondition));
  }
}

TEST(PoolAsyncTest, DestructionEndsThoseThatWait) {
  WidgetFactory factory;
  FakeAnswer answers[3];
  ClosureQueue queue;
  {
    const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
    EXPECT_OK(pool->Suspend());
    for (FakeAnswer& answer : answers) pool->AcquireAsync(queue.executor(), answer.done());
    EXPECT_EQ(pool->stats().waiting, 3);
  }
  EXPECT_EQ(queue.size(), 3u);
  queue.RunAll();  // the pool is gone
  for (FakeAnswer& answer : answers) {
    ASSERT_EQ(answer.calls(), 1);
    EXPECT_THAT(answer->status(), StatusIs(absl::StatusCode::kFailedPrecondition));
  }
  EXPECT_EQ(factory.live, 0);
}

// Executors

// Says when it is destroyed.
struct Token {
  explicit Token(int* destroyed) : destroyed_(destroyed) {}
  Token(Token&& other) noexcept : destroyed_(std::exchange(other.destroyed_, nullptr)) {}
  ~Token() {
    if (destroyed_ != nullptr) ++*destroyed_;
  }
  int* destroyed_;
};

TEST(PoolAsyncTest, ADroppedClosureReturnsTheSlot) {
  WidgetFactory factory;
  for (const int min : {0, 1}) {  // an empty slot, and one with a resource
    const auto pool = MakePool<FakePool>(Untimed(min, 1), &factory);
    int destroyed = 0;
    bool called = false;
    pool->AcquireAsync(DropAtOnce, [token = Token(&destroyed), &called](absl::StatusOr<FakeLease>) {
      called = true;
    });
    EXPECT_EQ(destroyed, 1);
    EXPECT_FALSE(called);
    EXPECT_EQ(pool->stats().leased, 0);
    EXPECT_EQ(pool->stats().opening, 0);
    ExpectComplete(*pool);
  }
}

TEST(PoolAsyncTest, ADroppedClosureServesTheNextInLine) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  ClosureQueue queue;
  FakeAnswer dropped, next;
  pool->AcquireAsync(queue.executor(), dropped.done(), kForEver);
  pool->AcquireAsync(RunAtOnce, next.done(), kForEver);
  lease.Release();
  EXPECT_EQ(next.calls(), 0);
  EXPECT_TRUE(queue.DropOne());
  EXPECT_EQ(next.calls(), 1);
  EXPECT_EQ(dropped.calls(), 0);
  EXPECT_OK(*next);
}

TEST(PoolAsyncTest, ADroppedErrorIsJustDropped) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  ASSERT_OK_AND_ASSIGN(const auto lease, pool->Acquire());
  FakeAnswer answer;
  std::stop_source stop;
  pool->AcquireAsync(DropAtOnce, answer.done(), {.stop = stop.get_token()});
  stop.request_stop();
  EXPECT_EQ(answer.calls(), 0);
  EXPECT_EQ(pool->stats().waiting, 0);
}

// The keeper found the only permit taken by a closure that is then dropped.
TEST(PoolAsyncTest, ADroppedClosureDoesNotKeepTheRefillWaiting) {
  WidgetFactory factory;
  PoolOptions options = Untimed(2, 2);
  options.max_concurrent_opens = 1;
  const auto pool = MakePool<FakePool>(options, &factory);
  ASSERT_OK_AND_ASSIGN(auto first, pool->Acquire());
  ASSERT_OK_AND_ASSIGN(auto second, pool->Acquire());
  ClosureQueue queue;
  FakeAnswer answer;
  pool->AcquireAsync(queue.executor(), answer.done(), kForEver);
  first.MarkBroken();
  first.Release();  // its empty slot and the permit are the closure's now
  second.MarkBroken();
  second.Release();
  EXPECT_EQ(pool->stats().size, 0);
  FakePlatform::Advance(absl::Milliseconds(1));
  EXPECT_TRUE(queue.DropOne());
  AwaitThat([&] {
    FakePlatform::Advance(absl::Milliseconds(1));
    return pool->stats().size == 2;
  });
}

TEST(PoolAsyncTest, CloseWaitsForASlotOnItsWay) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  ClosureQueue queue;
  FakeAnswer answer;
  pool->AcquireAsync(queue.executor(), answer.done());
  EXPECT_THAT(pool->Close(absl::ZeroDuration()), StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_TRUE(queue.DropOne());
  EXPECT_OK(pool->Close(absl::ZeroDuration()));
}

// A resource that turns out unfit when the executor runs the closure, while nothing may be opened:
// the acquire goes on waiting.
TEST(PoolAsyncTest, AnUnfitResourceIsReplacedLater) {
  WidgetFactory factory;
  PoolOptions options = Untimed(0, 2);
  options.max_concurrent_opens = 1;
  PoolHooks<Widget> hooks;
  bool rejects = false;
  hooks.before_lend = [&](Widget& widget) {
    return rejects && widget.id == 1 ? absl::DataLossError("worn") : absl::OkStatus();
  };
  const auto pool = MakePool<FakePool>(options, &factory, std::move(hooks));
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  ClosureQueue permit_holder;
  FakeAnswer first, second;
  pool->AcquireAsync(permit_holder.executor(), first.done(), kForEver);  // an empty slot
  rejects = true;
  pool->AcquireAsync(RunAtOnce, second.done(), kForEver);
  lease.Release();
  EXPECT_EQ(second.calls(), 0);
  EXPECT_EQ(pool->stats().waiting, 1);
  permit_holder.RunAll();
  EXPECT_EQ(first.calls(), 1);
  EXPECT_OK(*first);
  ASSERT_EQ(second.calls(), 1);
  EXPECT_OK(*second);
}

}  // namespace
}  // namespace vouch::pool
