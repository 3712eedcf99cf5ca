#include "pool/internal/forecast.h"

#include "gtest/gtest.h"

namespace vouch::pool::pool_internal {
namespace {

TEST(ForecastTest, AWaitIsPredictedFromTheHoldsBeforeIt) {
  EXPECT_EQ(PredictWait(0, 1, absl::Seconds(1)), absl::Seconds(1));
  EXPECT_EQ(PredictWait(15, 4, absl::Milliseconds(10)), absl::Milliseconds(40));
  EXPECT_EQ(PredictWait(100, 4, absl::ZeroDuration()), absl::ZeroDuration());
}

TEST(ForecastTest, AWaitAsLongAsItMayBeIsNotHopeless) {
  EXPECT_FALSE((Forecast{absl::Seconds(1), absl::Seconds(1)}.hopeless()));
  EXPECT_TRUE((Forecast{absl::Seconds(1) + absl::Nanoseconds(1), absl::Seconds(1)}.hopeless()));
}

}  // namespace
}  // namespace vouch::pool::pool_internal
