#include "pool/histogram.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>

namespace vouch::pool {
namespace {

constexpr int kSubBits = 3;  // 8 buckets to a power of two
constexpr int64_t kSubBuckets = int64_t{1} << kSubBits;
constexpr int64_t kLongest = (int64_t{1} << 42) - 1;

}  // namespace

// Lengths below 8 have buckets of their own; after that the three bits below the highest count.
size_t Distribution::BucketOf(int64_t nanoseconds) {
  const int64_t length = std::clamp<int64_t>(nanoseconds, 0, kLongest);
  if (length < kSubBuckets) return static_cast<size_t>(length);
  const int shift = static_cast<int>(std::bit_width(static_cast<uint64_t>(length))) - 1 - kSubBits;
  return static_cast<size_t>((shift + 1) * kSubBuckets + (length >> shift) - kSubBuckets);
}

int64_t Distribution::EndOf(size_t bucket) {
  const auto index = static_cast<int64_t>(bucket);
  if (index < kSubBuckets) return index + 1;
  const int64_t shift = index / kSubBuckets - 1;
  return (index % kSubBuckets + kSubBuckets + 1) << shift;
}

uint64_t Distribution::count() const {
  uint64_t count = 0;
  for (const uint64_t bucket : counts) count += bucket;
  return count;
}

absl::Duration Distribution::mean() const {
  const uint64_t all = count();
  return all == 0 ? absl::ZeroDuration() : sum / static_cast<double>(all);
}

absl::Duration Distribution::Quantile(double part) const {
  assert(part >= 0 && part <= 1);
  const uint64_t all = count();
  const auto rank = static_cast<uint64_t>(std::ceil(part * static_cast<double>(all)));
  uint64_t below = 0;
  for (size_t bucket = 0; bucket < kBuckets; ++bucket) {
    below += counts[bucket];
    if (counts[bucket] != 0 && below >= rank) {
      return std::min(absl::Nanoseconds(EndOf(bucket) - 1), max);
    }
  }
  return max;
}

void Histogram::Add(int64_t nanoseconds, uint64_t weight) {
  const int64_t length = std::max<int64_t>(nanoseconds, 0);
  counts_[Distribution::BucketOf(length)].fetch_add(weight, std::memory_order_relaxed);
  sum_.fetch_add(static_cast<uint64_t>(length) * weight, std::memory_order_relaxed);
  int64_t max = max_.load(std::memory_order_relaxed);
  while (length > max && !max_.compare_exchange_weak(max, length, std::memory_order_relaxed)) {
  }
}

Distribution Histogram::Read() const {
  Distribution read;
  for (size_t i = 0; i < counts_.size(); ++i) {
    read.counts[i] = counts_[i].load(std::memory_order_relaxed);
  }
  read.sum = absl::Nanoseconds(static_cast<int64_t>(sum_.load(std::memory_order_relaxed)));
  read.max = absl::Nanoseconds(max_.load(std::memory_order_relaxed));
  return read;
}

}  // namespace vouch::pool
