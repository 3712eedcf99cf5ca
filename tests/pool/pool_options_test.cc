#include "pool/pool_options.h"

#include <functional>
#include <limits>
#include <string>

#include "tests/support/status_matchers.h"

namespace vouch::pool {
namespace {

using test::StatusIs;
using testing::HasSubstr;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

absl::Status Validated(const std::function<void(PoolOptions&)>& change) {
  PoolOptions options;
  options.name = "readers";
  change(options);
  return options.Validate();
}

TEST(PoolOptionsTest, DefaultsAreValid) { EXPECT_OK(PoolOptions{}.Validate()); }

TEST(PoolOptionsTest, NamesTheFieldAndItsValue) {
  struct Case {
    std::function<void(PoolOptions&)> change;
    std::string message;
  };
  const Case cases[] = {
      {[](PoolOptions& o) { o.max = 0; }, "max is 0, must be 1 to 4096"},
      {[](PoolOptions& o) { o.max = -8; }, "max is -8"},
      {[](PoolOptions& o) { o.max = 4097; }, "max is 4097"},
      {[](PoolOptions& o) { o.min = -1; }, "min is -1"},
      {[](PoolOptions& o) { o.min = 9; }, "min is 9, must not exceed max, which is 8"},
      {[](PoolOptions& o) { o.acquire_timeout = absl::Seconds(-1); }, "acquire_timeout is -1s"},
      {[](PoolOptions& o) { o.patience = absl::Nanoseconds(-1); },
       "patience is -1ns, must not be negative"},
      {[](PoolOptions& o) { o.destroy_timeout = absl::Nanoseconds(-1); },
       "destroy_timeout is -1ns, must not be negative"},
      {[](PoolOptions& o) { o.idle_timeout = absl::ZeroDuration(); },
       "idle_timeout is 0, must be positive (infinite: never)"},
      {[](PoolOptions& o) { o.max_lifetime = -absl::InfiniteDuration(); }, "max_lifetime is -inf"},
      {[](PoolOptions& o) { o.max_lifetime = absl::ZeroDuration(); }, "max_lifetime is 0"},
      {[](PoolOptions& o) { o.lifetime_jitter = 1.0; }, "lifetime_jitter is 1"},
      {[](PoolOptions& o) { o.lifetime_jitter = -0.5; }, "lifetime_jitter is -0.5"},
      {[](PoolOptions& o) { o.lifetime_jitter = kInfinity; }, "lifetime_jitter is inf"},
      {[](PoolOptions& o) { o.lifetime_jitter = -kInfinity; }, "lifetime_jitter is -inf"},
      {[](PoolOptions& o) { o.lifetime_jitter = std::numeric_limits<double>::quiet_NaN(); },
       "lifetime_jitter is nan"},
      {[](PoolOptions& o) { o.validate_after_idle = absl::ZeroDuration(); },
       "validate_after_idle is 0"},
      {[](PoolOptions& o) { o.keepalive_interval = absl::Seconds(-3); },
       "keepalive_interval is -3s"},
      {[](PoolOptions& o) { o.leak_threshold = absl::ZeroDuration(); }, "leak_threshold is 0"},
      {[](PoolOptions& o) { o.max_concurrent_opens = 0; },
       "max_concurrent_opens is 0, must be at least 1"},
      {[](PoolOptions& o) { o.max_concurrent_opens = -2; }, "max_concurrent_opens is -2"},
      {[](PoolOptions& o) { o.open_attempts = 0; }, "open_attempts is 0, must be at least 1"},
      {[](PoolOptions& o) { o.max_waiters = -1; }, "max_waiters is -1"},
      {[](PoolOptions& o) { o.max_waiters = (1 << 20) + 1; }, "max_waiters is 1048577"},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(Validated(c.change), StatusIs(absl::StatusCode::kInvalidArgument,
                                              testing::AllOf(HasSubstr("pool options of readers"),
                                                             HasSubstr(c.message))));
  }
}

TEST(PoolOptionsTest, EdgesAreValid) {
  EXPECT_OK(Validated([](PoolOptions& o) { o.min = 0, o.max = 1; }));
  EXPECT_OK(Validated([](PoolOptions& o) { o.min = o.max = PoolOptions::kMaxCapacity; }));
  EXPECT_OK(Validated([](PoolOptions& o) { o.acquire_timeout = absl::ZeroDuration(); }));
  EXPECT_OK(Validated([](PoolOptions& o) { o.acquire_timeout = absl::InfiniteDuration(); }));
  EXPECT_OK(Validated([](PoolOptions& o) { o.idle_timeout = absl::InfiniteDuration(); }));
  EXPECT_OK(Validated([](PoolOptions& o) { o.max_lifetime = absl::InfiniteDuration(); }));
  EXPECT_OK(Validated([](PoolOptions& o) { o.lifetime_jitter = 0; }));
  EXPECT_OK(Validated([](PoolOptions& o) { o.destroy_timeout = absl::ZeroDuration(); }));
  EXPECT_OK(Validated([](PoolOptions& o) { o.destroy_timeout = absl::InfiniteDuration(); }));
  EXPECT_OK(Validated([](PoolOptions& o) { o.validate_after_idle = absl::InfiniteDuration(); }));
  EXPECT_OK(Validated([](PoolOptions& o) { o.keepalive_interval = absl::Nanoseconds(1); }));
  EXPECT_OK(Validated([](PoolOptions& o) { o.leak_threshold = absl::Nanoseconds(1); }));
  EXPECT_OK(Validated([](PoolOptions& o) { o.max_concurrent_opens = 1; }));
  EXPECT_OK(Validated([](PoolOptions& o) { o.open_attempts = 1; }));
  EXPECT_OK(Validated([](PoolOptions& o) { o.max_waiters = 0; }));
  EXPECT_OK(Validated([](PoolOptions& o) { o.max_waiters = PoolOptions::kMaxWaiters; }));
}

TEST(PoolOptionsTest, TheFirstBadFieldIsNamed) {
  EXPECT_THAT(Validated([](PoolOptions& o) {
                o.idle_timeout = absl::ZeroDuration();
                o.open_attempts = 0;
              }),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       testing::AllOf(HasSubstr("idle_timeout"),
                                      testing::Not(HasSubstr("open_attempts")))));
}

}  // namespace
}  // namespace vouch::pool
