// Waiting, with a clock that only the test moves: what is old is old by its word.

#include <stop_token>
#include <thread>
#include <vector>

#include "tests/pool/executors.h"
#include "tests/pool/widget.h"
#include "tests/support/status_matchers.h"

namespace vouch::pool {
namespace {

using test::StatusIs;

constexpr absl::Duration kPatience = absl::Milliseconds(1);

TEST(PoolWaitingTest, AReleaseEndsAWait) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  std::thread waiter([&] { EXPECT_OK(pool->Acquire(absl::InfiniteDuration())); });
  AwaitWaiting(*pool, 1);
  lease.Release();  // the waiter is young: it is woken to compete
  waiter.join();
  EXPECT_EQ(pool->stats().waited, 1u);
  EXPECT_EQ(pool->stats().handed_off, 0u);
  EXPECT_EQ(pool->stats().leased, 0);
}

TEST(PoolWaitingTest, AnOldWaiterIsHandedTheSlot) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  std::thread waiter([&] { EXPECT_OK(pool->Acquire(absl::InfiniteDuration())); });
  AwaitWaiting(*pool, 1);
  FakePlatform::Advance(kPatience);
  lease.Release();
  waiter.join();
  EXPECT_EQ(pool->stats().handed_off, 1u);
}

// Without patience a waiter is old from the start, though the clock stands still, and goes straight
// into the line: if it let others run first, those who come meanwhile would overtake it.
TEST(PoolWaitingTest, HowLongAWaiterCompetesIsAnOption) {
  for (const absl::Duration patience : {absl::ZeroDuration(), absl::Seconds(1)}) {
    WidgetFactory factory;
    PoolOptions options = Untimed(1, 1);
    options.patience = patience;
    const auto pool = MakePool<FakePool>(options, &factory);
    ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
    const int yields = FakePlatform::yields();
    std::thread waiter([&] { EXPECT_OK(pool->Acquire(absl::InfiniteDuration())); });
    AwaitWaiting(*pool, 1);
    EXPECT_EQ(FakePlatform::yields() == yields, patience == absl::ZeroDuration());
    FakePlatform::Advance(std::max(absl::ZeroDuration(), patience - absl::Nanoseconds(1)));
    lease.Release();
    waiter.join();
    EXPECT_EQ(pool->stats().handed_off, patience == absl::ZeroDuration() ? 1u : 0u);
  }
}

// No newcomer comes in between a release and an old waiter: the slot is never seen available.
TEST(PoolWaitingTest, ANewcomerCannotOvertakeAnOldWaiter) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  for (int round = 0; round < 100; ++round) {
    ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
    std::atomic<bool> served{false};
    std::thread waiter([&] {
      auto mine = pool->Acquire(absl::InfiniteDuration());
      EXPECT_OK(mine);
      served = true;
    });
    AwaitWaiting(*pool, 1);
    FakePlatform::Advance(kPatience);
    lease.Release();
    const auto newcomer = pool->TryAcquire();
    EXPECT_TRUE(!newcomer.ok() || served);
    waiter.join();
  }
}

TEST(PoolWaitingTest, OldWaitersAreServedInOrder) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  constexpr int kWaiters = 20;
  std::vector<int> order;  // guarded by holding the only widget
  std::vector<std::thread> waiters;
  for (int i = 0; i < kWaiters; ++i) {
    waiters.emplace_back([&, i] {
      const auto mine = pool->Acquire(absl::InfiniteDuration());
      ASSERT_OK(mine);
      order.push_back(i);
    });
    AwaitWaiting(*pool, i + 1);
  }
  FakePlatform::Advance(kPatience);
  lease.Release();
  for (std::thread& waiter : waiters) waiter.join();
  std::vector<int> expected;
  for (int i = 0; i < kWaiters; ++i) expected.push_back(i);
  EXPECT_EQ(order, expected);
  EXPECT_EQ(pool->stats().handed_off, static_cast<uint64_t>(kWaiters));
}

// Two slots come back while one wake is in flight: the second must reach the second waiter.
TEST(PoolWaitingTest, TwoReleasesServeTwoYoungWaiters) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(2, 2), &factory);
  for (int round = 0; round < 200; ++round) {
    ASSERT_OK_AND_ASSIGN(auto first, pool->Acquire());
    ASSERT_OK_AND_ASSIGN(auto second, pool->Acquire());
    std::atomic<int> holding{0};
    std::vector<std::thread> waiters;
    for (int i = 0; i < 2; ++i) {
      waiters.emplace_back([&] {
        const auto mine = pool->Acquire(absl::InfiniteDuration());
        ASSERT_OK(mine);
        ++holding;
        AwaitThat([&] { return holding == 2; });  // both must hold at once
      });
    }
    AwaitWaiting(*pool, 2);
    first.Release();
    second.Release();
    for (std::thread& waiter : waiters) waiter.join();
  }
}

TEST(PoolWaitingTest, AWaiterThatTimesOutIsPassedOver) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  std::thread hurried([&] {
    EXPECT_THAT(pool->Acquire(absl::Milliseconds(10)).status(),
                StatusIs(absl::StatusCode::kDeadlineExceeded));
  });
  AwaitWaiting(*pool, 1);
  std::thread patient([&] { EXPECT_OK(pool->Acquire(absl::InfiniteDuration())); });
  AwaitWaiting(*pool, 2);
  FakePlatform::Advance(absl::Milliseconds(10));
  hurried.join();
  AwaitWaiting(*pool, 1);
  lease.Release();
  patient.join();
  EXPECT_EQ(pool->stats().timed_out, 1u);
}

TEST(PoolWaitingTest, ABrokenResourceGivesItsPlaceToAWaiter) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(0, 1), &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  const int broken = lease->id;
  std::thread waiter([&] {
    ASSERT_OK_AND_ASSIGN(const auto mine, pool->Acquire(absl::InfiniteDuration()));
    EXPECT_NE(mine->id, broken);
  });
  AwaitWaiting(*pool, 1);
  lease.MarkBroken();
  lease.Release();
  waiter.join();
}

TEST(PoolWaitingTest, TheLineHasMaxWaitersPlaces) {
  WidgetFactory factory;
  PoolOptions options = Untimed(1, 1);
  options.max_waiters = 3;
  const auto pool = MakePool<FakePool>(options, &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  std::vector<std::thread> waiters;
  for (int i = 0; i < 3; ++i) {
    waiters.emplace_back([&] { EXPECT_OK(pool->Acquire(absl::InfiniteDuration())); });
    AwaitWaiting(*pool, i + 1);
  }
  EXPECT_THAT(pool->Acquire(absl::InfiniteDuration()).status(),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       testing::HasSubstr("the line is full, max_waiters is 3 (")));
  lease.Release();
  for (std::thread& waiter : waiters) waiter.join();
  EXPECT_OK(pool->Acquire());
}

// A waiter that has given up keeps its place until the one before it has been served.
TEST(PoolWaitingTest, ThePlacesOfTheLineMayAllBeUsedByFewerWaiters) {
  WidgetFactory factory;
  PoolOptions options = Untimed(1, 1);
  options.max_waiters = 2;
  const auto pool = MakePool<FakePool>(options, &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  Answer<FakePool> first;
  pool->AcquireAsync(RunAtOnce, first.done());
  absl::Status refused;
  while (refused.code() != absl::StatusCode::kResourceExhausted) {
    std::stop_source stop;
    Answer<FakePool> answer;
    pool->AcquireAsync(RunAtOnce, answer.done(), {.stop = stop.get_token()});
    stop.request_stop();
    ASSERT_EQ(answer.calls(), 1);
    refused = answer->status();
  }
  EXPECT_THAT(refused,
              StatusIs(absl::StatusCode::kResourceExhausted,
                       testing::AllOf(testing::HasSubstr("every place of the line is used"),
                                      testing::HasSubstr("waiting 1"))));
  lease.Release();
  ASSERT_EQ(first.calls(), 1);
}

// A platform on which letting others run takes a second.
struct CrowdedPlatform : FakePlatform {
  static void Yield() { Advance(absl::Seconds(1)); }
};

// Nobody moves the clock but the waiter itself: a deadline counted from after that would not come.
TEST(PoolWaitingTest, ATimeoutCountsFromTheCall) {
  WidgetFactory factory;
  const auto pool = MakePool<Pool<Widget, CrowdedPlatform>>(Untimed(1, 1), &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  lease.MakeTransferable();
  EXPECT_THAT(pool->Acquire(absl::Seconds(2)).status(),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
}

}  // namespace
}  // namespace vouch::pool
