#include "pool/internal/lifecycle.h"

#include <algorithm>

namespace vouch::pool::pool_internal {
namespace {

// splitmix64: spreads neighbouring numbers over all 64 bits.
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

LifecycleDecision DecideEmpty(int64_t now, int size, int64_t open_not_before, int min) {
  if (size >= min) return {LifecycleAction::kNone, kForever};
  if (now < open_not_before) return {LifecycleAction::kNone, open_not_before};
  return {LifecycleAction::kOpen, kForever};
}

// A use may be seen up to an eighth of the timeout late: that is how often the keeper looks while
// there is use.
int64_t NextIdleLook(const SlotView& slot, int64_t now, int64_t idle_timeout_ns) {
  if (idle_timeout_ns == kForever) return kForever;
  const bool in_use = slot.state != SlotState::kIdle || slot.unused_since >= now;
  if (in_use) return SaturatingAdd(now, std::max<int64_t>(idle_timeout_ns / 8, 1));
  return SaturatingAdd(slot.unused_since, idle_timeout_ns);
}

LifecycleDecision DecideOpen(const SlotView& slot, int64_t now, int size,
                             const LifecycleLimits& limits) {
  const bool idle = slot.state == SlotState::kIdle;
  const int64_t end = LifetimeEnd(slot.opened_at, slot.seed, limits);
  if (now >= end) {
    return {idle ? LifecycleAction::kCloseLifetime : LifecycleAction::kExpireOnRelease, kForever};
  }
  if (size <= limits.min) return {LifecycleAction::kNone, end};
  const int64_t next_idle_look = NextIdleLook(slot, now, limits.idle_timeout_ns);
  if (idle && now >= next_idle_look) return {LifecycleAction::kCloseIdle, kForever};
  return {LifecycleAction::kNone, std::min(end, next_idle_look)};
}

}  // namespace

LifecycleDecision DecideLifecycle(const SlotView& slot, int64_t now, int size,
                                  int64_t open_not_before, const LifecycleLimits& limits) {
  switch (slot.state) {
    case SlotState::kEmpty:
      return DecideEmpty(now, size, open_not_before, limits.min);
    case SlotState::kIdle:
    case SlotState::kLeased:
      if (slot.opened_at != 0) return DecideOpen(slot, now, size, limits);
      break;  // being opened: its opener calls the keeper when done
    case SlotState::kReserved:
    case SlotState::kRetired:
      break;
  }
  return {LifecycleAction::kNone, kForever};
}

int64_t LifetimeEnd(int64_t opened_at, uint64_t seed, const LifecycleLimits& limits) {
  if (limits.max_lifetime_ns == kForever) return kForever;
  const uint64_t random = Mix(Mix(static_cast<uint64_t>(opened_at)) ^ seed);
  const double part = static_cast<double>(random >> 11) * 0x1p-53;  // in [0, 1)
  const double shorter =
      static_cast<double>(limits.max_lifetime_ns) * limits.lifetime_jitter * part;
  return SaturatingAdd(opened_at, limits.max_lifetime_ns - static_cast<int64_t>(shorter));
}

int64_t OpenBackoff(int failures) {
  constexpr int64_t kFirst = 100'000'000;
  constexpr int64_t kLongest = 30'000'000'000;
  const int doublings = std::clamp(failures - 1, 0, 20);
  return std::min(kFirst << doublings, kLongest);
}

}  // namespace vouch::pool::pool_internal
