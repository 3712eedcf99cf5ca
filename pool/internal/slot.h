#ifndef VOUCH_POOL_INTERNAL_SLOT_H_
#define VOUCH_POOL_INTERNAL_SLOT_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>

#include "pool/call_site.h"

namespace vouch::pool::pool_internal {

// Where a slot is in its life.
//
//                TryTake               PutBack*
//    kEmpty    ───────────► kLeased ───────────► kEmpty     there is no resource (any more)
//    kIdle     ───────────► kLeased ───────────► kIdle
//    kWithheld ───────────► kLeased ───────────► kWithheld  (Rest: the pool is suspended)
//    kRetired  ───────────► kLeased ───────────► kRetired   (Rest: the pool is closed, or smaller)
//
//                TryReserve              Unreserve
//    kEmpty    ───────────► kReserved ───────────► kLeased
//    kIdle     ───────────► kReserved ───────────► kLeased
//
//   kRetired   not in use: beyond the pool's limit, or the pool is closed. There is no resource.
//              Only Resize() brings it back.
//   kEmpty     available; there is no resource; who takes the slot opens one.
//   kIdle      available; there is a resource.
//   kLeased    owned by one party: the holder of a lease, or one that opens or closes the resource,
//              or a waiter it has been handed to.
//   kReserved  owned by the keeper.
//   kWithheld  kept back while the pool is suspended, with its resource if it has one. Resume()
//              brings it back.
//
// "Available" is kEmpty or kIdle. Only the owner touches the resource.
enum class SlotState : uint32_t {
  kRetired = 0,
  kEmpty = 1,
  kIdle = 2,
  kLeased = 3,
  kReserved = 4,
  kWithheld = 5,
};

// SlotWord is a slot's state and one bit, kWanted: "no short cuts: somebody wants to be asked
// first". That is a waiter, whoever changes the gate, or the keeper. A wanted slot is neither taken
// nor put back by the fast functions (TryLease, TryPutBack). Whoever takes or hands over the slot
// leaves the bit as it is.
//
// Thread safety: any thread; functions marked "owner" only by the slot's owner.
//
// word_:
//   Written by: takers (TryLease, TryTake, TryReserve), the owner (PutBack*, Rest, Unreserve,
//               Unwant), waiters, the keeper and whoever changes the gate (Want).
//   Read by:    the same; stats, where a stale value is harmless.
//   Orders:     [slot-handover] putting back is release, taking is acquire: the next owner sees
//               what the last one did to the resource. A failed take is relaxed: nothing of the
//               slot is touched.
//               [wanted] both sides change this one word:
//
//                 releaser                          waiter
//                 R1 put back: CAS kLeased->kIdle   W1 enter the queue
//                                                   W2 word |= kWanted, then look whether the
//                                                      slot is available
//
//               If R1 comes first, W2 sees the slot available. If W2 comes first, R1 fails, and
//               having read W2 (release) with acquire it sees W1: it looks at the queue and finds
//               the waiter. There is no third case, whatever else is going on.
//               [wake] [gate] PutBackWanted, Rest, Want, Peek and the takes are seq_cst; see
//               handoff.h.
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

  // Owner, while there is nobody else. kLeased -> `to`.
  void PutBack(SlotState to) {
    word_.store(Raw(to) | (word_.load(std::memory_order_relaxed) & kWanted),
                std::memory_order_release);
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

  // Owner. kLeased -> kWithheld or kRetired, with kWanted: who brings it back asks the queue.
  void Rest(SlotState to) {
    word_.exchange(Raw(to) | kWanted, std::memory_order_seq_cst);  // [slot-handover] [gate]
  }

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

  typename Platform::template Atomic<uint32_t> word_{Raw(SlotState::kRetired) | kWanted};
};

// Slot is one place of a pool: a state word, the resource, and notes about both. Two cache lines of
// its own: what every lease touches is on the first, what the keeper and waiters note on the second.
//
// Thread safety: `word` any thread. `resource` by the slot's owner only, handed on through `word`
// ([slot-handover]). The notes are relaxed atomics; nothing is decided by them that a stale value
// could make wrong, but for `owner`, which is explained there.
template <typename Resource, typename Platform>
struct alignas(128) Slot {
  template <typename T>
  using Atomic = typename Platform::template Atomic<T>;

  // One lease in so many is timed as a sample of those that have no other reason to be: the kSample-th
  // of a slot, and so on. The first of a slot is timed but is no sample: it may be unlike the others.
  // A timed lease takes 0.1 to 0.3 us longer. Where that is a large part of what it would take, they
  // are rarer, so that even the 99.9th percentile is not theirs.
  static constexpr uint64_t kSampleEvery = 256;
  static constexpr uint64_t kSampleEveryShort = 2048;
  static constexpr int64_t kShortNs = 1000;
  static constexpr uint64_t kSample = 2;

  // Values of `owner` that are no thread's number.
  static constexpr uint32_t kNobody = 0;              // there is no lease
  static constexpr uint32_t kAnyThread = UINT32_MAX;  // there is one that may change threads
  static constexpr bool IsThread(uint32_t owner) { return owner != kNobody && owner != kAnyThread; }

  SlotWord<Platform> word;

  // owner: the number of the thread that acquired the present lease (ThreadHint::Self), or
  // kAnyThread; kNobody when there is no lease: then the slot is available, or it is kLeased on the
  // way from one lease to the next, and the notes below are an older lease's. Written by the owner
  // after taking and before giving up; read by HolderOf, and by Handoff::AllHoldersWait, which reads
  // twice: a slot that changed hands in between has another `uses`, or is on its way and has no
  // owner.
  //   Orders: [holder] `uses` and then this are written with release and read with acquire: who
  //           reads of lease n does not read the owner of an older one, and who reads the owner of
  //           lease n reads n or more. What a lease's notes say is written after its `uses` and
  //           with release, its call site before its owner; who reads n, then an owner, then notes,
  //           all with acquire, and then n again, has read what lease n noted.
  Atomic<uint32_t> owner{0};

  // uses: leases given out on this slot, over all its resources. It names a lease: a note about
  // lease n is a note that says n. The keeper compares it with what it saw last, which gives ages
  // without a clock on the fast path.
  Atomic<uint64_t> uses{0};

  // holder_file, holder_line: call site of the present or last lease, or of who opens the resource.
  // Written by the owner. Orders: [holder].
  Atomic<const char*> holder_file{nullptr};
  Atomic<int> holder_line{0};

  // How long leases were held. The timed ones are known; the others are taken to have been as long
  // as the last sample before them (typical_ns), or, where there is none yet, as the last timed one.
  // Written by the owner, read by stats().
  //   timed_is_sample: whether lease timed_use is a sample.
  //   typical_is_sample: whether the lease that typical_ns is of was.
  //   counted: leases of this slot that the pool's histogram has, with those a timed one stood for.
  //   sample_mask: how rare samples are, a power of two, less 1. The owner's alone.
  Atomic<bool> timed_is_sample{false};
  Atomic<bool> typical_is_sample{false};
  uint16_t sample_mask = kSampleEvery - 1;
  Atomic<int64_t> typical_ns{0};
  Atomic<uint64_t> counted{0};

  std::unique_ptr<Resource> resource;

  // opening_since: since when a resource is being opened in this slot, by holder_file; 0 if none is.
  // Written by the owner (release), read with acquire, for messages.
  Atomic<int64_t> opening_since{0};

  // opened_at: when the present resource was opened, 0 if there is none. Written by the owner.
  alignas(64) Atomic<int64_t> opened_at{0};

  // expired: the opened_at of the resource that is to be closed on release, as its lifetime is
  // over. Written by the keeper before Want() (release), read by the owner after a failed
  // TryPutBack (acquire). It names the resource it means: it cannot hit the next one.
  Atomic<int64_t> expired{0};

  // due_use: the resource is to be validated before it is lent if `uses` is still this. Written by
  // the keeper before Want(), and by Resume() while the slot is withheld, read by whoever takes the
  // slot or puts it back: as long as it is due the slot stays wanted, so that nobody takes it the fast
  // way.
  Atomic<uint64_t> due_use{kNoUse};

  // leased_at, label: when lease timed_use began, and its label, if it has one. Written by the
  // owner, for leases that are timed: those waited for, those with a label, the first and samples.
  Atomic<uint64_t> timed_use{0};
  Atomic<int64_t> leased_at{0};
  Atomic<const char*> label{nullptr};

  // seen_at: when somebody first looked and saw lease seen_use, which is at least as old as that.
  // Written by the keeper and by waiters, one after the other: a reader may get one's use with
  // another's time. For messages.
  Atomic<uint64_t> seen_use{0};
  Atomic<int64_t> seen_at{0};

  static constexpr uint64_t kNoUse = UINT64_MAX;

  // Owner. Begins a lease. True if it is one of the samples. REQUIRES: thread != kNobody.
  bool NoteLease(CallSite site, uint32_t thread) {
    // A load and a store: there is one writer, and a read-modify-write costs 6 ns more.
    const uint64_t use = uses.load(std::memory_order_relaxed) + 1;
    uses.store(use, std::memory_order_release);               // [holder]
    holder_file.store(site.file, std::memory_order_release);  // [holder]
    holder_line.store(site.line, std::memory_order_release);  // [holder]
    owner.store(thread, std::memory_order_release);           // [holder]
    return (use & sample_mask) == kSample;
  }

  // Owner. The present lease began at `now`. The label is null, a literal, or outlives the pool.
  void NoteTime(int64_t now, const char* text, bool is_sample) {
    leased_at.store(now, std::memory_order_release);  // [holder]
    label.store(text, std::memory_order_release);     // [holder]
    timed_is_sample.store(is_sample, std::memory_order_relaxed);
    timed_use.store(uses.load(std::memory_order_relaxed), std::memory_order_release);  // [holder]
  }

  // Owner, in a lease.
  bool IsFirstUse() const { return uses.load(std::memory_order_relaxed) == 1; }

  // Owner, at the end of a lease. How many there were since the last timed one, but for this.
  uint64_t UntimedBefore() const {
    return uses.load(std::memory_order_relaxed) - 1 - counted.load(std::memory_order_relaxed);
  }

  // Any thread. Has the resource validated before its next use: to be followed by Want(), or by
  // putting back.
  void NoteDue() { due_use.store(uses.load(std::memory_order_relaxed), std::memory_order_relaxed); }
  bool IsDue() const {
    return due_use.load(std::memory_order_relaxed) == uses.load(std::memory_order_relaxed);
  }

  // Owner. The present lease, which is a timed one, was held for so long; it and all before it are
  // in the histogram, or about to be.
  void NoteHeld(int64_t held) {
    counted.store(uses.load(std::memory_order_relaxed), std::memory_order_relaxed);
    const bool is_sample = timed_is_sample.load(std::memory_order_relaxed);
    if (!is_sample && typical_is_sample.load(std::memory_order_relaxed)) return;
    if (is_sample) sample_mask = (held < kShortNs ? kSampleEveryShort : kSampleEvery) - 1;
    typical_ns.store(held, std::memory_order_relaxed);
    typical_is_sample.store(is_sample, std::memory_order_relaxed);
  }

  // Any thread. Leases that have ended and are not `counted`: they stand in for typical_ns each.
  uint64_t Uncounted() const {
    const uint64_t known = counted.load(std::memory_order_relaxed);
    const bool out = owner.load(std::memory_order_acquire) != kNobody;  // [holder]
    const uint64_t ended = uses.load(std::memory_order_acquire) - (out ? 1 : 0);
    return ended > known ? ended - known : 0;
  }

  // Owner. A resource is being opened for `site`, which is empty if it is for the pool itself.
  void NoteOpening(CallSite site, int64_t now) {
    holder_file.store(site.file, std::memory_order_release);
    holder_line.store(site.line, std::memory_order_release);
    opening_since.store(std::max<int64_t>(now, 1), std::memory_order_release);
  }
  void NoteOpened() { opening_since.store(0, std::memory_order_release); }

  // Any thread. Remembers that the present lease is at least as old as this.
  void NoteSeen(int64_t now) {
    const uint64_t use = uses.load(std::memory_order_relaxed);
    if (seen_use.load(std::memory_order_relaxed) == use) return;
    seen_at.store(now, std::memory_order_relaxed);
    seen_use.store(use, std::memory_order_relaxed);
  }

  // Owner. The state to put this slot back in.
  SlotState AvailableState() const {
    return resource == nullptr ? SlotState::kEmpty : SlotState::kIdle;
  }
};

}  // namespace vouch::pool::pool_internal

#endif  // VOUCH_POOL_INTERNAL_SLOT_H_
