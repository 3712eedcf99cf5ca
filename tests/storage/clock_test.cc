#include "storage/clock.h"

#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/random.h"

namespace vouch::storage {
namespace {

TEST(ClockTest, FormatsAKnownTime) {
  EXPECT_EQ(FormatUtcMillis(absl::UnixEpoch()), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(FormatUtcMillis(absl::FromUnixMillis(1'709'210'096'789)), "2024-02-29T12:34:56.789Z");
}

TEST(ClockTest, TruncatesTowardsThePastOnBothSidesOf1970) {
  const absl::Duration almost = absl::Milliseconds(1) - absl::Nanoseconds(1);
  EXPECT_EQ(FormatUtcMillis(absl::UnixEpoch() + almost), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(FormatUtcMillis(absl::UnixEpoch() - absl::Nanoseconds(1)), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(FormatUtcMillis(absl::UnixEpoch() - absl::Milliseconds(1)), "1969-12-31T23:59:59.999Z");
}

TEST(ClockTest, ClampsWhatFourDigitsCannotSay) {
  EXPECT_EQ(FormatUtcMillis(absl::InfinitePast()), "0000-01-01T00:00:00.000Z");
  EXPECT_EQ(FormatUtcMillis(absl::InfiniteFuture()), "9999-12-31T23:59:59.999Z");
  EXPECT_EQ(FormatUtcMillis(absl::FromCivil(absl::CivilYear(12'345), absl::UTCTimeZone())),
            "9999-12-31T23:59:59.999Z");
}

// Stored times are compared as text, so text order must be time order.
TEST(ClockTest, TextOrderIsTimeOrder) {
  test::Random random;
  for (int i = 0; i < 2000; ++i) {
    const auto a = random.Uniform<std::int64_t>(-62'167'219'200'000, 253'402'300'799'999);
    const auto b = random.Uniform<std::int64_t>(-62'167'219'200'000, 253'402'300'799'999);
    const std::string text_a = FormatUtcMillis(absl::FromUnixMillis(a));
    const std::string text_b = FormatUtcMillis(absl::FromUnixMillis(b));
    ASSERT_EQ(text_a.size(), 24u);
    EXPECT_EQ(a < b, text_a < text_b) << a << " " << b;
  }
}

TEST(ClockTest, SteadyTimeOnlyAdvances) {
  SteadyClock& clock = SteadyClock::System();
  EXPECT_EQ(&clock, &SteadyClock::System());
  auto last = clock.Now();
  for (int i = 0; i < 1000; ++i) {
    const auto now = clock.Now();
    ASSERT_GE(now, last);
    last = now;
  }
}

TEST(ClockTest, WallTimeIsTheSystems) {
  const auto before = std::chrono::system_clock::now();
  const absl::Time now = WallClock::System().Now();
  const auto after = std::chrono::system_clock::now();
  EXPECT_GE(now, absl::FromChrono(before) - absl::Milliseconds(1));
  EXPECT_LE(now, absl::FromChrono(after) + absl::Milliseconds(1));
}

TEST(ClockTest, AFakeClockStandsStillUntilItIsMoved) {
  test::FakeWallClock wall(absl::UnixEpoch());
  EXPECT_EQ(wall.Now(), wall.Now());
  wall.Advance(absl::Seconds(2));
  EXPECT_EQ(wall.Now(), absl::FromUnixSeconds(2));
}

TEST(ParseUtcTest, ReadsWhatIsWritten) {
  test::Random random;
  for (int i = 0; i < 2000; ++i) {
    const absl::Time time = absl::FromUnixMillis(
        random.Uniform<std::int64_t>(-62'000'000'000'000, 253'000'000'000'000));
    EXPECT_EQ(ParseUtc(FormatUtcMillis(time)), time) << FormatUtcMillis(time);
  }
}

TEST(ParseUtcTest, ReadsTheThreeFormsOnly) {
  const absl::Time noon = absl::FromUnixSeconds(1'767'268'800);
  EXPECT_EQ(ParseUtc("2026-01-01T12:00:00.000Z"), noon);
  EXPECT_EQ(ParseUtc("2026-01-01T12:00:00Z"), noon);
  EXPECT_EQ(ParseUtc("2026-01-01 12:00:00"), noon);
  for (const char* bad :
       {"", "2026", "2026-01-01", "2026-01-01T12:00:00", "2026-01-01 12:00:00Z",
        "2026-01-01T12:00:00+00:00", "2026-01-01T12:00:00.0Z", "2026-01-01T12:00:00.000000Z",
        " 2026-01-01 12:00:00", "2026-01-01 12:00:00 ", "2026-1-1 12:00:00", "2026-02-30 12:00:00",
        "2026-01-01 24:00:00", "2026-01-01 12:00:60", "+2026-01-01 12:00:00", "now",
        "12026-01-01"}) {
    EXPECT_EQ(ParseUtc(bad), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace vouch::storage
