#include "pool/internal/slot.h"

#include "gtest/gtest.h"
#include "pool/internal/platform.h"

namespace vouch::pool::pool_internal {
namespace {

using Word = SlotWord<SystemPlatform>;

static_assert(sizeof(Slot<int, SystemPlatform>) == 64);
static_assert(alignof(Slot<int, SystemPlatform>) == 64);

Word& Idle(Word& word) {
  word.TryTake(SlotState::kEmpty);
  word.TryPutBack(SlotState::kIdle);
  return word;
}

TEST(SlotWordTest, BeginsEmpty) {
  Word word;
  EXPECT_EQ(word.Peek(), SlotState::kEmpty);
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

TEST(SlotWordTest, RetiredIsTheEnd) {
  Word word;
  ASSERT_TRUE(word.TryTake(SlotState::kEmpty));
  word.Retire();
  EXPECT_EQ(word.Want(), SlotState::kRetired);
  EXPECT_FALSE(word.TryLease());
  EXPECT_FALSE(word.TryTake(SlotState::kIdle));
  EXPECT_FALSE(word.TryTake(SlotState::kEmpty));
}

TEST(SlotTest, NotesWhoLeasedIt) {
  Slot<int, SystemPlatform> slot;
  EXPECT_EQ(slot.AvailableState(), SlotState::kEmpty);
  slot.resource = std::make_unique<int>(1);
  EXPECT_EQ(slot.AvailableState(), SlotState::kIdle);
  slot.NoteLease({"a.cc", 5});
  slot.NoteLease({"b.cc", 6});
  EXPECT_EQ(slot.uses.load(), 2u);
  EXPECT_STREQ(slot.holder_file.load(), "b.cc");
  EXPECT_EQ(slot.holder_line.load(), 6);
}

}  // namespace
}  // namespace vouch::pool::pool_internal
