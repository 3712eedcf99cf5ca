#ifndef VOUCH_POOL_INTERNAL_HOLDER_OF_H_
#define VOUCH_POOL_INTERNAL_HOLDER_OF_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "pool/holder.h"
#include "pool/internal/slot.h"

namespace vouch::pool::pool_internal {

// Who holds a leased slot, as its notes tell without owning it. The site's file is empty if the
// slot was never lent: then its first resource is being opened.
template <typename Resource, typename Platform>
Holder HolderOf(const Slot<Resource, Platform>& slot, int64_t now) {
  Holder holder;
  const char* const file = slot.holder_file.load(std::memory_order_relaxed);
  if (file == nullptr) return holder;
  holder.site = {file, slot.holder_line.load(std::memory_order_relaxed)};
  const uint64_t use = slot.uses.load(std::memory_order_relaxed);
  if (slot.label_use.load(std::memory_order_relaxed) == use) {
    const char* const label = slot.label.load(std::memory_order_relaxed);
    if (label != nullptr) holder.label = label;
  }
  int64_t since = now;
  if (slot.timed_use.load(std::memory_order_relaxed) == use) {
    since = slot.leased_at.load(std::memory_order_relaxed);
  } else if (slot.seen_use.load(std::memory_order_relaxed) == use) {
    since = slot.seen_at.load(std::memory_order_relaxed);
  }
  holder.age = absl::Nanoseconds(std::max<int64_t>(now - since, 0));
  return holder;
}

}  // namespace vouch::pool::pool_internal

#endif  // VOUCH_POOL_INTERNAL_HOLDER_OF_H_
