#ifndef VOUCH_POOL_HISTOGRAM_H_
#define VOUCH_POOL_HISTOGRAM_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"

namespace vouch::pool {

// How lengths of time were distributed, at some moment. A value.
//
// Eight buckets to a power of two: a length is known to an eighth of itself. From 0 to
// 2^42 ns (73 minutes); longer ones count as that.
struct Distribution {
  static constexpr size_t kBuckets = 8 + 39 * 8;

  std::array<uint64_t, kBuckets> counts{};
  absl::Duration sum = absl::ZeroDuration();  // exact
  absl::Duration max = absl::ZeroDuration();  // exact

  uint64_t count() const;
  absl::Duration mean() const;  // zero if there are none

  // A length that at least this part of all are not longer than, at most an eighth too large; zero
  // if there are none. REQUIRES: 0 <= part <= 1.
  absl::Duration Quantile(double part) const;

  // The bucket of a length, and the shortest length that is in the next.
  static size_t BucketOf(int64_t nanoseconds);
  static int64_t EndOf(size_t bucket);
};

// Counts lengths of time.
//
// Thread safety: any thread; relaxed, advisory: a Read() during Add()s may see one in the sum and
// not yet in its bucket. Cost: Add is three relaxed read-modify-writes.
class Histogram {
 public:
  // Counts a length, as often as `weight` says.
  void Add(int64_t nanoseconds, uint64_t weight = 1);

  Distribution Read() const;

 private:
  std::array<std::atomic<uint64_t>, Distribution::kBuckets> counts_{};
  std::atomic<uint64_t> sum_{0};
  std::atomic<int64_t> max_{0};
};

}  // namespace vouch::pool

#endif  // VOUCH_POOL_HISTOGRAM_H_
