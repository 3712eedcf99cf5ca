// Property: old waiters are served strictly in the order in which they came; no resource is lost or
// doubled; no slot stays idle beside a sleeping waiter.
// Method: random steps of one driver against a model that is a list. The clock moves only when the
// driver moves it, so what is old is old by its word, and everything else is exact. Failure looks
// like another order than the list's, or a test that hangs because somebody was forgotten.

#include <deque>
#include <map>
#include <memory>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "tests/pool/executors.h"
#include "tests/pool/stress.h"
#include "tests/pool/widget.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"

namespace vouch::pool {
namespace {

// A pool driven by one thread with asynchronous acquires that are served where they stand, beside
// what the pool should be doing.
class Driver {
 public:
  Driver(test::Random* random, int max) : random_(*random), max_(max) {
    pool_ = MakePool<FakePool>(Untimed(0, max), &factory_);
  }

  void Step() {
    switch (random_.Uniform(0, 9)) {
      case 0:
      case 1:
      case 2:
      case 3:
        Acquire();
        break;
      case 4:
        StopOne();
        break;
      case 5:
        TryAcquire();
        break;
      case 6:
        ToggleSuspension();
        break;
      case 7:
        Resize();
        break;
      default:
        ReleaseOne();
    }
    ExpectAsModelled();
  }

  void Finish() {
    if (suspended_) ToggleSuspension();
    while (!held_.empty()) {
      ReleaseOne();
      ExpectAsModelled();
    }
    EXPECT_TRUE(line_.empty());
    ExpectComplete(*pool_);
    EXPECT_OK(pool_->Close(absl::ZeroDuration()));
    EXPECT_EQ(pool_->stats().opened, ClosedInAll(pool_->stats()));
    EXPECT_EQ(factory_.live, 0);
  }

 private:
  void Acquire() {
    const int number = ++last_;
    line_.push_back(number);
    auto stop = std::make_unique<std::stop_source>();
    const AcquireOptions options{.timeout = absl::InfiniteDuration(), .stop = stop->get_token()};
    stops_[number] = std::move(stop);
    pool_->AcquireAsync(
        RunAtOnce,
        [this, number](absl::StatusOr<FakeLease> lease) {
          if (!lease.ok()) return stopped_.push_back(number);
          EXPECT_EQ(++(*lease)->holders, 1);
          served_.push_back(number);
          held_[number] = *std::move(lease);
        },
        options);
    ServeModel();
  }

  void StopOne() {
    if (line_.empty()) return;
    const auto which = line_.begin() + random_.Uniform<int>(0, static_cast<int>(line_.size()) - 1);
    const int number = *which;
    line_.erase(which);
    stops_[number]->request_stop();
    ASSERT_EQ(stopped_, std::vector<int>{number});
    stopped_.clear();
  }

  // A newcomer gets something if nobody waits and there is a place, else nothing.
  void TryAcquire() {
    auto lease = pool_->TryAcquire();
    EXPECT_EQ(lease.ok(), HasRoom());
    if (!lease.ok()) return;
    EXPECT_EQ(++(*lease)->holders, 1);
    held_[++last_] = *std::move(lease);
  }

  void ToggleSuspension() {
    suspended_ = !suspended_;
    EXPECT_OK(suspended_ ? pool_->Suspend() : pool_->Resume());
    ServeModel();
  }

  // Only upwards: which of the leased slots are surplus is the pool's affair.
  void Resize() {
    if (!random_.OneIn(4)) return;
    ++max_;
    EXPECT_OK(pool_->Resize(0, max_));
    ServeModel();
  }

  void ReleaseOne() {
    if (held_.empty()) return;
    auto which = held_.begin();
    std::advance(which, random_.Uniform<int>(0, static_cast<int>(held_.size()) - 1));
    FakeLease lease = std::move(which->second);
    held_.erase(which);
    EXPECT_EQ(--lease->holders, 0);
    if (random_.OneIn(10)) lease.MarkBroken();
    lease.Release();
    ServeModel();
  }

  // The model: a list, from whose front as many are served as there are places.
  bool HasRoom() const { return !suspended_ && static_cast<int>(held_.size()) < max_; }
  void ServeModel() {
    std::vector<int> expected;
    const int places = suspended_ ? 0 : max_ - static_cast<int>(held_.size() - served_.size());
    while (!line_.empty() && static_cast<int>(expected.size()) < places) {
      expected.push_back(line_.front());
      line_.pop_front();
    }
    ASSERT_EQ(served_, expected);
    served_.clear();
  }

  void ExpectAsModelled() {
    const PoolStats stats = pool_->stats();
    ASSERT_EQ(stats.waiting, static_cast<int>(line_.size()));
    ASSERT_EQ(stats.leased, static_cast<int>(held_.size()));
    ASSERT_EQ(stats.size, factory_.live);
    ASSERT_EQ(stats.opened, ClosedInAll(stats) + static_cast<uint64_t>(stats.size));
    ASSERT_TRUE(stats.waiting == 0 || stats.idle == 0);
  }

  test::Random& random_;
  WidgetFactory factory_;
  int max_;
  bool suspended_ = false;
  std::unique_ptr<FakePool> pool_;
  int last_ = 0;
  std::deque<int> line_;
  std::map<int, std::unique_ptr<std::stop_source>> stops_;
  std::map<int, FakeLease> held_;
  std::vector<int> served_;   // since the last step
  std::vector<int> stopped_;  // since the last step
};

TEST(PoolOrderStressTest, TheLineIsAList) {
  test::Random random;
  for (int round = 0; round < 60; ++round) {
    Driver driver(&random, random.Uniform(1, 4));
    for (int step = 0; step < 300; ++step) {
      driver.Step();
      if (testing::Test::HasFailure()) FAIL() << "round " << round << ", step " << step;
    }
    driver.Finish();
  }
}

// Threads that hold a lease until they are told to give it back.
class Waiters {
 public:
  explicit Waiters(FakePool* pool) : pool_(*pool) {}
  ~Waiters() {
    for (std::thread& thread : threads_) thread.join();
  }

  // Another one, which has its place in the line when this returns.
  void Add() {
    const int number = static_cast<int>(threads_.size());
    const int waiting = pool_.stats().waiting;
    threads_.emplace_back([this, number] {
      const auto lease = pool_.Acquire(absl::InfiniteDuration());
      ASSERT_OK(lease);
      EXPECT_EQ(++(*lease)->holders, 1);
      Holds(number);
      AwaitThat([&] { return may_release_ > number; });
      EXPECT_EQ(--(*lease)->holders, 0);
    });
    AwaitWaiting(pool_, waiting + 1);
  }
  void ReleaseUpTo(int number) { may_release_ = number; }
  int holding_since_start() const { return held_; }
  std::vector<int> order() {
    MutexLock lock(&mutex_);
    return order_;
  }

 private:
  void Holds(int number) {
    MutexLock lock(&mutex_);
    order_.push_back(number);
    ++held_;
  }

  FakePool& pool_;
  Mutex mutex_;
  std::vector<int> order_ ABSL_GUARDED_BY(mutex_);
  std::atomic<int> held_{0};
  std::atomic<int> may_release_{0};
  std::vector<std::thread> threads_;
};

// Each old waiter holds before the next one gets anything, while newcomers try all the time. Its
// wait is bounded: it takes as many releases as there are before it in the line.
TEST(PoolOrderStressTest, OldThreadsAreServedInOrderAndWithinTheirTurn) {
  test::Random random;
  for (int round = 0; round < 15; ++round) {
    WidgetFactory factory;
    const int max = random.Uniform(1, 3);
    const auto pool = MakePool<FakePool>(Untimed(0, max), &factory);
    std::vector<FakeLease> first;
    for (int i = 0; i < max; ++i) first.push_back(*pool->Acquire({.transferable = true}));
    constexpr int kWaiters = 12;
    std::atomic<bool> ended{false};
    std::atomic<int> stolen{0};
    std::thread newcomer([&] {
      while (!ended) stolen += pool->TryAcquire().ok() ? 1 : 0;
    });
    {
      Waiters waiters(pool.get());
      for (int i = 0; i < kWaiters; ++i) waiters.Add();
      FakePlatform::Advance(absl::Milliseconds(1));
      for (int i = 0; i < kWaiters; ++i) {
        if (i < max) {
          first.pop_back();
        } else {
          waiters.ReleaseUpTo(i - max + 1);
        }
        AwaitThat([&] { return waiters.holding_since_start() == i + 1; });
      }
      EXPECT_EQ(stolen, 0);
      ended = true;
      newcomer.join();
      waiters.ReleaseUpTo(kWaiters);
      std::vector<int> expected;
      for (int i = 0; i < kWaiters; ++i) expected.push_back(i);
      EXPECT_EQ(waiters.order(), expected);
    }
    ExpectComplete(*pool);
  }
}

// The same with a thousand threads, all asleep in the line at once.
TEST(PoolOrderStressTest, AThousandThreadsAreServedInOrder) {
  constexpr int kWaiters = 1000, kMax = 3;
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(0, kMax), &factory);
  std::vector<FakeLease> first;
  for (int i = 0; i < kMax; ++i) first.push_back(*pool->Acquire({.transferable = true}));
  {
    const SmallStacks small;
    Waiters waiters(pool.get());
    for (int i = 0; i < kWaiters; ++i) waiters.Add();
    EXPECT_EQ(pool->stats().waiting, kWaiters);
    FakePlatform::Advance(absl::Milliseconds(1));
    for (int i = 0; i < kWaiters; ++i) {
      if (i < kMax) {
        first.pop_back();
      } else {
        waiters.ReleaseUpTo(i - kMax + 1);
      }
      AwaitThat([&] { return waiters.holding_since_start() == i + 1; });
    }
    waiters.ReleaseUpTo(kWaiters);
    std::vector<int> expected;
    for (int i = 0; i < kWaiters; ++i) expected.push_back(i);
    EXPECT_EQ(waiters.order(), expected);
  }
  EXPECT_EQ(pool->stats().handed_off, static_cast<uint64_t>(kWaiters));
  ExpectComplete(*pool);
}

// Young waiters compete, in any order, but none may sleep beside an idle slot: when everybody has
// come to rest, as many hold as there are places, or nobody waits.
TEST(PoolOrderStressTest, NobodySleepsBesideAnIdleSlot) {
  test::Random random;
  WidgetFactory factory;
  constexpr int kMax = 3, kThreads = 8, kTurns = 150;
  const auto pool = MakePool<FakePool>(Untimed(0, kMax), &factory);
  std::atomic<int> wants{0};    // acquires begun
  std::atomic<int> has{0};      // leases out
  std::atomic<int> may_end{0};  // leases that are to be given back
  std::atomic<bool> ended{false};
  std::vector<std::thread> threads;
  const auto give_back = [&] {
    int left = may_end;
    while (left > 0) {
      if (may_end.compare_exchange_weak(left, left - 1)) return true;
    }
    return ended.load();
  };
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      while (!ended) {
        ++wants;
        const auto lease = pool->Acquire(absl::InfiniteDuration());
        ASSERT_OK(lease);
        ++has;
        AwaitThat(give_back);
        --has;
        --wants;
      }
    });
  }
  for (int turn = 0; turn < kTurns; ++turn) {
    AwaitThat([&] { return has == kMax && pool->stats().waiting == kThreads - kMax; });
    may_end += random.Uniform(1, kMax);
    AwaitThat([&] { return may_end == 0; });
  }
  ended = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wants, 0);
  ExpectComplete(*pool);
}

}  // namespace
}  // namespace vouch::pool
