#ifndef VOUCH_TESTS_POOL_FAKE_PLATFORM_H_
#define VOUCH_TESTS_POOL_FAKE_PLATFORM_H_

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "absl/time/time.h"
#include "pool/internal/platform.h"

namespace vouch::pool {

// The system's platform with a clock that only the test moves. Deadlines pass when Advance() passes
// them; a thread that sleeps to one looks at the clock every real millisecond, so that tests are
// never right by sleeping, only late.
struct FakePlatform : pool_internal::SystemPlatform {
  static int64_t Now() { return now_.load(); }
  static void Advance(absl::Duration length) { now_ += absl::ToInt64Nanoseconds(length); }

  static bool Park(Atomic<uint32_t>& word, uint32_t expected, int64_t deadline_ns) {
    if (deadline_ns == kForever) {
      ++looks_;
      return SystemPlatform::Park(word, expected, deadline_ns);
    }
    while (word.load() == expected) {
      if (Now() >= deadline_ns) return false;
      ++looks_;
      SystemPlatform::Park(word, expected, SystemPlatform::Now() + 1'000'000);
    }
    return true;
  }

  static void Yield() {
    ++yields_;
    SystemPlatform::Yield();
  }
  // By all threads, ever.
  static int yields() { return yields_.load(); }

  // How often somebody, about to sleep, has found that it is not time yet.
  static uint64_t looks() { return looks_.load(); }

 private:
  static inline std::atomic<uint64_t> looks_{0};
  static inline std::atomic<int> yields_{0};
  static inline std::atomic<int64_t> now_{1'000'000'000};
};

}  // namespace vouch::pool

#endif  // VOUCH_TESTS_POOL_FAKE_PLATFORM_H_
