#ifndef VOUCH_POOL_INTERNAL_MESSAGES_H_
#define VOUCH_POOL_INTERNAL_MESSAGES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "pool/call_site.h"
#include "pool/holder.h"

namespace vouch::pool::pool_internal {

// The pool's errors, out of line: they are long, rare, and the same for every Resource.

// What a message tells about the pool.
struct Situation {
  std::string name;
  int capacity = 0;
  int leased = 0;
  int waiting = 0;
  int opening = 0;  // resources being opened
  bool suspended = false;
  std::vector<Holder> holders;  // in any order
  std::string last_open_error;  // of the last open, if that failed
};

absl::Status TimeoutError(const Situation& situation, absl::Duration timeout);
absl::Status StoppedError(const Situation& situation);
absl::Status LineFullError(const Situation& situation, int max_waiters);
absl::Status HopelessError(const Situation& situation, absl::Duration predicted,
                           absl::Duration timeout);
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

// How long an acquire will wait behind `waiting` others if holds go on as they did on average.
absl::Duration PredictWait(int waiting, int capacity, absl::Duration mean_hold);

// Nanoseconds of a length; the largest number if it is infinite or does not fit.
int64_t NanosOf(absl::Duration length);

}  // namespace vouch::pool::pool_internal

#endif  // VOUCH_POOL_INTERNAL_MESSAGES_H_
