#include "pool/internal/slots.h"

#include "gtest/gtest.h"
#include "pool/internal/platform.h"

namespace vouch::pool::pool_internal {
namespace {

using AnySlots = Slots<int, SystemPlatform>;

void Fill(AnySlots& slots, uint32_t index) {
  ASSERT_TRUE(slots[index].word.TryTake(SlotState::kEmpty));
  slots[index].resource = std::make_unique<int>(0);
  ASSERT_TRUE(slots[index].word.TryPutBack(SlotState::kIdle));
}

TEST(SlotsTest, TakesFromTheStartOnAndAround) {
  AnySlots slots(3);
  EXPECT_EQ(slots.TryTake(1), 1u);
  EXPECT_EQ(slots.TryTake(1), 2u);
  EXPECT_EQ(slots.TryTake(1), 0u);
  EXPECT_EQ(slots.TryTake(1), AnySlots::kNone);
}

TEST(SlotsTest, PrefersIdleToEmpty) {
  AnySlots slots(4);
  Fill(slots, 3);
  EXPECT_EQ(slots.TryTake(0), 3u);
  EXPECT_EQ(slots.TryTake(0), 0u);
}

TEST(SlotsTest, KnowsWhetherAnyIsAvailable) {
  AnySlots slots(2);
  EXPECT_TRUE(slots.AnyAvailable());
  slots.TryTake(0);
  EXPECT_TRUE(slots.AnyAvailable());
  slots.TryTake(0);
  EXPECT_FALSE(slots.AnyAvailable());
  slots[1].word.PutBackWanted(SlotState::kEmpty);
  EXPECT_TRUE(slots.AnyAvailable());
}

TEST(SlotsTest, WantAllMarksEverySlot) {
  AnySlots slots(5);
  slots.WantAll();
  for (uint32_t i = 0; i < slots.size(); ++i) EXPECT_TRUE(slots[i].word.wanted());
  EXPECT_EQ(slots.IndexOf(slots[4]), 4u);
}

}  // namespace
}  // namespace vouch::pool::pool_internal
