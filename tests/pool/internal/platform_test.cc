#include "pool/internal/platform.h"

#include <thread>

#include "gtest/gtest.h"

namespace vouch::pool::pool_internal {
namespace {

TEST(SystemPlatformTest, ParkReturnsAtOnceIfTheWordHasChanged) {
  std::atomic<uint32_t> word{1};
  EXPECT_TRUE(SystemPlatform::Park(word, 0, kForever));
}

TEST(SystemPlatformTest, ParkEndsAtItsDeadline) {
  std::atomic<uint32_t> word{0};
  EXPECT_FALSE(SystemPlatform::Park(word, 0, 0));
  EXPECT_FALSE(SystemPlatform::Park(word, 0, -1));
  const int64_t deadline = SystemPlatform::Now() + 1'000'000;
  while (SystemPlatform::Park(word, 0, deadline)) {
  }
  EXPECT_GE(SystemPlatform::Now(), deadline);
}

TEST(SystemPlatformTest, UnparkWakes) {
  std::atomic<uint32_t> word{0};
  std::thread sleeper([&] {
    while (word.load() == 0) SystemPlatform::Park(word, 0, kForever);
  });
  word.store(1);
  SystemPlatform::Unpark(word);
  sleeper.join();
}

TEST(SystemPlatformTest, ArraysAreZeroed) {
  struct Cell {
    std::atomic<uint64_t> a;
    std::atomic<uint32_t> b;
  };
  const auto cells = SystemPlatform::MakeZeroedArray<Cell>(1000);
  for (size_t i = 0; i < 1000; ++i) {
    EXPECT_EQ(cells[i].a.load(), 0u);
    EXPECT_EQ(cells[i].b.load(), 0u);
  }
}

}  // namespace
}  // namespace vouch::pool::pool_internal
