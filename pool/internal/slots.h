#ifndef VOUCH_POOL_INTERNAL_SLOTS_H_
#define VOUCH_POOL_INTERNAL_SLOTS_H_

#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#include "pool/internal/slot.h"

namespace vouch::pool::pool_internal {

// Slots is the array of a pool's slots and the searches over all of them. It grows, up to a reserve
// fixed at construction, and never moves or shrinks: slots beyond the pool's limit are kRetired.
//
// Thread safety: any thread; Grow() by one at a time.
// Cost: a search reads each slot's first line once; nothing blocks. Nothing allocates after
// construction: the reserve is address space, which the kernel provides when it is first used.
template <typename Resource, typename Platform>
class Slots {
 public:
  using SlotType = Slot<Resource, Platform>;

  // No slot.
  static constexpr uint32_t kNone = UINT32_MAX;

  // `size` slots, kRetired.
  Slots(uint32_t size, uint32_t reserve)
      : reserve_(reserve),
        slots_(static_cast<SlotType*>(
            ::operator new(sizeof(SlotType) * reserve, std::align_val_t(alignof(SlotType))))) {
    Grow(size);
  }
  ~Slots() {
    std::destroy_n(slots_, size());
    ::operator delete(slots_, std::align_val_t(alignof(SlotType)));
  }
  Slots(const Slots&) = delete;
  Slots& operator=(const Slots&) = delete;

  // Slots there have ever been.
  uint32_t size() const { return size_.load(std::memory_order_seq_cst); }  // [grow]

  // Adds slots, kRetired, until there are `size`.
  void Grow(uint32_t size) {
    assert(size <= reserve_);
    for (uint32_t i = size_.load(std::memory_order_relaxed); i < size; ++i) {
      new (&slots_[i]) SlotType();
      size_.store(i + 1, std::memory_order_seq_cst);  // [grow]
    }
  }

  SlotType& operator[](uint32_t index) {
    assert(index < size());
    return slots_[index];
  }
  const SlotType& operator[](uint32_t index) const {
    assert(index < size());
    return slots_[index];
  }
  uint32_t IndexOf(const SlotType& slot) const { return static_cast<uint32_t>(&slot - slots_); }

  // Takes a slot that is in `state`, looking from `start` on. kNone if every slot was seen in
  // another state, each at its own moment. Linearizes at the CAS that takes the slot.
  uint32_t TryTake(SlotState state, uint32_t start) {
    const uint32_t count = size();
    uint32_t index = start < count ? start : 0;
    for (uint32_t seen = 0; seen < count; ++seen) {
      if (slots_[index].word.TryTake(state)) return index;
      if (++index == count) index = 0;
    }
    return kNone;
  }

  // Marks every slot: no release from now on is fast.
  void WantAll() {
    const uint32_t count = size();
    for (uint32_t i = 0; i < count; ++i) slots_[i].word.Want();
  }

  // Whether some slot is in `state`: [wake] in handoff.h.
  bool Any(SlotState state) const {
    const uint32_t count = size();
    for (uint32_t i = 0; i < count; ++i) {
      if (slots_[i].word.Peek() == state) return true;
    }
    return false;
  }

 private:
  const uint32_t reserve_;
  SlotType* const slots_;  // reserve_ places, of which the first size_ are constructed

  // size_: Written by Grow, read by any thread.
  //   Orders: [grow] whoever reads it sees the slots constructed. seq_cst, because a waiter that
  //           enters the queue and then marks every slot must not miss one which a releaser, who
  //           looked at the queue before, has found already.
  typename Platform::template Atomic<uint32_t> size_{0};
};

}  // namespace vouch::pool::pool_internal

#endif  // VOUCH_POOL_INTERNAL_SLOTS_H_
