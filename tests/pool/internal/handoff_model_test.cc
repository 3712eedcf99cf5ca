// Property: a few threads that take and put back slots all finish, in every interleaving: no
// wake-up is lost, no slot is lost or held twice, whoever gives up, and when the pool is closed
// nobody is left. Method: random interleavings of single atomic operations (model_platform.h), some
// thousands a scenario; the seed of the first wrong one is printed. Failure looks like "stuck", a
// slot with two holders, or a slot missing at the end.

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "pool/internal/handoff.h"
#include "tests/pool/internal/model_platform.h"

#if defined(__SANITIZE_THREAD__)
#define VOUCH_TEST_FIBERS 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define VOUCH_TEST_FIBERS 0
#endif
#endif
#ifndef VOUCH_TEST_FIBERS
#define VOUCH_TEST_FIBERS 1
#endif

namespace vouch::pool::pool_internal {
namespace {

using ModelHandoff = Handoff<int, ModelPlatform>;
using End = ModelHandoff::End;

constexpr int64_t kSomeDeadline = 1;

struct Scenario {
  uint32_t slots;
  int threads;
  int rounds;
  int hurried = 0;        // so many of the threads wait with a deadline
  bool fast = false;      // take the fast way first, where others may barge in
  bool close = false;     // another thread closes the pool at some moment
  uint64_t places = 16;   // at least as many as acquires: who gave up keeps its place for a while
  bool resources = true;  // else every slot is empty all the time
  uint32_t opens = 8;     // permits
  bool suspend = false;   // another thread suspends and resumes the pool now and then,
  bool resize = false;    // or gives it other sizes, up to `slots`
};

// One run: the threads, and what must hold.
class Runner {
 public:
  Runner(const Scenario& scenario, uint64_t seed)
      : scenario_(scenario),
        model_(seed),
        handoff_({.capacity = scenario.slots,
                  .reserve = scenario.slots,
                  .max_waiters = scenario.places,
                  .max_opens = scenario.opens},
                 [](ModelHandoff::SlotType& slot, bool) { slot.resource.reset(); }) {
    for (uint32_t i = 0; i < scenario.slots && scenario.resources; ++i) {
      auto& slot = handoff_.slots()[i];
      slot.word.TryTake(SlotState::kEmpty);
      slot.resource = std::make_unique<int>(0);
      slot.word.PutBack(SlotState::kIdle);
    }
  }

  // Empty if all is well.
  std::string Run() {
    for (int t = 0; t < scenario_.threads; ++t) {
      model_.Spawn([this, t] { Worker(t); });
    }
    if (scenario_.close || scenario_.suspend || scenario_.resize) {
      model_.Spawn([this] { Gatekeeper(); });
    }
    if (!model_.Run()) return "stuck: a wake-up was lost";
    if (!error_.empty()) return error_;
    return CheckEnd();
  }

 private:
  void Worker(int number) {
    for (int round = 0; round < scenario_.rounds; ++round) {
      const ModelHandoff::Result result = Acquire(number);
      if (result.end != End::kTaken) {
        const bool expected = (result.end == End::kTimedOut && number < scenario_.hurried) ||
                              (result.end == End::kClosed && scenario_.close) ||
                              ((result.end == End::kLineFull || result.end == End::kPlacesUsed) &&
                               scenario_.places < static_cast<uint64_t>(scenario_.threads));
        if (!expected) error_ = "an acquire ended in a way it must not";
        continue;
      }
      if (++holders_[result.slot] != 1) error_ = "a slot has two holders";
      Model::Current().Yield();
      --holders_[result.slot];
      PutBack(result.slot);
    }
  }

  // An empty slot was taken with a permit, to open a resource, which failed.
  void PutBack(uint32_t slot) {
    if (handoff_.slots()[slot].resource != nullptr) return handoff_.Put(slot);
    const ModelHandoff::Visit visit(&handoff_);
    handoff_.PutOpened(slot);
  }

  ModelHandoff::Result Acquire(int number) {
    const uint32_t start = static_cast<uint32_t>(number) % scenario_.slots;
    if (scenario_.fast && handoff_.slots()[start].word.TryLease()) return {End::kTaken, start};
    const uint32_t slot = handoff_.TryTake(start);
    if (slot != ModelHandoff::kNone) return {End::kTaken, slot};
    const ModelHandoff::Visit visit(&handoff_);
    return handoff_.Wait(
        {.start = start, .deadline_ns = number < scenario_.hurried ? kSomeDeadline : kForever});
  }

  // Changes the gate now and then; leaves it as it was at first, or closed.
  void Gatekeeper() {
    const bool changes = scenario_.suspend || scenario_.resize;
    for (int i = changes ? 4 : 0; i > 0; --i) {
      YieldUpTo(20);
      ChangeGate();
    }
    YieldUpTo(40);
    if (scenario_.close) return Close();
    handoff_.Resize(scenario_.slots);
    handoff_.Resume();
  }

  void ChangeGate() {
    test::Random& random = model_.random();
    if (scenario_.resize && (!scenario_.suspend || random.OneIn(2))) {
      return handoff_.Resize(random.Uniform<uint32_t>(1, scenario_.slots));
    }
    random.OneIn(2) ? handoff_.Suspend() : handoff_.Resume();
  }

  void Close() {
    handoff_.Close();
    if (!handoff_.AwaitRetired(kForever)) error_ = "a wait without a deadline timed out";
    handoff_.AwaitVisitors();
  }

  void YieldUpTo(uint64_t most) {
    for (uint64_t i = model_.random().Uniform<uint64_t>(0, most); i > 0; --i) model_.Yield();
  }

  std::string CheckEnd() {
    for (uint32_t i = 0; i < scenario_.slots; ++i) {
      const auto& slot = handoff_.slots()[i];
      if (!scenario_.resize && !scenario_.close && scenario_.resources && !slot.resource) {
        return "a resource was lost";
      }
      const SlotState expected = scenario_.close ? SlotState::kRetired : slot.AvailableState();
      if (slot.word.Peek() != expected) return "a slot was lost";
    }
    if (handoff_.waiting() != 0) return "somebody is still counted as waiting";
    // Nobody is left in the line, and every place is usable: fill it and empty it.
    return CheckPlaces();
  }

  std::string CheckPlaces() {
    if (scenario_.close) return "";
    for (int i = 0; i < 2; ++i) {
      const ModelHandoff::Visit visit(&handoff_);
      const ModelHandoff::Result result = handoff_.Wait({});
      if (result.end != End::kTaken) return "the line does not work any more";
      PutBack(result.slot);
    }
    return "";
  }

  const Scenario scenario_;
  Model model_;
  ModelHandoff handoff_;
  std::array<int, 8> holders_{};
  std::string error_;
};

void Explore(const Scenario& scenario, int runs) {
#if VOUCH_TEST_FIBERS
  test::Random random;
  for (int i = 0; i < runs; ++i) {
    const uint64_t seed = random.Next();
    const std::string error = Runner(scenario, seed).Run();
    ASSERT_EQ(error, "") << "run " << i << " of this seed";
  }
#else
  (void)scenario, (void)runs;
  GTEST_SKIP() << "ThreadSanitizer does not follow fibers";
#endif
}

constexpr int kRuns = 2500;
constexpr int kGateRuns = 1000;

// Two slots come back while two wait, and both must be served though neither of them releases:
// nobody may be left asleep beside an available slot until somebody else happens to release.
TEST(HandoffModelStressTest, TwoReleasesServeTwoWaiters) {
#if VOUCH_TEST_FIBERS
  test::Random random;
  for (int run = 0; run < 2 * kRuns; ++run) {
    Model model(random.Next());
    ModelHandoff handoff({.capacity = 2, .reserve = 2, .max_waiters = 8, .max_opens = 2},
                         [](ModelHandoff::SlotType&, bool) {});
    ASSERT_EQ(handoff.TryTake(0), 0u);
    ASSERT_EQ(handoff.TryTake(0), 1u);
    int holding = 0;
    for (uint32_t slot : {0u, 1u}) {
      model.Spawn([&handoff, slot] {
        const ModelHandoff::Visit visit(&handoff);
        handoff.PutOpened(slot);
      });
    }
    for (int waiter = 0; waiter < 2; ++waiter) {
      model.Spawn([&] {
        const ModelHandoff::Visit visit(&handoff);
        EXPECT_EQ(handoff.Wait({}).end, End::kTaken);
        if (++holding == 2) model.Unpark(&holding);
        while (holding < 2) model.Park(&holding, false);
      });
    }
    ASSERT_TRUE(model.Run()) << "a waiter sleeps beside an available slot, run " << run;
  }
#else
  GTEST_SKIP() << "ThreadSanitizer does not follow fibers";
#endif
}

TEST(HandoffModelStressTest, OneSlotTwoThreads) {
  Explore({.slots = 1, .threads = 2, .rounds = 2}, kRuns);
}

TEST(HandoffModelStressTest, OneSlotThreeThreadsThatBarge) {
  Explore({.slots = 1, .threads = 3, .rounds = 3, .fast = true}, kRuns);
}

TEST(HandoffModelStressTest, TwoSlotsFourThreads) {
  Explore({.slots = 2, .threads = 4, .rounds = 2, .fast = true}, kRuns);
}

TEST(HandoffModelStressTest, TwoSlotsSixThreads) {
  Explore({.slots = 2, .threads = 6, .rounds = 1}, kRuns);
}

TEST(HandoffModelStressTest, SomeGiveUp) {
  Explore({.slots = 1, .threads = 4, .rounds = 2, .hurried = 2, .fast = true}, kRuns);
}

TEST(HandoffModelStressTest, SomeGiveUpOnTwoSlots) {
  Explore({.slots = 2, .threads = 6, .rounds = 2, .hurried = 3}, kRuns);
}

TEST(HandoffModelStressTest, EmptySlots) {
  Explore({.slots = 2, .threads = 5, .rounds = 2, .hurried = 1, .resources = false}, kRuns);
}

TEST(HandoffModelStressTest, EmptySlotsAndOnePermit) {
  Explore({.slots = 3, .threads = 5, .rounds = 2, .hurried = 2, .resources = false, .opens = 1},
          kRuns);
}

TEST(HandoffModelStressTest, Closing) {
  Explore({.slots = 2, .threads = 4, .rounds = 2, .fast = true, .close = true}, kRuns);
}

TEST(HandoffModelStressTest, ClosingWhileSomeGiveUp) {
  Explore({.slots = 1, .threads = 4, .rounds = 2, .hurried = 2, .close = true}, kRuns);
}

TEST(HandoffModelStressTest, Suspending) {
  Explore({.slots = 2, .threads = 4, .rounds = 2, .fast = true, .suspend = true}, kGateRuns);
}

TEST(HandoffModelStressTest, SuspendingWhileSomeGiveUp) {
  Explore({.slots = 1, .threads = 4, .rounds = 2, .hurried = 2, .suspend = true}, kGateRuns);
}

TEST(HandoffModelStressTest, SuspendingEmptySlots) {
  Explore({.slots = 2, .threads = 4, .rounds = 2, .resources = false, .opens = 1, .suspend = true},
          kGateRuns);
}

TEST(HandoffModelStressTest, Resizing) {
  Explore({.slots = 3, .threads = 4, .rounds = 2, .fast = true, .resize = true}, kGateRuns);
}

TEST(HandoffModelStressTest, ResizingWithOnePermitWhileSomeGiveUp) {
  Explore({.slots = 3, .threads = 5, .rounds = 2, .hurried = 2, .opens = 1, .resize = true},
          kGateRuns);
}

TEST(HandoffModelStressTest, SuspendingAndResizing) {
  Explore({.slots = 3, .threads = 4, .rounds = 2, .suspend = true, .resize = true}, kGateRuns);
}

TEST(HandoffModelStressTest, SuspendingResizingAndClosing) {
  Explore({.slots = 2,
           .threads = 4,
           .rounds = 2,
           .fast = true,
           .close = true,
           .suspend = true,
           .resize = true},
          kGateRuns);
}

// Threads that each hold a slot and ask for another: one is refused, and by letting go of its slot
// serves the next; all come to an end.
void ExploreCircle(uint32_t threads) {
#if VOUCH_TEST_FIBERS
  test::Random random;
  for (int run = 0; run < kRuns; ++run) {
    Model model(random.Next());
    ModelHandoff handoff(
        {.capacity = threads, .reserve = threads, .max_waiters = 8, .max_opens = threads},
        [](ModelHandoff::SlotType&, bool) {});
    int refused = 0;
    for (uint32_t i = 0; i < threads; ++i) {
      ASSERT_EQ(handoff.TryTake(i), i);
      handoff.slots()[i].NoteLease({}, i + 1);
      model.Spawn([&handoff, &refused, i] {
        const ModelHandoff::Visit visit(&handoff);
        const ModelHandoff::Result result = handoff.Wait({.start = i, .thread = i + 1});
        if (result.end == End::kDeadlock) ++refused;
        if (result.end == End::kTaken) handoff.PutOpened(result.slot);
        handoff.slots()[i].owner.store(0, std::memory_order_relaxed);
        handoff.PutOpened(i);
      });
    }
    ASSERT_TRUE(model.Run()) << "a circle was not noticed, run " << run;
    ASSERT_EQ(refused, 1) << "run " << run;
  }
#else
  (void)threads;
  GTEST_SKIP() << "ThreadSanitizer does not follow fibers";
#endif
}

TEST(HandoffModelStressTest, TwoThatWaitForEachOther) { ExploreCircle(2); }

TEST(HandoffModelStressTest, ThreeThatWaitForEachOther) { ExploreCircle(3); }

TEST(HandoffModelStressTest, AShortLine) {
  Explore({.slots = 1, .threads = 5, .rounds = 3, .hurried = 2, .places = 2}, kRuns);
}

}  // namespace
}  // namespace vouch::pool::pool_internal
