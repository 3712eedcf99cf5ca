#include "pool/pool_options.h"

#include "absl/strings/str_cat.h"

namespace vouch::pool {
namespace {

template <typename... Parts>
absl::Status Bad(const PoolOptions& options, const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat("pool options of ", options.name, ": ", parts...));
}

absl::Status MustBePositive(const PoolOptions& options, const char* field, absl::Duration value) {
  if (value > absl::ZeroDuration()) return absl::OkStatus();
  return Bad(options, field, " is ", absl::FormatDuration(value),
             ", must be positive (infinite: never)");
}

absl::Status MustNotBeNegative(const PoolOptions& options, const char* field,
                               absl::Duration value) {
  if (value >= absl::ZeroDuration()) return absl::OkStatus();
  return Bad(options, field, " is ", absl::FormatDuration(value), ", must not be negative");
}

absl::Status ValidateTimes(const PoolOptions& options) {
  absl::Status valid;
  valid.Update(MustNotBeNegative(options, "acquire_timeout", options.acquire_timeout));
  valid.Update(MustNotBeNegative(options, "destroy_timeout", options.destroy_timeout));
  valid.Update(MustNotBeNegative(options, "patience", options.patience));
  valid.Update(MustBePositive(options, "idle_timeout", options.idle_timeout));
  valid.Update(MustBePositive(options, "max_lifetime", options.max_lifetime));
  valid.Update(MustBePositive(options, "validate_after_idle", options.validate_after_idle));
  valid.Update(MustBePositive(options, "keepalive_interval", options.keepalive_interval));
  valid.Update(MustBePositive(options, "leak_threshold", options.leak_threshold));
  return valid;
}

}  // namespace

absl::Status PoolOptions::ValidateSizes(int new_min, int new_max) const {
  if (new_max < 1 || new_max > kMaxCapacity) {
    return Bad(*this, "max is ", new_max, ", must be 1 to ", kMaxCapacity);
  }
  if (new_min < 0) return Bad(*this, "min is ", new_min, ", must not be negative");
  if (new_min > new_max) {
    return Bad(*this, "min is ", new_min, ", must not exceed max, which is ", new_max);
  }
  return absl::OkStatus();
}

absl::Status PoolOptions::Validate() const {
  absl::Status valid = ValidateSizes(min, max);
  valid.Update(ValidateTimes(*this));
  if (!valid.ok()) return valid;
  if (!(lifetime_jitter >= 0.0 && lifetime_jitter < 1.0)) {
    return Bad(*this, "lifetime_jitter is ", lifetime_jitter, ", must be at least 0 and below 1");
  }
  if (max_concurrent_opens < 1) {
    return Bad(*this, "max_concurrent_opens is ", max_concurrent_opens, ", must be at least 1");
  }
  if (open_attempts < 1) {
    return Bad(*this, "open_attempts is ", open_attempts, ", must be at least 1");
  }
  if (max_waiters < 0 || max_waiters > kMaxWaiters) {
    return Bad(*this, "max_waiters is ", max_waiters, ", must be 0 to ", kMaxWaiters);
  }
  return absl::OkStatus();
}

}  // namespace vouch::pool
