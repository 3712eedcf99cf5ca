#ifndef VOUCH_POOL_INTERNAL_HOLDER_OF_H_
#define VOUCH_POOL_INTERNAL_HOLDER_OF_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <optional>

#include "absl/time/time.h"
#include "pool/holder.h"
#include "pool/internal/slot.h"

namespace vouch::pool::pool_internal {

// Who has a slot, as its notes tell without owning it.

// Who holds lease `use` of a slot. Nothing if that lease is over, or on its way.
template <typename Resource, typename Platform>
std::optional<Holder> HolderOfLease(const Slot<Resource, Platform>& slot, uint64_t use,
                                    int64_t now) {
  using SlotType = Slot<Resource, Platform>;
  if (slot.uses.load(std::memory_order_acquire) != use) return std::nullopt;  // [holder]
  if (slot.owner.load(std::memory_order_acquire) == SlotType::kNobody) return std::nullopt;
  Holder holder;
  holder.site = {slot.holder_file.load(std::memory_order_acquire),
                 slot.holder_line.load(std::memory_order_acquire)};
  int64_t since = now;
  if (slot.timed_use.load(std::memory_order_acquire) == use) {
    since = slot.leased_at.load(std::memory_order_acquire);
    const char* const label = slot.label.load(std::memory_order_acquire);
    if (label != nullptr) holder.label = label;
  } else if (slot.seen_use.load(std::memory_order_acquire) == use) {
    since = slot.seen_at.load(std::memory_order_acquire);
  }
  holder.age = absl::Nanoseconds(std::max<int64_t>(now - since, 0));
  // Whatever was read of a later lease: its number is read then.
  if (slot.uses.load(std::memory_order_relaxed) != use) return std::nullopt;  // [holder]
  return holder;
}

// Who holds the present lease. Nothing if there is none: the slot is available, its resource is
// being opened or closed, or it is on its way to the next lease.
template <typename Resource, typename Platform>
std::optional<Holder> HolderOf(const Slot<Resource, Platform>& slot, int64_t now) {
  for (;;) {
    const uint64_t use = slot.uses.load(std::memory_order_relaxed);
    std::optional<Holder> holder = HolderOfLease(slot, use, now);
    if (holder.has_value() || slot.uses.load(std::memory_order_relaxed) == use) return holder;
  }
}

// For whom a resource is being opened, and for how long; the site is empty if it is for the pool
// itself. Nothing if none is.
template <typename Resource, typename Platform>
std::optional<Holder> OpenerOf(const Slot<Resource, Platform>& slot, int64_t now) {
  const int64_t since = slot.opening_since.load(std::memory_order_acquire);
  if (since == 0) return std::nullopt;
  const Holder opener = {.site = {slot.holder_file.load(std::memory_order_acquire),
                                  slot.holder_line.load(std::memory_order_acquire)},
                         .label = {},
                         .age = absl::Nanoseconds(std::max<int64_t>(now - since, 0))};
  if (slot.opening_since.load(std::memory_order_relaxed) != since) return std::nullopt;
  return opener;
}

}  // namespace vouch::pool::pool_internal

#endif  // VOUCH_POOL_INTERNAL_HOLDER_OF_H_
