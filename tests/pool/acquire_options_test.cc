#include "pool/acquire_options.h"

#include <stop_token>
#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "tests/pool/stress.h"
#include "tests/pool/widget.h"
#include "tests/support/status_matchers.h"

namespace vouch::pool {
namespace {

using test::StatusIs;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

// A pool whose only resource is leased, to nobody in particular.
struct Fixture {
  WidgetFactory factory;
  std::unique_ptr<FakePool> pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  FakeLease lease = *pool->Acquire({.label = "the holder", .transferable = true});
};

TEST(AcquireOptionsTest, TheDefaultIsAcquireWithoutOptions) {
  WidgetFactory factory;
  PoolOptions options = Untimed(1, 1);
  options.acquire_timeout = absl::Milliseconds(7);
  const auto pool = MakePool<FakePool>(options, &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire(AcquireOptions{}));
  lease.MakeTransferable();
  std::thread waiter([&] {
    EXPECT_THAT(pool->Acquire(AcquireOptions{}).status(),
                StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("after 7ms")));
  });
  AwaitWaiting(*pool, 1);
  FakePlatform::Advance(absl::Milliseconds(7));
  waiter.join();
}

TEST(AcquireOptionsTest, ADeadlineInThePastDoesNotWait) {
  Fixture f;
  for (const absl::Time deadline : {absl::Now() - absl::Seconds(5), absl::InfinitePast()}) {
    EXPECT_THAT(f.pool->Acquire({.deadline = deadline}).status(),
                StatusIs(absl::StatusCode::kDeadlineExceeded,
                         StartsWith("acquire widgets: deadline exceeded after 0 (")));
    EXPECT_THAT(f.pool->Acquire(deadline).status(), StatusIs(absl::StatusCode::kDeadlineExceeded));
  }
  EXPECT_EQ(f.pool->stats().waited, 0u);
  f.lease.Release();
  EXPECT_OK(f.pool->Acquire({.deadline = absl::InfinitePast()}));  // one that is there may be had
}

// The deadline is a time of the world, the wait one of the pool's clock, which the test moves.
TEST(AcquireOptionsTest, TheEarlierOfDeadlineAndTimeoutEndsTheWait) {
  Fixture f;
  const auto wait = [&](const AcquireOptions& options) {
    std::thread waiter([&] {
      EXPECT_THAT(f.pool->Acquire(options).status(), StatusIs(absl::StatusCode::kDeadlineExceeded));
    });
    AwaitWaiting(*f.pool, 1);
    FakePlatform::Advance(absl::Hours(1));
    waiter.join();
  };
  wait({.timeout = absl::Hours(1), .deadline = absl::Now() + absl::Hours(1000)});
  wait({.timeout = absl::Hours(1000), .deadline = absl::Now() + absl::Hours(1)});
  wait({.timeout = absl::InfiniteDuration(), .deadline = absl::Now() + absl::Hours(1)});
  wait({.timeout = absl::Hours(1), .deadline = absl::InfiniteFuture()});
}

TEST(AcquireOptionsTest, AlreadyStopped) {
  Fixture f;
  std::stop_source stop;
  stop.request_stop();
  EXPECT_THAT(
      f.pool->Acquire({.timeout = absl::InfiniteDuration(), .stop = stop.get_token()}).status(),
      StatusIs(absl::StatusCode::kCancelled,
               AllOf(StartsWith("acquire widgets: stopped by the caller (capacity 1"),
                     HasSubstr("'the holder'"))));
  EXPECT_EQ(f.pool->stats().stopped, 1u);
  EXPECT_EQ(f.pool->stats().waiting, 0);
}

TEST(AcquireOptionsTest, StoppedWhileWaiting) {
  Fixture f;
  std::stop_source stop;
  std::thread waiter([&] {
    EXPECT_THAT(
        f.pool->Acquire({.timeout = absl::InfiniteDuration(), .stop = stop.get_token()}).status(),
        StatusIs(absl::StatusCode::kCancelled));
  });
  std::thread other([&] { EXPECT_OK(f.pool->Acquire(absl::InfiniteDuration())); });
  AwaitWaiting(*f.pool, 2);
  stop.request_stop();
  waiter.join();
  AwaitWaiting(*f.pool, 1);
  f.lease.Release();  // to the other
  other.join();
  ExpectComplete(*f.pool);
}

TEST(AcquireOptionsTest, AStopTokenThatIsNotUsedChangesNothing) {
  Fixture f;
  std::stop_source stop;
  std::thread waiter([&] {
    EXPECT_OK(f.pool->Acquire({.timeout = absl::InfiniteDuration(), .stop = stop.get_token()}));
  });
  AwaitWaiting(*f.pool, 1);
  f.lease.Release();
  waiter.join();
  stop.request_stop();
  ExpectComplete(*f.pool);
}

// Of the stop and the grant one wins, and the slot is not lost.
TEST(AcquireOptionsTest, AStopRacesAGrant) {
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(1, 1), &factory);
  for (int round = 0; round < 1000; ++round) {
    auto held = pool->Acquire();
    ASSERT_OK(held);
    std::stop_source stop;
    std::thread waiter([&] {
      const auto lease =
          pool->Acquire({.timeout = absl::InfiniteDuration(), .stop = stop.get_token()});
      EXPECT_TRUE(lease.ok() || absl::IsCancelled(lease.status()));
    });
    if (round % 2 == 0) AwaitWaiting(*pool, 1);
    std::thread stopper([&] { stop.request_stop(); });
    held->Release();
    waiter.join();
    stopper.join();
  }
  ExpectComplete(*pool);
}

TEST(AcquireOptionsTest, TheLabelIsInMessagesAndHolders) {
  Fixture f;
  ASSERT_EQ(f.pool->holders().size(), 1u);
  EXPECT_EQ(f.pool->holders()[0].label, "the holder");
  EXPECT_THAT(f.pool->Acquire(absl::ZeroDuration()).status(),
              StatusIs(absl::StatusCode::kDeadlineExceeded,
                       testing::ContainsRegex("held at acquire_options_test.cc:[0-9]+ 'the "
                                              "holder'")));
  f.lease.Release();
  EXPECT_TRUE(f.pool->holders().empty());
  ASSERT_OK_AND_ASSIGN(const auto lease, f.pool->Acquire());  // another lease has no label
  EXPECT_EQ(f.pool->holders()[0].label, "");
}

TEST(AcquireOptionsTest, ATransferableLeaseIsNotHeldAgainstItsThread) {
  Fixture f;
  std::thread clock([&] {
    AwaitWaiting(*f.pool, 1);
    FakePlatform::Advance(absl::Seconds(1));
  });
  EXPECT_THAT(f.pool->Acquire(absl::Seconds(1)).status(),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  clock.join();
  EXPECT_EQ(f.pool->stats().deadlocks, 0u);
}

TEST(AcquireOptionsTest, HoldersAreOldestFirst) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(3, 3), &factory);
  ASSERT_OK_AND_ASSIGN(const auto a, pool->Acquire({.label = "a", .transferable = true}));
  ASSERT_OK_AND_ASSIGN(const auto b, pool->Acquire({.label = "b", .transferable = true}));
  ASSERT_OK_AND_ASSIGN(auto c, pool->Acquire({.label = "c", .transferable = true}));
  // One that waits notices them all; and one that waited knows when it began.
  std::thread waiter([&] {
    ASSERT_OK_AND_ASSIGN(const auto d, pool->Acquire({.label = "d"}));
    FakePlatform::Advance(absl::Seconds(5));
    const std::vector<Holder> holders = pool->holders();
    ASSERT_EQ(holders.size(), 3u);
    EXPECT_EQ(holders[0].age, absl::Seconds(8));
    EXPECT_EQ(holders[2].label, "d");
    EXPECT_EQ(holders[2].age, absl::Seconds(5));
  });
  AwaitWaiting(*pool, 1);
  FakePlatform::Advance(absl::Seconds(3));
  c.Release();
  waiter.join();
}

}  // namespace
}  // namespace vouch::pool
