// Property: an asynchronous acquire is answered exactly once, whatever races it, and no slot is lost
// to one that was called off.
// Method: stops, timeouts, drops and grants at random, from several threads. Failure looks like a
// count of answers that is not one, a place missing at the end, or a test that hangs.

#include <array>
#include <functional>
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

using SystemAnswer = Answer<Pool<Widget>>;
const AcquireOptions kForEver{.timeout = absl::InfiniteDuration()};

TEST(PoolAsyncStressTest, AStopRacesAGrant) {
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(1, 1), &factory);
  uint64_t stopped = 0;
  for (int round = 0; round < 3000; ++round) {
    auto held = pool->Acquire();
    ASSERT_OK(held);
    SystemAnswer answer;
    std::stop_source stop;
    std::atomic<bool> go{false};
    std::thread stopper([&] {
      while (!go) std::this_thread::yield();
      stop.request_stop();
    });
    pool->AcquireAsync(RunAtOnce, answer.done(),
                       {.timeout = absl::InfiniteDuration(), .stop = stop.get_token()});
    go = true;
    if (round % 2 == 0) std::this_thread::yield();
    held->Release();
    stopper.join();
    ASSERT_EQ(answer.calls(), 1);
    if (!answer->ok()) {
      EXPECT_THAT(answer->status(), test::StatusIs(absl::StatusCode::kCancelled));
      ++stopped;
    }
  }
  EXPECT_EQ(pool->stats().stopped, stopped);
  ExpectComplete(*pool);
}

// The stop comes while the waiter is being set up.
TEST(PoolAsyncStressTest, AStopRacesTheStart) {
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(1, 1), &factory);
  auto held = pool->Acquire();
  ASSERT_OK(held);
  for (int round = 0; round < 3000; ++round) {
    SystemAnswer answer;
    std::stop_source stop;
    std::atomic<bool> ready{false};
    std::thread stopper([&] {
      ready = true;
      stop.request_stop();
    });
    while (!ready) std::this_thread::yield();
    pool->AcquireAsync(RunAtOnce, answer.done(),
                       {.timeout = absl::InfiniteDuration(), .stop = stop.get_token()});
    stopper.join();
    ASSERT_EQ(answer.calls(), 1);
    EXPECT_THAT(answer->status(), test::StatusIs(absl::StatusCode::kCancelled));
  }
  held->Release();
  EXPECT_EQ(pool->stats().waiting, 0);
  ExpectComplete(*pool);
}

TEST(PoolAsyncStressTest, ADeadlineRacesAGrant) {
  test::Random random;
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(1, 1), &factory);
  uint64_t timed_out = 0;
  for (int round = 0; round < 1000; ++round) {
    auto held = pool->Acquire();
    ASSERT_OK(held);
    SystemAnswer answer;
    const auto timeout = absl::Microseconds(random.Uniform(0, 200));
    pool->AcquireAsync(RunAtOnce, answer.done(), {.timeout = timeout});
    for (int i = random.Uniform(0, 10); i > 0; --i) std::this_thread::yield();
    held->Release();
    AwaitThat([&] { return answer.calls() != 0; });
    if (!answer->ok()) {
      EXPECT_THAT(answer->status(), test::StatusIs(absl::StatusCode::kDeadlineExceeded));
      ++timed_out;
    }
  }
  EXPECT_EQ(pool->stats().timed_out, timed_out);
  ExpectComplete(*pool);
}

TEST(PoolAsyncStressTest, CloseRacesTheStart) {
  for (int round = 0; round < 1000; ++round) {
    WidgetFactory factory;
    SystemAnswer answers[4];
    {
      const auto pool = MakePool(Untimed(0, 1), &factory);
      std::atomic<bool> ready{false};
      std::thread closer([&] {
        ready = true;
        EXPECT_OK(pool->Close(absl::InfiniteDuration()));
      });
      while (!ready) std::this_thread::yield();
      for (SystemAnswer& answer : answers) {
        pool->AcquireAsync(
            RunAtOnce,
            [done = answer.done()](absl::StatusOr<Lease<Widget>> lease) mutable {
              if (lease.ok()) lease->Release();
              std::move(done)(std::move(lease));
            },
            kForEver);
      }
      closer.join();
    }
    for (const SystemAnswer& answer : answers) EXPECT_EQ(answer.calls(), 1);
    EXPECT_EQ(factory.live, 0);
  }
}

// One of many kinds of acquire: with a thread, or with a closure that is run here, run elsewhere, or
// lost.
class Mix {
 public:
  explicit Mix(Pool<Widget>* pool) : pool_(*pool) {}

  void AcquireOne(test::Random& random) {
    const AcquireOptions options = AnyOptions(random);
    switch (random.Uniform(0, 4)) {
      case 0:
        return UseHere(pool_.Acquire(options), random);
      case 1:
        ++started_;
        return Start(RunAtOnce, options);
      case 2:
        return Start(DropAtOnce, options);
      default:
        ++started_;
        return Start(queue_.executor(), options);
    }
  }
  bool RunOne() { return queue_.RunOne(); }

  bool AllAnswered() const { return answered_ == started_; }
  uint64_t served() const { return served_; }

 private:
  static AcquireOptions AnyOptions(test::Random& random) {
    AcquireOptions options = kForEver;
    if (random.OneIn(3)) options.timeout = absl::Microseconds(random.Uniform(0, 300));
    return options;
  }

  void UseHere(absl::StatusOr<Lease<Widget>> lease, test::Random& random) {
    if (!lease.ok()) return;
    ++served_;
    Use(**lease, random);
  }

  void Start(std::function<void(Closure)> executor, const AcquireOptions& options) {
    pool_.AcquireAsync(
        std::move(executor),
        [this](absl::StatusOr<Lease<Widget>> lease) {
          test::Random random(++seeds_);
          UseHere(std::move(lease), random);
          ++answered_;
        },
        options);
  }

  Pool<Widget>& pool_;
  ClosureQueue queue_;
  std::atomic<uint64_t> started_{0};
  std::atomic<uint64_t> answered_{0};
  std::atomic<uint64_t> served_{0};
  std::atomic<uint64_t> seeds_{0};
};

TEST(PoolAsyncStressTest, ThreadsAndClosures) {
  test::Random random;
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(1, 3), &factory);
  Mix mix(pool.get());
  std::atomic<int> working{6};
  std::vector<std::thread> runners;
  for (int i = 0; i < 2; ++i) {
    runners.emplace_back([&] {
      while (working > 0 || !mix.AllAnswered()) {
        if (!mix.RunOne()) std::this_thread::yield();
      }
    });
  }
  InThreads(6, random, [&](test::Random& mine) {
    for (int i = 0; i < 1000; ++i) mix.AcquireOne(mine);
    --working;
  });
  for (std::thread& runner : runners) runner.join();
  EXPECT_TRUE(mix.AllAnswered());
  AwaitWaiting(*pool, 0);
  EXPECT_EQ(pool->stats().acquired, mix.served());
  ExpectComplete(*pool);
}

// Ten thousand wait; each is served in its turn, or told that the pool has closed.
TEST(PoolAsyncStressTest, TenThousandWaitersAreServedInOrder) {
  constexpr int kWaiters = 10'000;
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(1, 1), &factory);
  ClosureQueue queue;
  for (const bool at_once : {false, true}) {
    auto held = pool->Acquire();
    ASSERT_OK(held);
    int next = 0;
    bool in_order = true;
    for (int i = 0; i < kWaiters; ++i) {
      pool->AcquireAsync(
          at_once ? std::function<void(Closure)>(RunAtOnce) : queue.executor(),
          [&next, &in_order, i](absl::StatusOr<Lease<Widget>> lease) {
            in_order = in_order && lease.ok() && next == i;
            ++next;
          },
          kForEver);
    }
    EXPECT_EQ(pool->stats().waiting, kWaiters);
    held->Release();
    queue.RunAll();
    EXPECT_EQ(next, kWaiters);
    EXPECT_TRUE(in_order);
    EXPECT_EQ(pool->stats().waiting, 0);
  }
  ExpectComplete(*pool);
}

TEST(PoolAsyncStressTest, TenThousandWaitersAreRefusedInOrder) {
  constexpr int kWaiters = 10'000;
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(1, 1), &factory);
  auto held = pool->Acquire();
  ASSERT_OK(held);
  int next = 0, wrong = 0;
  for (int i = 0; i < kWaiters; ++i) {
    pool->AcquireAsync(
        RunAtOnce,
        [&next, &wrong, i](const absl::StatusOr<Lease<Widget>>& lease) {
          if (!absl::IsFailedPrecondition(lease.status()) || next != i) ++wrong;
          ++next;
        },
        kForEver);
  }
  EXPECT_FALSE(pool->Close(absl::ZeroDuration()).ok());
  EXPECT_EQ(next, kWaiters);
  EXPECT_EQ(wrong, 0);
}

// Ten thousand wait, two of three with deadlines, which come in no order and some together. Each is
// told once, and not before its time; those without a deadline are served in their order.
TEST(PoolAsyncStressTest, TenThousandWaitersHaveDeadlines) {
  constexpr int kWaiters = 10'000, kSteps = 20, kStep = 500;  // seconds
  test::Random random;
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  ASSERT_OK_AND_ASSIGN(auto held, pool->Acquire());
  const int64_t start = FakePlatform::Now();
  std::atomic<int> timed_out{0};
  std::atomic<int> wrong{0};
  std::vector<int> served;  // guarded by holding the only widget
  std::vector<int> expected;
  std::array<int, kSteps> due{};  // how many deadlines pass with each step
  for (int i = 0; i < kWaiters; ++i) {
    absl::Duration timeout = absl::InfiniteDuration();
    if (i % 3 == 0) {
      expected.push_back(i);
    } else {
      const int second = random.Uniform(1, kSteps * kStep);
      ++due[static_cast<size_t>((second - 1) / kStep)];
      timeout = absl::Seconds(second);
    }
    const auto done = [&, i, timeout](const absl::StatusOr<FakeLease>& lease) {
      if (lease.ok()) return served.push_back(i);
      const bool early = absl::Nanoseconds(FakePlatform::Now() - start) < timeout;
      if (early || !absl::IsDeadlineExceeded(lease.status())) ++wrong;
      ++timed_out;
    };
    pool->AcquireAsync(RunAtOnce, done, {.timeout = timeout});
  }
  EXPECT_EQ(pool->stats().waiting, kWaiters);
  int over = 0;
  for (const int more : due) {
    FakePlatform::Advance(absl::Seconds(kStep));
    over += more;
    AwaitThat([&] { return timed_out >= over; });
    EXPECT_EQ(pool->stats().waiting, kWaiters - over);
  }
  EXPECT_EQ(timed_out, over);
  EXPECT_EQ(wrong, 0);
  held.Release();
  EXPECT_EQ(served, expected);
  ExpectComplete(*pool);
}

}  // namespace
}  // namespace vouch::pool
