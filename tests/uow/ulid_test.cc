#include "uow/ulid.h"

#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vouch::uow {
namespace {

class HeldClock final : public storage::WallClock {
 public:
  absl::Time Now() override { return now; }
  absl::Time now = absl::FromUnixMillis(1469918176385);
};

TEST(UlidTest, Grammar) {
  EXPECT_TRUE(IsUlid("01KAJ0000000000000000000VC"));
  EXPECT_TRUE(IsUlid("00000000000000000000000000"));
  EXPECT_TRUE(IsUlid("7ZZZZZZZZZZZZZZZZZZZZZZZZZ"));
  for (const char* text :
       {"", "01KAJ0000000000000000000V", "01KAJ0000000000000000000VCC",
        "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "A1KAJ0000000000000000000VC", "01kAJ0000000000000000000VC",
        "01KAJ0000000000000000000VI", "01KAJ0000000000000000000VL", "01KAJ0000000000000000000VO",
        "01KAJ0000000000000000000VU", "01KAJ0000000000000000000V\n", "01KAJ0000000000000000000V-",
        "01KAJ000000000000000000\xc3\xa9V"}) {
    EXPECT_FALSE(IsUlid(text)) << text;
  }
}

TEST(UlidTest, BeginsWithTheTime) {
  HeldClock clock;
  UlidGenerator ids(clock);
  // The example of the ULID specification.
  EXPECT_EQ(ids.Next().substr(0, 10), "01ARYZ6S41");
  HeldClock last;
  last.now = absl::FromUnixMillis((std::int64_t{1} << 48) - 1);
  EXPECT_EQ(UlidGenerator(last).Next().substr(0, 10), "7ZZZZZZZZZ");
}

TEST(UlidTest, OutsideItsTimesIsClamped) {
  HeldClock clock;
  clock.now = absl::InfinitePast();
  EXPECT_EQ(UlidGenerator(clock).Next().substr(0, 10), "0000000000");
  clock.now = absl::InfiniteFuture();
  EXPECT_EQ(UlidGenerator(clock).Next().substr(0, 10), "7ZZZZZZZZZ");
}

TEST(UlidTest, IncreasesWithinAMillisecondAndWhenTheClockStepsBack) {
  HeldClock clock;
  UlidGenerator ids(clock);
  std::string last = ids.Next();
  for (int i = 0; i < 10000; ++i) {
    if (i % 10 == 3) clock.now -= absl::Milliseconds(i % 7);
    if (i % 10 == 7) clock.now += absl::Milliseconds(i % 5);
    const std::string next = ids.Next();
    ASSERT_TRUE(IsUlid(next)) << next;
    ASSERT_LT(last, next);
    last = next;
  }
}

TEST(UlidTest, TwoGeneratorsDiffer) {
  HeldClock clock;
  UlidGenerator one(clock);
  UlidGenerator other(clock);
  EXPECT_NE(one.Next(), other.Next());
}

TEST(UlidTest, ThreadsNeverShareAnId) {
  UlidGenerator ids(storage::WallClock::System());
  constexpr int kThreads = 4;
  constexpr int kIds = 5000;
  std::vector<std::vector<std::string>> drawn(kThreads);
  std::vector<std::thread> threads;
  for (auto& mine : drawn) {
    threads.emplace_back([&] {
      for (int i = 0; i < kIds; ++i) mine.push_back(ids.Next());
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<std::string> all;
  for (const auto& mine : drawn) {
    EXPECT_TRUE(std::is_sorted(mine.begin(), mine.end()));
    all.insert(mine.begin(), mine.end());
  }
  EXPECT_EQ(all.size(), std::size_t{kThreads * kIds});
}

}  // namespace
}  // namespace vouch::uow
