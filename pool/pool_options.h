#ifndef VOUCH_POOL_POOL_OPTIONS_H_
#define VOUCH_POOL_POOL_OPTIONS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace vouch::pool {

// What a Pool is made to be. A value; Pool::Create() validates it and keeps a copy.
//
// The first three are the ones to think about; the rest have defaults that fit a database
// connection.
struct PoolOptions {
  // Used in messages.
  std::string name = "pool";

  // At most `max` resources exist at once. `min` are opened by Create() and kept ready.
  // 0 <= min <= max, 1 <= max <= kMaxCapacity.
  int min = 2;
  int max = 8;

  // How long Acquire() waits when it is not told. Not negative; may be infinite.
  absl::Duration acquire_timeout = absl::Seconds(30);

  // A resource that nobody used for this long is closed, as long as more than `min` are open. It
  // may stay up to an eighth longer. Positive; absl::InfiniteDuration() means never.
  absl::Duration idle_timeout = absl::Seconds(300);

  // A resource older than this is closed as soon as nobody uses it. Positive;
  // absl::InfiniteDuration() means never.
  absl::Duration max_lifetime = absl::Seconds(3600);

  // Each resource's own lifetime is shorter than max_lifetime by a random part of this fraction, so
  // that resources opened together do not end together. In [0, 1).
  double lifetime_jitter = 0.025;

  // Places in the line. An acquire that would be one more is refused at once, which bounds memory
  // and the time the last in the line waits. 0: nobody ever waits. A place whose waiter has given
  // up is free again once everybody before it has been served.
  int max_waiters = 16384;

  static constexpr int kMaxCapacity = 4096;
  static constexpr int kMaxWaiters = 1 << 20;

  // kInvalidArgument naming the first bad field and its value.
  absl::Status Validate() const;
};

}  // namespace vouch::pool

#endif  // VOUCH_POOL_POOL_OPTIONS_H_
