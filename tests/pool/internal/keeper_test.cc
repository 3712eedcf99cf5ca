#include "pool/internal/keeper.h"

#include <atomic>
#include <thread>

#include "gtest/gtest.h"
#include "tests/pool/fake_platform.h"
#include "tests/pool/widget.h"

namespace vouch::pool::pool_internal {
namespace {

void AwaitPasses(const std::atomic<int>& passes, int count) {
  while (passes < count) std::this_thread::yield();
}

TEST(KeeperTest, RunsAPassAtOnceAndWhenNudged) {
  std::atomic<int> passes{0};
  Keeper<FakePlatform> keeper;
  keeper.Start([&] { return ++passes, kForever; });
  AwaitPasses(passes, 1);
  keeper.Nudge();
  AwaitPasses(passes, 2);
}

TEST(KeeperTest, RunsAPassWhenItIsDue) {
  std::atomic<int> passes{0};
  Keeper<FakePlatform> keeper;
  const int64_t start = FakePlatform::Now();
  keeper.Start([&] { return start + 1000 * ++passes; });
  AwaitPasses(passes, 1);
  FakePlatform::Advance(absl::Nanoseconds(999));
  AwaitLook();
  EXPECT_EQ(passes, 1);
  FakePlatform::Advance(absl::Nanoseconds(1));
  AwaitPasses(passes, 2);
  AwaitLook();
  EXPECT_EQ(passes, 2);
}

TEST(KeeperTest, StopEndsASleepWithoutEnd) {
  std::atomic<int> passes{0};
  Keeper<FakePlatform> keeper;
  keeper.Start([&] { return ++passes, kForever; });
  AwaitPasses(passes, 1);
  keeper.Stop();
  keeper.Join();
  EXPECT_EQ(passes, 1);
}

TEST(KeeperTest, NeedNotBeStarted) {
  Keeper<FakePlatform> keeper;
  keeper.Nudge();
  keeper.Stop();
  keeper.Join();
}

}  // namespace
}  // namespace vouch::pool::pool_internal
