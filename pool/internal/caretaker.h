#ifndef VOUCH_POOL_INTERNAL_CARETAKER_H_
#define VOUCH_POOL_INTERNAL_CARETAKER_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "pool/internal/handoff.h"
#include "pool/internal/holder_of.h"
#include "pool/internal/lifecycle.h"
#include "pool/internal/resources.h"

namespace vouch::pool::pool_internal {

// Caretaker does what is due for a pool's slots: it refills to min, closes what is unused or too
// old, keeps idle resources alive, marks those to be validated, and reports leaks. What is due it
// leaves to DecideLifecycle().
//
// Thread safety: Pass() on the keeper's thread only.
template <typename Resource, typename Platform>
class Caretaker {
 public:
  using HandoffType = Handoff<Resource, Platform>;
  using SlotType = typename HandoffType::SlotType;

  Caretaker(const LifecycleLimits& limits, HandoffType* handoff,
            Resources<Resource, Platform>* resources)
      : limits_(limits), handoff_(*handoff), resources_(*resources) {}

  // Looks at every slot, keeping at least `min`; returns when to look again. `stopped` is asked
  // before each slot.
  template <typename Stopped>
  int64_t Pass(int min, const Stopped& stopped) {
    limits_.min = min;
    const uint32_t count = handoff_.slots().size();
    notes_.resize(count);
    int64_t next = kForever;
    for (uint32_t i = 0; i < count && !stopped(); ++i) {
      // The time of each look: what is done for a slot may take long.
      next = std::min(next, KeepSlot(i, Platform::Now()));
    }
    // An empty slot or a permit that others give back is not told to the keeper: it looks for them.
    if (resources_.size() < min) {
      next = std::min(next, SaturatingAdd(Platform::Now(), OpenBackoff(1)));
    }
    return next;
  }

 private:
  // What the keeper remembers of a slot from pass to pass.
  struct Note {
    uint64_t uses = Slot<Resource, Platform>::kNoUse;
    SlotState state = SlotState::kRetired;
    int64_t since = 0;         // when it first saw these two
    int64_t validated_at = 0;  // by a keep-alive
    uint64_t reported_use = Slot<Resource, Platform>::kNoUse;
  };

  // Does what is due for a slot; returns when to look again.
  int64_t KeepSlot(uint32_t index, int64_t now) {
    SlotType& slot = handoff_.slots()[index];
    const SlotView view = ViewOf(index, now);
    // In this order: what is open by now may count twice, but does not fall between the two.
    const int opening = handoff_.opening();
    const LifecycleDecision decision =
        DecideLifecycle(view, now, resources_.size(), opening, open_not_before_, limits_);
    switch (decision.action) {
      case LifecycleAction::kNone:
        return decision.next_look;
      case LifecycleAction::kExpireOnRelease:
        slot.expired.store(view.opened_at, std::memory_order_relaxed);  // published by Want
        if (slot.word.Want() == SlotState::kLeased) return decision.next_look;
        break;  // it has been released since, and did not see this
      case LifecycleAction::kOpen:
        if (!Refill(index, now)) return kForever;  // Pass() has it tried again
        break;
      case LifecycleAction::kCloseIdle:
        VisitIdle(index, [&] { resources_.Close(slot, CloseReason::kIdle); });
        break;
      case LifecycleAction::kCloseLifetime:
        VisitIdle(index, [&] { resources_.Close(slot, CloseReason::kLifetime); });
        break;
      case LifecycleAction::kKeepAlive:
        VisitIdle(index, [&] { KeepAlive(index, now); });
        break;
      case LifecycleAction::kMarkDue:
        slot.due_use.store(notes_[index].uses, std::memory_order_relaxed);  // published by Want
        slot.word.Want();
        break;
      case LifecycleAction::kReportLeak:
        notes_[index].reported_use = notes_[index].uses;
        // Nothing if it has ended since.
        if (const std::optional<Holder> holder = HolderOfLease(slot, notes_[index].uses, now)) {
          resources_.ReportLeak(*holder);
        }
        break;
    }
    return now;  // something changed: look at all of them again
  }

  // What there is to know of a slot without owning it.
  SlotView ViewOf(uint32_t index, int64_t now) {
    SlotType& slot = handoff_.slots()[index];
    Note& note = notes_[index];
    const SlotState state = slot.word.Glance();
    const uint64_t uses = slot.uses.load(std::memory_order_relaxed);
    if (uses != note.uses || state != note.state) {
      note.uses = uses;
      note.state = state;
      note.since = now;
    }
    // A slot may be leased without a lease: on its way to the next one, or being opened or closed.
    const bool lent = slot.owner.load(std::memory_order_acquire) != SlotType::kNobody;
    if (lent) slot.NoteSeen(now);
    SlotView view;
    view.state = state;
    view.opened_at = slot.opened_at.load(std::memory_order_relaxed);
    view.since = note.since;
    view.seed = index;
    view.validated_at = note.validated_at;
    view.due = slot.due_use.load(std::memory_order_relaxed) == uses;
    view.reported = !lent || note.reported_use == uses;
    return view;
  }

  // Runs `work` on a slot that is still idle and still unused since the keeper's last look.
  template <typename Work>
  void VisitIdle(uint32_t index, const Work& work) {
    SlotType& slot = handoff_.slots()[index];
    if (!slot.word.TryReserve(SlotState::kIdle)) return;
    if (slot.uses.load(std::memory_order_relaxed) == notes_[index].uses) work();
    slot.word.Unreserve();
    handoff_.Put(index);
  }

  void KeepAlive(uint32_t index, int64_t now) {
    SlotType& slot = handoff_.slots()[index];
    notes_[index].validated_at = now;
    if (!resources_.Validate(*slot.resource).ok()) resources_.Close(slot, CloseReason::kInvalid);
  }

  // Opens a resource in an empty slot. False if there is no permit, or somebody else has the slot.
  bool Refill(uint32_t index, int64_t now) {
    SlotType& slot = handoff_.slots()[index];
    const typename HandoffType::Visit visit(&handoff_);
    if (!handoff_.TryReserveEmpty(index)) return false;
    if (resources_.Open(slot, {}, "refill", 1, now).ok()) {
      failures_in_a_row_ = 0;
    } else {
      open_not_before_ = SaturatingAdd(now, OpenBackoff(++failures_in_a_row_));
    }
    slot.word.Unreserve();
    handoff_.PutOpened(index);
    return true;
  }

  LifecycleLimits limits_;
  HandoffType& handoff_;
  Resources<Resource, Platform>& resources_;
  std::vector<Note> notes_;
  int failures_in_a_row_ = 0;
  int64_t open_not_before_ = 0;
};

}  // namespace vouch::pool::pool_internal

#endif  // VOUCH_POOL_INTERNAL_CARETAKER_H_
