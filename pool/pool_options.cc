#include "pool/pool_options.h"

#include "absl/strings/str_cat.h"

namespace vouch::pool {
namespace {

template <typename... Parts>
absl::Status Bad(const PoolOptions& options, const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat("pool options of ", options.name, ": ", parts...));
}

}  // namespace

absl::Status PoolOptions::Validate() const {
  if (max < 1 || max > kMaxCapacity) {
    return Bad(*this, "max is ", max, ", must be 1 to ", kMaxCapacity);
  }
  if (min < 0) return Bad(*this, "min is ", min, ", must not be negative");
  if (min > max) return Bad(*this, "min is ", min, ", must not exceed max, which is ", max);
  if (acquire_timeout < absl::ZeroDuration()) {
    return Bad(*this, "acquire_timeout is ", absl::FormatDuration(acquire_timeout),
               ", must not be negative");
  }
  if (idle_timeout <= absl::ZeroDuration()) {
    return Bad(*this, "idle_timeout is ", absl::FormatDuration(idle_timeout),
               ", must be positive (infinite: never)");
  }
  if (max_lifetime <= absl::ZeroDuration()) {
    return Bad(*this, "max_lifetime is ", absl::FormatDuration(max_lifetime),
               ", must be positive (infinite: never)");
  }
  if (!(lifetime_jitter >= 0.0 && lifetime_jitter < 1.0)) {
    return Bad(*this, "lifetime_jitter is ", lifetime_jitter, ", must be at least 0 and below 1");
  }
  if (max_waiters < 0 || max_waiters > kMaxWaiters) {
    return Bad(*this, "max_waiters is ", max_waiters, ", must be 0 to ", kMaxWaiters);
  }
  return absl::OkStatus();
}

}  // namespace vouch::pool
