#ifndef VOUCH_POOL_INTERNAL_LIFECYCLE_H_
#define VOUCH_POOL_INTERNAL_LIFECYCLE_H_

#include <cstdint>

#include "absl/time/time.h"
#include "pool/internal/platform.h"
#include "pool/internal/slot.h"

namespace vouch::pool::pool_internal {

// Lifecycle decides what the keeper does with a slot. Pure functions of what was seen and of a
// time: no thread, no clock, no side effect.

struct LifecycleLimits {
  int min = 0;
  int64_t idle_timeout_ns = kForever;
  int64_t max_lifetime_ns = kForever;
  double lifetime_jitter = 0;
  // kForever also where there is nothing to validate with.
  int64_t validate_after_idle_ns = kForever;
  int64_t keepalive_ns = kForever;
  int64_t leak_threshold_ns = kForever;
};

// What the keeper saw of a slot.
struct SlotView {
  SlotState state = SlotState::kEmpty;
  int64_t opened_at = 0;     // 0: no resource
  int64_t since = 0;         // when the keeper first saw it in this state with this use count
  uint64_t seed = 0;         // of the jitter; the slot's number
  int64_t validated_at = 0;  // when it was last known to work, but for its uses
  bool due = false;          // it is marked: to be validated before it is lent
  bool reported = false;     // its lease has been reported as a leak, or there is no lease
};

enum class LifecycleAction {
  kNone,
  kOpen,             // open a resource in this empty slot
  kCloseIdle,        // close it: unused for too long
  kCloseLifetime,    // close it: too old
  kExpireOnRelease,  // too old and leased: let the release close it
  kKeepAlive,        // validate it now
  kMarkDue,          // unused for a while: have it validated before it is lent
  kReportLeak,       // leased for too long
};

struct LifecycleDecision {
  LifecycleAction action = LifecycleAction::kNone;
  // Look again at this time, if nothing else happens. kForever: no need.
  int64_t next_look = kForever;

  friend bool operator==(const LifecycleDecision&, const LifecycleDecision&) = default;
};

// `size` resources are open and `opening` are being opened, by others: those are as good as there
// when it is to be decided whether to open one, but not when whether to close one. Nothing is opened
// before `open_not_before`.
LifecycleDecision DecideLifecycle(const SlotView& slot, int64_t now, int size, int opening,
                                  int64_t open_not_before, const LifecycleLimits& limits);

// When a resource opened at `opened_at` is too old: a fraction in (1 - jitter, 1] of the lifetime
// later, which fraction depending on the time and the seed.
int64_t LifetimeEnd(int64_t opened_at, uint64_t seed, const LifecycleLimits& limits);

// How long the keeper waits after the n-th failure in a row (1 is the first): 100 ms, doubling, at
// most 30 s.
int64_t OpenBackoff(int failures);

// a + b for times and lengths that are not negative; kForever if either is, or if it does not fit.
constexpr int64_t SaturatingAdd(int64_t a, int64_t b) {
  return a >= kForever - b ? kForever : a + b;
}

// Nanoseconds of a length; kForever if it is infinite or does not fit.
inline int64_t NanosOf(absl::Duration length) { return absl::ToInt64Nanoseconds(length); }

}  // namespace vouch::pool::pool_internal

#endif  // VOUCH_POOL_INTERNAL_LIFECYCLE_H_
