#include "pool/internal/slots.h"

#include "gtest/gtest.h"
#include "pool/internal/platform.h"

namespace vouch::pool::pool_internal {
namespace {

using AnySlots = Slots<int, SystemPlatform>;

void Become(AnySlots& slots, uint32_t index, SlotState state) {
  ASSERT_TRUE(slots[index].word.TryTake(slots[index].word.Peek()));
  slots[index].word.PutBackWanted(state);
}

TEST(SlotsTest, BeginsRetired) {
  AnySlots slots(3, 3);
  EXPECT_EQ(slots.size(), 3u);
  EXPECT_EQ(slots.TryTake(SlotState::kIdle, 0), AnySlots::kNone);
  EXPECT_EQ(slots.TryTake(SlotState::kEmpty, 0), AnySlots::kNone);
  EXPECT_TRUE(slots.Any(SlotState::kRetired));
}

TEST(SlotsTest, TakesFromTheStartOnAndAround) {
  AnySlots slots(3, 3);
  for (uint32_t i = 0; i < 3; ++i) Become(slots, i, SlotState::kEmpty);
  EXPECT_EQ(slots.TryTake(SlotState::kEmpty, 1), 1u);
  EXPECT_EQ(slots.TryTake(SlotState::kEmpty, 1), 2u);
  EXPECT_EQ(slots.TryTake(SlotState::kEmpty, 1), 0u);
  EXPECT_EQ(slots.TryTake(SlotState::kEmpty, 1), AnySlots::kNone);
}

TEST(SlotsTest, AStartBeyondTheEndIsTheBeginning) {
  AnySlots slots(2, 2);
  Become(slots, 1, SlotState::kIdle);
  EXPECT_EQ(slots.TryTake(SlotState::kIdle, 7), 1u);
}

TEST(SlotsTest, KnowsWhetherAnyIsInAState) {
  AnySlots slots(2, 2);
  EXPECT_FALSE(slots.Any(SlotState::kIdle));
  Become(slots, 1, SlotState::kIdle);
  EXPECT_TRUE(slots.Any(SlotState::kIdle));
  EXPECT_FALSE(slots.Any(SlotState::kEmpty));
}

TEST(SlotsTest, GrowsWithoutMoving) {
  AnySlots slots(1, 100);
  const auto* const first = &slots[0];
  Become(slots, 0, SlotState::kIdle);
  slots.Grow(100);
  EXPECT_EQ(slots.size(), 100u);
  EXPECT_EQ(&slots[0], first);
  EXPECT_EQ(slots[0].word.Peek(), SlotState::kIdle);
  EXPECT_EQ(slots[99].word.Peek(), SlotState::kRetired);
  EXPECT_EQ(slots.IndexOf(slots[99]), 99u);
  slots.Grow(5);  // there are more already
  EXPECT_EQ(slots.size(), 100u);
}

TEST(SlotsTest, WantAllMarksEverySlot) {
  AnySlots slots(5, 5);
  for (uint32_t i = 0; i < slots.size(); ++i) slots[i].word.Unwant();
  slots.WantAll();
  for (uint32_t i = 0; i < slots.size(); ++i) EXPECT_TRUE(slots[i].word.wanted());
}

}  // namespace
}  // namespace vouch::pool::pool_internal
