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
  situation.waiting = 31;
  situation.holders = {At("/a/b.cc", 2, absl::Milliseconds(1234)), At("a.cc", 1),
                       At("/x/b.cc", 2, absl::Seconds(2))};
  situation.last_open_error = "no such file";
  situation.last_open_error_age = absl::Milliseconds(200);
  EXPECT_THAT(
      TimeoutError(situation, absl::Milliseconds(250)),
      StatusIs(absl::StatusCode::kDeadlineExceeded,
               StrEq("acquire readers: deadline exceeded after 250ms (capacity 8, leased 3, "
                     "waiting 31); held at b.cc:2 (2 times, for 2s), a.cc:1; last open error, "
                     "200ms ago: no such file; likely cause: resources cannot be opened")));
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
  situation.holders = {At("a.cc", 1)};
  EXPECT_EQ(LikelyCause(situation, waited), "more is asked for than the pool's resources can do");
  situation.holders = {At("a.cc", 1, absl::Seconds(2))};
  EXPECT_EQ(LikelyCause(situation, waited), "leases are held longer than this acquire may wait");
  situation.holders = {At("a.cc", 1, absl::Seconds(20))};
  EXPECT_EQ(LikelyCause(situation, waited), "a lease was not released, or its work hangs, for 20s");
  situation.suspended = true;
  EXPECT_EQ(LikelyCause(situation, waited), "the pool is suspended, until Resume()");
}

TEST(MessagesTest, OpeningIsTheCauseIfLeasesAreYounger) {
  const absl::Duration waited = absl::Seconds(1);
  Situation situation;
  situation.holders = {At("a.cc", 1, absl::Milliseconds(100))};
  situation.openers = {At("a.cc", 2, absl::Milliseconds(700))};
  EXPECT_EQ(LikelyCause(situation, waited), "opening a resource takes too long");
  situation.openers = {At("a.cc", 2, absl::Milliseconds(10))};  // that has just begun
  EXPECT_EQ(LikelyCause(situation, waited), "more is asked for than the pool's resources can do");
  situation.openers = {At("a.cc", 2, absl::Milliseconds(700))};
  situation.holders = {At("a.cc", 1, waited)};
  EXPECT_EQ(LikelyCause(situation, waited), "leases are held longer than this acquire may wait");
  EXPECT_EQ(LikelyCause(situation, absl::ZeroDuration()),
            "more is asked for than the pool's resources can do");
}

TEST(MessagesTest, AnOldErrorIsNoCause) {
  const absl::Duration waited = absl::Seconds(1);
  Situation situation;
  situation.last_open_error = "refused";
  situation.last_open_error_age = waited;
  EXPECT_EQ(LikelyCause(situation, waited), "resources cannot be opened");
  situation.last_open_error_age = waited + absl::Nanoseconds(1);
  EXPECT_EQ(LikelyCause(situation, waited), "more is asked for than the pool's resources can do");
  // Unless it is the error of an open that is under way and tries again.
  situation.openers = {At("a.cc", 1, absl::Seconds(5))};
  EXPECT_EQ(LikelyCause(situation, waited), "resources cannot be opened");
}

TEST(MessagesTest, TellWhatIsNoLease) {
  Situation situation;
  situation.name = "p";
  situation.openers = {At("", 0, absl::Seconds(3))};
  EXPECT_THAT(DrainError(situation, absl::Seconds(1)),
              StatusIs(absl::StatusCode::kDeadlineExceeded,
                       StrEq("close p: 1 resource being opened after 1s; being opened by the pool "
                             "itself (for 3s)")));
  situation.holders = {At("a.cc", 1)};
  situation.openers.push_back(At("a.cc", 2));
  situation.in_between = 1;
  EXPECT_THAT(
      DrainError(situation, absl::Seconds(1)),
      StatusIs(absl::StatusCode::kDeadlineExceeded,
               StrEq("close p: 1 lease still out, 2 resources being opened, 1 resource being "
                     "closed or on its way after 1s; held at a.cc:1; being opened by the pool "
                     "itself (for 3s), a.cc:2")));
  situation.capacity = 4;
  EXPECT_THAT(NoneAvailableError(situation),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       StrEq("acquire p: none available (capacity 4, leased 1, waiting 0, opening "
                             "2, in between 1); held at a.cc:1; being opened by the pool itself "
                             "(for 3s), a.cc:2")));
}

// However close the two are, the first number is the larger.
TEST(MessagesTest, AHopelessWaitIsLongerThanItMayBe) {
  Situation situation;
  situation.name = "p";
  const absl::Duration may_be = absl::Seconds(8) + absl::Nanoseconds(1);
  EXPECT_THAT(HopelessError(situation, {may_be + absl::Nanoseconds(1), may_be}),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       testing::HasSubstr("would wait about 8.01s, longer than the 8s it may")));
}

}  // namespace
}  // namespace vouch::pool::pool_internal
