#include "pool/internal/lifecycle.h"

#include <algorithm>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace vouch::pool::pool_internal {

void PrintTo(const LifecycleDecision& decision, std::ostream* out) {
  *out << "{action " << static_cast<int>(decision.action) << ", next " << decision.next_look << "}";
}

namespace {

using Action = LifecycleAction;

constexpr LifecycleLimits kLimits{
    .min = 2, .idle_timeout_ns = 800, .max_lifetime_ns = 10'000, .lifetime_jitter = 0};

struct Case {
  std::string what;
  SlotView slot;
  int64_t now;
  int size;
  LifecycleDecision expected;
  int opening = 0;
};

TEST(LifecycleTest, Table) {
  const SlotView empty{.state = SlotState::kEmpty};
  const SlotView idle{.state = SlotState::kIdle, .opened_at = 1000, .since = 2000};
  const SlotView leased{.state = SlotState::kLeased, .opened_at = 1000, .since = 2000};
  const SlotView opening{.state = SlotState::kLeased, .since = 2000};
  const SlotView reserved{.state = SlotState::kReserved, .opened_at = 1000, .since = 2000};
  const SlotView retired{.state = SlotState::kRetired};
  const SlotView withheld{.state = SlotState::kWithheld, .opened_at = 1000, .since = 2000};
  const std::vector<Case> cases = {
      {"less than min: open", empty, 2000, 1, {Action::kOpen, kForever}},
      {"min is there: leave it empty", empty, 2000, 2, {Action::kNone, kForever}},
      {"min is there soon: leave it empty", empty, 2000, 1, {Action::kNone, kForever}, 1},
      {"min is not there even then: open", empty, 2000, 0, {Action::kOpen, kForever}, 1},
      {"backing off", empty, 50, 1, {Action::kNone, 100}},
      {"fresh, no more than min", idle, 2000, 2, {Action::kNone, 11'000}},
      {"fresh, more than min: just used", idle, 2000, 3, {Action::kNone, 2100}},
      {"unused a while", idle, 2100, 3, {Action::kNone, 2800}},
      {"unused almost too long", idle, 2799, 3, {Action::kNone, 2800}},
      {"unused too long", idle, 2800, 3, {Action::kCloseIdle, kForever}},
      {"unused too long, but min", idle, 2800, 2, {Action::kNone, 11'000}},
      {"min, and more soon: stays", idle, 2800, 2, {Action::kNone, 11'000}, 1},
      {"almost too old", idle, 10'999, 2, {Action::kNone, 11'000}},
      {"too old", idle, 11'000, 2, {Action::kCloseLifetime, kForever}},
      {"too old and unused: lifetime counts", idle, 11'000, 3, {Action::kCloseLifetime, kForever}},
      {"leased, more than min", leased, 2800, 3, {Action::kNone, 2900}},
      {"leased, min", leased, 2800, 2, {Action::kNone, 11'000}},
      {"leased, too old", leased, 11'000, 2, {Action::kExpireOnRelease, 12'250}},
      {"being opened", opening, 50'000, 3, {Action::kNone, kForever}},
      {"the keeper's own", reserved, 50'000, 3, {Action::kNone, kForever}},
      {"retired", retired, 50'000, 0, {Action::kNone, kForever}},
      {"withheld", withheld, 50'000, 3, {Action::kNone, kForever}},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(DecideLifecycle(c.slot, c.now, c.size, c.opening, 100, kLimits), c.expected)
        << c.what;
  }
}

TEST(LifecycleTest, InfiniteTimesAreNeverDue) {
  const LifecycleLimits limits{.min = 0};
  const SlotView idle{.state = SlotState::kIdle, .opened_at = 1, .since = 1};
  const LifecycleDecision nothing{Action::kNone, kForever};
  EXPECT_EQ(DecideLifecycle(idle, kForever - 1, 1, 0, 0, limits), nothing);
  EXPECT_EQ(LifetimeEnd(1, 0, limits), kForever);
}

TEST(LifecycleTest, JitterShortensByItsFractionAtMost) {
  const LifecycleLimits limits{.max_lifetime_ns = 1'000'000, .lifetime_jitter = 0.025};
  int64_t least = kForever;
  int64_t most = 0;
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    const int64_t length = LifetimeEnd(500, seed, limits) - 500;
    EXPECT_EQ(length, LifetimeEnd(500, seed, limits) - 500) << "the same slot ends at one time";
    least = std::min(least, length);
    most = std::max(most, length);
  }
  EXPECT_GT(least, 975'000 - 1);
  EXPECT_LT(least, 976'000);
  EXPECT_GT(most, 999'000);
  EXPECT_LE(most, 1'000'000);
}

TEST(LifecycleTest, BackoffDoublesToHalfAMinute) {
  EXPECT_EQ(OpenBackoff(1), 100'000'000);
  EXPECT_EQ(OpenBackoff(2), 200'000'000);
  EXPECT_EQ(OpenBackoff(9), 25'600'000'000);
  EXPECT_EQ(OpenBackoff(10), 30'000'000'000);
  EXPECT_EQ(OpenBackoff(1'000'000), 30'000'000'000);
}

TEST(LifecycleTest, AddingToATimeSaturates) {
  EXPECT_EQ(SaturatingAdd(1, 2), 3);
  EXPECT_EQ(SaturatingAdd(kForever - 1, 1), kForever);
  EXPECT_EQ(SaturatingAdd(5, kForever), kForever);
  EXPECT_EQ(SaturatingAdd(kForever, 5), kForever);
}

TEST(LifecycleTest, InfiniteIsForEver) {
  EXPECT_EQ(NanosOf(absl::InfiniteDuration()), kForever);
  EXPECT_EQ(NanosOf(absl::Hours(24 * 365 * 1000)), kForever);
  EXPECT_EQ(NanosOf(absl::Microseconds(2)), 2000);
}

}  // namespace
}  // namespace vouch::pool::pool_internal
