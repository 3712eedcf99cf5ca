#ifndef VOUCH_POOL_INTERNAL_HANDOFF_H_
#define VOUCH_POOL_INTERNAL_HANDOFF_H_

#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

#include "pool/internal/gate.h"
#include "pool/internal/platform.h"
#include "pool/internal/slots.h"
#include "pool/internal/wait_queue.h"

namespace vouch::pool::pool_internal {

// Handoff brings slots and waiters together: it is the part of the pool in which threads meet. It
// knows nothing of how resources are opened; a slot it gives out may be empty.
//
// Thread safety: any thread; Close, Suspend, Resume and Resize one at a time.
// Ownership: taking a slot makes the caller its owner; Put() ends that.
// Cost: SlotWord::TryLease and a TryPutBack that nobody waits for are one CAS each: no lock, no
// allocation, no system call, no clock. The rest reads the clock, and makes a system call for each
// waiter it wakes: one as a rule, two where the waiter that is granted the slot was to look for
// others (PassWake), more where these are granted as well. A thread that comes to stand in the line
// makes a few sched_yield before.
//
// Terms. A *waiter* is a thread (or a listener) with a ticket of the queue, until it cancels it or
// takes its grant. It is *marked* on a slot once it has set kWanted there. A *permit* is the right to
// open a resource; there are max_opens. A slot is *available* if it is idle, or if it is empty and a
// permit is free. A *patient* waiter is a thread that has waited less than kPatience. A *wake* is in
// flight while the oldest waiter's cell is kWoken.
//
// Invariants:
// 1. A slot has one owner or none; no function drops a slot it owns. (No lost and no doubled
//    resource.)
// 2. For each slot and each marked waiter: kWanted is set, or the slot's owner is about to look at
//    the queue (between C and D below).
// 3. When all threads are asleep or outside: an available slot and a sleeping waiter do not exist
//    beside each other. While they do, some thread is on its way: a releaser that has put a slot
//    back and has not looked yet, a waiter that is awake, or a leaver before its PassWake.
// 4. No slot put back after a waiter's patience goes to a younger one: PutOne grants it. (An empty
//    slot for which there is no permit is the exception: it waits for the permit.)
// 5. A waiter that gives up never loses a slot granted to it: Cancel fails, and it takes the slot.
// 6. When all threads are asleep or outside, every slot without an owner rests where the gate wants
//    it (Gate::VerdictOn). Once closed, every waiter leaves.
// 7. Whoever takes an empty slot, or is granted one, holds a permit; FinishOpen() gives it back.
//    Permits held are openers_, at most max_opens.
//
// Why 3 holds. A slot becomes available in PutOne only (or in TryPutBack, when nobody is marked).
// The releaser and any waiter it might miss meet in one of these ways:
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
//  [permit] the slot is empty and all permits are taken:
//
//      releaser, or waiter                   opener
//      R1 slot := empty, or                  P1 openers_ := openers_ - 1   (seq_cst)
//         cell := kWaiting       (seq_cst)
//      R2 read openers_          (seq_cst)   P2 PassWake: read every slot, then the cell (seq_cst)
//
//    Either R2 follows P1 and sees a permit, or P2 follows R1 and sees the slot and the waiter.
//
// Why 6 holds. [gate]
//
//      owner                                 whoever changes the gate
//      O1 slot := where the old gate         G1 gate := new                (seq_cst)
//         wants it               (seq_cst)   G2 mark every slot (kWanted), then read it
//      O2 read the gate again    (seq_cst)      and move it              (seq_cst)
//
//    Either O2 follows G1 and the owner moves the slot itself, or G2 follows O1 and sees it. The
//    fast TryPutBack has no O2, but it fails once the slot is marked.
//
// [circle] Waiters look whether all holders wait when they come; the last to come finds it. A slot
// that is retired leaves fewer of them, so everybody looks again:
//
//      owner of the slot                     waiter
//      R1 slot := kRetired       (seq_cst)   W1 enter the queue            (seq_cst)
//      R2 ++retirements_         (seq_cst)   W2 read retirements_          (seq_cst)
//      R3 read the queue's ends, (seq_cst)   W3 look at the slots          (seq_cst)
//         signal all in it                   W4 read the signal, then retirements_; sleep
//
//    If R3 sees the waiter it does not sleep through: its next W4 reads the new count. Else W1
//    follows R3, and W3 sees the slot retired.
//
// C, D: a releaser that finds the queue empty clears kWanted (C), looks at the queue and the gate
// again (D), and sets it again if somebody is there; only then does it try to put the slot back,
// which fails if kWanted has been set since. A waiter marked before C entered before C, so D sees it.
//
// in_flight_: threads inside a function that may touch this object when they own no slot (any more).
//   Raised while the caller owns a slot or is a waiter to be, lowered as the last access. ~Pool
//   waits until it is 0. Written by: Visit. Read by: AwaitVisitors. Orders: raising is relaxed:
//   whoever sees the slot retired or the waiter gone sees it raised, by [slot-handover] or [grant].
//   Lowering is release, the read acquire: the memory is freed after the last access.
// gate_: written by Close, Suspend, Resume, Resize, one at a time. Read by releasers and waiters.
//   Orders: seq_cst: [gate], and for waiters "gate_ := closed; look at the queue" against "enqueue;
//   read gate_".
// openers_: permits taken. Written by TryBeginOpen, and by whoever gives one back: FinishOpen,
//   TryTake, PutBack, EndPut. Orders: seq_cst: [permit].
// retirements_: slots that have gone out of use while others were not: threads may be left that wait
//   for each other, without anybody coming to see it. Written by LayAside, read by waiters before
//   they look for that, and again before they sleep. Orders: seq_cst: [circle].
// admitted_: waiters that are, or are about to be, in the line, at most max_waiters. Relaxed: it is
//   only counted.
// breaking_circle_: a lock around a look at the line and a cancel: nobody sleeps or calls out while
//   it is held. Acquire when taken, release when given back.
// live_: slots that are not retired; Close parks on it. Release/acquire: what last owners did is
//   visible to who sees none.
// Counters are relaxed and advisory: they never decide anything.
template <typename Resource, typename Platform>
class Handoff {
 public:
  using SlotsType = Slots<Resource, Platform>;
  using SlotType = typename SlotsType::SlotType;
  using Queue = WaitQueue<Platform>;
  using Listener = typename Queue::Listener;
  using Ticket = typename Queue::Ticket;

  static constexpr uint32_t kNone = SlotsType::kNone;
  // What a waiter is granted when the pool is closed.
  static constexpr uint32_t kClosedGrant = Queue::kMaxGrant;

  // How long the oldest waiter has to compete for slots before it is handed one, where nothing else
  // is said.
  static constexpr int64_t kPatienceNs = 1'000'000;

  // A place whose waiter left early stays used until everybody before it has been served. So there
  // are more of them than waiters are admitted.
  static constexpr uint64_t kPlacesPerWaiter = 4;

  // Before a thread stands in the line it lets others run so many times. If they hold their slots
  // for moments and have merely lost the processor, one of these is enough, and nobody sleeps.
  static constexpr int kYields = 8;

  struct Limits {
    uint32_t capacity = 1;  // slots in use at first
    uint32_t reserve = 1;   // slots there can ever be
    uint64_t max_waiters = 0;
    uint32_t max_opens = 1;  // permits
    // How long the oldest waiter competes. Competing is better for throughput: the slot is in use
    // while the waiter wakes up.
    int64_t patience_ns = kPatienceNs;
    bool watched = false;  // no slot ever loses kWanted: every lease and release is slow
  };
  // Closes the resource of a slot that is being retired. Called by the slot's owner.
  using CloseResource = std::function<void(SlotType&, bool pool_closed)>;

  Handoff(const Limits& limits, CloseResource close_resource)
      : max_waiters_(limits.max_waiters),
        max_opens_(limits.max_opens),
        patience_ns_(limits.patience_ns),
        watched_(limits.watched),
        close_resource_(std::move(close_resource)),
        slots_(limits.capacity, limits.reserve),
        queue_(kPlacesPerWaiter * limits.max_waiters),
        gate_(Gate::Open(limits.capacity).word()),
        live_(limits.capacity) {
    for (uint32_t i = 0; i < limits.capacity; ++i) {
      slots_[i].word.TryTake(SlotState::kRetired);
      if (!watched_) slots_[i].word.Unwant();
      slots_[i].word.PutBack(SlotState::kEmpty);
    }
  }

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

  // Taking

  // Takes an available slot: an idle one, or if there is none an empty one with a permit. kNone if
  // every slot was seen unavailable, each at its own moment. Linearizes at the CAS that takes it.
  // REQUIRES: a Visit.
  uint32_t TryTake(uint32_t start) {
    for (;;) {
      const uint32_t idle = slots_.TryTake(SlotState::kIdle, start);
      if (idle != kNone) {
        if (MayLend(idle)) return idle;
        PutAll({idle, false});
        continue;
      }
      if (!slots_.Any(SlotState::kEmpty) || !TryBeginOpen()) return kNone;
      const uint32_t empty = slots_.TryTake(SlotState::kEmpty, start);
      if (empty != kNone) {
        if (MayLend(empty)) return empty;
        PutAll({empty, true});
        continue;
      }
      // [permit] P1. Whoever put an empty slot back while the permit was taken relies on the next
      // turn of this loop, which is its P2: it takes the slot itself.
      openers_.fetch_sub(1, std::memory_order_seq_cst);
    }
  }

  // The keeper's: takes this slot if it is empty and there is a permit.
  bool TryReserveEmpty(uint32_t index) {
    if (slots_[index].word.Peek() != SlotState::kEmpty || !TryBeginOpen()) return false;
    if (slots_[index].word.TryReserve(SlotState::kEmpty)) return true;
    FinishOpen();
    return false;
  }

  // Owner of an emptied slot: takes a permit to fill it again. False if there is none.
  bool TryBeginOpen() {
    uint32_t openers = openers_.load(std::memory_order_seq_cst);  // [permit] R2
    while (openers < max_opens_) {
      if (openers_.compare_exchange_strong(openers, openers + 1, std::memory_order_seq_cst,
                                           std::memory_order_seq_cst)) {
        return true;
      }
    }
    return false;
  }

  // Gives the permit back. REQUIRES: a Visit.
  void FinishOpen() {
    openers_.fetch_sub(1, std::memory_order_seq_cst);  // [permit] P1
    PutAll(PassWake());                                // [permit] P2
  }

  // Waiting

  // kHopeless is the pool's.
  enum class End {
    kTaken,
    kTimedOut,
    kClosed,
    kLineFull,    // max_waiters are in it
    kPlacesUsed,  // fewer are, but there is no place
    kStopped,
    kDeadlock,
    kHopeless
  };
  struct Result {
    End end;
    uint32_t slot;      // kTaken: the caller owns it
    bool stood = true;  // in the line, be it for a moment
  };
  struct WaitRequest {
    uint32_t start = 0;
    int64_t deadline_ns = kForever;
    uint32_t thread = 0;                                                    // 0: owns nothing
    const typename Platform::template Atomic<bool>* interrupted = nullptr;  // null: never
  };

  // Lets others run for a moment and tries again. kNone if that was of no use, or if nobody is to
  // compete: who is not in the line yet would overtake those who come to stand in it meanwhile.
  uint32_t TakeSoon(uint32_t start) {
    if (patience_ns_ == 0) return kNone;
    for (int i = 0; i < kYields; ++i) {
      Platform::Yield();
      const uint32_t slot = TryTake(start);
      if (slot != kNone) return slot;
    }
    return kNone;
  }

  // Stands in the line until there is a slot. `on_ticket` is called with the ticket before anything
  // can be granted to it, for Interrupt(). REQUIRES: a Visit.
  template <typename OnTicket>
  Result Wait(const WaitRequest& request, const OnTicket& on_ticket) {
    Ticket ticket;
    if (gate().closed()) return {End::kClosed, kNone, false};
    End full;
    if (!TryEnqueue(&ticket, &full)) return {full, kNone, false};
    on_ticket(ticket);
    Result result;
    if (queue_.Publish(ticket, {Platform::Now(), request.thread, nullptr})) {
      waiting_.fetch_add(1, std::memory_order_relaxed);
      result = WaitPublished(ticket, request);
      waiting_.fetch_sub(1, std::memory_order_relaxed);
    } else {
      result = Granted(ticket);
    }
    admitted_.fetch_sub(1, std::memory_order_relaxed);
    return result;
  }
  Result Wait(const WaitRequest& request) {
    return Wait(request, [](Ticket) {});
  }

  // Has the waiter look at its WaitRequest::interrupted.
  void Interrupt(Ticket ticket) { queue_.Interrupt(ticket); }

  // Waiting without a thread, in two steps: a ticket, then the listener. Until the second, nothing
  // is granted to it behind its back: TryCancelListener() fails. This is the first. False if there
  // is no room: then *full is kLineFull or kPlacesUsed.
  bool TryEnqueue(Ticket* ticket, End* full) {
    const bool admitted = admitted_.fetch_add(1, std::memory_order_relaxed) < max_waiters_;
    if (!admitted || !queue_.Enqueue(ticket)) {
      admitted_.fetch_sub(1, std::memory_order_relaxed);
      *full = admitted ? End::kPlacesUsed : End::kLineFull;
      return false;
    }
    waited_.fetch_add(1, std::memory_order_relaxed);
    return true;
  }

  // True if the listener stands in the line: it is called when there is a slot, or kClosedGrant.
  // False if it has ended already, with *result, and will not be called. REQUIRES: a Visit.
  bool Publish(Ticket ticket, Listener* listener, uint32_t start, Result* result) {
    waiting_.fetch_add(1, std::memory_order_relaxed);
    // A time long ago: listeners do not compete, they are granted.
    if (!queue_.Publish(ticket, {0, 0, listener})) {
      *result = Granted(ticket);
      NoteHeard();
      return false;
    }
    slots_.WantAll();  // [wanted] W2
    const uint32_t slot = gate().closed() ? kNone : TryTake(start);
    *result = slot != kNone ? Result{End::kTaken, slot} : Result{End::kClosed, kNone};
    if (slot == kNone && !gate().closed()) return true;
    if (TryCancelListener(ticket)) return false;
    if (slot != kNone) GiveBack(slot);
    return true;
  }

  // Any thread. True if the listener will not be called. REQUIRES: a Visit, if the caller owns
  // nothing else that keeps the pool.
  bool TryCancelListener(Ticket ticket) {
    if (!queue_.TryCancel(ticket)) return false;  // [wake] L1
    NoteHeard();
    PutAll(PassWake());
    return true;
  }

  // A waiter has left the line. To be called by a listener that was granted something.
  void NoteHeard() {
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    admitted_.fetch_sub(1, std::memory_order_relaxed);
  }

  // Putting back

  // Owner. Gives a slot up that could not be put back the fast way. REQUIRES: a Visit, raised while
  // the slot was owned. Linearizes at the grant (Queue::Grant), the put-back or the Rest.
  void PutSlow(uint32_t index) { PutAll({index, false}); }

  // Owner. Either way of giving a slot up.
  void Put(uint32_t index) {
    SlotType& slot = slots_[index];
    if (slot.word.TryPutBack(slot.AvailableState())) return;
    const Visit visit(this);
    PutSlow(index);
  }

  // Owner of a slot it was given but does not need: Put, and the permit back if it is an empty one.
  // REQUIRES: a Visit.
  void GiveBack(uint32_t index) { PutAll({index, slots_[index].resource == nullptr}); }

  // Owner of a slot that it took empty: gives it up with whatever is in it now, and the permit.
  // REQUIRES: a Visit.
  void PutOpened(uint32_t index) {
    PutSlow(index);
    FinishOpen();
  }

  // The gate

  // Refuses newcomers and waiters, retires what is not owned. Slots that are owned are retired when
  // they are put back. Idempotent.
  void Close() {
    Announce(gate().Closed());
    for (;;) {
      const typename Queue::Oldest oldest = queue_.Look();
      if (!oldest.any) break;
      queue_.Grant(oldest, kClosedGrant);
    }
    SettleAll();  // last: closing resources may take long
  }

  // Keeps back every slot that is not owned, and those that are when they are put back.
  void Suspend() { SetGate(gate().Suspended()); }
  void Resume() { SetGate(gate().Resumed()); }

  // Uses the first `limit` slots from now on. REQUIRES: limit <= Limits::reserve.
  void Resize(uint32_t limit) {
    slots_.Grow(limit);
    SetGate(gate().WithLimit(limit));
  }

  // Waits until every slot is retired. False at the deadline. REQUIRES: Close().
  bool AwaitRetired(int64_t deadline_ns) {
    for (;;) {
      const uint32_t live = live_.load(std::memory_order_acquire);
      if (live == 0) return true;
      if (!Platform::Park(live_, live, deadline_ns)) {
        return live_.load(std::memory_order_acquire) == 0;
      }
    }
  }

  Gate gate() const { return Gate(gate_.load(std::memory_order_seq_cst)); }

  // Advisory.
  int waiting() const { return waiting_.load(std::memory_order_relaxed); }
  int opening() const { return static_cast<int>(openers_.load(std::memory_order_relaxed)); }
  uint64_t waited() const { return waited_.load(std::memory_order_relaxed); }
  uint64_t handed_off() const { return handed_off_.load(std::memory_order_relaxed); }

 private:
  template <typename T>
  using Atomic = typename Platform::template Atomic<T>;

  // A slot that this thread owns and has to put back, with or without a permit.
  struct Owned {
    uint32_t index = kNone;
    bool permit = false;
  };

  // Waiting

  Result WaitPublished(Ticket ticket, const WaitRequest& request) {
    slots_.WantAll();                                                     // [wanted] W2
    uint32_t retirements = retirements_.load(std::memory_order_seq_cst);  // [circle] W2
    bool looked_for_deadlock = request.thread == 0;
    const auto stopped = [&] {
      return request.interrupted != nullptr &&
             request.interrupted->load(std::memory_order_seq_cst);  // [signal]
    };
    const auto interrupted = [&] {
      return stopped() || (request.thread != 0 &&
                           retirements_.load(std::memory_order_seq_cst) != retirements);  // W4
    };
    for (;;) {
      if (gate().closed()) return Leave(ticket, {End::kClosed, kNone});
      uint32_t slot = TryTake(request.start);  // [wanted] W2, [wake] W2, [permit] R2
      if (slot != kNone) return Leave(ticket, {End::kTaken, slot});
      if (!std::exchange(looked_for_deadlock, true) && AllHoldersWait(request.thread)) {
        if (TryBreakCircle(ticket, request.thread)) return {End::kDeadlock, kNone};
        continue;
      }
      switch (queue_.Await(ticket, request.deadline_ns, interrupted)) {
        case Queue::Event::kGranted:
          return Granted(ticket);
        case Queue::Event::kTimedOut:
          return Leave(ticket, {End::kTimedOut, kNone});
        case Queue::Event::kInterrupted:
          if (stopped()) return Leave(ticket, {End::kStopped, kNone});
          retirements = retirements_.load(std::memory_order_seq_cst);  // [circle] W2
          looked_for_deadlock = false;
          break;
        case Queue::Event::kWoken:
          slot = TryTake(request.start);
          if (slot != kNone) return Leave(ticket, {End::kTaken, slot});
          if (!queue_.Rest(ticket)) return Granted(ticket);  // [wake] W1
          break;
      }
    }
  }

  // Leaves the line with `result`, unless something was granted at that instant: then a waiter
  // without a slot takes it, and one with a slot gives the second away.
  Result Leave(Ticket ticket, Result result) {
    if (queue_.Cancel(ticket)) {  // [wake] L1
      PutAll(PassWake());
      return result;
    }
    const Result granted = Granted(ticket);
    if (result.end != End::kTaken) return granted;
    if (granted.end == End::kTaken) GiveBack(granted.slot);
    return result;
  }

  Result Granted(Ticket ticket) {
    const uint32_t grant = queue_.TakeGrant(ticket);
    if (grant == kClosedGrant) return {End::kClosed, kNone};
    return {End::kTaken, grant};
  }

  // Whether every lease is held by a thread that stands in this line, `self` among them: then no
  // slot will ever come back. `self` must be in the line. Of the threads that close such a circle
  // the last to enter the line finds it: it sees all the others there, and what they hold; or, when a
  // slot is retired, whoever of them looks then ([circle]). Slots are read before and after the line:
  // each was held, by the same lease, while its holder stood there. The line may be long, so the
  // slots are read once more before: who holds nothing need not read it.
  bool AllHoldersWait(uint32_t self) const {
    uint64_t uses = 0;
    if (!AllHeldBy(self, nullptr, &uses)) return false;
    uses = 0;
    if (!AllHeldBy(self, &queue_, &uses)) return false;
    uint64_t uses_again = 0;
    return AllHeldBy(self, nullptr, &uses_again) && uses == uses_again;
  }

  // Of the threads that see the same circle one leaves the line: each looks again while no other can
  // leave for this reason. False if the circle is broken, or something has been granted.
  bool TryBreakCircle(Ticket ticket, uint32_t self) {
    while (breaking_circle_.exchange(true, std::memory_order_acquire)) Platform::Yield();
    const bool leaves = AllHoldersWait(self) && queue_.Cancel(ticket);  // [wake] L1
    breaking_circle_.store(false, std::memory_order_release);
    if (leaves) PutAll(PassWake());
    return leaves;
  }

  // Whether every slot in use is leased with an owner, `self` among them; if `line` is given, whether
  // all the others stand in it. *uses is the sum of the use counts: it only grows.
  bool AllHeldBy(uint32_t self, const Queue* line, uint64_t* uses) const {
    bool mine = false;
    for (uint32_t i = 0; i < slots_.size(); ++i) {
      const SlotType& slot = slots_[i];
      const SlotState state = slot.word.Peek();
      if (state == SlotState::kRetired) continue;
      const uint64_t use = slot.uses.load(std::memory_order_acquire);     // [holder]
      const uint32_t owner = slot.owner.load(std::memory_order_acquire);  // [holder]
      if (state != SlotState::kLeased || !SlotType::IsThread(owner)) return false;
      if (slot.uses.load(std::memory_order_relaxed) != use) return false;
      *uses += use;
      mine = mine || owner == self;
      if (line != nullptr && owner != self && !line->Waits(owner)) return false;
    }
    return mine;
  }

  // Putting back

  void PutAll(Owned owned) {
    while (owned.index != kNone) owned = PutOne(owned);
  }

  // Gives one slot up, and the permit. Returns another one that this thread took on behalf of the
  // oldest waiter.
  Owned PutOne(Owned owned) {
    SlotType& slot = slots_[owned.index];
    for (;;) {
      const Gate::Verdict verdict = gate().VerdictOn(owned.index);
      if (verdict != Gate::Verdict::kOpen) {
        if (LayAside(slot, owned.index, verdict)) return EndPut(owned.permit);
        continue;
      }
      const typename Queue::Oldest oldest = queue_.Look();
      if (!oldest.any && !watched_ && !slot.IsDue()) {
        if (TryPutBackUnwanted(slot, owned.index)) return EndPut(owned.permit);
        continue;
      }
      const bool empty = slot.resource == nullptr;
      const bool grant = oldest.any && !Competes(oldest);
      if (grant && empty && !owned.permit) owned.permit = TryBeginOpen();
      if (!grant || (empty && !owned.permit)) {
        PutBack(slot, owned);  // [wake] R1
        return WakeOldest();   // [wake] R2
      }
      if (queue_.Grant(oldest, owned.index)) {  // the slot stays kLeased, and wanted
        handed_off_.fetch_add(1, std::memory_order_relaxed);
        // Others may have relied on this waiter to find the slots they put back: it will not look.
        return oldest.woken || !oldest.published ? PassWake() : Owned{};
      }
    }
  }

  // The slot is gone; the permit, if there is one, goes too.
  Owned EndPut(bool permit) {
    if (!permit) return Owned{};
    openers_.fetch_sub(1, std::memory_order_seq_cst);  // [permit] P1
    return PassWake();                                 // [permit] P2
  }

  bool Competes(const typename Queue::Oldest& oldest) const {
    return oldest.published && oldest.listener == nullptr &&
           Platform::Now() - oldest.since < patience_ns_;
  }

  // Nobody seems to wait: puts the slot back without kWanted. False if somebody does.
  bool TryPutBackUnwanted(SlotType& slot, uint32_t index) {
    slot.word.Unwant();                                                          // C
    if (queue_.Look().any || gate().VerdictOn(index) != Gate::Verdict::kOpen) {  // D
      slot.word.Want();
      return false;
    }
    return slot.word.TryPutBack(slot.AvailableState());
  }

  // Puts the slot back for anybody.
  void PutBack(SlotType& slot, const Owned& owned) {
    slot.word.PutBackWanted(slot.AvailableState());                                  // [gate] O1
    if (owned.permit) openers_.fetch_sub(1, std::memory_order_seq_cst);              // [permit] P1
    if (gate().VerdictOn(owned.index) != Gate::Verdict::kOpen) Settle(owned.index);  // [gate] O2
  }

  // Sees to it that the oldest waiter gets its chance at what is available: wakes it, unless it is
  // awake: one wake in flight is enough. One that does not compete is to be granted a slot: takes
  // one for it, which the caller has to put.
  Owned WakeOldest() {
    for (;;) {
      const typename Queue::Oldest oldest = queue_.Look();
      if (!oldest.any || !oldest.published || oldest.woken) return Owned{};
      if (!Competes(oldest)) {
        const uint32_t slot = TryTake(0);
        return {slot, slot != kNone && slots_[slot].resource == nullptr};
      }
      if (queue_.Wake(oldest)) return Owned{};
    }
  }

  // A thread that others may have relied on has left the line, or has given a permit back: if there
  // is a slot for the next waiter, sees to that.
  Owned PassWake() {
    const bool available =
        slots_.Any(SlotState::kIdle) ||
        (slots_.Any(SlotState::kEmpty) && openers_.load(std::memory_order_seq_cst) < max_opens_);
    return available ? WakeOldest() : Owned{};  // [wake] L2
  }

  // The gate

  // [gate] Asked by who has taken a slot. An owner that read an old gate may have put it back between
  // G2 and its own O2: it is not to be lent any more.
  bool MayLend(uint32_t index) const { return gate().VerdictOn(index) == Gate::Verdict::kOpen; }

  void SetGate(Gate to) {
    Announce(to);
    SettleAll();
  }
  void Announce(Gate to) {
    gate_.store(to.word(), std::memory_order_seq_cst);  // [gate] G1
    slots_.WantAll();                                   // [gate] G2
  }
  void SettleAll() {
    for (uint32_t i = 0; i < slots_.size(); ++i) Settle(i);
  }

  // Moves a slot without an owner to where the gate wants it.
  void Settle(uint32_t index) {
    SlotType& slot = slots_[index];
    for (;;) {
      const SlotState state = slot.word.Peek();
      if (state == SlotState::kLeased || state == SlotState::kReserved) return;  // the owner will
      if (VerdictThatFits(state) == gate().VerdictOn(index)) return;
      if (!slot.word.TryTake(state)) continue;
      if (state == SlotState::kRetired) live_.fetch_add(1, std::memory_order_relaxed);
      return PutSlow(index);
    }
  }

  static Gate::Verdict VerdictThatFits(SlotState state) {
    if (state == SlotState::kRetired) return Gate::Verdict::kRetire;
    return state == SlotState::kWithheld ? Gate::Verdict::kWithhold : Gate::Verdict::kOpen;
  }

  // Owner. Has the slot rest, retired or withheld. False if the gate has changed and the caller owns
  // it again.
  bool LayAside(SlotType& slot, uint32_t index, Gate::Verdict verdict) {
    const bool retire = verdict == Gate::Verdict::kRetire;
    if (retire && slot.resource != nullptr) close_resource_(slot, gate().closed());
    const SlotState to = retire ? SlotState::kRetired : SlotState::kWithheld;
    slot.word.Rest(to);                                                 // [gate] O1
    if (gate().VerdictOn(index) != verdict && slot.word.TryTake(to)) {  // [gate] O2
      return false;
    }
    // It rests, or whoever changed the gate has it, and has counted it as live once more.
    if (retire) {
      if (!gate().closed()) {
        retirements_.fetch_add(1, std::memory_order_seq_cst);  // [circle] R2
        queue_.InterruptAll();                                 // [circle] R3
      }
      live_.fetch_sub(1, std::memory_order_release);
      Platform::Unpark(live_);
    }
    return true;
  }

  // Constant after construction
  const uint64_t max_waiters_;
  const uint32_t max_opens_;
  const int64_t patience_ns_;
  const bool watched_;
  const CloseResource close_resource_;

  SlotsType slots_;
  Queue queue_;

  // Written on the slow path only; see the top of this file.
  alignas(64) Atomic<uint32_t> in_flight_{0};
  Atomic<uint32_t> openers_{0};
  Atomic<bool> breaking_circle_{false};
  Atomic<uint32_t> retirements_{0};
  Atomic<uint64_t> admitted_{0};
  Atomic<int> waiting_{0};  // published
  Atomic<uint64_t> waited_{0};
  Atomic<uint64_t> handed_off_{0};
  // Read on every slow path, written rarely: on a line of their own.
  alignas(64) Atomic<uint32_t> gate_;
  Atomic<uint32_t> live_;
};

}  // namespace vouch::pool::pool_internal

#endif  // VOUCH_POOL_INTERNAL_HANDOFF_H_
