#ifndef VOUCH_POOL_ACQUIRE_OPTIONS_H_
#define VOUCH_POOL_ACQUIRE_OPTIONS_H_

#include <optional>
#include <stop_token>

#include "absl/time/time.h"

namespace vouch::pool {

// What one acquire asks for. The default is what Acquire() without options does.
//
//   pool->Acquire({.timeout = absl::Seconds(2), .label = "nightly report"});
//
// Thread safety: a value. Ownership: `label` is not copied. Cost: an acquire with options does without
// the pool's fast way: two more atomic operations, and a search that begins at this thread's slot,
// some 50 ns together. A lease with a label is timed, which is two readings of the clock and some
// 100 ns.
struct AcquireOptions {
  // Waits at most this long. Unset: PoolOptions::acquire_timeout. Zero or less: does not wait.
  std::optional<absl::Duration> timeout = std::nullopt;

  // Waits until then, if that is earlier.
  absl::Time deadline = absl::InfiniteFuture();

  // Ends the wait with kCancelled.
  std::stop_token stop = {};

  // Names the lease in messages, next to its call site. A literal, or outlives the pool.
  const char* label = nullptr;

  // The lease will be released by another thread than acquires it. An acquire that would wait is
  // refused when every lease is held by a thread that waits as well; a lease that may change hands
  // is not held against the thread that acquired it.
  bool transferable = false;
};

}  // namespace vouch::pool

#endif  // VOUCH_POOL_ACQUIRE_OPTIONS_H_
