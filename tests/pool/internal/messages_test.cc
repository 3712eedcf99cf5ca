#include "pool/internal/messages.h"

#include "absl/strings/str_cat.h"
#include "tests/support/status_matchers.h"

namespace vouch::pool::pool_internal {
namespace {

using test::StatusIs;
using testing::StrEq;

Holder At(const char* file, int line, absl::Duration age = absl::ZeroDuration(),
          const char* label = "") {
  return {{file, line}, label, age};
}

TEST(MessagesTest, TellNumbersHoldersAndTheLastError) {
  Situation situation;
  situation.name = "readers";
  situation.capacity = 8;
  situation.leased = 3;
  situation.waiting = 31;
  situation.holders = {At("/a/b.cc", 2, absl::Milliseconds(1234)), At("a.cc", 1),
                       At("/x/b.cc", 2, absl::Seconds(2))};
  situation.last_open_error = "no such file";
  EXPECT_THAT(
      TimeoutError(situation, absl::Milliseconds(250)),
      StatusIs(absl::StatusCode::kDeadlineExceeded,
               StrEq("acquire readers: deadline exceeded after 250ms (capacity 8, leased 3, "
                     "waiting 31); held at b.cc:2 (2 times, for 2s), a.cc:1; last open error: no "
                     "such file; likely cause: resources cannot be opened")));
  EXPECT_THAT(
      DrainError(situation, absl::Seconds(1)),
      StatusIs(absl::StatusCode::kDeadlineExceeded,
               StrEq("close readers: 3 leases still out after 1s; held at b.cc:2 (2 times, for "
                     "2s), a.cc:1")));
}

TEST(MessagesTest, TellTheLabelAndTheOldestFirst) {
  Situation situation;
  situation.name = "p";
  situation.holders = {At("a.cc", 1, absl::Microseconds(12345)),
                       At("b.cc", 2, absl::Seconds(90), "nightly report")};
  EXPECT_THAT(NoneAvailableError(situation),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       testing::EndsWith("held at b.cc:2 'nightly report' (for 1m30s), a.cc:1 "
                                         "(for 12.3ms)")));
}

TEST(MessagesTest, TellEightPlacesAtMost) {
  Situation situation;
  situation.name = "p";
  for (int line = 10; line < 21; ++line) situation.holders.push_back(At("a.cc", line));
  EXPECT_THAT(NoneAvailableError(situation),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       testing::EndsWith("a.cc:17, and 3 more places")));
}

TEST(MessagesTest, NameTheLikelyCause) {
  const absl::Duration waited = absl::Seconds(1);
  Situation situation;
  situation.leased = 2;
  situation.holders = {At("a.cc", 1)};
  EXPECT_EQ(LikelyCause(situation, waited), "more is asked for than the pool's resources can do");
  situation.holders = {At("a.cc", 1, absl::Seconds(2))};
  EXPECT_EQ(LikelyCause(situation, waited), "leases are held longer than this acquire may wait");
  situation.holders = {At("a.cc", 1, absl::Seconds(20))};
  EXPECT_EQ(LikelyCause(situation, waited), "a lease was not released, or its work hangs, for 20s");
  situation.opening = 2;
  EXPECT_EQ(LikelyCause(situation, waited), "opening a resource takes too long");
  situation.last_open_error = "refused";
  EXPECT_EQ(LikelyCause(situation, waited), "resources cannot be opened");
  situation.suspended = true;
  EXPECT_EQ(LikelyCause(situation, waited), "the pool is suspended, until Resume()");
}

TEST(MessagesTest, AWaitIsPredictedFromTheHoldsBeforeIt) {
  EXPECT_EQ(PredictWait(0, 1, absl::Seconds(1)), absl::Seconds(1));
  EXPECT_EQ(PredictWait(15, 4, absl::Milliseconds(10)), absl::Milliseconds(40));
  EXPECT_EQ(PredictWait(100, 4, absl::ZeroDuration()), absl::ZeroDuration());
}

TEST(MessagesTest, InfiniteIsTheLargestNumber) {
  EXPECT_EQ(NanosOf(absl::InfiniteDuration()), INT64_MAX);
  EXPECT_EQ(NanosOf(absl::Hours(24 * 365 * 1000)), INT64_MAX);
  EXPECT_EQ(NanosOf(absl::Microseconds(2)), 2000);
}

}  // namespace
}  // namespace vouch::pool::pool_internal
