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

template <typename AnyPool>
void AwaitWaiting(const AnyPool& pool, int waiting) {
  AwaitThat([&] { return pool.stats().waiting == waiting; });
}

}  // namespace vouch::pool

#endif  // VOUCH_TESTS_POOL_WIDGET_H_
