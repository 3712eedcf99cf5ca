// When a failed unit of work is run again: a pure decision.
//
//   if (auto wait = DelayBeforeRetry(options, status, attempts, time_left, random)) Sleep(*wait);
//
// Only errors that another attempt can cure are retried: another process held the lock
// (kUnavailable from the database), or the transaction was ended and has to be replayed (kAborted,
// also when the caller's own function says so, but not for a version that is not the one it
// expected: it would expect the same again). An unknown outcome is never retried.
//
// Thread safety: pure functions.

#ifndef VOUCH_UOW_RETRY_H_
#define VOUCH_UOW_RETRY_H_

#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace vouch::uow {

struct RetryOptions {
  int max_retries = 3;  // After the first attempt.
  absl::Duration first_delay = absl::Milliseconds(100);
  double growth = 2.0;                                  // Of the delay, from one retry to the next,
  absl::Duration max_delay = absl::InfiniteDuration();  // up to this.
  double jitter = 0.5;  // The part of each delay that is left to chance.

  absl::Status Validate() const;
};

bool IsRetryable(const absl::Status& status);

// How long to wait after `retries` retries and one more failure, whatever failed and however often.
// `random` is uniform in [0, 1).
absl::Duration RetryDelay(const RetryOptions& options, int retries, double random);

// How long to wait before the next attempt, or nullopt to give up: `status` is not retryable,
// `retries` (made so far) have reached the most, or the wait would outlast `time_left`.
std::optional<absl::Duration> DelayBeforeRetry(const RetryOptions& options,
                                               const absl::Status& status, int retries,
                                               absl::Duration time_left, double random);

}  // namespace vouch::uow

#endif  // VOUCH_UOW_RETRY_H_
