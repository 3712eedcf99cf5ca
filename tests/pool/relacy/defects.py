"""The pool's headers as the Relacy scenarios see them, with or without a deliberate defect.

    defects.py --list                      prints one line a defect: name,scenario,symptom...
    defects.py --out FOLDER --defect NAME  writes HEADERS, changed, to FOLDER; NAME may be empty

A change is an exact string that has to be found exactly once in its file: when the code has moved
on, this fails loudly and the change has to be thought of anew. Two changes are made always: the
ring of the wait queue has as many places as waiters are admitted, and may have two, where the
pool's has 64 at least, so that tickets come around.

Every defect has to be found by its scenario, with its symptom, or one of two where the order of
events decides which of them comes first. What each is and how it goes wrong is said with it below;
changes that no scenario notices, and why, stand at the end.
"""

import argparse
import pathlib
import sys
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[3]


class Change(NamedTuple):
    file: str
    old: str
    new: str


class Defect(NamedTuple):
    name: str
    scenario: str
    symptoms: str  # separated by commas
    changes: list


SLOT = "pool/internal/slot.h"
SLOTS = "pool/internal/slots.h"
QUEUE = "pool/internal/wait_queue.h"
HANDOFF = "pool/internal/handoff.h"
MODEL = "tests/pool/relacy/pool_model.h"
ASYNC = "pool/internal/async_waiter.h"
HEADERS = [ASYNC, SLOT, SLOTS, QUEUE, HANDOFF, MODEL]

SMALL_RING = [
    Change(QUEUE, "kMinCapacity = 64;", "kMinCapacity = 2;"),
    Change(HANDOFF, "kPlacesPerWaiter = 4;", "kPlacesPerWaiter = 1;"),
]

RACE = "DATA RACE"
STUCK = "DEADLOCK"
ASSERT = "USER ASSERT FAILED"


def either(*symptoms):
    return ",".join(symptoms)


DEFECTS = [
    # [slot-handover]: the next holder does not see what the last one did to the resource.
    Defect("TryPutBackRelaxed", "TwoThreadsOneSlot", RACE, [Change(
        SLOT, "std::memory_order_release,   // [slot-handover]", "std::memory_order_relaxed,")]),
    Defect("TryLeaseRelaxed", "TwoThreadsOneSlot", RACE, [Change(
        SLOT, "std::memory_order_acquire,  // [slot-handover]", "std::memory_order_relaxed,")]),

    # [wanted]: a releaser that fails to put back misses what was written before kWanted was set.
    Defect("TryPutBackFailureRelaxed", "KeeperExpires", ASSERT, [Change(
        SLOT, "std::memory_order_acquire);  // [wanted] sees W1", "std::memory_order_relaxed);")]),

    # Taking a slot forgets who wants it: its release is fast and wakes nobody.
    Defect("WantedDroppedOnTake", "ThreeThreadsOneSlot", STUCK, [Change(
        SLOT, "compare_exchange_strong(word, Raw(to) | (word & kWanted),",
        "compare_exchange_strong(word, Raw(to),")]),

    # [wake]: the waiter that goes back to sleep sees the slot as it was before the release, and the
    # releaser has seen the waiter awake.
    Defect("PutBackWantedRelease", "WakeAndCompete", STUCK, [Change(
        SLOT, "kWanted, std::memory_order_seq_cst);  // [slot-handover] [wake]",
        "kWanted, std::memory_order_release);")]),
    # The other half: the releaser sees the waiter awake though it has gone back to sleep.
    Defect("RestAcqRel", "WakeAndCompete", STUCK, [Change(
        QUEUE, """kWaiting),
                                                       std::memory_order_seq_cst,  // [wake]""",
        "kWaiting), std::memory_order_acq_rel,")]),

    # What has to be seq_cst on the reading sides of [wake]: the releaser's look at the cell, the
    # waiter's last look at the slots, the leaver's look for those behind it.
    Defect("LookAcquire", "TwoThreadsOneSlot", STUCK, [Change(
        QUEUE, "const uint64_t word = cell.word.load(std::memory_order_seq_cst);  // [wake]",
        "const uint64_t word = cell.word.load(std::memory_order_acquire);")]),
    Defect("TryTakeLoadAcquire", "TwoThreadsOneSlot", STUCK, [Change(
        SLOT, "uint32_t word = word_.load(std::memory_order_seq_cst);  // [wake]",
        "uint32_t word = word_.load(std::memory_order_acquire);")]),
    Defect("PeekAcquire", "OneReleasesForTwo", STUCK, [Change(
        SLOT, "Peek() const { return State(word_.load(std::memory_order_seq_cst)); }",
        "Peek() const { return State(word_.load(std::memory_order_acquire)); }")]),

    # C without D: a waiter that came between the releaser's look and C is forgotten.
    Defect("NoLookAfterUnwant", "OldMark", STUCK, [Change(
        HANDOFF, "if (queue_.Look().any || gate()", "if (gate()")]),

    # The one that was awake leaves; others relied on it to find the slots they put back.
    Defect("NoPassWakeInLeave", "OneReleasesForTwo", STUCK, [Change(
        HANDOFF, "PutAll(PassWake());\n      return result;", "return result;")]),
    Defect("NoPassWakeInHandOver", "OneReleasesForTwo", STUCK, [Change(
        HANDOFF, "return oldest.woken || !oldest.published ? PassWake() : Owned{};",
        "return Owned{};")]),

    # A waiter gives up though it has been granted a slot: it is missing at the end, or to another
    # waiter before.
    Defect("CancelIgnoresGrant", "TimeOutRacesGrant", either(ASSERT, STUCK), [Change(
        QUEUE, "while (StateOf(word) != kGranted) {", "for (;;) {")]),
    # A waiter takes a slot, is granted another at that instant, and keeps both.
    Defect("SecondSlotDropped", "OneReleasesForTwo", STUCK, [Change(
        HANDOFF, "if (granted.end == End::kTaken) GiveBack(granted.slot);", "")]),

    # Words without rounds: a ticket's cell is taken for its next one.
    Defect("NoRounds", "TicketsComeAround", ASSERT, [
        Change(QUEUE, "return (round << kRoundShift) | state;", "return (round & 0) | state;"),
        Change(QUEUE, "if (word >> kRoundShift == Round(head)) {", "{"),
        Change(QUEUE, "kGranted && word >> kRoundShift == Round(ticket));", "kGranted);")]),

    # [signal]: the waiter is woken before there is anything to see, and sleeps on.
    Defect("SignalBeforeGrant", "HandOff", STUCK, [
        Change(QUEUE, "uint64_t expected = oldest.word;\n    const uint64_t granted =",
               "if (oldest.published) Signal(cell);\n"
               "    uint64_t expected = oldest.word;\n    const uint64_t granted ="),
        Change(QUEUE, """ else if (oldest.published) {  // one that has not published itself does not sleep
      Signal(cell);
    }""", "")]),
    # The waiter reads an old word, then the new signal, and sleeps on.
    Defect("SignalReadAfterWord", "HandOff", STUCK, [
        Change(QUEUE, """      const uint32_t signal = cell.signal.load(std::memory_order_acquire);
""", ""),
        Change(QUEUE, "      switch (StateOf(word)) {", """
      const uint32_t signal = cell.signal.load(std::memory_order_acquire);
      switch (StateOf(word)) {""")]),

    # The cell of a granted ticket is freed before its waiter has read the grant.
    Defect("PassFreesGranted", "HandOff", STUCK, [Change(
        QUEUE, "word == Word(Round(ticket), kCancelled)) {", "word != 0) {")]),

    # What the granter did to the resource is not visible to whom the slot is granted.
    Defect("GrantRelaxed", "HandOff", RACE, [Change(
        QUEUE, """std::memory_order_seq_cst,  // [grant] [wake]
                                           std::memory_order_relaxed)""",
        "std::memory_order_relaxed, std::memory_order_relaxed)")]),

    # Changing the gate: a slot put back the fast way after that has been looked at stays where the
    # old gate had it.
    Defect("SetGateWithoutWantAll", "CloseRacesReleases", STUCK, [Change(
        HANDOFF, "slots_.WantAll();                                   // [gate] G2", "")]),
    # One that nobody owned at all.
    Defect("SetGateWithoutSettle", "SuspendRacesRelease", ASSERT, [Change(
        HANDOFF, "for (uint32_t i = 0; i < slots_.size(); ++i) Settle(i);", "")]),
    # One put back for a waiter: whoever changed the gate has been by in between.
    Defect("PutBackIgnoresGate", "CloseRacesWaiter", STUCK, [Change(
        HANDOFF,
        "if (gate().VerdictOn(owned.index) != Gate::Verdict::kOpen) Settle(owned.index);", "")]),
    # One whose kWanted the releaser has cleared after it had been set.
    Defect("UnwantIgnoresGate", "CloseRacesNewcomers", STUCK, [Change(
        HANDOFF,
        "if (queue_.Look().any || gate().VerdictOn(index) != Gate::Verdict::kOpen) {",
        "if (queue_.Look().any) {")]),
    # One laid aside though the gate has opened again: it is lost.
    Defect("LayAsideWithoutRecheck", "ShrinkThenGrow", ASSERT, [Change(
        HANDOFF, "if (gate().VerdictOn(index) != verdict && slot.word.TryTake(to)) {",
        "if (false) {")]),
    # One put back by who had not seen the gate yet is lent, though all seemed to be in.
    Defect("TakerIgnoresGate", "SuspendedAndAllIn", ASSERT, [Change(
        HANDOFF,
        "MayLend(uint32_t index) const { return gate().VerdictOn(index) == Gate::Verdict::kOpen; }",
        "MayLend(uint32_t) const { return true; }")]),
    # A waiter that entered after Close has emptied the line.
    Defect("WaiterIgnoresClose", "CloseRacesNewcomers", STUCK, [Change(
        HANDOFF, "if (gate().closed()) return Leave(ticket, {End::kClosed, kNone});", "")]),
    # A waiter that marks the slots there were marks none that came before it entered the line.
    Defect("GrowRelease", "ResizeGrowsForWaiter", STUCK, [
        Change(SLOTS, "size_.load(std::memory_order_seq_cst); }  // [grow]",
               "size_.load(std::memory_order_acquire); }"),
        Change(SLOTS, "size_.store(i + 1, std::memory_order_seq_cst);",
               "size_.store(i + 1, std::memory_order_release);")]),
    # Slots in use are counted wrong: Close returns too early, or never.
    Defect("CountedOutBeforeRest", "CloseRacesReleases", ASSERT, [
        Change(HANDOFF, "slot.word.Rest(to); ",
               "if (retire) live_.fetch_sub(1, std::memory_order_release);\n"
               "    slot.word.Rest(to);"),
        Change(HANDOFF, """      live_.fetch_sub(1, std::memory_order_release);
      Platform::Unpark""", "      Platform::Unpark")]),
    Defect("NotCountedInAgain", "ShrinkThenGrow", STUCK, [Change(
        HANDOFF, "if (state == SlotState::kRetired) live_.fetch_add(1, std::memory_order_relaxed);",
        "")]),

    # [permit]: who gives one back does not look who waited for it.
    Defect("FinishOpenWithoutPassWake", "PermitIsPassedOn", STUCK, [Change(
        HANDOFF, "PutAll(PassWake());                                // [permit] P2", "")]),
    Defect("TryTakeWithoutNextTurn", "LeasesBreak", STUCK, [Change(
        HANDOFF, """      openers_.fetch_sub(1, std::memory_order_seq_cst);
    }
  }

  // The keeper's""", """      openers_.fetch_sub(1, std::memory_order_seq_cst);
      return kNone;
    }
  }

  // The keeper's""")]),
    Defect("EndPutWithoutPassWake", "TwoComeBackOneBroken", STUCK, [Change(
        HANDOFF, "return PassWake();                                 // [permit] P2",
        "return Owned{};")]),
    # An empty slot is granted, and its new owner gives back a permit that it has not taken.
    Defect("GrantWithoutPermit", "PermitRacesWaiter", ASSERT, [Change(
        HANDOFF, "owned.permit = TryBeginOpen();\n      if (!grant || (empty && !owned.permit)) {",
        "owned.permit = false;\n      if (!grant) {")]),
    # A second slot is given back without the permit that came with it.
    Defect("GiveBackKeepsPermit", "TwoComeBackOneBroken", STUCK, [Change(
        HANDOFF, "PutAll({index, slots_[index].resource == nullptr});", "PutSlow(index);")]),

    # A releaser that comes upon a listener behind a wake leaves the slot lying beside it.
    Defect("WakeOldestLeavesListener", "ListenerBehindWoken", ASSERT, [Change(
        HANDOFF, "const uint32_t slot = TryTake(0);\n", "const uint32_t slot = kNone;\n")]),
    # A listener is called, and then it turns out that it has left.
    Defect("ListenerCalledBeforeGrant", "ListenerCancelRacesGrant", ASSERT, [
        Change(QUEUE, "uint64_t expected = oldest.word;\n    const uint64_t granted =",
               "if (oldest.listener != nullptr) oldest.listener->OnGrant(grant);\n"
               "    uint64_t expected = oldest.word;\n    const uint64_t granted ="),
        Change(QUEUE, "      oldest.listener->OnGrant(grant);\n    }", "    }")]),
    # A listener is called off that has ended, and somebody else's is cancelled.
    Defect("TryCancelWithoutRound", "LateAbort", ASSERT, [Change(
        QUEUE, "uint64_t expected = Word(Round(ticket), kWaiting);\n    if (!CellOf",
        "uint64_t expected = CellOf(ticket).word.load(std::memory_order_seq_cst);\n"
        "    if (StateOf(expected) != kWaiting) return false;\n    if (!CellOf")]),
    # A listener enters the line beside a slot that has been put back already.
    Defect("ListenerDoesNotTake", "ListenerIsGranted", ASSERT, [Change(
        HANDOFF, "gate().closed() ? kNone : TryTake(start);", "kNone;")]),
    # Or after Close has emptied the line.
    Defect("ListenerIgnoresClose", "CloseRacesListener", ASSERT, [Change(
        HANDOFF, "if (slot == kNone && !gate().closed()) return true;",
        "if (slot == kNone) return true;")]),

    # [abort]: a listener is called off before it is published, and nobody tells it afterwards.
    Defect("AbortedIsNotRead", "AbortRacesStart", ASSERT, [Change(
        ASYNC, "if (reason != End::kTaken && handoff", "if (false && handoff")]),
    # Or it does not see that.
    Defect("AbortedLoadAcquire", "AbortRacesStart", ASSERT, [Change(
        ASYNC, "aborted_.load(std::memory_order_seq_cst)",
        "aborted_.load(std::memory_order_acquire)")]),
    # Or it is called off twice.
    Defect("AbortedTwice", "AbortRacesStart", ASSERT, [Change(
        ASYNC, "if (reason != End::kTaken && handoff.TryCancelListener(ticket_)) {",
        "if (reason != End::kTaken) {")]),

    # [signal]: the waiter looks whether it is to stop, then reads the new signal, and sleeps on.
    Defect("SignalReadAfterFlag", "InterruptAlone", STUCK, [
        Change(QUEUE, """      const uint32_t signal = cell.signal.load(std::memory_order_acquire);
""", ""),
        Change(QUEUE, "if (!Platform::Park(cell.signal, signal, deadline_ns))",
               "const uint32_t signal = cell.signal.load(std::memory_order_acquire);\n"
               "      if (!Platform::Park(cell.signal, signal, deadline_ns))")]),

    # Deadlocks that are none: a lease that is over still has its owner.
    Defect("OwnerNotCleared", "NoDeadlockWithOneEach", ASSERT, [Change(
        MODEL, "slot.owner.store(0, std::memory_order_relaxed);", "")]),
    # Its holder has given it up and stands in the line for the next. The second look, which is
    # there to refuse only one of a circle, would hide this nearly always.
    Defect("LineReadLast", "NoDeadlockWithOneThatReturns", ASSERT, [
        Change(HANDOFF, "if (!AllHeldBy(self, &queue_, &uses)) return false;",
               "if (!AllHeldBy(self, nullptr, &uses)) return false;"),
        Change(HANDOFF, "return AllHeldBy(self, nullptr, &uses_again)",
               "return AllHeldBy(self, &queue_, &uses_again)"),
        Change(HANDOFF, "AllHoldersWait(self) && queue_.Cancel(ticket);",
               "queue_.Cancel(ticket);")]),
    # One that is there: nobody looks.
    Defect("NobodyLooksForDeadlocks", "DeadlockIsFoundByTheLast", STUCK, [Change(
        HANDOFF, "&& AllHoldersWait(request.thread)) {", "&& false) {")]),
    # [circle]: those that wait are not told that a slot has gone, or look before it has.
    Defect("RetiredInSilence", "ShrinkClosesCircle", STUCK, [Change(
        HANDOFF, "queue_.InterruptAll();                                 // [circle] R3", "")]),
    Defect("RetirementCountedLast", "ShrinkClosesCircle", STUCK, [Change(
        HANDOFF, """retirements_.fetch_add(1, std::memory_order_seq_cst);  // [circle] R2
        queue_.InterruptAll();                                 // [circle] R3""",
        "queue_.InterruptAll(); retirements_.fetch_add(1, std::memory_order_seq_cst);")]),
    # Counted as looked at, but not looked again.
    Defect("NoSecondLook", "ShrinkClosesCircle", STUCK, [Change(
        HANDOFF, "looked_for_deadlock = false;", "")]),

    # Destroying: the last accesses of those inside are not over for who frees the memory.
    Defect("VisitEndsRelaxed", "CloseRacesWaiter", RACE, [Change(
        HANDOFF, "in_flight_.fetch_sub(1, std::memory_order_release)",
        "in_flight_.fetch_sub(1, std::memory_order_relaxed)")]),
    # Who waits for all slots to be retired does not see that they are, nor what was done to them.
    Defect("LiveCountRelaxed", "CloseRacesWaiter", either(ASSERT, RACE), [Change(
        HANDOFF, "live_.fetch_sub(1, std::memory_order_release)",
        "live_.fetch_sub(1, std::memory_order_relaxed)")]),

    # FIFO: the slot is put back for anybody, whoever has waited how long.
    Defect("EverybodyCompetes", "OldWaitersInOrder", ASSERT, [Change(
        HANDOFF, "Platform::Now() - oldest.since < patience_ns_;", "Platform::Now() > 0;")]),
]

# Tried, and not found by any scenario:
#
# Unwant relaxed. A defect in C++: nothing orders the enqueueing of a waiter that has set kWanted
#   before the look that follows (D). In Relacy the one order of the seq_cst operations is the order
#   in which they ran, so the seq_cst load of tail_ sees the seq_cst CAS whatever lies between.
# Rest release, where [gate] asks for seq_cst. For the same reason.
# Enqueue's CAS (A), Publish, Want acq_rel. No defects as far as we see: before anybody looks, both
#   sides have changed the same slot's word, and the later of the two sees all that came before the
#   earlier.
# Cancel acq_rel: it moves head_ on, seq_cst, before the leaver looks at the slots.
# Wake relaxed; the signal relaxed at either end. What counts is read from the words, seq_cst.
# TryCancelListener without PassWake. A defect that takes four threads: a releaser relies on a
#   listener that is not published yet, for a slot that a waiter before it had been woken for.
# NoteLease relaxed: noticed by NoDeadlockWithOneThatReturns, in one execution of 70,000.
# TakeGrant's load relaxed: an acquire load of the thread has seen the grant already.


def changed_headers(changes):
    """The text of each of HEADERS, by its path."""
    texts = {path: (ROOT / path).read_text(encoding="utf-8") for path in HEADERS}
    for change in changes:
        text = texts[change.file]
        found = text.count(change.old)
        if found != 1:
            sys.exit(f"{change.file}: found {found} times instead of once:\n{change.old}")
        texts[change.file] = text.replace(change.old, change.new)
    return texts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--defect", default="")
    arguments = parser.parse_args()
    if arguments.list:
        for defect in DEFECTS:
            print(f"{defect.name},{defect.scenario},{defect.symptoms}")
        return
    changes = list(SMALL_RING)
    if arguments.defect:
        changes += next(d for d in DEFECTS if d.name == arguments.defect).changes
    for path, text in changed_headers(changes).items():
        target = arguments.out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
