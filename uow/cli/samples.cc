#include "uow/cli/samples.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace vouch::cli {

absl::Duration Samples::Percentile(double percent) const {
  assert(percent > 0);
  assert(percent <= 100);
  if (nanoseconds_.empty()) return absl::ZeroDuration();
  const auto count = static_cast<double>(nanoseconds_.size());
  const auto rank = static_cast<std::size_t>(std::ceil(percent / 100 * count));
  std::vector<std::int64_t> samples = nanoseconds_;
  const auto nth =
      samples.begin() + static_cast<std::ptrdiff_t>(std::max<std::size_t>(rank, 1) - 1);
  std::nth_element(samples.begin(), nth, samples.end());
  return absl::Nanoseconds(*nth);
}

}  // namespace vouch::cli
