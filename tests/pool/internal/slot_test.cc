#include "pool/internal/slot.h"

#include "gtest/gtest.h"
#include "pool/internal/platform.h"

namespace vouch::pool::pool_internal {
namespace {

using Word = SlotWord<SystemPlatform>;

static_assert(sizeof(Slot<int, SystemPlatform>) == 128);
static_assert(alignof(Slot<int, SystemPlatform>) == 128);

Word& Empty(Word& word) {
  word.TryTake(SlotState::kRetired);
  word.Unwant();
  word.PutBack(SlotState::kEmpty);
  return word;
}

Word& Idle(Word& word) {
  Empty(word).TryTake(SlotState::kEmpty);
  word.TryPutBack(SlotState::kIdle);
  return word;
}

TEST(SlotWordTest, BeginsRetiredAndWanted) {
  const Word word;
  EXPECT_EQ(word.Peek(), SlotState::kRetired);
  EXPECT_TRUE(word.wanted());
}

TEST(SlotWordTest, AnEmptySlotIsNotLeasedTheFastWay) {
  Word word;
  Empty(word);
  EXPECT_FALSE(word.TryLease());
  EXPECT_FALSE(word.TryTake(SlotState::kIdle));
  EXPECT_TRUE(word.TryTake(SlotState::kEmpty));
  EXPECT_EQ(word.Peek(), SlotState::kLeased);
}

TEST(SlotWordTest, IsTakenOnce) {
  Word word;
  EXPECT_TRUE(Idle(word).TryLease());
  EXPECT_FALSE(word.TryLease());
  EXPECT_FALSE(word.TryTake(SlotState::kIdle));
  EXPECT_FALSE(word.TryReserve(SlotState::kIdle));
  EXPECT_TRUE(word.TryPutBack(SlotState::kIdle));
  EXPECT_EQ(word.Peek(), SlotState::kIdle);
}

TEST(SlotWordTest, AWantedSlotIsNotPutBackTheFastWay) {
  Word word;
  ASSERT_TRUE(Idle(word).TryLease());
  EXPECT_EQ(word.Want(), SlotState::kLeased);
  EXPECT_FALSE(word.TryPutBack(SlotState::kIdle));
  EXPECT_EQ(word.Peek(), SlotState::kLeased);
  word.Unwant();
  EXPECT_TRUE(word.TryPutBack(SlotState::kIdle));
}

TEST(SlotWordTest, WantedOutlastsTakersAndReleases) {
  Word word;
  EXPECT_EQ(Idle(word).Want(), SlotState::kIdle);
  EXPECT_FALSE(word.TryLease());  // the fast way is for slots that nobody wants
  ASSERT_TRUE(word.TryTake(SlotState::kIdle));
  EXPECT_TRUE(word.wanted());
  word.PutBackWanted(SlotState::kIdle);
  EXPECT_TRUE(word.wanted());
  EXPECT_EQ(word.Peek(), SlotState::kIdle);
  ASSERT_TRUE(word.TryReserve(SlotState::kIdle));
  EXPECT_EQ(word.Peek(), SlotState::kReserved);
  word.Unreserve();
  EXPECT_EQ(word.Peek(), SlotState::kLeased);
  EXPECT_TRUE(word.wanted());
}

TEST(SlotWordTest, OnlyWhoAsksForItTakesASlotThatWasLaidAside) {
  for (const SlotState state : {SlotState::kRetired, SlotState::kWithheld}) {
    Word word;
    ASSERT_TRUE(Idle(word).TryLease());
    word.Rest(state);
    EXPECT_EQ(word.Want(), state);
    EXPECT_FALSE(word.TryLease());
    EXPECT_FALSE(word.TryTake(SlotState::kIdle));
    EXPECT_FALSE(word.TryTake(SlotState::kEmpty));
    EXPECT_TRUE(word.TryTake(state));
    EXPECT_TRUE(word.wanted());
  }
}

TEST(SlotTest, NotesWhoLeasedIt) {
  Slot<int, SystemPlatform> slot;
  EXPECT_EQ(slot.AvailableState(), SlotState::kEmpty);
  slot.resource = std::make_unique<int>(1);
  EXPECT_EQ(slot.AvailableState(), SlotState::kIdle);
  slot.NoteLease({"a.cc", 5}, 1);
  slot.NoteLease({"b.cc", 6}, 2);
  EXPECT_EQ(slot.uses.load(), 2u);
  EXPECT_STREQ(slot.holder_file.load(), "b.cc");
  EXPECT_EQ(slot.holder_line.load(), 6);
  EXPECT_EQ(slot.owner.load(), 2u);
}

// The next `leases`, of which samples are held for so long: how many of them are samples.
int CountSamples(Slot<int, SystemPlatform>& slot, int leases, int64_t held) {
  int samples = 0;
  for (int i = 0; i < leases; ++i) {
    if (!slot.NoteLease({}, 1)) continue;
    ++samples;
    slot.NoteTime(0, nullptr, true);
    slot.NoteHeld(held);
  }
  return samples;
}

TEST(SlotTest, TimesOneLeaseInSoMany) {
  Slot<int, SystemPlatform> slot;
  EXPECT_FALSE(slot.NoteLease({}, 1));           // never begins the fast way
  EXPECT_EQ(CountSamples(slot, 1, 1000), 1);     // the soonest that can
  EXPECT_EQ(CountSamples(slot, 1022, 1000), 3);  // up to 1024
  EXPECT_EQ(CountSamples(slot, 1024, 999), 1);   // 1026, and then they are short
  EXPECT_EQ(CountSamples(slot, 8192, 999), 4);   // 2050, 4098, …
  EXPECT_EQ(CountSamples(slot, 1024, 1000), 4);  // 10242, and then they are long
}

TEST(SlotTest, ASampleStandsForTheUntimedLeasesAfterIt) {
  using TestSlot = Slot<int, SystemPlatform>;
  TestSlot slot;
  const auto lease = [&](int64_t held, bool timed, bool is_sample) {
    slot.NoteLease({}, 1);
    if (timed) slot.NoteTime(0, nullptr, is_sample);
    slot.owner.store(TestSlot::kNobody);
    if (timed) slot.NoteHeld(held);
  };
  EXPECT_EQ(slot.Uncounted(), 0u);
  lease(10, true, false);
  EXPECT_EQ(slot.Uncounted(), 0u);
  lease(1, false, false);
  EXPECT_EQ(slot.Uncounted(), 1u);
  EXPECT_EQ(slot.typical_ns.load(), 10);  // there is no sample yet
  lease(20, true, true);
  EXPECT_EQ(slot.Uncounted(), 0u);
  EXPECT_EQ(slot.typical_ns.load(), 20);
  lease(1, false, false);
  lease(30, true, false);  // the sample goes on standing for the others
  lease(1, false, false);
  lease(1, false, false);
  EXPECT_EQ(slot.Uncounted(), 2u);
  EXPECT_EQ(slot.typical_ns.load(), 20);
  slot.NoteLease({}, 1);
  EXPECT_EQ(slot.Uncounted(), 2u);  // the present one has not ended
  EXPECT_EQ(slot.UntimedBefore(), 2u);
}

TEST(SlotTest, OnlyThreadsAreThreads) {
  using TestSlot = Slot<int, SystemPlatform>;
  EXPECT_FALSE(TestSlot::IsThread(TestSlot::kNobody));
  EXPECT_FALSE(TestSlot::IsThread(TestSlot::kAnyThread));
  EXPECT_TRUE(TestSlot::IsThread(1));
}

TEST(SlotTest, NotesAreAboutOneLease) {
  Slot<int, SystemPlatform> slot;
  slot.NoteLease({}, 1);
  slot.NoteTime(10, "report", false);
  slot.NoteSeen(20);
  slot.NoteSeen(30);  // the first time counts
  EXPECT_EQ(slot.seen_at.load(), 20);
  EXPECT_EQ(slot.timed_use.load(), slot.uses.load());
  slot.NoteLease({}, 1);
  EXPECT_NE(slot.timed_use.load(), slot.uses.load());
  EXPECT_NE(slot.seen_use.load(), slot.uses.load());
}

}  // namespace
}  // namespace vouch::pool::pool_internal
