// The scenarios: at most three threads over the real Handoff, Slots, SlotWord and WaitQueue. What
// each checks besides: no slot with two holders, no slot lost, no thread left asleep (Relacy's
// deadlock), the resource and the pool's memory free of data races.

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "tests/pool/relacy/pool_model.h"
#include "tests/pool/relacy/relacy_platform.h"
#include "tests/pool/relacy/scenario.h"

namespace vouch::pool::pool_internal {
namespace {

using End = PoolModel::End;

class PoolScenario : public Scenario {
 public:
  static constexpr int kThreads = 3;  // or 2

  explicit PoolScenario(const PoolModel::Options& options) : pool_(options) {}
  void AtEnd() override { pool_.CheckAllAvailable(); }

 protected:
  PoolModel pool_;
};

// Taking and giving back

// Two come twice each for the only slot: every way to get it and to give it back.
struct TwoThreadsOneSlot : PoolScenario {
  static constexpr int kThreads = 2;

  TwoThreadsOneSlot() : PoolScenario({}) {}
  void Thread(uint32_t) override {
    RL_ASSERT(pool_.Borrow(0) == End::kTaken);
    RL_ASSERT(pool_.Borrow(0) == End::kTaken);
  }
};

struct ThreeThreadsOneSlot : PoolScenario {
  ThreeThreadsOneSlot() : PoolScenario({}) {}
  void Thread(uint32_t) override { RL_ASSERT(pool_.Borrow(0) == End::kTaken); }
};

struct ThreeThreadsTwoSlots : PoolScenario {
  ThreeThreadsTwoSlots() : PoolScenario({.slots = 2}) {}
  void Thread(uint32_t number) override {
    RL_ASSERT(pool_.Borrow(number % 2) == End::kTaken);
    if (number == 2) RL_ASSERT(pool_.Borrow(1) == End::kTaken);
  }
};

// Nobody's resource is open: who takes a slot opens it.
struct EmptySlots : PoolScenario {
  EmptySlots() : PoolScenario({.slots = 2, .open = false}) {}
  void Thread(uint32_t number) override { RL_ASSERT(pool_.Borrow(number % 2) == End::kTaken); }
};

// Waiting

// A slot is released when patience is over: it goes from hand to hand, never seen idle.
struct HandOff : PoolScenario {
  HandOff() : PoolScenario({.clock = ClockSteps::kLarge}) { pool_.Hold(0); }
  void Thread(uint32_t number) override {
    if (number == 0) return pool_.Release(0);
    RL_ASSERT(pool_.WaitAndRelease(0) == End::kTaken);
  }
};

// A waiter comes while a slot is released that still bears the mark of one who has gone.
struct OldMark : PoolScenario {
  OldMark() : PoolScenario({}) {
    pool_.Hold(0);
    pool_.slot(0).word.Want();
  }
  void Thread(uint32_t number) override {
    if (number == 0) return pool_.Release(0);
    RL_ASSERT(pool_.Borrow(0) == End::kTaken);
  }
};

// A slot is released while the waiter is patient, and taken again by who comes by.
struct WakeAndCompete : PoolScenario {
  static constexpr int kThreads = 2;

  WakeAndCompete() : PoolScenario({.clock = ClockSteps::kSmall}) { pool_.Hold(0); }
  void Thread(uint32_t number) override {
    if (number == 1) {
      RL_ASSERT(pool_.WaitAndRelease(0) == End::kTaken);
      return;
    }
    pool_.Release(0);
    RL_ASSERT(pool_.Borrow(0) == End::kTaken);
  }
};

// The same with a second waiter behind the first.
struct WakeAndCompeteInLine : WakeAndCompete {
  static constexpr int kThreads = 3;

  void Thread(uint32_t number) override { WakeAndCompete::Thread(number == 2 ? 1 : number); }
};

// Two slots come back while two wait, who keep what they get: nobody may be left asleep beside an
// available slot until somebody else happens to release. Here one thread releases both.
struct OneReleasesForTwo : PoolScenario {
  explicit OneReleasesForTwo(uint32_t opens = 2) : PoolScenario({.slots = 2, .opens = opens}) {
    pool_.Hold(0);
    pool_.Hold(1);
  }
  void Thread(uint32_t number) override {
    if (number != 0) return Keep(number);
    pool_.Release(0);
    pool_.Release(1);
  }
  void AtEnd() override {
    for (const std::optional<uint32_t>& slot : kept_) {
      if (slot.has_value()) pool_.Release(*slot);
    }
    PoolScenario::AtEnd();
  }

 protected:
  void Keep(uint32_t number) {
    const PoolModel::Result result = pool_.Wait(number % 2);
    RL_ASSERT(result.end == End::kTaken);
    kept_[number] = result.slot;
  }

  std::optional<uint32_t> kept_[3];
};

// Two release, and the second stands in the line itself afterwards.
struct TwoReleaseForTwo : OneReleasesForTwo {
  void Thread(uint32_t number) override {
    if (number == 0) return pool_.Release(0);
    if (number == 1) pool_.Release(1);
    Keep(number);
  }
};

// Giving up

// A deadline passes while a slot is on its way; another waiter is patient.
struct TimeOutRacesGrant : PoolScenario {
  TimeOutRacesGrant() : PoolScenario({}) { pool_.Hold(0); }
  void Thread(uint32_t number) override {
    if (number == 0) return pool_.Release(0);
    if (number == 1) return Hurry();
    RL_ASSERT(pool_.WaitAndRelease(0) == End::kTaken);
  }

 protected:
  void Hurry() {
    const End end = pool_.WaitAndRelease(0, PoolModel::kSomeDeadline);
    RL_ASSERT(end == End::kTaken || end == End::kTimedOut);
  }
};

// The one with a deadline stands behind or before the other, who keeps what he gets, so that nobody
// but the leaver can wake whom he has left behind.
struct LeaverPassesTheWake : OneReleasesForTwo {
  void Thread(uint32_t number) override {
    if (number == 0) {
      pool_.Release(0);
      return pool_.Release(1);
    }
    if (number == 1) return Keep(1);
    const PoolModel::Result result = pool_.Wait(0, PoolModel::kSomeDeadline);
    if (result.end == End::kTaken) kept_[2] = result.slot;
  }
};

// The line has one place, the ring two: tickets come around.
struct FullLine : PoolScenario {
  FullLine() : PoolScenario({.waiters = 1}) {}
  void Thread(uint32_t) override {
    for (int round = 0; round < 2; ++round) {
      const End end = pool_.Borrow(0);
      RL_ASSERT(end == End::kTaken || end == End::kLineFull || end == End::kPlacesUsed);
    }
  }
};

// Waiters come and go faster than the line moves on.
struct TicketsComeAround : PoolScenario {
  TicketsComeAround() : PoolScenario({.waiters = 2}) { pool_.Hold(0); }
  void Thread(uint32_t number) override {
    if (number == 0) return pool_.Release(0);
    for (int round = 0; round < 3; ++round) {
      const End end = pool_.WaitAndRelease(0, PoolModel::kSomeDeadline);
      RL_ASSERT(end == End::kTaken || end == End::kTimedOut || end == End::kLineFull ||
                end == End::kPlacesUsed);
    }
  }
};

// Closing

// The pool is destroyed while one thread releases and another waits, both inside already.
struct CloseRacesWaiter : PoolScenario {
  CloseRacesWaiter() : PoolScenario({}) {
    pool_.Hold(0);
    visit_.emplace(&pool_.handoff());
  }
  void Thread(uint32_t number) override {
    if (number == 0) return pool_.Destroy();
    if (number == 1) return pool_.Release(0);
    const End end = pool_.WaitAndRelease(0);
    RL_ASSERT(end == End::kTaken || end == End::kClosed);
    visit_.reset();
  }
  void AtEnd() override {}

 private:
  std::optional<PoolModel::Visit> visit_;  // of the waiter: its call has begun
};

// The pool is destroyed while two threads release.
struct CloseRacesReleases : PoolScenario {
  CloseRacesReleases() : PoolScenario({.slots = 2}) {
    pool_.Hold(0);
    pool_.Hold(1);
  }
  void Thread(uint32_t number) override {
    if (number == 2) return pool_.Destroy();
    pool_.Release(number);
  }
  void AtEnd() override {}
};

// The pool is closed while others come, take, wait and release.
struct CloseRacesNewcomers : PoolScenario {
  CloseRacesNewcomers() : PoolScenario({}) {}
  void Thread(uint32_t number) override {
    if (number == 0) return pool_.Close();
    const End end = pool_.Borrow(0);
    RL_ASSERT(end == End::kTaken || end == End::kClosed);
  }
  void AtEnd() override { pool_.CheckQuiet(); }
};

// The keeper

// It closes an idle resource and opens it again, while others take the slot or wait for it.
struct KeeperReserves : PoolScenario {
  KeeperReserves() : PoolScenario({}) {}
  void Thread(uint32_t number) override {
    if (number == 0) {
      pool_.CloseIdle(0);
      return pool_.Refill(0);
    }
    RL_ASSERT(pool_.Borrow(0) == End::kTaken);
  }
};

// It marks a leased slot's resource as too old: the holder has to see that when it releases.
struct KeeperExpires : PoolScenario {
  static constexpr int kThreads = 2;

  KeeperExpires() : PoolScenario({}) {
    opened_at_ = pool_.slot(0).opened_at.load(std::memory_order_relaxed);
    pool_.Hold(0);
  }
  void Thread(uint32_t number) override {
    if (number == 1) return pool_.Release(0);
    was_leased_ = pool_.Expire(0, opened_at_) == SlotState::kLeased;
  }
  void AtEnd() override {
    const bool closed = pool_.slot(0).resource == nullptr;
    RL_ASSERT(closed == was_leased_);
    PoolScenario::AtEnd();
  }

 private:
  int64_t opened_at_;
  bool was_leased_ = false;
};

// Suspending and resuming

// What comes back meanwhile is kept back, and served to who waited for it.
struct SuspendRacesRelease : PoolScenario {
  SuspendRacesRelease() : PoolScenario({}) { pool_.Hold(0); }
  void Thread(uint32_t number) override {
    if (number == 0) return pool_.Suspend();
    if (number == 1) return pool_.Release(0);
    const End end = pool_.Borrow(0, PoolModel::kSomeDeadline);
    RL_ASSERT(end == End::kTaken || end == End::kTimedOut);
  }
  void AtEnd() override {
    pool_.CheckQuiet();
    pool_.Resume();
    PoolScenario::AtEnd();
  }
};

// Once all is seen to be in nothing is lent any more, though a release was under way.
struct SuspendedAndAllIn : PoolScenario {
  SuspendedAndAllIn() : PoolScenario({.watched = true}) { pool_.Hold(0); }
  void Thread(uint32_t number) override {
    if (number == 1) return pool_.Release(0);
    if (number == 2) {
      const End end = pool_.Borrow(0, PoolModel::kSomeDeadline);
      RL_ASSERT(end == End::kTaken || end == End::kTimedOut);
      return;
    }
    pool_.Suspend();
    pool_.LookWhetherAllAreIn();
  }
  void AtEnd() override {
    pool_.Resume();
    PoolScenario::AtEnd();
  }
};

// A waiter sleeps through it and is served afterwards.
struct SuspendResumeRacesWaiter : PoolScenario {
  SuspendResumeRacesWaiter() : PoolScenario({}) { pool_.Hold(0); }
  void Thread(uint32_t number) override {
    if (number == 1) return pool_.Release(0);
    if (number == 2) {
      RL_ASSERT(pool_.WaitAndRelease(0) == End::kTaken);
      return;
    }
    pool_.Suspend();
    pool_.LookWhetherAllAreIn();
    pool_.Resume();
  }
};

// The pool is closed while another thread suspends and resumes it.
struct CloseRacesSuspended : PoolScenario {
  CloseRacesSuspended() : PoolScenario({.gate_changes = true}) {}
  void Thread(uint32_t number) override {
    if (number == 0) {
      pool_.Suspend();
      return pool_.Resume();
    }
    if (number == 1) return pool_.Close();
    const End end = pool_.Borrow(0);
    RL_ASSERT(end == End::kTaken || end == End::kClosed);
  }
  void AtEnd() override { pool_.CheckQuiet(); }
};

// Resizing. At the end the pool is closed: the slots in use have been counted right.

// Two wait for the only slot, which does not come back; there will be another.
struct ResizeGrowsForWaiter : PoolScenario {
  ResizeGrowsForWaiter() : PoolScenario({.more_slots = 1}) { pool_.Hold(0); }
  void Thread(uint32_t number) override {
    if (number == 0) return pool_.Resize(2);
    RL_ASSERT(pool_.WaitAndRelease(0) == End::kTaken);
  }
  void AtEnd() override {
    pool_.Release(0);
    pool_.CheckAllAvailable(2);
    pool_.Close();
  }
};

// One of two slots goes while both are released and somebody waits.
struct ResizeShrinkRacesRelease : PoolScenario {
  ResizeShrinkRacesRelease() : PoolScenario({.slots = 2}) {
    pool_.Hold(0);
    pool_.Hold(1);
  }
  void Thread(uint32_t number) override {
    if (number == 0) return pool_.Resize(1);
    if (number == 1) {
      pool_.Release(1);
      return pool_.Release(0);
    }
    RL_ASSERT(pool_.WaitAndRelease(1) == End::kTaken);
  }
  void AtEnd() override {
    pool_.CheckAllAvailable(1);
    pool_.Close();
  }
};

// It goes and comes again while it is released, and must not be lost between the two.
struct ShrinkThenGrow : PoolScenario {
  ShrinkThenGrow() : PoolScenario({.slots = 2}) { pool_.Hold(1); }
  void Thread(uint32_t number) override {
    if (number == 1) return pool_.Release(1);
    if (number == 2) {
      RL_ASSERT(pool_.Borrow(1) == End::kTaken);
      return;
    }
    pool_.Resize(1);
    pool_.Resize(2);
  }
  void AtEnd() override {
    pool_.CheckAllAvailable(2);
    pool_.Close();
  }
};

// Opening

// Both slots are empty and one resource may be opened at a time; the first open fails.
struct PermitRacesWaiter : PoolScenario {
  PermitRacesWaiter() : PoolScenario({.slots = 2, .opens = 1, .open = false, .failing_opens = 1}) {}
  void Thread(uint32_t number) override {
    const End end = pool_.Borrow(number % 2);
    RL_ASSERT(end == End::kTaken || end == PoolModel::kOpenFailed);
  }
};

// The same, and who opens keeps the slot: only the permit can bring the next to the other slot.
struct PermitIsPassedOn : PoolScenario {
  PermitIsPassedOn() : PoolScenario({.slots = 3, .opens = 1, .open = false}) {}
  void Thread(uint32_t number) override {
    const PoolModel::Result result = pool_.Acquire(number);
    RL_ASSERT(result.end == End::kTaken);
    kept_[number] = result.slot;
  }
  void AtEnd() override {
    for (const uint32_t slot : kept_) pool_.Release(slot);
    PoolScenario::AtEnd();
  }

 private:
  std::array<uint32_t, 3> kept_{};
};

// Who opens breaks it: an empty slot comes back from one who has no permit any more.
struct LeasesBreak : PoolScenario {
  static constexpr int kThreads = 2;

  LeasesBreak() : PoolScenario({.opens = 1, .clock = ClockSteps::kLarge, .open = false}) {}
  void Thread(uint32_t number) override {
    const PoolModel::Result result = number == 0 ? pool_.Acquire(0) : pool_.Wait(0);
    RL_ASSERT(result.end == End::kTaken);
    pool_.Release(result.slot, /*broken=*/true);
  }
};

// Two slots come back, one of them empty, and a waiter may get both: the second it gives back, with
// the permit. Another wants it.
struct TwoComeBackOneBroken : OneReleasesForTwo {
  TwoComeBackOneBroken() : OneReleasesForTwo(/*opens=*/1) {}
  void Thread(uint32_t number) override {
    if (number == 1) return pool_.Release(1, /*broken=*/true);
    if (number == 0) pool_.Release(0);
    Keep(number);
  }
};

// The keeper refills a slot while somebody comes for it and somebody waits.
struct KeeperRefills : PoolScenario {
  KeeperRefills() : PoolScenario({.slots = 2, .opens = 1, .open = false}) {}
  void Thread(uint32_t number) override {
    if (number == 0) {
      pool_.Refill(0);
      return pool_.Refill(1);
    }
    RL_ASSERT(pool_.Borrow(number % 2) == End::kTaken);
  }
};

// Waiting without a thread

// A listener among threads is granted the slot, and gives it back on the granter's thread.
struct ListenerIsGranted : PoolScenario {
  ListenerIsGranted() : PoolScenario({}) { pool_.Hold(0); }
  void Thread(uint32_t number) override {
    if (number == 0) return pool_.Release(0);
    if (number == 1) return async_.Start(0);
    RL_ASSERT(pool_.Borrow(0) == End::kTaken);
  }
  void AtEnd() override {
    RL_ASSERT(async_.end() == End::kTaken);
    PoolScenario::AtEnd();
  }

 private:
  AsyncAcquire async_{&pool_, /*keeps=*/false};
};

// It is called off at the moment it is granted the slot: one or the other. Somebody stands behind.
struct ListenerCancelRacesGrant : PoolScenario {
  ListenerCancelRacesGrant() : PoolScenario({}) {
    pool_.Hold(0);
    async_.Start(0);
  }
  void Thread(uint32_t number) override {
    if (number == 0) return pool_.Release(0);
    if (number == 1) return async_.Abort();
    RL_ASSERT(pool_.WaitAndRelease(0) == End::kTaken);
  }
  void AtEnd() override {
    RL_ASSERT(async_.end() == End::kTaken || async_.end() == End::kTimedOut);
    PoolScenario::AtEnd();
  }

 private:
  AsyncAcquire async_{&pool_, /*keeps=*/false};
};

// Its time is over long after it has ended, when its place in the ring may be another's.
struct LateAbort : PoolScenario {
  LateAbort() : PoolScenario({.waiters = 2}) {
    pool_.Hold(0);
    first_.Start(0);
  }
  void Thread(uint32_t number) override {
    if (number == 0) return pool_.Release(0);
    if (number == 1) return first_.Abort();
    for (AsyncAcquire& later : later_) later.Start(0);
  }
  void AtEnd() override {
    RL_ASSERT(first_.end() == End::kTaken || first_.end() == End::kTimedOut);
    for (const AsyncAcquire& later : later_) {
      RL_ASSERT(later.end() == End::kTaken || later.end() == End::kLineFull ||
                later.end() == End::kPlacesUsed);
    }
    PoolScenario::AtEnd();
  }

 private:
  AsyncAcquire first_{&pool_, /*keeps=*/false};
  std::array<AsyncAcquire, 2> later_{AsyncAcquire{&pool_, false}, AsyncAcquire{&pool_, false}};
};

// Its time is over while it is being set up, and nothing comes back that would end it otherwise.
struct AbortRacesStart : PoolScenario {
  static constexpr int kThreads = 2;

  AbortRacesStart() : PoolScenario({}) { pool_.Hold(0); }
  void Thread(uint32_t number) override {
    if (number == 0) return async_.Start(0, PoolModel::kSomeDeadline);
    async_.Expire();
  }
  void AtEnd() override {
    async_.Expire();  // if it had no deadline yet
    RL_ASSERT(async_.end() == End::kTimedOut);
    pool_.Release(0);
    PoolScenario::AtEnd();
  }

 protected:
  AsyncAcquire async_{&pool_, /*keeps=*/false};
};

// The same, and the slot comes back, and is wanted again.
struct AbortRacesStartAndGrant : AbortRacesStart {
  static constexpr int kThreads = 3;

  void Thread(uint32_t number) override {
    if (number != 2) return AbortRacesStart::Thread(number);
    pool_.Release(0);
    RL_ASSERT(pool_.Borrow(0) == End::kTaken);
  }
  void AtEnd() override {
    async_.Expire();
    RL_ASSERT(async_.end() == End::kTaken || async_.end() == End::kTimedOut);
    PoolScenario::AtEnd();
  }
};

// Two slots come back while a thread is being woken and a listener stands behind or before it. Both
// keep what they get.
struct ListenerBehindWoken : PoolScenario {
  ListenerBehindWoken() : PoolScenario({.slots = 2, .clock = ClockSteps::kSmall}) {
    pool_.Hold(0);
    pool_.Hold(1);
  }
  void Thread(uint32_t number) override {
    if (number == 2) return async_.Start(0);
    if (number == 1) {
      kept_ = pool_.Wait(0);
      RL_ASSERT(kept_.end == End::kTaken);
      return;
    }
    pool_.Release(0);
    pool_.Release(1);
  }
  void AtEnd() override {
    RL_ASSERT(async_.end() == End::kTaken);
    async_.ReleaseKept();
    pool_.Release(kept_.slot);
    PoolScenario::AtEnd();
  }

 private:
  AsyncAcquire async_{&pool_, /*keeps=*/true};
  PoolModel::Result kept_{};
};

// The pool is closed while a listener enters the line.
struct CloseRacesListener : PoolScenario {
  CloseRacesListener() : PoolScenario({}) { pool_.Hold(0); }
  void Thread(uint32_t number) override {
    if (number == 0) return pool_.Close();
    if (number == 1) return pool_.Release(0);
    async_.Start(0);
  }
  void AtEnd() override {
    RL_ASSERT(async_.end() == End::kTaken || async_.end() == End::kClosed);
    pool_.CheckQuiet();
  }

 private:
  AsyncAcquire async_{&pool_, /*keeps=*/false};
};

// Stopping

// Pool::Wait and a stop token: what it does is done at once if the stop was requested before, else
// by who requests it; and not after the wait is over.
class Stop {
 public:
  explicit Stop(PoolModel* pool) : pool_(*pool) {}

  const RelacyAtomic<bool>* flag() const { return &stopped_; }

  void Register(PoolModel::Ticket ticket) {
    const ModelMutex::Lock lock(&mutex_);
    ticket_ = ticket;
    if (requested_) Call();
  }
  void Unregister() {
    const ModelMutex::Lock lock(&mutex_);
    ticket_.reset();
  }
  void Request() {
    const ModelMutex::Lock lock(&mutex_);
    requested_ = true;
    if (ticket_.has_value()) Call();
  }

 private:
  void Call() {
    stopped_.store(true, std::memory_order_seq_cst);
    pool_.handoff().Interrupt(*ticket_);
  }

  PoolModel& pool_;
  RelacyAtomic<bool> stopped_{false};
  ModelMutex mutex_;
  std::optional<PoolModel::Ticket> ticket_;
  bool requested_ = false;
};

// A waiter is stopped while a slot is on its way to it.
struct InterruptRacesGrant : PoolScenario {
  InterruptRacesGrant() : PoolScenario({}) { pool_.Hold(0); }
  void Thread(uint32_t number) override {
    if (number == 1) return stop_.Request();
    if (number == 2) return WaitUntilStopped();
    pool_.Release(0);
    RL_ASSERT(pool_.Borrow(0) == End::kTaken);
  }

 protected:
  void WaitUntilStopped() {
    const PoolModel::Result result =
        pool_.Wait({.start = 0, .interrupted = stop_.flag()},
                   [this](PoolModel::Ticket ticket) { stop_.Register(ticket); });
    stop_.Unregister();
    RL_ASSERT(result.end == End::kTaken || result.end == End::kStopped);
    if (result.end == End::kTaken) pool_.Release(result.slot);
  }

  Stop stop_{&pool_};
};

// Nothing is on its way: the stop alone has to end the wait.
struct InterruptAlone : InterruptRacesGrant {
  static constexpr int kThreads = 2;

  void Thread(uint32_t number) override {
    if (number == 0) return stop_.Request();
    WaitUntilStopped();
  }
  void AtEnd() override {
    pool_.Release(0);
    PoolScenario::AtEnd();
  }
};

// Waiting for each other

// Each of two threads has one of the two slots and asks for the other's.
struct DeadlockIsFoundByTheLast : PoolScenario {
  static constexpr int kThreads = 2;

  DeadlockIsFoundByTheLast() : PoolScenario({.slots = 2}) {
    pool_.Hold(0, 1);
    pool_.Hold(1, 2);
  }
  void Thread(uint32_t number) override {
    const End end = pool_.Borrow({.start = 1 - number, .thread = number + 1});
    RL_ASSERT(end == End::kTaken || end == End::kDeadlock);
    found_ = found_ || end == End::kDeadlock;
    pool_.Release(number);
  }
  void AtEnd() override {
    RL_ASSERT(found_);
    PoolScenario::AtEnd();
  }

 private:
  bool found_ = false;
};

// Nobody who asks has a slot already.
struct NoDeadlockWithOneEach : PoolScenario {
  NoDeadlockWithOneEach() : PoolScenario({}) {}
  void Thread(uint32_t number) override {
    RL_ASSERT(pool_.Borrow({.start = 0, .thread = number + 1}) == End::kTaken);
    RL_ASSERT(pool_.Borrow({.start = 0, .thread = number + 1}) == End::kTaken);
  }
};

// One thread has a slot and asks for another. The second has given up what it had when it asks; the
// third has one and does not ask.
struct NoDeadlockWithOneThatReturns : PoolScenario {
  NoDeadlockWithOneThatReturns() : PoolScenario({.slots = 2}) {
    pool_.Hold(0, 1);
    pool_.Hold(1, 2);
  }
  void Thread(uint32_t number) override {
    if (number == 1) pool_.Release(1);
    RL_ASSERT(pool_.Borrow({.start = 1, .thread = number + 1}) == End::kTaken);
  }
  void AtEnd() override {
    pool_.Release(0);
    PoolScenario::AtEnd();
  }
};

// One thread has a slot and asks for the other. That comes back while the pool is made smaller, or
// after: whoever asked is left to wait for itself.
struct ShrinkClosesCircle : PoolScenario {
  ShrinkClosesCircle() : PoolScenario({.slots = 2}) {
    pool_.Hold(0, 1);
    pool_.Hold(1, 2);
  }
  void Thread(uint32_t number) override {
    if (number == 1) return pool_.Release(1);
    if (number == 2) return pool_.Resize(1);
    const End end = pool_.Borrow({.start = 1, .thread = 1});
    RL_ASSERT(end == End::kTaken || end == End::kDeadlock);
  }
  void AtEnd() override {
    pool_.Release(0);
    pool_.CheckAllAvailable(1);
    pool_.Close();
  }
};

// First in, first out

// Slots are handed over in the order of tickets when nobody is patient, and nobody comes in
// between.
struct OldWaitersInOrder : PoolScenario {
  OldWaitersInOrder() : PoolScenario({.clock = ClockSteps::kLarge}) {
    pool_.Hold(0);
    pool_.slot(0).word.Want();
  }
  void Thread(uint32_t number) override {
    if (number != 0) return Stand();
    due_ = standing_;  // whoever has a ticket now
    pool_.Release(0);
    const PoolModel::Result result = pool_.Acquire(0);  // as one who comes by
    RL_ASSERT(result.end == End::kTaken && due_.none());
    pool_.Release(0);
  }
  void AtEnd() override {
    RL_ASSERT(due_.none());
    PoolScenario::AtEnd();
  }

 private:
  static constexpr size_t kTickets = 8;

  void Stand() {
    PoolModel::Ticket mine = 0;
    const PoolModel::Result result = pool_.Wait({.start = 0}, [&](PoolModel::Ticket ticket) {
      mine = ticket;
      standing_.set(ticket);
    });
    RL_ASSERT(result.end == End::kTaken);
    for (PoolModel::Ticket older = 0; older < mine; ++older) RL_ASSERT(!due_.test(older));
    due_.reset(mine);
    pool_.Release(0);
  }

  std::bitset<kTickets> standing_;
  std::bitset<kTickets> due_;
};

template <typename Type>
ScenarioEntry Entry(const char* name, std::optional<unsigned> bound = kContextBound) {
  return {name, Type::kThreads, [] { return std::unique_ptr<Scenario>(std::make_unique<Type>()); },
          bound};
}

#define VOUCH_NAME_OF(type) #type
#define VOUCH_ENTRY(type) Entry<type>(VOUCH_NAME_OF(type))

}  // namespace

// Searches that are not tried to their end with two preemptions: executions and seconds of the
// greatest bound that is, on a loaded core, and where the search with more was cut.
//
//   LeaverPassesTheWake           0:       184   0.0   1 cut at 2,000,000 (103 s)
//   TimeOutRacesGrant             0:       249   0.0   1 cut at 2,000,000 (94 s)
//   TicketsComeAround             not even 0: 3,915,824 executions take 163 s
//   SuspendRacesRelease           0:        17   0.0   1 cut at 6,000,000 (91 s)
//   SuspendedAndAllIn             0:        17   0.0   1 cut at 3,000,000 (46 s)
//   PermitRacesWaiter             1:    52,874   4.2   2 cut at 1,000,000 (129 s)
//   KeeperRefills                 1:     7,276   0.4   2 cut at 1,000,000 (67 s)
//   NoDeadlockWithOneThatReturns  1:   194,503   9.7   2 cut at 1,000,000 (304 s)
//   NoDeadlockWithOneEach         0:         6   0.0   1 takes 102 s (2,002,218)

// All of them, or the one that a program with a defect is made for: that takes half as long to
// compile. CMakeLists.txt reads the names from these lines.
const std::vector<ScenarioEntry>& AllScenarios() {
  static const std::vector<ScenarioEntry> scenarios = {
#ifdef VOUCH_RELACY_ONLY
      VOUCH_ENTRY(VOUCH_RELACY_ONLY),
#else
      Entry<TwoThreadsOneSlot>("TwoThreadsOneSlot"),
      Entry<ThreeThreadsOneSlot>("ThreeThreadsOneSlot"),
      Entry<ThreeThreadsTwoSlots>("ThreeThreadsTwoSlots"),
      Entry<EmptySlots>("EmptySlots"),
      Entry<HandOff>("HandOff"),
      Entry<OldMark>("OldMark"),
      Entry<WakeAndCompete>("WakeAndCompete"),
      Entry<WakeAndCompeteInLine>("WakeAndCompeteInLine"),
      Entry<OneReleasesForTwo>("OneReleasesForTwo"),
      Entry<TwoReleaseForTwo>("TwoReleaseForTwo"),
      Entry<LeaverPassesTheWake>("LeaverPassesTheWake", /*bound=*/0),
      Entry<TimeOutRacesGrant>("TimeOutRacesGrant", /*bound=*/0),
      Entry<FullLine>("FullLine"),
      Entry<TicketsComeAround>("TicketsComeAround", /*bound=*/std::nullopt),
      Entry<CloseRacesWaiter>("CloseRacesWaiter"),
      Entry<CloseRacesReleases>("CloseRacesReleases"),
      Entry<CloseRacesNewcomers>("CloseRacesNewcomers"),
      Entry<KeeperReserves>("KeeperReserves"),
      Entry<KeeperExpires>("KeeperExpires"),
      Entry<SuspendRacesRelease>("SuspendRacesRelease", /*bound=*/0),
      Entry<SuspendedAndAllIn>("SuspendedAndAllIn", /*bound=*/0),
      Entry<SuspendResumeRacesWaiter>("SuspendResumeRacesWaiter"),
      Entry<CloseRacesSuspended>("CloseRacesSuspended"),
      Entry<ResizeGrowsForWaiter>("ResizeGrowsForWaiter"),
      Entry<ResizeShrinkRacesRelease>("ResizeShrinkRacesRelease"),
      Entry<ShrinkThenGrow>("ShrinkThenGrow"),
      Entry<PermitRacesWaiter>("PermitRacesWaiter", /*bound=*/1),
      Entry<PermitIsPassedOn>("PermitIsPassedOn"),
      Entry<LeasesBreak>("LeasesBreak"),
      Entry<TwoComeBackOneBroken>("TwoComeBackOneBroken"),
      Entry<KeeperRefills>("KeeperRefills", /*bound=*/1),
      Entry<ListenerIsGranted>("ListenerIsGranted"),
      Entry<ListenerCancelRacesGrant>("ListenerCancelRacesGrant"),
      Entry<LateAbort>("LateAbort"),
      Entry<AbortRacesStart>("AbortRacesStart"),
      Entry<AbortRacesStartAndGrant>("AbortRacesStartAndGrant"),
      Entry<ListenerBehindWoken>("ListenerBehindWoken"),
      Entry<CloseRacesListener>("CloseRacesListener"),
      Entry<InterruptRacesGrant>("InterruptRacesGrant"),
      Entry<InterruptAlone>("InterruptAlone"),
      Entry<DeadlockIsFoundByTheLast>("DeadlockIsFoundByTheLast"),
      Entry<NoDeadlockWithOneEach>("NoDeadlockWithOneEach", /*bound=*/0),
      Entry<NoDeadlockWithOneThatReturns>("NoDeadlockWithOneThatReturns", /*bound=*/1),
      Entry<ShrinkClosesCircle>("ShrinkClosesCircle"),
      Entry<OldWaitersInOrder>("OldWaitersInOrder"),
#endif
  };
  return scenarios;
}

}  // namespace vouch::pool::pool_internal
