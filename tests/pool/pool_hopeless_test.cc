// PoolOptions::refuse_hopeless_waits, with holds whose length the test decides.

#include <thread>

#include "tests/pool/executors.h"
#include "tests/pool/widget.h"
#include "tests/support/status_matchers.h"

namespace vouch::pool {
namespace {

using test::StatusIs;
using testing::AllOf;
using testing::HasSubstr;

constexpr absl::Duration kHold = absl::Seconds(10);

std::unique_ptr<FakePool> MakeStrictPool(int max, WidgetFactory* factory, bool strict = true) {
  PoolOptions options = Untimed(0, max);
  options.refuse_hopeless_waits = strict;
  return MakePool<FakePool>(options, factory);
}

// The pool learns how long leases are held: the first of each slot tells.
void TeachMeanHold(FakePool& pool) {
  std::vector<FakeLease> leases;
  while (static_cast<int>(leases.size()) < pool.stats().capacity) {
    leases.push_back(*pool.Acquire({.transferable = true}));
  }
  FakePlatform::Advance(kHold);
}

TEST(PoolHopelessTest, AHopelessAcquireIsRefusedAtOnceWithTheNumbers) {
  WidgetFactory factory;
  const auto pool = MakeStrictPool(1, &factory);
  TeachMeanHold(*pool);
  ASSERT_OK_AND_ASSIGN(const auto lease, pool->Acquire({.transferable = true}));
  EXPECT_THAT(pool->Acquire(kHold - absl::Seconds(1)).status(),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       AllOf(HasSubstr("would wait about 10s, longer than the 9s it may"),
                             HasSubstr("capacity 1, leased 1, waiting 0"))));
  EXPECT_EQ(pool->stats().refused, 1u);
  EXPECT_EQ(pool->stats().waited, 0u);
}

TEST(PoolHopelessTest, AHopefulAcquireWaits) {
  WidgetFactory factory;
  const auto pool = MakeStrictPool(1, &factory);
  TeachMeanHold(*pool);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  std::thread hopeful([&] { EXPECT_OK(pool->Acquire(kHold)); });
  AwaitWaiting(*pool, 1);
  // Behind that one it would take twice as long.
  std::thread hopeless([&] {
    EXPECT_THAT(pool->Acquire(kHold).status(),
                StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("would wait about 20s")));
  });
  hopeless.join();
  lease.Release();
  hopeful.join();
}

// What counts is the time that is left, and the message tells what was compared. The resource that
// the waiter gets turns out to be unfit, and somebody else is opening all that may be opened: it has
// to wait again.
TEST(PoolHopelessTest, TheSecondWaitOfAnAcquireHasLessTime) {
  std::atomic<bool> may_open{true}, rejects{false};
  std::atomic<int> calls{0};
  PoolOptions options = Untimed(0, 2);
  options.refuse_hopeless_waits = true;
  options.max_concurrent_opens = 1;
  PoolHooks<Widget> hooks;
  hooks.before_lend = [&](Widget& widget) {
    if (!rejects || widget.id != 1) return absl::OkStatus();
    FakePlatform::Advance(absl::Seconds(3));
    return absl::DataLossError("worn");
  };
  auto created = FakePool::Create(
      options,
      [&]() -> absl::StatusOr<std::unique_ptr<Widget>> {
        const int call = ++calls;
        AwaitThat([&] { return may_open.load(); });
        return std::make_unique<Widget>(call);
      },
      hooks);
  ASSERT_OK(created);
  const auto pool = *std::move(created);
  ASSERT_OK_AND_ASSIGN(auto teacher, pool->Acquire());
  FakePlatform::Advance(kHold);
  teacher.Release();
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  may_open = false;
  std::thread opener([&] { EXPECT_OK(pool->Acquire(absl::InfiniteDuration())); });
  AwaitThat([&] { return calls == 2; });
  rejects = true;
  std::thread waiter([&] {
    EXPECT_THAT(pool->Acquire(kHold + absl::Seconds(6)).status(),
                StatusIs(absl::StatusCode::kResourceExhausted,
                         HasSubstr("would wait about 5s, longer than the 3s it may")));
  });
  AwaitWaiting(*pool, 1);
  FakePlatform::Advance(kHold);
  lease.Release();
  waiter.join();
  may_open = true;
  opener.join();
}

TEST(PoolHopelessTest, MorePlacesShortenTheWait) {
  WidgetFactory factory;
  const auto pool = MakeStrictPool(2, &factory);
  TeachMeanHold(*pool);
  ASSERT_OK_AND_ASSIGN(auto first, pool->Acquire());
  ASSERT_OK_AND_ASSIGN(const auto second, pool->Acquire());
  std::thread hopeful([&] { EXPECT_OK(pool->Acquire(kHold / 2)); });
  AwaitWaiting(*pool, 1);
  first.Release();
  hopeful.join();
}

TEST(PoolHopelessTest, WhoMayWaitForEverIsNotRefused) {
  WidgetFactory factory;
  const auto pool = MakeStrictPool(1, &factory);
  TeachMeanHold(*pool);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  std::thread waiter([&] { EXPECT_OK(pool->Acquire(absl::InfiniteDuration())); });
  AwaitWaiting(*pool, 1);
  lease.Release();
  waiter.join();
}

TEST(PoolHopelessTest, AnIdleResourceIsLentWhateverTheMean) {
  WidgetFactory factory;
  const auto pool = MakeStrictPool(1, &factory);
  TeachMeanHold(*pool);
  EXPECT_OK(pool->Acquire(absl::Nanoseconds(1)));
}

TEST(PoolHopelessTest, AnAsynchronousAcquireIsRefusedToo) {
  WidgetFactory factory;
  const auto pool = MakeStrictPool(1, &factory);
  TeachMeanHold(*pool);
  ASSERT_OK_AND_ASSIGN(const auto lease, pool->Acquire());
  Answer<FakePool> answer;
  pool->AcquireAsync(RunAtOnce, answer.done(), {.timeout = kHold / 2});
  ASSERT_EQ(answer.calls(), 1);
  EXPECT_THAT(answer->status(),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("would wait about 10s")));
}

TEST(PoolHopelessTest, NobodyIsRefusedUnlessAskedFor) {
  WidgetFactory factory;
  const auto pool = MakeStrictPool(1, &factory, false);
  TeachMeanHold(*pool);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  std::thread waiter([&] { EXPECT_OK(pool->Acquire(kHold / 2)); });
  AwaitWaiting(*pool, 1);
  lease.Release();
  waiter.join();
}

}  // namespace
}  // namespace vouch::pool
