#ifndef VOUCH_POOL_INTERNAL_MESSAGES_H_
#define VOUCH_POOL_INTERNAL_MESSAGES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "pool/call_site.h"

namespace vouch::pool::pool_internal {

// The pool's errors, out of line: they are long, rare, and the same for every Resource.

// What a message tells about the pool.
struct Situation {
  std::string name;
  int capacity = 0;
  int leased = 0;
  int waiting = 0;
  std::vector<CallSite> holders;
  std::string last_open_error;
};

absl::Status TimeoutError(const Situation& situation, absl::Duration timeout);
absl::Status LineFullError(const Situation& situation, int max_waiters);
absl::Status NoneAvailableError(const Situation& situation);
absl::Status ClosedError(absl::string_view name);
absl::Status DrainError(const Situation& situation, absl::Duration drain);

// The factory's error with "OPERATION NAME: open failed: " before its message; payloads are kept.
absl::Status OpenError(absl::string_view operation, absl::string_view name,
                       const absl::Status& cause);

// Nanoseconds of a length; the largest number if it is infinite or does not fit.
int64_t NanosOf(absl::Duration length);

}  // namespace vouch::pool::pool_internal

#endif  // VOUCH_POOL_INTERNAL_MESSAGES_H_
