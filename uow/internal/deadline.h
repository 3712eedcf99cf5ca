// Deadlines of the steady clock, and the timeouts they come from; infinite ones included.
//
// Thread safety: pure functions.

#ifndef VOUCH_UOW_INTERNAL_DEADLINE_H_
#define VOUCH_UOW_INTERNAL_DEADLINE_H_

#include <algorithm>
#include <chrono>

#include "absl/time/time.h"

namespace vouch::uow {

inline std::chrono::steady_clock::time_point DeadlineAfter(
    std::chrono::steady_clock::time_point now, absl::Duration timeout) {
  using TimePoint = std::chrono::steady_clock::time_point;
  if (timeout >= absl::FromChrono(TimePoint::max() - now)) return TimePoint::max();
  return now + std::chrono::duration_cast<TimePoint::duration>(absl::ToChronoNanoseconds(timeout));
}

inline absl::Duration TimeUntil(std::chrono::steady_clock::time_point deadline,
                                std::chrono::steady_clock::time_point now) {
  if (deadline == std::chrono::steady_clock::time_point::max()) return absl::InfiniteDuration();
  return std::max(absl::ZeroDuration(), absl::FromChrono(deadline - now));
}

}  // namespace vouch::uow

#endif  // VOUCH_UOW_INTERNAL_DEADLINE_H_
