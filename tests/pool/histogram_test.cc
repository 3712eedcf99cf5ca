#include "pool/histogram.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/random.h"

namespace vouch::pool {
namespace {

constexpr int64_t kTop = int64_t{1} << 42;

int64_t FirstOf(size_t bucket) { return bucket == 0 ? 0 : Distribution::EndOf(bucket - 1); }

// Short and long ones equally often.
int64_t AnyLength(test::Random& random) {
  return static_cast<int64_t>(random.Next() >> random.Uniform(22, 63));
}

TEST(DistributionTest, BucketsFollowOneAnother) {
  for (size_t bucket = 0; bucket < Distribution::kBuckets; ++bucket) {
    const int64_t first = FirstOf(bucket), end = Distribution::EndOf(bucket);
    ASSERT_LT(first, end);
    EXPECT_EQ(Distribution::BucketOf(first), bucket);
    EXPECT_EQ(Distribution::BucketOf(end - 1), bucket);
  }
  EXPECT_EQ(Distribution::EndOf(Distribution::kBuckets - 1), kTop);
}

TEST(DistributionTest, ABucketIsAnEighthOfItsLengthsWide) {
  for (size_t bucket = 0; bucket < Distribution::kBuckets; ++bucket) {
    const int64_t first = FirstOf(bucket);
    EXPECT_LE((Distribution::EndOf(bucket) - 1 - first) * 8, first);
  }
}

TEST(DistributionTest, EveryLengthIsInItsBucket) {
  test::Random random;
  for (int i = 0; i < 100'000; ++i) {
    const int64_t length = AnyLength(random);
    const size_t bucket = Distribution::BucketOf(length);
    ASSERT_LT(bucket, Distribution::kBuckets);
    ASSERT_GE(length, FirstOf(bucket));
    ASSERT_LT(length, Distribution::EndOf(bucket));
  }
}

TEST(DistributionTest, WhatIsBeyondTheEndsIsInTheEndBuckets) {
  EXPECT_EQ(Distribution::BucketOf(-1), 0u);
  EXPECT_EQ(Distribution::BucketOf(std::numeric_limits<int64_t>::min()), 0u);
  EXPECT_EQ(Distribution::BucketOf(kTop), Distribution::kBuckets - 1);
  EXPECT_EQ(Distribution::BucketOf(std::numeric_limits<int64_t>::max()),
            Distribution::kBuckets - 1);
}

TEST(DistributionTest, OfNothing) {
  const Distribution nothing;
  EXPECT_EQ(nothing.count(), 0u);
  EXPECT_EQ(nothing.mean(), absl::ZeroDuration());
  EXPECT_EQ(nothing.Quantile(0.5), absl::ZeroDuration());
}

// Against the same question asked of the sorted lengths themselves.
TEST(HistogramTest, QuantilesAreAtMostAnEighthTooLarge) {
  test::Random random;
  for (int round = 0; round < 50; ++round) {
    Histogram histogram;
    std::vector<int64_t> lengths;
    const int adds = random.Uniform(1, 300);
    for (int i = 0; i < adds; ++i) {
      const int64_t length = AnyLength(random);
      const uint64_t weight = random.OneIn(8) ? 256 : 1;
      histogram.Add(length, weight);
      lengths.insert(lengths.end(), weight, length);
    }
    std::sort(lengths.begin(), lengths.end());
    const Distribution read = histogram.Read();
    for (const double part : {0.0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0}) {
      const double rank = std::ceil(part * static_cast<double>(lengths.size()));
      const int64_t exact = lengths[static_cast<size_t>(std::max(rank, 1.0)) - 1];
      const int64_t told = absl::ToInt64Nanoseconds(read.Quantile(part));
      EXPECT_GE(told, exact) << part;
      EXPECT_LE(told, exact + exact / 8) << part;
    }
    EXPECT_EQ(read.Quantile(1.0), absl::Nanoseconds(lengths.back()));
  }
}

TEST(HistogramTest, CountSumAndMaxAreExact) {
  test::Random random;
  Histogram histogram;
  uint64_t count = 0;
  int64_t sum = 0, max = 0;
  for (int i = 0; i < 1000; ++i) {
    const int64_t length = AnyLength(random);
    const auto weight = random.Uniform<int64_t>(1, 300);
    histogram.Add(length, static_cast<uint64_t>(weight));
    count += static_cast<uint64_t>(weight);
    sum += length * weight;
    max = std::max(max, length);
  }
  const Distribution read = histogram.Read();
  EXPECT_EQ(read.count(), count);
  EXPECT_EQ(read.sum, absl::Nanoseconds(sum));
  EXPECT_EQ(read.max, absl::Nanoseconds(max));
  EXPECT_EQ(read.mean(), read.sum / static_cast<double>(count));
}

// Two years in use, to the nanosecond: more than a double can tell apart.
TEST(HistogramTest, ALargeSumIsExact) {
  Histogram histogram;
  histogram.Add(int64_t{1} << 41, 1 << 15);
  histogram.Add(1);
  EXPECT_EQ(histogram.Read().sum, absl::Nanoseconds((int64_t{1} << 56) + 1));
}

TEST(HistogramTest, ANegativeLengthCountsAsNone) {
  Histogram histogram;
  histogram.Add(-5);
  const Distribution read = histogram.Read();
  EXPECT_EQ(read.counts[0], 1u);
  EXPECT_EQ(read.sum, absl::ZeroDuration());
}

TEST(HistogramTest, NoConcurrentAddIsLost) {
  test::Random random;
  Histogram histogram;
  constexpr int kThreads = 4, kAdds = 20'000;
  std::vector<std::thread> threads;
  std::vector<int64_t> longest(kThreads), sums(kThreads);
  for (size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t, seed = random.Next()] {
      test::Random mine(seed);
      for (int i = 0; i < kAdds; ++i) {
        const int64_t length = mine.Uniform<int64_t>(0, 1'000'000);
        histogram.Add(length, 3);
        longest[t] = std::max(longest[t], length);
        sums[t] += 3 * length;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const Distribution read = histogram.Read();
  EXPECT_EQ(read.count(), uint64_t{3} * kThreads * kAdds);
  int64_t sum = 0;
  for (const int64_t part : sums) sum += part;
  EXPECT_EQ(read.sum, absl::Nanoseconds(sum));
  EXPECT_EQ(read.max, absl::Nanoseconds(*std::max_element(longest.begin(), longest.end())));
}

}  // namespace
}  // namespace vouch::pool
