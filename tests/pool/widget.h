#ifndef VOUCH_TESTS_POOL_WIDGET_H_
#define VOUCH_TESTS_POOL_WIDGET_H_

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/statusor.h"
#include "pool/pool.h"
#include "tests/pool/fake_platform.h"

namespace vouch::pool {

// What the pool's tests pool. `holders` shows that nobody else holds it.
struct Widget {
  explicit Widget(int number, std::atomic<int>* live_count = nullptr)
      : id(number), live(live_count) {
    if (live != nullptr) ++*live;
  }
  ~Widget() {
    if (live != nullptr) --*live;
  }
  Widget(const Widget&) = delete;
  Widget& operator=(const Widget&) = delete;

  const int id;
  int uses = 0;  // not atomic: ThreadSanitizer sees whether the hand-over orders it
  std::atomic<int> holders{0};
  std::atomic<int>* const live;
};

// Makes widgets 1, 2, 3, …; fails or throws when told to.
struct WidgetFactory {
  std::atomic<int> made{0};
  std::atomic<int> live{0};
  std::atomic<bool> fails{false};
  std::atomic<bool> throws{false};

  absl::StatusOr<std::unique_ptr<Widget>> operator()() {
    if (throws) throw std::runtime_error("boom");
    if (fails) return absl::UnavailableError("the server is down");
    return std::make_unique<Widget>(++made, &live);
  }
};

using FakePool = Pool<Widget, FakePlatform>;
using FakeLease = FakePool::LeaseType;

// Options with nothing on a timer.
inline PoolOptions Untimed(int min, int max) {
  PoolOptions options;
  options.name = "widgets";
  options.min = min;
  options.max = max;
  options.idle_timeout = absl::InfiniteDuration();
  options.max_lifetime = absl::InfiniteDuration();
  options.open_attempts = 1;
  return options;
}

template <typename AnyPool = Pool<Widget>>
std::unique_ptr<AnyPool> MakePool(const PoolOptions& options, WidgetFactory* factory,
                                  PoolHooks<Widget> hooks = {}) {
  auto pool = AnyPool::Create(
      options, [factory] { return (*factory)(); }, std::move(hooks));
  if (!pool.ok()) std::abort();
  return *std::move(pool);
}

// Returns once the condition holds. It is for what another thread is sure to do: how long that
// takes is no part of the test, and a condition that never holds is a test that times out.
inline void AwaitThat(const std::function<bool()>& condition) {
  while (!condition()) std::this_thread::sleep_for(std::chrono::microseconds(100));
}

// Returns once a thread that sleeps to a deadline has seen that it is not time yet by the clock as it
// is now. No other thread may sleep meanwhile.
inline void AwaitLook() {
  // The first look may have begun before.
  const uint64_t looks = FakePlatform::looks();
  AwaitThat([&] { return FakePlatform::looks() >= looks + 2; });
}

// Returns once so many opens have failed and who made them sleeps until the next attempt, having
// read the clock for that. No other thread may sleep meanwhile.
inline void AwaitBackOff(const Pool<Widget, FakePlatform>& pool, uint64_t open_failures) {
  AwaitThat([&] { return pool.stats().open_failures == open_failures; });
  AwaitLook();
}

// Returns once the pool's keeper has done all that it does at the present time: what has not
// happened then will not happen before the clock moves. No other thread may sleep meanwhile.
inline void AwaitKeeper(Pool<Widget, FakePlatform>& pool) {
  // Twice: the first look may have begun before.
  for (int round = 0; round < 2; ++round) {
    const uint64_t looks = FakePlatform::looks();
    const PoolStats stats = pool.stats();
    if (!pool.Resize(stats.min, stats.capacity).ok()) std::abort();  // which nudges it
    AwaitThat([&] { return FakePlatform::looks() > looks; });
  }
}

template <typename AnyPool>
void AwaitWaiting(const AnyPool& pool, int waiting) {
  AwaitThat([&] { return pool.stats().waiting == waiting; });
}

}  // namespace vouch::pool

#endif  // VOUCH_TESTS_POOL_WIDGET_H_
