// The scenarios: at most three threads over the real Handoff, Slots, SlotWord and WaitQueue. What
// each checks besides: no slot with two holders, no slot lost, no thread left asleep (Relacy's
// deadlock), the resource and the pool's memory free of data races.

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
  explicit PoolScenario(const PoolModel::Options& options) : pool_(options) {}
  void AtEnd() override { pool_.CheckAllAvailable(); }

 protected:
  PoolModel pool_;
};

// Taking and giving back

// Two come twice each for the only slot: every way to get it and to give it back.
struct TwoThreadsOneSlot : PoolScenario {
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
  void Thread(uint32_t number) override { WakeAndCompete::Thread(number == 2 ? 1 : number); }
};

// Two slots come back while two wait, who keep what they get: nobody may be left asleep beside an
// available slot until somebody else happens to release. Here one thread releases both.
struct OneReleasesForTwo : PoolScenario {
  OneReleasesForTwo() : PoolScenario({.slots = 2}) {
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
  FullLine() : PoolScenario({.places = 1}) {}
  void Thread(uint32_t) override {
    for (int round = 0; round < 2; ++round) {
      const End end = pool_.Borrow(0);
      RL_ASSERT(end == End::kTaken || end == End::kLineFull);
    }
  }
};

// Waiters come and go faster than the line moves on.
struct TicketsComeAround : PoolScenario {
  TicketsComeAround() : PoolScenario({.places = 2}) { pool_.Hold(0); }
  void Thread(uint32_t number) override {
    if (number == 0) return pool_.Release(0);
    for (int round = 0; round < 3; ++round) {
      const End end = pool_.WaitAndRelease(0, PoolModel::kSomeDeadline);
      RL_ASSERT(end == End::kTaken || end == End::kTimedOut || end == End::kLineFull);
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
  void AtEnd() override { pool_.CheckAllRetired(); }
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

// Room for more: resizing; suspending and resuming; waiting without a thread.

template <typename Type>
ScenarioEntry Entry(const char* name, int threads) {
  return {name, threads, [] { return std::unique_ptr<Scenario>(std::make_unique<Type>()); }};
}

}  // namespace

// CMakeLists.txt reads the names from these lines.
const std::vector<ScenarioEntry>& AllScenarios() {
  static const std::vector<ScenarioEntry> scenarios = {
      Entry<TwoThreadsOneSlot>("TwoThreadsOneSlot", 2),
      Entry<ThreeThreadsOneSlot>("ThreeThreadsOneSlot", 3),
      Entry<ThreeThreadsTwoSlots>("ThreeThreadsTwoSlots", 3),
      Entry<EmptySlots>("EmptySlots", 3),
      Entry<HandOff>("HandOff", 3),
      Entry<OldMark>("OldMark", 3),
      Entry<WakeAndCompete>("WakeAndCompete", 2),
      Entry<WakeAndCompeteInLine>("WakeAndCompeteInLine", 3),
      Entry<OneReleasesForTwo>("OneReleasesForTwo", 3),
      Entry<TwoReleaseForTwo>("TwoReleaseForTwo", 3),
      Entry<LeaverPassesTheWake>("LeaverPassesTheWake", 3),
      Entry<TimeOutRacesGrant>("TimeOutRacesGrant", 3),
      Entry<FullLine>("FullLine", 3),
      Entry<TicketsComeAround>("TicketsComeAround", 3),
      Entry<CloseRacesWaiter>("CloseRacesWaiter", 3),
      Entry<CloseRacesReleases>("CloseRacesReleases", 3),
      Entry<CloseRacesNewcomers>("CloseRacesNewcomers", 3),
      Entry<KeeperReserves>("KeeperReserves", 3),
      Entry<KeeperExpires>("KeeperExpires", 2),
  };
  return scenarios;
}

}  // namespace vouch::pool::pool_internal
