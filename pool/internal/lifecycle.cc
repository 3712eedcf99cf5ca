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

// When to look again at what is due after `length` of something the keeper is not told of. It may
// be noticed up to an eighth late.
int64_t After(int64_t now, int64_t length) {
  if (length == kForever) return kForever;
  return SaturatingAdd(now, std::max<int64_t>(length / 8, 1));
}

// A slot has been idle since slot.since, as far as the keeper knows: when has it been for `length`?
int64_t IdleFor(const SlotView& slot, int64_t now, int64_t length) {
  return slot.since >= now ? After(now, length) : SaturatingAdd(slot.since, length);
}

LifecycleDecision DecideIdle(const SlotView& slot, int64_t now, int size,
                             const LifecycleLimits& limits) {
  const int64_t end = LifetimeEnd(slot.opened_at, slot.seed, limits);
  if (now >= end) return {LifecycleAction::kCloseLifetime, kForever};
  const int64_t unused = size > limits.min ? IdleFor(slot, now, limits.idle_timeout_ns) : kForever;
  if (now >= unused) return {LifecycleAction::kCloseIdle, kForever};
  const int64_t keepalive = std::max(IdleFor(slot, now, limits.keepalive_ns),
                                     SaturatingAdd(slot.validated_at, limits.keepalive_ns));
  if (now >= keepalive) return {LifecycleAction::kKeepAlive, kForever};
  const int64_t due = slot.due ? kForever : IdleFor(slot, now, limits.validate_after_idle_ns);
  if (now >= due) return {LifecycleAction::kMarkDue, kForever};
  // A lease that begins now tells nobody: look early enough to notice it.
  const int64_t leak = After(now, limits.leak_threshold_ns);
  return {LifecycleAction::kNone, std::min({end, unused, keepalive, due, leak})};
}

LifecycleDecision DecideLeased(const SlotView& slot, int64_t now, int size,
                               const LifecycleLimits& limits) {
  const int64_t leak =
      slot.reported ? kForever : SaturatingAdd(slot.since, limits.leak_threshold_ns);
  if (now >= leak) return {LifecycleAction::kReportLeak, kForever};
  const int64_t end = LifetimeEnd(slot.opened_at, slot.seed, limits);
  if (now >= end) {
    // A release that is under way may have missed the mark, and then nobody tells.
    return {LifecycleAction::kExpireOnRelease, std::min(leak, After(now, limits.max_lifetime_ns))};
  }
  // When it is idle again the keeper wants to know, not much later, if it has anything to do then.
  int64_t soonest = std::min(limits.keepalive_ns, limits.validate_after_idle_ns);
  if (size > limits.min) soonest = std::min(soonest, limits.idle_timeout_ns);
  if (slot.reported) soonest = std::min(soonest, limits.leak_threshold_ns);  // the next lease's
  return {LifecycleAction::kNone, std::min({end, leak, After(now, soonest)})};
}

}  // namespace

LifecycleDecision DecideLifecycle(const SlotView& slot, int64_t now, int size, int opening,
                                  int64_t open_not_before, const LifecycleLimits& limits) {
  switch (slot.state) {
    case SlotState::kEmpty:
      return DecideEmpty(now, size + opening, open_not_before, limits.min);
    case SlotState::kIdle:
      if (slot.opened_at != 0) return DecideIdle(slot, now, size, limits);
      break;  // the word was seen before the note
    case SlotState::kLeased:
      if (slot.opened_at != 0) return DecideLeased(slot, now, size, limits);
      break;  // being opened: its opener calls the keeper when done
    case SlotState::kReserved:
    case SlotState::kRetired:
    case SlotState::kWithheld:
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
