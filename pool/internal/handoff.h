#ifndef VOUCH_POOL_INTERNAL_HANDOFF_H_
#define VOUCH_POOL_INTERNAL_HANDOFF_H_

#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>

#include "pool/internal/platform.h"
#include "pool/internal/slots.h"
#include "pool/internal/wait_queue.h"

namespace vouch::pool::pool_internal {

// Handoff brings slots and waiters together: it is the part of the pool in which threads meet. It
// knows nothing of how resources are opened; a slot it gives out may be empty.
//
// Thread safety: any thread.
// Ownership: taking a slot makes the caller its owner; Put() ends that.
// Cost: TryTakeFast and a Put that nobody waits for are one CAS each: no lock, no allocation, no
// system call, no clock. The rest reads the clock once and makes at most one system call.
//
// Terms. A *waiter* is a thread with a ticket of the queue, until it cancels it or takes its grant.
// It is *marked* on a slot once it has set kWanted there. A slot is *available* if idle or empty. A
// *patient* waiter has waited less than kPatience. A *wake* is in flight while the oldest waiter's
// cell is kWoken.
//
// Invariants:
// 1. A slot has one owner or none; no function drops a slot it owns. (No lost and no doubled
//    resource.)
// 2. For each slot and each marked waiter: kWanted is set, or the slot's owner is about to look at
// the
//    queue (between C and D below).
// 3. When all threads are asleep or outside: an available slot and a sleeping waiter do not exist
//    beside each other. While they do, some thread is on its way: a releaser that has put a slot
//    back and has not looked yet, a waiter that is awake, or a leaver before its PassWake.
// 4. No slot released after a waiter's patience goes to a younger one: Put grants it.
// 5. A waiter that gives up never loses a slot granted to it: Cancel fails, and it takes the slot.
// 6. Once closed, every slot that is put back is retired, and every waiter leaves.
//
// Why 3 holds. A slot becomes available in PutSlow only (or in TryPutBack, when nobody is marked).
// The releaser and any waiter it might miss meet in one of three ways:
//
//  [wanted] the waiter is still entering:
//
//      releaser                              waiter
//      R1 write the slot's word              W1 enter the queue
//      R2 look at the queue                  W2 write the slot's word (kWanted), look at the slot
//
//    Both write the same word. R1 before W2: the waiter sees the slot. W2 before R1: R1 has read W2
//    and so R2 sees W1. A fast TryPutBack has no R2, but there R1 fails if W2 came before.
//
//  [wake] the waiter is awake because of an earlier wake, and goes back to sleep:
//
//      releaser                              waiter
//      R1 slot := available      (seq_cst)   W1 cell: kWoken -> kWaiting   (seq_cst)
//      R2 read the cell          (seq_cst)   W2 read every slot            (seq_cst)
//
//    In the one order of all seq_cst operations either R2 follows W1, sees kWaiting and wakes the
//    waiter, or W2 follows R1 and sees the slot.
//
//  [wake] the oldest waiter is awake and leaves, with a slot, a grant, or nothing:
//
//      releaser                              leaver
//      R1 slot := available      (seq_cst)   L1 cell := kCancelled or kGranted   (seq_cst)
//      R2 read the cell          (seq_cst)   L2 PassWake: read every slot, then  (seq_cst)
//                                               the next waiter's cell
//
//    Either R2 follows L1, and the releaser goes on to the next waiter, or L2 follows R1, and the
//    leaver wakes the next waiter for the slot. Releases during a wake rely on L2. When the cell
//    becomes kGranted while it is kWoken or not yet published, it is the granter that does L2.
//
// C, D: a releaser that finds the queue empty clears kWanted (C), looks at the queue again (D), and
// sets it again if somebody is there; only then does it try to put the slot back, which fails if
// kWanted has been set since. A waiter marked before C entered before C, so D sees it.
//
// in_flight_: threads inside a function that may touch this object when they own no slot (any
// more).
//   Raised while the caller owns a slot or is a waiter to be, lowered as the last access. ~Pool
//   waits until it is 0. Written by: Visit. Read by: AwaitVisitors. Orders: raising is relaxed:
//   whoever sees the slot retired or the waiter gone sees it raised, by [slot-handover] or [grant].
//   Lowering is release, the read acquire: the memory is freed after the last access.
// closed_: set once by Close. Read by releasers and waiters.
//   Orders: seq_cst, in four pairs with Close: "closed_ := true; mark all slots; look at slots and
//   queue" against "put back or enqueue; read closed_".
// retired_: slots retired; Close parks on it. Release/acquire: what last owners did is visible to
// who
//   sees all retired.
// Counters are relaxed and advisory: they never decide anything.
template <typename Resource, typename Platform>
class Handoff {
 public:
  using SlotsType = Slots<Resource, Platform>;
  using SlotType = typename SlotsType::SlotType;
  using Queue = WaitQueue<Platform>;

  static constexpr uint32_t kNone = SlotsType::kNone;

  // How long the oldest waiter has to compete for slots before it is handed one. Competing is
  // better for throughput: the slot is in use while the waiter wakes up.
  static constexpr int64_t kPatienceNs = 1'000'000;

  Handoff(uint32_t capacity, uint64_t max_waiters) : slots_(capacity), queue_(max_waiters) {}

  SlotsType& slots() { return slots_; }
  const SlotsType& slots() const { return slots_; }

  // While it lives, ~Pool waits.
  class [[nodiscard]] Visit {
   public:
    explicit Visit(Handoff* handoff) : handoff_(handoff) {
      handoff_->in_flight_.fetch_add(1, std::memory_order_relaxed);
    }
    ~Visit() { handoff_->in_flight_.fetch_sub(1, std::memory_order_release); }
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;

   private:
    Handoff* const handoff_;
  };

  // Waits until nobody is inside. Short: nobody sleeps inside once the pool is closed.
  void AwaitVisitors() const {
    while (in_flight_.load(std::memory_order_acquire) != 0) Platform::Yield();
  }

  enum class End { kTaken, kTimedOut, kClosed, kLineFull };
  struct Result {
    End end;
    uint32_t slot;  // kTaken: the caller owns it
  };

  // Stands in the line until there is a slot. REQUIRES: a Visit.
  Result Wait(uint32_t start, int64_t deadline_ns) {
    typename Queue::Ticket ticket;
    if (closed()) return {End::kClosed, kNone};
    if (!queue_.Enqueue(&ticket)) return {End::kLineFull, kNone};
    waited_.fetch_add(1, std::memory_order_relaxed);
    if (!queue_.Publish(ticket, Platform::Now())) return Granted(ticket);
    waiting_.fetch_add(1, std::memory_order_relaxed);
    const Result result = WaitPublished(ticket, start, deadline_ns);
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    return result;
  }

  // Owner. Gives a slot up that could not be put back the fast way. REQUIRES: a Visit, raised while
  // the slot was owned. Linearizes at the grant (Queue::Grant) or at the put-back.
  void PutSlow(uint32_t index) {
    SlotType& slot = slots_[index];
    for (;;) {
      if (closed()) return Retire(slot);
      const typename Queue::Oldest oldest = queue_.Look();
      if (!oldest.any) {
        if (TryPutBackUnwanted(slot)) return;
      } else if (!oldest.published || Platform::Now() - oldest.since >= kPatienceNs) {
        if (HandOver(oldest, index)) return;
      } else {
        return PutBackAndWake(slot);
      }
    }
  }

  // Owner. Either way of giving a slot up.
  void Put(uint32_t index) {
    SlotType& slot = slots_[index];
    if (slot.word.TryPutBack(slot.AvailableState())) return;
    const Visit visit(this);
    PutSlow(index);
  }

  // Refuses newcomers and waiters, retires what is available. Slots that are owned are retired when
  // they are put back. Idempotent.
  void Close() {
    closed_.store(true, std::memory_order_seq_cst);
    slots_.WantAll();
    RetireAvailable();
    for (;;) {
      const typename Queue::Oldest oldest = queue_.Look();
      if (!oldest.any) return;
      queue_.Grant(oldest, kClosedGrant);
    }
  }

  // Waits until every slot is retired. False at the deadline. REQUIRES: Close().
  bool AwaitRetired(int64_t deadline_ns) {
    for (;;) {
      const uint32_t retired = retired_.load(std::memory_order_acquire);
      if (retired == slots_.size()) return true;
      if (!Platform::Park(retired_, retired, deadline_ns)) {
        return retired_.load(std::memory_order_acquire) == slots_.size();
      }
    }
  }

  bool closed() const { return closed_.load(std::memory_order_seq_cst); }

  // Advisory.
  int waiting() const { return waiting_.load(std::memory_order_relaxed); }
  uint64_t waited() const { return waited_.load(std::memory_order_relaxed); }
  uint64_t handed_off() const { return handed_off_.load(std::memory_order_relaxed); }
  uint64_t closed_at_shutdown() const { return closed_resources_.load(std::memory_order_relaxed); }

 private:
  static constexpr uint32_t kClosedGrant = Queue::kMaxGrant;

  template <typename T>
  using Atomic = typename Platform::template Atomic<T>;

  Result WaitPublished(typename Queue::Ticket ticket, uint32_t start, int64_t deadline_ns) {
    slots_.WantAll();  // [wanted] W2
    for (;;) {
      if (closed()) return Leave(ticket, {End::kClosed, kNone});
      uint32_t slot = slots_.TryTake(start);  // [wanted] W2, [wake] W2
      if (slot != kNone) return Leave(ticket, {End::kTaken, slot});
      switch (queue_.Await(ticket, deadline_ns)) {
        case Queue::Event::kGranted:
          return Granted(ticket);
        case Queue::Event::kTimedOut:
          return Leave(ticket, {End::kTimedOut, kNone});
        case Queue::Event::kWoken:
          slot = slots_.TryTake(start);
          if (slot != kNone) return Leave(ticket, {End::kTaken, slot});
          if (!queue_.Rest(ticket)) return Granted(ticket);  // [wake] W1
          break;
      }
    }
  }

  // Leaves the line with `result`, unless something was granted at that instant: then a waiter
  // without a slot takes it, and one with a slot gives the second away.
  Result Leave(typename Queue::Ticket ticket, Result result) {
    if (queue_.Cancel(ticket)) {  // [wake] L1
      PassWake();
      return result;
    }
    const Result granted = Granted(ticket);
    if (result.end != End::kTaken) return granted;
    if (granted.end == End::kTaken) PutSlow(granted.slot);
    return result;
  }

  Result Granted(typename Queue::Ticket ticket) {
    const uint32_t grant = queue_.TakeGrant(ticket);
    if (grant == kClosedGrant) return {End::kClosed, kNone};
    return {End::kTaken, grant};
  }

  // Nobody seems to wait: puts the slot back without kWanted. False if somebody does.
  bool TryPutBackUnwanted(SlotType& slot) {
    slot.word.Unwant();                   // C
    if (queue_.Look().any || closed()) {  // D
      slot.word.Want();
      return false;
    }
    return slot.word.TryPutBack(slot.AvailableState());
  }

  // Hands the slot to the waiter; it is never seen available. It stays kLeased, and wanted.
  bool HandOver(const typename Queue::Oldest& oldest, uint32_t index) {
    assert(slots_[index].word.wanted());  // invariant 2: others may have marked it
    if (!queue_.Grant(oldest, index)) return false;
    handed_off_.fetch_add(1, std::memory_order_relaxed);
    // Others may have relied on this waiter to find the slots they put back: it will not look.
    if (oldest.woken || !oldest.published) PassWake();
    return true;
  }

  // Puts the slot back for anybody, and sees to it that the oldest waiter competes.
  void PutBackAndWake(SlotType& slot) {
    slot.word.PutBackWanted(slot.AvailableState());  // [wake] R1
    WakeOldest();                                    // [wake] R2
    if (closed()) RetireAvailable();                 // Close may have looked before the put-back
  }

  // Wakes the oldest waiter, unless it is awake: one wake in flight is enough.
  void WakeOldest() {
    for (;;) {
      const typename Queue::Oldest oldest = queue_.Look();
      if (!oldest.any || !oldest.published || oldest.woken) return;
      if (queue_.Wake(oldest)) return;
    }
  }

  // A thread that others may have relied on has left the line: if there is a slot for the next
  // waiter, wakes it.
  void PassWake() {
    if (slots_.AnyAvailable()) WakeOldest();  // [wake] L2
  }

  void RetireAvailable() {
    for (;;) {
      const uint32_t index = slots_.TryTake(0);
      if (index == kNone) return;
      Retire(slots_[index]);
    }
  }

  // Owner. The slot's end.
  void Retire(SlotType& slot) {
    if (slot.resource != nullptr) {
      slot.resource.reset();
      slot.opened_at.store(0, std::memory_order_relaxed);
      closed_resources_.fetch_add(1, std::memory_order_relaxed);
    }
    slot.word.Retire();
    retired_.fetch_add(1, std::memory_order_release);
    Platform::Unpark(retired_);
  }

  SlotsType slots_;
  Queue queue_;

  // Written on the slow path only; see the top of this file.
  alignas(64) Atomic<uint32_t> in_flight_{0};
  Atomic<uint32_t> retired_{0};
  Atomic<int> waiting_{0};
  Atomic<uint64_t> waited_{0};
  Atomic<uint64_t> handed_off_{0};
  Atomic<uint64_t> closed_resources_{0};
  // Read on every slow path, written once: on a line of its own.
  alignas(64) Atomic<bool> closed_{false};
};

}  // namespace vouch::pool::pool_internal

#endif  // VOUCH_POOL_INTERNAL_HANDOFF_H_
