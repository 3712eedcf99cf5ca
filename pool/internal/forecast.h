#ifndef VOUCH_POOL_INTERNAL_FORECAST_H_
#define VOUCH_POOL_INTERNAL_FORECAST_H_

#include <algorithm>

#include "absl/time/time.h"

namespace vouch::pool::pool_internal {

// What a wait would come to. A value, and a pure function.

struct Forecast {
  absl::Duration wait;    // would be about so long
  absl::Duration may_be;  // may be so long

  bool hopeless() const { return wait > may_be; }
};

// How long an acquire will wait behind `waiting` others if holds go on as they did on average.
inline absl::Duration PredictWait(int waiting, int capacity, absl::Duration mean_hold) {
  return mean_hold * (static_cast<double>(waiting + 1) / std::max(capacity, 1));
}

}  // namespace vouch::pool::pool_internal

#endif  // VOUCH_POOL_INTERNAL_FORECAST_H_
