// Property: whatever fails, in whatever order, the pool is back at `min` once failures end, and
// every resource ever opened is accounted for: it was closed once, or detached, or is there.
// Method: the factory and the hooks fail at random, leases break, waits time out, resources age on
// a clock that a thread of the test moves; then the failures end. Failure looks like a count that
// does not add up, or a test that hangs because nobody refills.

#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "pool/mutex.h"
#include "tests/pool/executors.h"
#include "tests/pool/stress.h"
#include "tests/pool/widget.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"

namespace vouch::pool {
namespace {

// Throws of a die that many threads share.
class Dice {
 public:
  explicit Dice(uint64_t seed) : random_(seed) {}
  bool OneIn(uint64_t n) {
    MutexLock lock(&mutex_);
    return random_.OneIn(n);
  }

 private:
  Mutex mutex_;
  test::Random random_ ABSL_GUARDED_BY(mutex_);
};

// A factory and hooks that fail, one time in so many, until they are repaired.
class Faults {
 public:
  explicit Faults(uint64_t seed) : dice_(seed) {}

  FakePool::Factory factory() {
    return [this]() -> absl::StatusOr<std::unique_ptr<Widget>> {
      if (Strikes(6)) return absl::UnavailableError("down");
      if (Strikes(12)) return absl::NotFoundError("gone");
      if (Strikes(12)) throw std::runtime_error("boom");
      if (Strikes(20)) return nullptr;
      return factory_();
    };
  }
  PoolHooks<Widget> hooks(bool lease_hooks) {
    PoolHooks<Widget> hooks;
    hooks.after_open = Hook(8);
    hooks.validate = Hook(4);
    if (lease_hooks) {
      hooks.before_lend = Hook(10);
      hooks.after_return = Hook(10);
    }
    hooks.before_close = [this](Widget& widget, CloseReason) {
      {
        MutexLock lock(&mutex_);
        ++closings_[widget.id];
      }
      if (Strikes(5)) throw std::runtime_error("boom");
    };
    return hooks;
  }

  void Repair() { repaired_ = true; }
  int live() const { return factory_.live; }
  int made() const { return factory_.made; }

  // Each widget was closed once, but for those that were detached.
  void ExpectEachClosedOnce(const std::vector<std::unique_ptr<Widget>>& detached) {
    MutexLock lock(&mutex_);
    for (const auto& widget : detached) EXPECT_EQ(closings_.count(widget->id), 0u);
    for (const auto& [id, times] : closings_) EXPECT_EQ(times, 1) << "of widget " << id;
    EXPECT_EQ(closings_.size() + detached.size(), static_cast<size_t>(made()));
  }

 private:
  bool Strikes(uint64_t n) { return !repaired_ && dice_.OneIn(n); }
  std::function<absl::Status(Widget&)> Hook(uint64_t n) {
    return [this, n](Widget&) {
      if (Strikes(2 * n)) throw std::runtime_error("boom");
      return Strikes(2 * n) ? absl::DataLossError("worn") : absl::OkStatus();
    };
  }

  Dice dice_;
  WidgetFactory factory_;
  std::atomic<bool> repaired_{false};
  Mutex mutex_;
  std::map<int, int> closings_ ABSL_GUARDED_BY(mutex_);
};

PoolOptions AgingOptions(test::Random& random) {
  PoolOptions options = Untimed(0, random.Uniform(1, 4));
  options.min = random.Uniform(0, options.max);
  options.max_concurrent_opens = random.Uniform(1, 3);
  options.open_attempts = random.Uniform(1, 3);
  options.idle_timeout = absl::Seconds(20);
  options.max_lifetime = absl::Seconds(60);
  options.validate_after_idle = absl::Seconds(1);
  if (random.OneIn(2)) options.keepalive_interval = absl::Seconds(3);
  return options;
}

// Acquires in some way and ends the lease in some way.
class Abuser {
 public:
  explicit Abuser(FakePool* pool) : pool_(*pool) {}

  void Once(test::Random& random) {
    switch (random.Uniform(0, 5)) {
      case 0:
        return End(pool_.TryAcquire(), random);
      case 1:
        return End(pool_.Acquire(absl::Milliseconds(random.Uniform(0, 2000))), random);
      case 2:
        return Start(RunAtOnce, random);
      case 3:
        return Start(DropAtOnce, random);
      default:
        return End(pool_.Acquire(absl::Seconds(30)), random);
    }
  }

  std::vector<std::unique_ptr<Widget>> TakeDetached() {
    MutexLock lock(&mutex_);
    return std::move(detached_);
  }
  bool AllAnswered() const { return running_ == 0; }

 private:
  void Start(std::function<void(Closure)> executor, test::Random& random) {
    // Lowered also when the closure is lost.
    const auto running = std::shared_ptr<void>(nullptr, [this](void*) { --running_; });
    ++running_;
    pool_.AcquireAsync(std::move(executor),
                       [this, running, seed = random.Next()](absl::StatusOr<FakeLease> lease) {
                         test::Random mine(seed);
                         End(std::move(lease), mine);
                       },
                       {.timeout = absl::Milliseconds(random.Uniform(0, 2000))});
  }

  void End(absl::StatusOr<FakeLease> lease, test::Random& random) {
    if (!lease.ok()) return;
    Use(**lease, random);
    if (random.OneIn(8)) lease->MarkBroken();
    if (!random.OneIn(16)) return;
    auto widget = lease->Detach();  // which may serve somebody who detaches as well
    MutexLock lock(&mutex_);
    detached_.push_back(std::move(widget));
  }

  FakePool& pool_;
  std::atomic<int> running_{0};
  Mutex mutex_;
  std::vector<std::unique_ptr<Widget>> detached_ ABSL_GUARDED_BY(mutex_);
};

void RunRound(test::Random& random) {
  Faults faults(random.Next());
  const PoolOptions options = AgingOptions(random);
  absl::StatusOr<std::unique_ptr<FakePool>> created = absl::UnknownError("");
  while (!created.ok()) {  // it may well fail; kUnavailable must not wait for the clock here
    PoolOptions at_first = options;
    at_first.min = 0;
    created = FakePool::Create(at_first, faults.factory(), faults.hooks(random.OneIn(2)));
  }
  const auto pool = *std::move(created);
  EXPECT_OK(pool->Resize(options.min, options.max));

  Abuser abuser(pool.get());
  std::atomic<bool> ended{false};
  std::thread clock([&] {
    while (!ended) {
      FakePlatform::Advance(absl::Milliseconds(50));
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  });
  InThreads(4, random, [&](test::Random& mine) {
    for (int i = 0; i < 60; ++i) abuser.Once(mine);
  });
  AwaitThat([&] { return abuser.AllAnswered(); });
  faults.Repair();
  AwaitThat([&] { return pool->stats().size == options.min; });
  ended = true;
  clock.join();

  const auto detached = abuser.TakeDetached();
  EXPECT_EQ(pool->stats().detached, detached.size());
  EXPECT_OK(pool->Close(absl::InfiniteDuration()));
  const PoolStats stats = pool->stats();
  EXPECT_EQ(stats.size, 0);
  EXPECT_EQ(stats.opening, 0);
  EXPECT_EQ(stats.waiting, 0);
  EXPECT_EQ(stats.opened, ClosedInAll(stats) + stats.detached);
  EXPECT_EQ(faults.live(), static_cast<int>(detached.size()));
  faults.ExpectEachClosedOnce(detached);
}

TEST(PoolFaultStressTest, ReturnsToMinAndLosesNothing) {
  test::Random random;
  for (int round = 0; round < 40; ++round) RunRound(random);
}

}  // namespace
}  // namespace vouch::pool
