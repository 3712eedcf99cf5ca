#ifndef VOUCH_POOL_INTERNAL_SLOT_H_
#define VOUCH_POOL_INTERNAL_SLOT_H_

#include <atomic>
#include <cstdint>
#include <memory>

#include "pool/call_site.h"

namespace vouch::pool::pool_internal {

// Where a slot is in its life.
//
//             TryTake            PutBack*
//    kEmpty ───────────► kLeased ───────────► kEmpty   (the resource could not be opened, or is
//    closed) kIdle  ───────────► kLeased ───────────► kIdle kIdle  ───────────► kReserved ──►
//    kLeased         (TryReserve, then Unreserve: the keeper) kEmpty ───────────► kReserved ──►
//    kLeased
//                        kLeased ────► kRetired        (Retire; nothing leaves kRetired)
//
//   kEmpty     available; there is no resource; who takes the slot opens one.
//   kIdle      available; there is a resource.
//   kLeased    owned by one party: the holder of a lease, or one that opens or closes the resource,
//              or a waiter it has been handed to.
//   kReserved  owned by the keeper.
//   kRetired   the pool is closed; there is no resource and will be none.
//
// "Available" is kEmpty or kIdle. Only the owner touches the resource.
enum class SlotState : uint32_t {
  kEmpty = 0,
  kIdle = 1,
  kLeased = 2,
  kReserved = 3,
  kRetired = 4,
};

// SlotWord is a slot's state and one bit, kWanted: "somebody may be waiting (or closing the pool):
// do not just put the slot back, look at the wait queue first". Whoever takes or hands over the
// slot leaves the bit as it is.
//
// Thread safety: any thread; functions marked "owner" only by the slot's owner.
//
// word_: Written by: takers (TryLease, TryTake, TryReserve), the owner (PutBack*, Unreserve,
// Retire,
//                    Unwant), waiters, the keeper and Close (Want).
//        Read by:    the same; stats, where a stale value is harmless.
//        Orders:     [slot-handover] putting back is release, taking is acquire: the next owner
//        sees
//                    what the last one did to the resource. A failed take is relaxed: nothing of
//                    the slot is touched. [wanted] both sides change this one word:
//
//                      releaser                          waiter
//                      R1 put back: CAS kLeased->kIdle   W1 enter the queue
//                                                        W2 word |= kWanted, then look whether the
//                                                           slot is available
//
//                    If R1 comes first, W2 sees the slot available. If W2 comes first, R1 fails,
//                    and having read W2 (release) with acquire it sees W1: it looks at the queue
//                    and finds the waiter. There is no third case, whatever else is going on.
//                    [wake] PutBackWanted, Want and Peek are seq_cst; see handoff.h.
template <typename Platform>
class SlotWord {
 public:
  // kIdle -> kLeased where nobody waits: the fast acquire. Linearizes at the CAS.
  bool TryLease() {
    uint32_t expected = Raw(SlotState::kIdle);
    return word_.compare_exchange_strong(expected, Raw(SlotState::kLeased),
                                         std::memory_order_acquire,  // [slot-handover]
                                         std::memory_order_relaxed);
  }

  // `from` -> kLeased, whether or not anybody waits. Linearizes at the CAS.
  bool TryTake(SlotState from) { return TryMove(from, SlotState::kLeased); }
  // `from` -> kReserved.
  bool TryReserve(SlotState from) { return TryMove(from, SlotState::kReserved); }

  // Owner. kLeased -> `to`, only if nobody wants the slot. After true the caller owns nothing and
  // touches nothing: the pool may be gone. Linearizes at the CAS.
  bool TryPutBack(SlotState to) {
    uint32_t expected = Raw(SlotState::kLeased);
    return word_.compare_exchange_strong(expected, Raw(to),
                                         std::memory_order_release,   // [slot-handover]
                                         std::memory_order_acquire);  // [wanted] sees W1
  }

  // Owner. kLeased -> `to` with kWanted: available, and the next release looks at the queue too.
  void PutBackWanted(SlotState to) {
    word_.exchange(Raw(to) | kWanted, std::memory_order_seq_cst);  // [slot-handover] [wake]
  }

  // Owner. kReserved -> kLeased.
  void Unreserve() {
    // Relaxed: the owner does not change, only its name.
    word_.fetch_xor(Raw(SlotState::kReserved) ^ Raw(SlotState::kLeased), std::memory_order_relaxed);
  }

  // Owner. -> kRetired. Release: Close() sees all that the last owner did.
  void Retire() { word_.store(Raw(SlotState::kRetired), std::memory_order_release); }

  // Sets kWanted; returns the state the slot was in.
  SlotState Want() {
    return State(word_.fetch_or(kWanted, std::memory_order_seq_cst));  // [wanted] [wake] W2
  }

  // Owner. Clears kWanted; sees every waiter that had set it ([wanted]: acquire).
  void Unwant() { word_.fetch_and(~kWanted, std::memory_order_seq_cst); }

  // The state, in one order with the wait queue's cells: [wake].
  SlotState Peek() const { return State(word_.load(std::memory_order_seq_cst)); }

  // The state, for statistics and for the keeper's first look: may be stale.
  SlotState Glance() const { return State(word_.load(std::memory_order_relaxed)); }

  // For assertions and tests.
  bool wanted() const { return (word_.load(std::memory_order_relaxed) & kWanted) != 0; }

 private:
  static constexpr uint32_t kWanted = 8;
  static constexpr uint32_t Raw(SlotState state) { return static_cast<uint32_t>(state); }
  static constexpr SlotState State(uint32_t word) {
    return static_cast<SlotState>(word & ~kWanted);
  }

  // Fails only if the slot is not in `from`: a waiter that sets kWanted in between is no reason.
  bool TryMove(SlotState from, SlotState to) {
    uint32_t word = word_.load(std::memory_order_seq_cst);  // [wake]
    while (State(word) == from) {
      if (word_.compare_exchange_strong(word, Raw(to) | (word & kWanted),
                                        std::memory_order_seq_cst,  // [slot-handover] [wake]
                                        std::memory_order_seq_cst)) {
        return true;
      }
    }
    return false;
  }

  typename Platform::template Atomic<uint32_t> word_{Raw(SlotState::kEmpty)};
};

// Slot is one place of a pool: a state word, the resource, and notes about both. One cache line, so
// that two threads on different slots do not disturb each other.
//
// Thread safety: `word` any thread. `resource` by the slot's owner only, handed on through `word`
// ([slot-handover]). The notes are relaxed atomics: the owner writes them, anybody reads them,
// nothing is decided by them that a stale value could make wrong.
template <typename Resource, typename Platform>
struct alignas(64) Slot {
  template <typename T>
  using Atomic = typename Platform::template Atomic<T>;

  SlotWord<Platform> word;

  // holder_file, holder_line: call site of the present or last lease. Written by the owner one
  // after the other; a reader in between sees the line of one holder with the file of another.
  Atomic<int> holder_line{0};
  Atomic<const char*> holder_file{nullptr};

  // uses: leases given out on this slot, over all its resources. The keeper compares it with what
  // it saw last, which gives the age of an idle resource without a clock on the fast path.
  Atomic<uint64_t> uses{0};

  // opened_at: when the present resource was opened, 0 if there is none.
  Atomic<int64_t> opened_at{0};

  // expired: the opened_at of the resource that is to be closed on release, as its lifetime is
  // over. Written by the keeper before Want() (release), read by the owner after a failed
  // TryPutBack (acquire). It names the resource it means: it cannot hit the next one.
  Atomic<int64_t> expired{0};

  std::unique_ptr<Resource> resource;

  // Owner.
  void NoteLease(CallSite site) {
    // A load and a store: there is one writer, and a read-modify-write costs 6 ns more.
    uses.store(uses.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    holder_file.store(site.file, std::memory_order_relaxed);
    holder_line.store(site.line, std::memory_order_relaxed);
  }

  // Owner. The state to put this slot back in.
  SlotState AvailableState() const {
    return resource == nullptr ? SlotState::kEmpty : SlotState::kIdle;
  }
};

}  // namespace vouch::pool::pool_internal

#endif  // VOUCH_POOL_INTERNAL_SLOT_H_
