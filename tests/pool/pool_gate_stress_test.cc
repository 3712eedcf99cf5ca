// Property: whatever the pool is told while threads acquire and release (suspend, resume, resize),
// nothing is lent while it is suspended, never more than the largest limit, nobody is forgotten, and
// in the end every place is there.
// Method: random commands from one thread, acquires without a deadline from the others.
// Failure looks like a lease counted at the wrong time, a place missing, or a test that hangs.

#include <thread>
#include <vector>

#include "tests/pool/stress.h"
#include "tests/pool/widget.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"

namespace vouch::pool {
namespace {

// Threads that acquire and release until they are told to end.
class Crowd {
 public:
  Crowd(int count, Pool<Widget>* pool, test::Random& random) {
    for (int t = 0; t < count; ++t) {
      threads_.emplace_back([this, pool, seed = random.Next()] { Work(*pool, seed); });
    }
  }
  void End() {
    ended_ = true;
    for (std::thread& thread : threads_) thread.join();
  }
  uint64_t served() const { return served_; }
  int most() const { return most_; }

 private:
  void Work(Pool<Widget>& pool, uint64_t seed) {
    test::Random random(seed);
    while (!ended_) {
      const bool hurried = random.OneIn(4);
      const auto lease =
          hurried ? pool.Acquire(absl::Microseconds(50)) : pool.Acquire(absl::InfiniteDuration());
      if (!lease.ok()) {
        EXPECT_TRUE(hurried && absl::IsDeadlineExceeded(lease.status())) << lease.status();
        continue;
      }
      ++served_;
      const int now = ++holding_;
      int most = most_;
      while (now > most && !most_.compare_exchange_weak(most, now)) {
      }
      Use(**lease, random);
      --holding_;
    }
  }

  std::atomic<bool> ended_{false};
  std::atomic<uint64_t> served_{0};
  std::atomic<int> holding_{0};
  std::atomic<int> most_{0};
  std::vector<std::thread> threads_;
};

TEST(PoolGateStressTest, NothingIsLentWhileSuspended) {
  test::Random random;
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(1, 3), &factory);
  Crowd crowd(8, pool.get(), random);
  for (int round = 0; round < 150; ++round) {
    const uint64_t before = crowd.served();
    AwaitThat([&] { return crowd.served() > before; });
    EXPECT_OK(pool->Suspend());
    AwaitThat([&] { return pool->stats().leased == 0; });
    const uint64_t acquired = pool->stats().acquired;
    for (int i = random.Uniform(0, 20); i > 0; --i) std::this_thread::yield();
    EXPECT_EQ(pool->stats().acquired, acquired);
    EXPECT_EQ(pool->stats().leased, 0);
    EXPECT_OK(pool->Resume());
  }
  crowd.End();
  EXPECT_EQ(pool->stats().acquired, crowd.served());
  EXPECT_EQ(ClosedInAll(pool->stats()), 0u);
  ExpectComplete(*pool);
}

TEST(PoolGateStressTest, QuickSuspendsAndResumes) {
  test::Random random;
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(2, 2), &factory);
  Crowd crowd(6, pool.get(), random);
  for (int round = 0; round < 3000; ++round) {
    EXPECT_OK(random.OneIn(2) ? pool->Suspend() : pool->Resume());
    if (random.OneIn(8)) std::this_thread::yield();
  }
  EXPECT_OK(pool->Resume());
  crowd.End();
  ExpectComplete(*pool);
}

TEST(PoolGateStressTest, ResizeRacesAcquires) {
  test::Random random;
  WidgetFactory factory;
  constexpr int kLargest = 16;
  const auto pool = MakePool(Untimed(0, 4), &factory);
  Crowd crowd(20, pool.get(), random);
  for (int round = 0; round < 400; ++round) {
    const int max = random.Uniform(1, kLargest);
    EXPECT_OK(pool->Resize(random.Uniform(0, max), max));
    const uint64_t before = crowd.served();
    if (random.OneIn(2)) AwaitThat([&] { return crowd.served() > before; });
  }
  EXPECT_LE(crowd.most(), kLargest);
  EXPECT_OK(pool->Resize(0, 5));
  crowd.End();
  EXPECT_EQ(pool->stats().acquired, crowd.served());
  ExpectComplete(*pool);
  EXPECT_LE(factory.live, 5);
  EXPECT_OK(pool->Close(absl::InfiniteDuration()));
  EXPECT_EQ(pool->stats().opened, ClosedInAll(pool->stats()));
  EXPECT_EQ(factory.live, 0);
}

// A limit that only falls is kept to from the moment the surplus is back.
TEST(PoolGateStressTest, AfterShrinkingTheLimitHolds) {
  test::Random random;
  for (int round = 0; round < 40; ++round) {
    WidgetFactory factory;
    const auto pool = MakePool(Untimed(0, 8), &factory);
    Crowd before(8, pool.get(), random);
    AwaitThat([&] { return before.served() > 20; });
    const int limit = random.Uniform(1, 4);
    EXPECT_OK(pool->Resize(0, limit));
    before.End();
    EXPECT_LE(factory.live, limit);
    Crowd after(8, pool.get(), random);
    AwaitThat([&] { return after.served() > 50; });
    after.End();
    EXPECT_LE(after.most(), limit);
    ExpectComplete(*pool);
  }
}

TEST(PoolGateStressTest, EverythingAtOnce) {
  test::Random random;
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(1, 4), &factory);
  Crowd crowd(10, pool.get(), random);
  InThreads(2, random, [&](test::Random& mine) {
    for (int i = 0; i < 400; ++i) {
      switch (mine.Uniform(0, 3)) {
        case 0:
          EXPECT_OK(pool->Suspend());
          break;
        case 1:
          EXPECT_OK(pool->Resize(0, mine.Uniform(1, 6)));
          break;
        default:
          EXPECT_OK(pool->Resume());
      }
      if (mine.OneIn(4)) std::this_thread::yield();
    }
  });
  EXPECT_OK(pool->Resume());
  crowd.End();
  ExpectComplete(*pool);
  EXPECT_OK(pool->Close(absl::InfiniteDuration()));
  EXPECT_EQ(factory.live, 0);
}

}  // namespace
}  // namespace vouch::pool
