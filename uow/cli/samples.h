// Samples: every measured duration of a run, for exact percentiles.
//
// Thread safety: one thread at a time.
// Cost: 8 bytes a sample; Percentile() sorts them.

#ifndef VOUCH_UOW_CLI_SAMPLES_H_
#define VOUCH_UOW_CLI_SAMPLES_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"

namespace vouch::cli {

class Samples {
 public:
  void Add(absl::Duration sample) { nanoseconds_.push_back(absl::ToInt64Nanoseconds(sample)); }
  std::size_t size() const { return nanoseconds_.size(); }

  // The smallest sample that at least `percent` of a hundred are not above (nearest rank); zero
  // without samples. REQUIRES: 0 < percent <= 100.
  absl::Duration Percentile(double percent) const;

 private:
  std::vector<std::int64_t> nanoseconds_;
};

}  // namespace vouch::cli

#endif  // VOUCH_UOW_CLI_SAMPLES_H_
