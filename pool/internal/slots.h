#ifndef VOUCH_POOL_INTERNAL_SLOTS_H_
#define VOUCH_POOL_INTERNAL_SLOTS_H_

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "pool/internal/slot.h"

namespace vouch::pool::pool_internal {

// Slots is the fixed array of a pool's slots and the searches over all of them.
//
// Thread safety: any thread.
// Cost: a search reads each slot's line once; nothing blocks or allocates.
template <typename Resource, typename Platform>
class Slots {
 public:
  using SlotType = Slot<Resource, Platform>;

  // No slot.
  static constexpr uint32_t kNone = UINT32_MAX;

  explicit Slots(uint32_t size) : size_(size), slots_(std::make_unique<SlotType[]>(size)) {}

  uint32_t size() const { return size_; }
  SlotType& operator[](uint32_t index) {
    assert(index < size_);
    return slots_[index];
  }
  const SlotType& operator[](uint32_t index) const {
    assert(index < size_);
    return slots_[index];
  }
  uint32_t IndexOf(const SlotType& slot) const {
    return static_cast<uint32_t>(&slot - slots_.get());
  }

  // Takes an idle slot, or if there is none an empty one, looking from `start` on. kNone if every
  // slot was seen unavailable, each at its own moment. Linearizes at the CAS that takes the slot.
  uint32_t TryTake(uint32_t start) {
    const uint32_t idle = TryTakeIn(SlotState::kIdle, start);
    return idle != kNone ? idle : TryTakeIn(SlotState::kEmpty, start);
  }

  // Marks every slot: no release from now on is fast.
  void WantAll() {
    for (uint32_t i = 0; i < size_; ++i) slots_[i].word.Want();
  }

  // Whether some slot is available: [wake] in handoff.h.
  bool AnyAvailable() const {
    for (uint32_t i = 0; i < size_; ++i) {
      const SlotState state = slots_[i].word.Peek();
      if (state == SlotState::kIdle || state == SlotState::kEmpty) return true;
    }
    return false;
  }

 private:
  uint32_t TryTakeIn(SlotState state, uint32_t start) {
    uint32_t index = start;
    for (uint32_t seen = 0; seen < size_; ++seen) {
      if (slots_[index].word.TryTake(state)) return index;
      if (++index == size_) index = 0;
    }
    return kNone;
  }

  const uint32_t size_;
  const std::unique_ptr<SlotType[]> slots_;
};

}  // namespace vouch::pool::pool_internal

#endif  // VOUCH_POOL_INTERNAL_SLOTS_H_
