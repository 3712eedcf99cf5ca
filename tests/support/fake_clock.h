// Clocks that a test holds still and moves by hand. Thread safety: any thread.

#ifndef VOUCH_TESTS_SUPPORT_FAKE_CLOCK_H_
#define VOUCH_TESTS_SUPPORT_FAKE_CLOCK_H_

#include <atomic>
#include <chrono>
#include <cstdint>

#include "absl/time/time.h"
#include "storage/clock.h"

namespace vouch::test {

class FakeWallClock final : public storage::WallClock {
 public:
  explicit FakeWallClock(absl::Time now) : nanos_(absl::ToUnixNanos(now)) {}
  absl::Time Now() override { return absl::FromUnixNanos(nanos_.load()); }
  void Advance(absl::Duration step) { nanos_ += absl::ToInt64Nanoseconds(step); }

 private:
  std::atomic<std::int64_t> nanos_;
};

class FakeSteadyClock final : public storage::SteadyClock {
 public:
  TimePoint Now() override { return TimePoint(std::chrono::nanoseconds(nanos_.load())); }
  void Advance(absl::Duration step) { nanos_ += absl::ToInt64Nanoseconds(step); }

 private:
  std::atomic<std::int64_t> nanos_{0};
};

}  // namespace vouch::test

#endif  // VOUCH_TESTS_SUPPORT_FAKE_CLOCK_H_
