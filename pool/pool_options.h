#ifndef VOUCH_POOL_POOL_OPTIONS_H_
#define VOUCH_POOL_POOL_OPTIONS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace vouch::pool {

// What a Pool is made to be. Pool::Create() validates it and keeps a copy.
//
// Thread safety: a value.
//
// The first three are the ones to think about; the rest have defaults that fit a database
// connection.
struct PoolOptions {
  // Used in messages.
  std::string name = "pool";

  // At most `max` resources exist at once. `min` are opened by Create() and kept ready.
  // 0 <= min <= max, 1 <= max <= kMaxCapacity. Pool::Resize() changes both.
  int min = 2;
  int max = 8;

  // How long Acquire() waits when it is not told. Not negative; may be infinite.
  absl::Duration acquire_timeout = absl::Seconds(30);

  // A resource that nobody used for this long is closed, as long as more than `min` are open. It
  // may stay up to an eighth longer. Positive; absl::InfiniteDuration() means never.
  absl::Duration idle_timeout = absl::Seconds(300);

  // A resource older than this is closed as soon as nobody uses it, or rarely, when its release and
  // the end of its life fall together, an eighth later. Positive;
  // absl::InfiniteDuration() means never.
  absl::Duration max_lifetime = absl::Seconds(3600);

  // Each resource's own lifetime is shorter than max_lifetime by a random part of this fraction, so
  // that resources opened together do not end together. In [0, 1).
  double lifetime_jitter = 0.025;

  // A resource that was not used for this long is validated before it is lent; noticed up to an
  // eighth late. Means nothing without PoolHooks::validate. Positive; infinite: never.
  absl::Duration validate_after_idle = absl::Milliseconds(500);

  // An idle resource is validated every so often, in the background. Means nothing without
  // PoolHooks::validate. Positive; infinite: never.
  absl::Duration keepalive_interval = absl::InfiniteDuration();

  // So many resources are opened at once; who would open one more waits for those, or for a release.
  // At least 1.
  int max_concurrent_opens = 4;

  // An open that fails with kUnavailable is tried so many times, 100 ms, 200 ms, … apart, as long as
  // the acquire's timeout allows. The thread that refills the pool to `min` never gives up, but
  // tries every 30 s in the end. At least 1.
  int open_attempts = 3;

  // A lease that is out for longer is reported once, to PoolHooks::on_leak and in the stats; noticed
  // up to an eighth late. Positive; infinite: never.
  absl::Duration leak_threshold = absl::InfiniteDuration();

  // Refuses an acquire with kResourceExhausted at once, instead of kDeadlineExceeded in the end, when
  // those before it, at the average time resources are held, would keep it longer than its timeout.
  bool refuse_hopeless_waits = false;

  // For so long a waiter competes for what is given back with those who come later and need not
  // wake up first; from then on it is given to the oldest waiter. Longer: more throughput where
  // resources are held for moments. Zero: first come, first served, to the letter. Not negative.
  absl::Duration patience = absl::Milliseconds(1);

  // How long ~Pool waits for leases that are out. Then it says who holds them and aborts the
  // process. Not negative; infinite: it waits for ever.
  absl::Duration destroy_timeout = absl::Seconds(60);

  // Waiters in the line. An acquire that would be one more is refused at once, which bounds memory
  // and the time the last in the line waits. 0: nobody ever waits. There are four times as many
  // places, for one whose waiter has given up is free again only when everybody before it has been
  // served; an acquire that finds all of them used is refused as well.
  int max_waiters = 16384;

  static constexpr int kMaxCapacity = 4096;
  static constexpr int kMaxWaiters = 1 << 20;

  // kInvalidArgument naming the first bad field and its value.
  absl::Status Validate() const;

  // The same for these in place of `min` and `max`.
  absl::Status ValidateSizes(int new_min, int new_max) const;
};

}  // namespace vouch::pool

#endif  // VOUCH_POOL_POOL_OPTIONS_H_
