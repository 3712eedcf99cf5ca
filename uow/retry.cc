#include "uow/retry.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "storage/error.h"
#include "uow/failure.h"

namespace vouch::uow {

absl::Status RetryOptions::Validate() const {
  if (max_retries < 0) {
    return absl::InvalidArgumentError(absl::StrCat("retry: max_retries is ", max_retries));
  }
  if (first_delay < absl::ZeroDuration() || first_delay == absl::InfiniteDuration()) {
    return absl::InvalidArgumentError(
        absl::StrCat("retry: first_delay is ", absl::FormatDuration(first_delay)));
  }
  if (!(growth >= 1.0) || !std::isfinite(growth)) {
    return absl::InvalidArgumentError(absl::StrCat("retry: growth is ", growth, ", less than 1"));
  }
  if (max_delay < first_delay) {
    return absl::InvalidArgumentError(absl::StrCat(
        "retry: max_delay is ", absl::FormatDuration(max_delay), ", less than first_delay"));
  }
  if (!(jitter >= 0.0 && jitter <= 1.0)) {
    return absl::InvalidArgumentError(absl::StrCat("retry: jitter is ", jitter, ", not in [0, 1]"));
  }
  return absl::OkStatus();
}

bool IsRetryable(const absl::Status& status) {
  if (absl::IsAborted(status)) return !VersionConflictOf(status).has_value();
  return absl::IsUnavailable(status) && storage::NativeCode(status).has_value();
}

absl::Duration RetryDelay(const RetryOptions& options, int retries, double random) {
  const absl::Duration full = options.first_delay * std::pow(options.growth, retries);
  return std::min(full, options.max_delay) * (1.0 - options.jitter * random);
}

std::optional<absl::Duration> DelayBeforeRetry(const RetryOptions& options,
                                               const absl::Status& status, int retries,
                                               absl::Duration time_left, double random) {
  if (!IsRetryable(status) || retries >= options.max_retries) return std::nullopt;
  const absl::Duration delay = RetryDelay(options, retries, random);
  if (delay >= time_left) return std::nullopt;
  return delay;
}

}  // namespace vouch::uow
