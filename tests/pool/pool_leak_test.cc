// Leases that are out for too long are reported, by a clock that only the test moves.

#include <string>
#include <vector>

#include "pool/mutex.h"
#include "tests/pool/executors.h"
#include "tests/pool/widget.h"
#include "tests/support/status_matchers.h"

namespace vouch::pool {
namespace {

constexpr absl::Duration kThreshold = absl::Seconds(8);

// What on_leak was told.
class Leaks {
 public:
  PoolHooks<Widget> hooks() {
    PoolHooks<Widget> hooks;
    hooks.on_leak = [this](const Holder& holder) {
      MutexLock lock(&mutex_);
      leaks_.push_back(holder);
    };
    return hooks;
  }
  std::vector<Holder> All() {
    MutexLock lock(&mutex_);
    return leaks_;
  }

 private:
  Mutex mutex_;
  std::vector<Holder> leaks_ ABSL_GUARDED_BY(mutex_);
};

std::unique_ptr<FakePool> MakeWatchedPool(int max, WidgetFactory* factory, Leaks* leaks) {
  PoolOptions options = Untimed(0, max);
  options.leak_threshold = kThreshold;
  return MakePool<FakePool>(options, factory, leaks->hooks());
}

// The pool counts a leak before it calls the hook.
void AdvanceUntilLeaks(FakePool& pool, uint64_t count, Leaks* reported = nullptr) {
  AwaitThat([&] {
    FakePlatform::Advance(absl::Seconds(1));
    return pool.stats().leaks >= count && (reported == nullptr || reported->All().size() >= count);
  });
}

TEST(PoolLeakTest, ALongLeaseIsReportedOnceWithWhoHasIt) {
  WidgetFactory factory;
  Leaks leaks;
  const auto pool = MakeWatchedPool(2, &factory, &leaks);
  const int line = __LINE__ + 1;
  ASSERT_OK_AND_ASSIGN(const auto leaked, pool->Acquire({.label = "nightly report"}));
  AdvanceUntilLeaks(*pool, 1, &leaks);
  ASSERT_EQ(leaks.All().size(), 1u);
  const Holder holder = leaks.All()[0];
  EXPECT_THAT(std::string(holder.site.file), testing::EndsWith("pool_leak_test.cc"));
  EXPECT_EQ(holder.site.line, line);
  EXPECT_EQ(holder.label, "nightly report");
  EXPECT_GE(holder.age, kThreshold);
  // Another one's report comes later: had this one been reported again, it would be there by then.
  ASSERT_OK_AND_ASSIGN(const auto other, pool->Acquire());
  AdvanceUntilLeaks(*pool, 2, &leaks);
  const std::vector<Holder> all = leaks.All();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[1].label, "");
}

TEST(PoolLeakTest, ShortLeasesAreNotReported) {
  WidgetFactory factory;
  Leaks leaks;
  const auto pool = MakeWatchedPool(1, &factory, &leaks);
  for (int i = 0; i < 20; ++i) {
    ASSERT_OK_AND_ASSIGN(const auto lease, pool->Acquire());
    AwaitKeeper(*pool);  // it sees the lease begin
    FakePlatform::Advance(kThreshold - absl::Nanoseconds(1));
    AwaitKeeper(*pool);
    EXPECT_EQ(pool->stats().leaks, 0u);
  }
  ASSERT_OK_AND_ASSIGN(const auto lease, pool->Acquire({.label = "the long one"}));
  AdvanceUntilLeaks(*pool, 1, &leaks);
  ASSERT_EQ(leaks.All().size(), 1u);
  EXPECT_EQ(leaks.All()[0].label, "the long one");
}

TEST(PoolLeakTest, EachLeaseIsReportedForItself) {
  WidgetFactory factory;
  Leaks leaks;
  const auto pool = MakeWatchedPool(1, &factory, &leaks);
  for (uint64_t i = 1; i <= 3; ++i) {
    ASSERT_OK_AND_ASSIGN(const auto lease, pool->Acquire());
    AdvanceUntilLeaks(*pool, i, &leaks);
    EXPECT_EQ(pool->stats().leaks, i);
  }
  EXPECT_EQ(leaks.All().size(), 3u);
}

// A slot that has been handed over belongs to no lease until the executor makes one of it.
TEST(PoolLeakTest, WhoReleasedInTimeIsNotBlamedForASlowExecutor) {
  WidgetFactory factory;
  Leaks leaks;
  const auto pool = MakeWatchedPool(2, &factory, &leaks);
  ASSERT_OK_AND_ASSIGN(auto innocent, pool->Acquire({.label = "innocent"}));
  ASSERT_OK_AND_ASSIGN(auto other, pool->Acquire({.label = "other"}));
  ClosureQueue executor;
  Answer<FakePool> answer;
  pool->AcquireAsync(executor.executor(), answer.done(), {.label = "late"});
  FakePlatform::Advance(absl::Milliseconds(100));
  innocent.Release();
  ASSERT_EQ(executor.size(), 1u);
  EXPECT_EQ(pool->stats().leased, 2);
  ASSERT_EQ(pool->holders().size(), 1u);
  EXPECT_EQ(pool->holders()[0].label, "other");
  other.Release();
  // This one's report comes later than one of the innocent's would.
  ASSERT_OK_AND_ASSIGN(auto real, pool->Acquire({.label = "real"}));
  AdvanceUntilLeaks(*pool, 1, &leaks);
  ASSERT_EQ(leaks.All().size(), 1u);
  EXPECT_EQ(leaks.All()[0].label, "real");
  executor.RunAll();
  AdvanceUntilLeaks(*pool, 2, &leaks);
  EXPECT_EQ(leaks.All()[1].label, "late");
  EXPECT_GE(leaks.All()[1].age, kThreshold);
  EXPECT_EQ(pool->stats().leaks, 2u);
}

TEST(PoolLeakTest, WithoutTheHookTheyAreCounted) {
  WidgetFactory factory;
  PoolOptions options = Untimed(0, 1);
  options.leak_threshold = kThreshold;
  const auto pool = MakePool<FakePool>(options, &factory);
  ASSERT_OK_AND_ASSIGN(const auto lease, pool->Acquire());
  AdvanceUntilLeaks(*pool, 1);
  EXPECT_EQ(pool->stats().leaks, 1u);
}

TEST(PoolLeakTest, AnIdleResourceIsNoLeak) {
  WidgetFactory factory;
  Leaks leaks;
  const auto pool = MakeWatchedPool(2, &factory, &leaks);
  {
    ASSERT_OK_AND_ASSIGN(const auto first, pool->Acquire());
    ASSERT_OK_AND_ASSIGN(const auto second, pool->Acquire());
  }
  FakePlatform::Advance(100 * kThreshold);
  ASSERT_OK_AND_ASSIGN(const auto lease, pool->Acquire({.label = "leased"}));
  AdvanceUntilLeaks(*pool, 1, &leaks);
  EXPECT_EQ(leaks.All()[0].label, "leased");
  EXPECT_EQ(leaks.All().size(), 1u);
}

}  // namespace
}  // namespace vouch::pool
