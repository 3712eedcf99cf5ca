#ifndef VOUCH_BENCH_SUPPORT_PERCENTILES_H_
#define VOUCH_BENCH_SUPPORT_PERCENTILES_H_

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace vouch::bench {

// Samples put in order. Percentiles are samples that were seen, never between two.
template <typename T>
class Percentiles {
 public:
  // REQUIRES: samples is not empty.
  explicit Percentiles(std::vector<T> samples) : sorted_(std::move(samples)) {
    std::sort(sorted_.begin(), sorted_.end());
  }

  // The smallest sample that at least this part of all samples do not exceed.
  T At(double part) const {
    const auto rank = static_cast<size_t>(part * static_cast<double>(sorted_.size()));
    return sorted_[std::min(rank, sorted_.size() - 1)];
  }
  T Max() const { return sorted_.back(); }
  size_t count() const { return sorted_.size(); }

 private:
  std::vector<T> sorted_;
};

// One vector of many.
template <typename T>
std::vector<T> Flatten(const std::vector<std::vector<T>>& parts) {
  std::vector<T> all;
  for (const std::vector<T>& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace vouch::bench

#endif  // VOUCH_BENCH_SUPPORT_PERCENTILES_H_
