// Line: whose turn it is at the one transaction that all units of an engine share.
//
// One place at a time has the turn; only its thread uses the writer. When its unit has run, it hands
// the turn to the next and parks until it is told how the transaction ended.
//
//                    ┌──────────────── PutBack() ─────────────────┐
//                    v                                             │
//     Enter() ──> waiting ──HandOn()───────────> turn ──HandTo()──> parked ──Tell()──> told
//       │            │ │                          ^ │                 ^ │
//       │            │ └──TakeNext()──────────────│─│─────────────────┘ │
//       │            │                            └─│───HandTo()────────┘
//       │            └──deadline, stop──> out <─────┘ HandOn()
//       └──(nobody has it)──> turn
//
//   waiting   in the line, which is first in, first out; its thread sleeps
//   cancelled  the same, but its stop token was requested and it leaves when it wakes, unless
//             TakeNext() or HandOn() has been quicker
//   turn      at most one; its thread runs
//   parked    not in the line; its thread sleeps, and nothing but the turn or Tell() ends that
//   told      its thread leaves as soon as it wakes
//
// Nobody waits while nobody has the turn. PutBack() puts places in front of the line, where they
// were before; they have run once, so a deadline does not end their waiting any more.
//
// Thread safety: any thread may Enter() and call waiting(); the rest is for who has the turn.
// Memory ordering: what one thread did with the turn is visible to the next that has it, and what
//   was done before Tell() to who is told.
// Ownership: a place is its caller's and lies on its stack until Enter() failed, HandOn() let it
//   out, or it was told.
// Cost: a lock where the line itself changes; a system call where a thread sleeps or is woken. A wake
//   costs more than all else, so that a thread that is told needs no lock to go.

#ifndef VOUCH_UOW_INTERNAL_LINE_H_
#define VOUCH_UOW_INTERNAL_LINE_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stop_token>

#include "absl/base/thread_annotations.h"
#include "pool/mutex.h"

namespace vouch::uow {

class Line {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  class Place {
   public:
    Place() = default;
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

   private:
    friend class Line;
    enum State : std::uint32_t { kOut, kWaiting, kCancelled, kTurn, kParked, kTold };

    bool Is(State state) const { return state_.load(std::memory_order_relaxed) == state; }
    // Still in the line, and free to leave it.
    bool MayLeave() const { return (Is(kWaiting) || Is(kCancelled)) && !stays_; }
    void Set(State state) { state_.store(state, std::memory_order_release); }
    void SetAndWake(State state);

    // What its thread sleeps on. While it is in the line, or is to come into it, it is written under
    // the line's mutex; once taken out, by who has the turn, and by nobody else. Its own thread
    // reads it without the mutex, with acquire: what was done before the turn was given to it, or
    // before it was told, is visible to it. All else is read by who may write.
    std::atomic<std::uint32_t> state_{kOut};

    // Protected by the line's mutex.
    bool stays_ = false;  // Neither a deadline nor the token takes it out of the line.
    Place* next_ = nullptr;
    Place* previous_ = nullptr;
  };

  // What ended a wait.
  enum class Event {
    kTurn,       // It is this place's turn.
    kTold,       // Who had the turn has told it.
    kDeadline,   // Neither in time; of Enter(): it is out.
    kCancelled,  // The stop token was requested; it is out.
  };

  // Waits for the turn, at most until `deadline` or until `stop` is requested. A place may also be
  // taken out of the line by who has the turn, and be told.
  Event Enter(Place& place, TimePoint deadline, const std::stop_token& stop);

  // Takes the first that waits out of the line and parks it; null when nobody waits.
  Place* TakeNext();

  // Gives the turn from `own`, which parks, to `next`, which is parked.
  void HandTo(Place& own, Place& next);
  // Gives the turn to the first that waits, if there is one. `own` is out, unless it was put back.
  void HandOn(Place& own);
  // Sleeps until `own` has the turn again or is told; at `until` it may look around (kDeadline) and
  // must come back. REQUIRES: it is parked or was put back.
  Event Await(Place& own, TimePoint until);

  // `place` is parked.
  void Tell(Place& place);
  // In front of the line, in this order. Each is parked or has the turn.
  void PutBack(std::span<Place* const> places);

  // How many wait.
  std::size_t waiting() const;

 private:
  // Sleeps until the state of `place` is an event, or `until`.
  static Event Wait(Place& place, TimePoint until);
  void Append(Place& place) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Remove(Place& place) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable pool::Mutex mutex_;
  // The line, doubly linked.
  Place* first_ ABSL_GUARDED_BY(mutex_) = nullptr;
  Place* last_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::size_t waiting_ ABSL_GUARDED_BY(mutex_) = 0;
  bool taken_ ABSL_GUARDED_BY(mutex_) = false;  // Somebody has the turn.
};

}  // namespace vouch::uow

#endif  // VOUCH_UOW_INTERNAL_LINE_H_
