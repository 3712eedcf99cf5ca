#ifndef VOUCH_POOL_INTERNAL_MESSAGES_H_
#define VOUCH_POOL_INTERNAL_MESSAGES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "pool/call_site.h"
#include "pool/holder.h"
#include "pool/internal/forecast.h"

namespace vouch::pool::pool_internal {

// The pool's errors, out of line: they are long, rare, and the same for every Resource.

// What a message tells about the pool.
struct Situation {
  std::string name;
  int capacity = 0;
  int waiting = 0;
  // Slots in use that are neither lent nor opened: their resource is being closed, checked, or on
  // its way to who acquires next.
  int in_between = 0;
  bool suspended = false;
  std::vector<Holder> holders;  // of each lease, in any order
  std::vector<Holder> openers;  // for whom each resource is opened; no site: for the pool itself
  std::string last_open_error;  // of the last open, if that failed
  absl::Duration last_open_error_age = absl::ZeroDuration();
};

absl::Status TimeoutError(const Situation& situation, absl::Duration timeout);
absl::Status StoppedError(const Situation& situation);
absl::Status LineFullError(const Situation& situation, int max_waiters);
// Less than max_waiters wait, but there is no place in the line.
absl::Status PlacesUsedError(const Situation& situation, int max_waiters);
absl::Status HopelessError(const Situation& situation, const Forecast& forecast);
absl::Status NoneAvailableError(const Situation& situation);
absl::Status DeadlockError(const Situation& situation, CallSite site);
absl::Status ClosedError(absl::string_view name);
// `site` may be empty.
absl::Status InsideHookError(absl::string_view operation, absl::string_view name,
                             absl::string_view hook, CallSite site);
absl::Status ForkedError(absl::string_view operation, absl::string_view name);
absl::Status DrainError(const Situation& situation, absl::Duration drain);

// What most likely keeps an acquire that waited for `waited` from being served.
std::string LikelyCause(const Situation& situation, absl::Duration waited);

// The factory's error with "OPERATION NAME: open failed: " before its message; payloads are kept.
absl::Status OpenError(absl::string_view operation, absl::string_view name,
                       const absl::Status& cause);

// Writes what ~Pool waits for in vain to the standard error stream, and aborts.
[[noreturn]] void AbortDestruction(const absl::Status& drain_error);

}  // namespace vouch::pool::pool_internal

#endif  // VOUCH_POOL_INTERNAL_MESSAGES_H_
