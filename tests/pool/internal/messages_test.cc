#include "pool/internal/messages.h"

#include "absl/strings/str_cat.h"
#include "tests/support/status_matchers.h"

namespace vouch::pool::pool_internal {
namespace {

using test::StatusIs;
using testing::StrEq;

TEST(MessagesTest, TellNumbersHoldersAndTheLastError) {
  const Situation situation{"readers",     8, 3, 31, {{"/a/b.cc", 2}, {"a.cc", 1}, {"/x/b.cc", 2}},
                            "no such file"};
  EXPECT_THAT(
      TimeoutError(situation, absl::Milliseconds(250)),
      StatusIs(absl::StatusCode::kDeadlineExceeded,
               StrEq("acquire readers: deadline exceeded after 250ms (capacity 8, leased 3, "
                     "waiting 31); held at a.cc:1, b.cc:2 (2 times); last open error: no "
                     "such file")));
  EXPECT_THAT(
      DrainError(situation, absl::Seconds(1)),
      StatusIs(absl::StatusCode::kDeadlineExceeded,
               StrEq("close readers: 3 leases still out after 1s; held at a.cc:1, b.cc:2 (2 "
                     "times)")));
}

TEST(MessagesTest, TellEightPlacesAtMost) {
  Situation situation;
  situation.name = "p";
  for (int line = 10; line < 21; ++line) situation.holders.push_back({"a.cc", line});
  EXPECT_THAT(NoneAvailableError(situation),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       testing::EndsWith("a.cc:17, and 3 more places")));
}

TEST(MessagesTest, InfiniteIsTheLargestNumber) {
  EXPECT_EQ(NanosOf(absl::InfiniteDuration()), INT64_MAX);
  EXPECT_EQ(NanosOf(absl::Hours(24 * 365 * 1000)), INT64_MAX);
  EXPECT_EQ(NanosOf(absl::Microseconds(2)), 2000);
}

}  // namespace
}  // namespace vouch::pool::pool_internal
