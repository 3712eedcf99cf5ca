#include "uow/retry.h"

#include <cmath>
#include <limits>

#include "storage/error.h"
#include "tests/support/status_matchers.h"

namespace vouch::uow {
namespace {

const absl::Status kBusy = storage::WithNativeCode(absl::UnavailableError("locked"), 5);

TEST(RetryTest, OnlyWhatAnotherAttemptCanCureIsRetried) {
  EXPECT_TRUE(IsRetryable(kBusy));
  EXPECT_TRUE(IsRetryable(absl::AbortedError("replay")));
  EXPECT_FALSE(IsRetryable(absl::UnavailableError("the caller's own service")));
  EXPECT_FALSE(IsRetryable(absl::UnknownError("commit")));
  EXPECT_FALSE(IsRetryable(absl::DeadlineExceededError("")));
  EXPECT_FALSE(IsRetryable(absl::OkStatus()));
}

TEST(RetryTest, DelaysGrowAndJitterOnlyShortensThem) {
  const RetryOptions options{.max_retries = 3, .first_delay = absl::Milliseconds(100)};
  const auto forever = absl::InfiniteDuration();
  EXPECT_EQ(DelayBeforeRetry(options, kBusy, 0, forever, 0), absl::Milliseconds(100));
  EXPECT_EQ(DelayBeforeRetry(options, kBusy, 1, forever, 0), absl::Milliseconds(200));
  EXPECT_EQ(DelayBeforeRetry(options, kBusy, 2, forever, 0), absl::Milliseconds(400));
  EXPECT_EQ(DelayBeforeRetry(options, kBusy, 0, forever, 0.5), absl::Milliseconds(75));
}

TEST(RetryTest, DelaysGrowUpToTheLongest) {
  const RetryOptions options{.first_delay = absl::Seconds(1), .max_delay = absl::Seconds(5)};
  EXPECT_EQ(RetryDelay(options, 2, 0), absl::Seconds(4));
  EXPECT_EQ(RetryDelay(options, 3, 0), absl::Seconds(5));
  EXPECT_EQ(RetryDelay(options, 3, 0.5), absl::Seconds(3.75));
  EXPECT_EQ(RetryDelay(options, 100'000, 0), absl::Seconds(5));
}

TEST(RetryTest, GivesUpAfterTheLastRetryOrWhenTimeWouldRunOut) {
  const RetryOptions options{.max_retries = 2, .first_delay = absl::Milliseconds(100)};
  EXPECT_EQ(DelayBeforeRetry(options, kBusy, 2, absl::InfiniteDuration(), 0), std::nullopt);
  EXPECT_EQ(DelayBeforeRetry(options, kBusy, 0, absl::Milliseconds(100), 0), std::nullopt);
  EXPECT_NE(DelayBeforeRetry(options, kBusy, 0, absl::Milliseconds(101), 0), std::nullopt);
}

TEST(RetryTest, OptionsAreChecked) {
  EXPECT_OK(RetryOptions{}.Validate());
  using test::StatusIs;
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(RetryOptions{.max_retries = -1}.Validate(), StatusIs(kInvalid));
  EXPECT_THAT(RetryOptions{.first_delay = -absl::Seconds(1)}.Validate(), StatusIs(kInvalid));
  EXPECT_THAT(RetryOptions{.first_delay = absl::InfiniteDuration()}.Validate(), StatusIs(kInvalid));
  const RetryOptions shorter{.max_delay = absl::Milliseconds(99)};
  EXPECT_THAT(shorter.Validate(), StatusIs(kInvalid));
  EXPECT_THAT(RetryOptions{.growth = 0.5}.Validate(), StatusIs(kInvalid));
  EXPECT_THAT(RetryOptions{.growth = std::nan("")}.Validate(), StatusIs(kInvalid));
  EXPECT_THAT(RetryOptions{.jitter = 1.5}.Validate(), StatusIs(kInvalid));
}

}  // namespace
}  // namespace vouch::uow
