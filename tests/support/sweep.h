// How much of a sweep over points of failure is run.
//
// A sweep that takes too long to try every point tries each `step`th, beginning with a random one.
// VOUCH_TEST_LONG, which `cmake/dev test --long` sets, makes it try all; VOUCH_TEST_STRIDE=10, for
// runs under instruments, a tenth of what would be tried otherwise.

#ifndef VOUCH_TESTS_SUPPORT_SWEEP_H_
#define VOUCH_TESTS_SUPPORT_SWEEP_H_

#include <algorithm>
#include <cstdlib>

namespace vouch::test {

inline bool IsLongSweep() { return std::getenv("VOUCH_TEST_LONG") != nullptr; }

inline int SweepStride(int step) {
  const char* given = std::getenv("VOUCH_TEST_STRIDE");
  return (IsLongSweep() ? 1 : step) * (given != nullptr ? std::max(1, std::atoi(given)) : 1);
}

// Of `images`, how many to look at.
inline int SweepImages(int images) {
  return std::max(1, (IsLongSweep() ? 20 * images : images) / SweepStride(1));
}

}  // namespace vouch::test

#endif  // VOUCH_TESTS_SUPPORT_SWEEP_H_
