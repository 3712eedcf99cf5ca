"""The pool's headers as the Relacy scenarios see them, with or without a deliberate defect.

    defects.py --list                      prints one line a defect: name,scenario,symptom
    defects.py --out FOLDER --defect NAME  writes HEADERS, changed, to FOLDER; NAME may be empty

A change is an exact string that has to be found exactly once in its file: when the code has moved
on, this fails loudly and the change has to be thought of anew. One change is made always: the ring
of the wait queue may have two places, where the pool's has 64, so that tickets come around.

Every defect has to be found by its scenario, with its symptom. What each is and how it goes wrong
is said with it below; changes that no scenario notices, and why, stand at the end.
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
    symptom: str
    changes: list


SLOT = "pool/internal/slot.h"
QUEUE = "pool/internal/wait_queue.h"
HANDOFF = "pool/internal/handoff.h"
HEADERS = [SLOT, "pool/internal/slots.h", QUEUE, HANDOFF]

SMALL_RING = Change(QUEUE, "kMinCapacity = 64;", "kMinCapacity = 2;")

RACE = "DATA RACE"
STUCK = "DEADLOCK"
ASSERT = "USER ASSERT FAILED"

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
        HANDOFF, "if (queue_.Look().any || closed()) {", "if (closed()) {")]),

    # The one that was awake leaves; others relied on it to find the slots they put back.
    Defect("NoPassWakeInLeave", "OneReleasesForTwo", STUCK, [Change(
        HANDOFF, """    PassWake();
      return result;""", "      return result;")]),
    Defect("NoPassWakeInHandOver", "OneReleasesForTwo", STUCK, [Change(
        HANDOFF, "if (oldest.woken || !oldest.published) PassWake();", "")]),

    # A waiter gives up though it has been granted a slot.
    Defect("CancelIgnoresGrant", "TimeOutRacesGrant", ASSERT, [Change(
        QUEUE, "while (StateOf(word) != kGranted) {", "for (;;) {")]),
    # A waiter takes a slot, is granted another at that instant, and keeps both.
    Defect("SecondSlotDropped", "OneReleasesForTwo", STUCK, [Change(
        HANDOFF, "if (granted.end == End::kTaken) PutSlow(granted.slot);", "")]),

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
        Change(QUEUE, """    // One that has not published itself does not sleep.
    if (oldest.published) Signal(cell);""", "")]),
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

    # Closing: a slot put back the fast way after Close has looked at it is never retired.
    Defect("CloseWithoutWantAll", "CloseRacesReleases", STUCK, [Change(
        HANDOFF, "seq_cst);\n    slots_.WantAll();\n", "seq_cst);\n")]),
    # One put back for a waiter neither: Close has been by in between.
    Defect("PutBackIgnoresClose", "CloseRacesWaiter", STUCK, [Change(
        HANDOFF, "if (closed()) RetireAvailable();", "")]),
    # Nor one whose kWanted the releaser has cleared after Close had set it.
    Defect("UnwantIgnoresClose", "CloseRacesNewcomers", STUCK, [Change(
        HANDOFF, "if (queue_.Look().any || closed()) {", "if (queue_.Look().any) {")]),
    # A waiter that entered after Close has emptied the line.
    Defect("WaiterIgnoresClose", "CloseRacesNewcomers", STUCK, [Change(
        HANDOFF, "if (closed()) return Leave(ticket, {End::kClosed, kNone});", "")]),

    # Destroying: the last accesses of those inside are not over for who frees the memory.
    Defect("VisitEndsRelaxed", "CloseRacesWaiter", RACE, [Change(
        HANDOFF, "in_flight_.fetch_sub(1, std::memory_order_release)",
        "in_flight_.fetch_sub(1, std::memory_order_relaxed)")]),
    # Who waits for all slots to be retired does not see that they are.
    Defect("RetiredCountRelaxed", "CloseRacesWaiter", ASSERT, [Change(
        HANDOFF, "retired_.fetch_add(1, std::memory_order_release)",
        "retired_.fetch_add(1, std::memory_order_relaxed)")]),
]

# Tried, and not found by any scenario:
#
# Unwant relaxed. A defect in C++: nothing orders the enqueueing of a waiter that has set kWanted
#   before the look that follows (D). In Relacy the one order of the seq_cst operations is the order
#   in which they ran, so the seq_cst load of tail_ sees the seq_cst CAS whatever lies between.
# Enqueue's CAS (A), Publish, Want acq_rel; closed_ with release and acquire. No defects as far as
#   we see: before anybody looks, both sides have changed the same slot's word, and the later of the
#   two sees all that came before the earlier.
# Cancel acq_rel: it moves head_ on, seq_cst, before the leaver looks at the slots.
# Wake relaxed; the signal relaxed at either end. What counts is read from the words, seq_cst.
# SlotWord::Retire relaxed: retired_ is incremented with release afterwards.
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
            print(f"{defect.name},{defect.scenario},{defect.symptom}")
        return
    changes = [SMALL_RING]
    if arguments.defect:
        changes += next(d for d in DEFECTS if d.name == arguments.defect).changes
    for path, text in changed_headers(changes).items():
        target = arguments.out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
