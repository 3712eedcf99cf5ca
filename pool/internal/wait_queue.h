#ifndef VOUCH_POOL_INTERNAL_WAIT_QUEUE_H_
#define VOUCH_POOL_INTERNAL_WAIT_QUEUE_H_

#include <atomic>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>

#include "pool/internal/platform.h"

namespace vouch::pool::pool_internal {

// WaitQueue is the line: a first-in first-out ring of places. A waiter takes a ticket, publishes
// itself in the ticket's cell and parks there; whoever has something for the oldest waiter writes
// it into that cell. What is granted is a number up to kMaxGrant; the queue does not care what it
// means. A waiter that must not sleep publishes a Listener, which the granter calls.
//
// Thread safety: any thread; a ticket's own functions (Publish, Await, Rest, Cancel, TakeGrant) by
// its waiter only.
// Memory ordering: what a granter did before Grant() is visible to the waiter after Await(), and to
// its listener.
// Ownership: a cell lives as long as the queue, so waking one whose waiter has left is harmless;
// the queue must outlive every call of its functions. A listener must live until it has been called
// or TryCancel() has returned true.
// Cost: lock-free; Grant and Wake make one system call, or run the listener; Await sleeps. Nothing
// allocates after construction: 32 bytes a place, which the kernel provides when the place is first
// used.
//
// A ticket t stands for cell t mod capacity in round t div capacity. The cell's word holds round,
// state and grant, so an operation meant for one round cannot hit another:
//
//     63            16 15        3 2     0
//    [ round: 48 bits | grant: 13 | state ]        zero bytes are kFree of round 0
//
//                 Publish                 Wake
//    kFree ─────────────────► kWaiting ◄────────► kWoken
//      │                        │    │   Rest      │  │
//      │ Grant                  │    │ Cancel      │  │ Cancel
//      │                  Grant │    └──────┐ ┌────┼──┘
//      ▼                        ▼           ▼ ▼    │ Grant
//    kGranted ◄─────────────────┴──────────────────┘        kCancelled
//      │ TakeGrant                                     │ Pass, by whoever moves head_ over it
//      └────────────────► kFree of the next round ◄────┘
//
//   kFree       below head_: finished. From tail_ on: nobody's. In between: a waiter has the ticket
//               and has not published itself; it may be granted already.
//   kWaiting    the waiter sleeps or is about to.
//   kWoken      the waiter has been woken to look for a slot itself.
//   kGranted    the waiter has what it waited for and nobody can take it back.
//   kCancelled  the waiter has left without a grant and nobody can grant to it.
//
// A cell with a listener is never kWoken, and its granter does TakeGrant for it.
//
// kGranted and kCancelled are final within a round: of Grant and Cancel exactly one succeeds.
//
// Invariants:
// 1. head_ <= tail_; the tickets in [head_, tail_) are those not passed yet.
// 2. head_ passes a ticket only after its cell was kGranted or kCancelled in its round. So every
//    live waiter has a ticket in [head_, tail_), and the first live one is the oldest.
// 3. A ticket is given out only while its cell is kFree of its round: no two tickets share a cell.
// 4. A kGranted cell is freed by its waiter, a kCancelled one by the thread whose CAS passed it;
//    exactly one thread in either case.
//
// ABA: 48 bits of round and at least 64 cells make 2^54 tickets before a word repeats: 500 years of
// a million waits a second.
template <typename Platform>
class WaitQueue {
 public:
  using Ticket = uint64_t;
  template <typename T>
  using Atomic = typename Platform::template Atomic<T>;

  static constexpr uint32_t kMaxGrant = (1u << 13) - 1;
  // How soon a leaving waiter's place is usable again does not depend on others unless the ring is
  // nearly full; a few places to spare make that rarer.
  static constexpr uint64_t kMinCapacity = 64;

  // At least so many places.
  explicit WaitQueue(uint64_t places)
      : capacity_(std::bit_ceil(places < kMinCapacity ? kMinCapacity : places)),
        shift_(static_cast<uint32_t>(std::countr_zero(capacity_))),
        cells_(Platform::template MakeZeroedArray<Cell>(capacity_)) {}

  uint64_t capacity() const { return capacity_; }

  // What a waiter that does not sleep is told by.
  class Listener {
   public:
    // Called once, by the granter, on the granter's thread.
    virtual void OnGrant(uint32_t grant) noexcept = 0;

   protected:
    ~Listener() = default;
  };

  // What a waiter tells of itself.
  struct Waiter {
    int64_t since = 0;             // when it came
    uint32_t thread = 0;           // its thread's number, 0 if that means nothing
    Listener* listener = nullptr;  // null: it sleeps
  };

  // The waiter's side, in this order: Enqueue, Publish, then Await until granted, woken or timed
  // out.

  // Takes the next place. False if it is not free yet. Linearizes at the CAS of tail_ (A), or, when
  // full, at the load of the cell.
  bool Enqueue(Ticket* ticket) {
    uint64_t tail = tail_.load(std::memory_order_seq_cst);
    for (;;) {
      const uint64_t word = CellOf(tail).word.load(std::memory_order_acquire);
      if (word == Word(Round(tail), kFree)) {
        if (tail_.compare_exchange_strong(tail, tail + 1, std::memory_order_seq_cst,  // A
                                          std::memory_order_seq_cst)) {
          *ticket = tail;
          return true;
        }
        continue;
      }
      const uint64_t now = tail_.load(std::memory_order_seq_cst);
      if (now == tail) return false;
      tail = now;
    }
  }

  // Makes the waiter visible. False if it has been granted something already, and TakeGrant() must
  // follow; a listener has not been called then, and will not be.
  bool Publish(Ticket ticket, const Waiter& waiter) {
    Cell& cell = CellOf(ticket);
    // Relaxed: read after the word, which is CASed below.
    cell.since.store(waiter.since, std::memory_order_relaxed);
    cell.thread.store(waiter.thread, std::memory_order_relaxed);
    cell.listener.store(waiter.listener, std::memory_order_relaxed);
    uint64_t expected = Word(Round(ticket), kFree);
    return cell.word.compare_exchange_strong(expected, Word(Round(ticket), kWaiting),
                                             std::memory_order_seq_cst,   // [wake] in handoff.h
                                             std::memory_order_acquire);  // [grant]
  }

  enum class Event { kWoken, kGranted, kTimedOut, kInterrupted };

  // Sleeps until something happens to the ticket, or the deadline, or until interrupted() is true,
  // which is asked before it sleeps and after each Interrupt(). After kTimedOut and kInterrupted a
  // grant may still come in: only Cancel() ends that.
  template <typename Interrupted>
  Event Await(Ticket ticket, int64_t deadline_ns, const Interrupted& interrupted) {
    Cell& cell = CellOf(ticket);
    for (;;) {
      // [signal] The signal is read before the word, and changed after the word: if the word read
      // is an old one, then the signal will differ from the one read, and Park returns at once.
      const uint32_t signal = cell.signal.load(std::memory_order_acquire);
      const uint64_t word = cell.word.load(std::memory_order_seq_cst);  // [grant]
      switch (StateOf(word)) {
        case kWoken:
          return Event::kWoken;
        case kGranted:
          return Event::kGranted;
        default:
          break;
      }
      if (interrupted()) return Event::kInterrupted;  // [signal]
      if (!Platform::Park(cell.signal, signal, deadline_ns)) return Event::kTimedOut;
    }
  }

  Event Await(Ticket ticket, int64_t deadline_ns) {
    return Await(ticket, deadline_ns, [] { return false; });
  }

  // Any thread, after it has changed what Await()'s interrupted() looks at. Harmless if the waiter
  // has left, whoever has the place now.
  void Interrupt(Ticket ticket) { Signal(CellOf(ticket)); }  // [signal]

  // The same for everybody who was in the line at some moment of the call.
  void InterruptAll() {
    const uint64_t tail = tail_.load(std::memory_order_seq_cst);
    for (uint64_t t = head_.load(std::memory_order_seq_cst); t < tail; ++t) Signal(CellOf(t));
  }

  // kWoken -> kWaiting: the waiter found nothing and will sleep again. False if granted.
  bool Rest(Ticket ticket) {
    uint64_t expected = Word(Round(ticket), kWoken);
    return CellOf(ticket).word.compare_exchange_strong(expected, Word(Round(ticket), kWaiting),
                                                       std::memory_order_seq_cst,  // [wake]
                                                       std::memory_order_acquire);
  }

  // Leaves the line. False if something has been granted: then TakeGrant() must follow. Linearizes
  // at the CAS.
  bool Cancel(Ticket ticket) {
    Cell& cell = CellOf(ticket);
    uint64_t word = cell.word.load(std::memory_order_acquire);
    while (StateOf(word) != kGranted) {
      if (cell.word.compare_exchange_strong(word, Word(Round(ticket), kCancelled),
                                            std::memory_order_seq_cst,  // [wake]
                                            std::memory_order_acquire)) {
        Look();  // passes leading cancelled cells, perhaps this one
        return true;
      }
    }
    return false;
  }

  // Any thread, for a ticket with a listener, also when it may have left long ago. True if this
  // call took it out of the line: its listener will not be called. Linearizes at the CAS.
  bool TryCancel(Ticket ticket) {
    uint64_t expected = Word(Round(ticket), kWaiting);
    if (!CellOf(ticket).word.compare_exchange_strong(expected, Word(Round(ticket), kCancelled),
                                                     std::memory_order_seq_cst,  // [wake]
                                                     std::memory_order_seq_cst)) {
      return false;
    }
    Look();
    return true;
  }

  // What was granted; frees the cell.
  uint32_t TakeGrant(Ticket ticket) {
    Cell& cell = CellOf(ticket);
    const uint64_t word = cell.word.load(std::memory_order_acquire);  // [grant]
    assert(StateOf(word) == kGranted && word >> kRoundShift == Round(ticket));
    cell.word.store(Word(Round(ticket) + 1, kFree), std::memory_order_release);
    return static_cast<uint32_t>(word >> kGrantShift) & kMaxGrant;
  }

  // The other side.

  // The oldest live waiter, as it was at some moment of the call.
  struct Oldest {
    bool any = false;        // false: the line was empty; the rest means nothing
    bool published = false;  // false: it has its ticket only
    bool woken = false;
    int64_t since = 0;             // when it published itself
    Listener* listener = nullptr;  // null: it sleeps
    Ticket ticket = 0;
    uint64_t word = 0;
  };

  // Finds it, passing finished cells. Linearizes, when empty, at the load of tail_ (B): head_ was
  // not greater then, and the head_ read before equals that tail_, so both were equal at B. We need
  // not read head_ again because it never exceeds tail_ and never goes back.
  Oldest Look() {
    for (;;) {
      const uint64_t head = head_.load(std::memory_order_seq_cst);
      const uint64_t tail = tail_.load(std::memory_order_seq_cst);  // B
      if (head >= tail) return Oldest{};
      Cell& cell = CellOf(head);
      const uint64_t word = cell.word.load(std::memory_order_seq_cst);  // [wake]
      if (word >> kRoundShift == Round(head)) {
        const State state = StateOf(word);
        if (state == kFree) return Oldest{true, false, false, 0, nullptr, head, word};
        if (state == kWaiting || state == kWoken) {
          // Relaxed: ordered by the word. If the cell is already in another round these are another
          // waiter's, and then the CAS on the word fails too.
          return Oldest{true,
                        true,
                        state == kWoken,
                        cell.since.load(std::memory_order_relaxed),
                        cell.listener.load(std::memory_order_relaxed),
                        head,
                        word};
        }
      }
      Pass(head, word);
    }
  }

  // Gives `grant` to the waiter that Look() found, and wakes it or calls its listener. False if it
  // has changed since: look again. Linearizes at the CAS.
  bool Grant(const Oldest& oldest, uint32_t grant) {
    assert(oldest.any && grant <= kMaxGrant);
    Cell& cell = CellOf(oldest.ticket);
    uint64_t expected = oldest.word;
    const uint64_t granted =
        Word(Round(oldest.ticket), kGranted) | (static_cast<uint64_t>(grant) << kGrantShift);
    if (!cell.word.compare_exchange_strong(expected, granted,
                                           std::memory_order_seq_cst,  // [grant] [wake]
                                           std::memory_order_relaxed)) {
      return false;
    }
    Pass(oldest.ticket, granted);
    if (oldest.listener != nullptr) {
      TakeGrant(oldest.ticket);
      oldest.listener->OnGrant(grant);
    } else if (oldest.published) {  // one that has not published itself does not sleep
      Signal(cell);
    }
    return true;
  }

  // kWaiting -> kWoken for the waiter that Look() found. False if it has changed since.
  bool Wake(const Oldest& oldest) {
    assert(oldest.published && !oldest.woken && oldest.listener == nullptr);
    Cell& cell = CellOf(oldest.ticket);
    uint64_t expected = oldest.word;
    if (!cell.word.compare_exchange_strong(expected, Word(Round(oldest.ticket), kWoken),
                                           std::memory_order_seq_cst,  // [wake]
                                           std::memory_order_relaxed)) {
      return false;
    }
    Signal(cell);
    return true;
  }

  // Whether a waiter of this thread was in the line at some moment of the call. Reads the whole
  // line.
  bool Waits(uint32_t thread) const {
    const uint64_t tail = tail_.load(std::memory_order_seq_cst);
    for (uint64_t t = head_.load(std::memory_order_seq_cst); t < tail; ++t) {
      const Cell& cell = CellOf(t);
      const uint64_t word = cell.word.load(std::memory_order_seq_cst);
      if (word != Word(Round(t), kWaiting) && word != Word(Round(t), kWoken)) continue;
      if (cell.thread.load(std::memory_order_relaxed) != thread) continue;
      // Else the cell may have passed on to another round between the two loads.
      if (cell.word.load(std::memory_order_seq_cst) >> kRoundShift == Round(t)) return true;
    }
    return false;
  }

 private:
  enum State : uint64_t { kFree = 0, kWaiting = 1, kWoken = 2, kGranted = 3, kCancelled = 4 };

  static constexpr uint32_t kGrantShift = 3;
  static constexpr uint32_t kRoundShift = 16;

  struct Cell {
    // word: round, grant, state (diagram above). Written by the waiter (Publish, Rest, Cancel,
    //   TakeGrant), by granters (Grant, Wake), by whoever cancels a listener (TryCancel) and by
    //   whoever passes a cancelled cell (Pass).
    //   Orders: [grant] Grant is release, the waiter's reads are acquire.
    //           [wake] seq_cst; why is told in handoff.h.
    Atomic<uint64_t> word;
    // since, thread, listener: what the waiter told of itself. Written by the waiter before the
    //   word, read after it.
    Atomic<int64_t> since;
    Atomic<Listener*> listener;
    Atomic<uint32_t> thread;
    // signal: what the waiter parks on. Written after the word, or after what interrupts: release;
    //   read by the waiter before them: acquire. It only counts; a wrap needs 2^32 signals between
    //   two instructions of the waiter.
    Atomic<uint32_t> signal;
  };

  static constexpr uint64_t Word(uint64_t round, State state) {
    return (round << kRoundShift) | state;
  }
  static constexpr State StateOf(uint64_t word) { return static_cast<State>(word & 7); }
  uint64_t Round(Ticket ticket) const { return (ticket >> shift_) & (UINT64_MAX >> kRoundShift); }
  Cell& CellOf(Ticket ticket) const { return cells_[ticket & (capacity_ - 1)]; }

  // Moves head_ over a finished ticket, whose cell read `word`. The winner of the CAS frees a
  // cancelled cell. A granted one is its waiter's to free, and may be in the next round already.
  void Pass(Ticket ticket, uint64_t word) {
    uint64_t expected = ticket;
    if (head_.compare_exchange_strong(expected, ticket + 1, std::memory_order_seq_cst,
                                      std::memory_order_seq_cst) &&
        word == Word(Round(ticket), kCancelled)) {
      CellOf(ticket).word.store(Word(Round(ticket) + 1, kFree), std::memory_order_release);
    }
  }

  static void Signal(Cell& cell) {
    cell.signal.fetch_add(1, std::memory_order_release);  // [signal]
    Platform::Unpark(cell.signal);
  }

  // Constant after construction
  const uint64_t capacity_;
  const uint32_t shift_;
  const typename Platform::template Array<Cell> cells_;

  // head_: the first ticket not passed. Written by Pass, one at a time. seq_cst: [wake].
  // tail_: the next ticket. Written by Enqueue, one at a time. seq_cst: [wake].
  // On lines of their own: waiters write one, releasers the other.
  alignas(64) Atomic<uint64_t> head_{0};
  alignas(64) Atomic<uint64_t> tail_{0};
};

}  // namespace vouch::pool::pool_internal

#endif  // VOUCH_POOL_INTERNAL_WAIT_QUEUE_H_
