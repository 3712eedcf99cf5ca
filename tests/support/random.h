#ifndef VOUCH_TESTS_SUPPORT_RANDOM_H_
#define VOUCH_TESTS_SUPPORT_RANDOM_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>

#include "gtest/gtest.h"

namespace vouch::test {

// A random generator whose run can be repeated: Random() takes its seed from the environment
// variable VOUCH_TEST_SEED, else a new one, and says it at once, so that it is known even if the
// test crashes. Satisfies std::uniform_random_bit_generator.
//
// Thread safety: one thread at a time. Give each thread its own: Random(random.Next()).
class Random {
 public:
  using result_type = std::uint64_t;

  Random() : Random(NewSeed()) {
    std::cout << "repeat with VOUCH_TEST_SEED=" << seed_ << std::endl;
    testing::Test::RecordProperty("seed", std::to_string(seed_));
  }
  explicit Random(std::uint64_t seed) : seed_(seed), engine_(seed) {}

  std::uint64_t seed() const { return seed_; }

  std::uint64_t Next() { return engine_(); }

  // Each number from `low` to `high`, both included, equally often.
  template <typename Integer>
  Integer Uniform(Integer low, Integer high) {
    return std::uniform_int_distribution<Integer>(low, high)(engine_);
  }

  // True once in `n` times on average.
  bool OneIn(std::uint64_t n) { return Uniform<std::uint64_t>(1, n) == 1; }

  // Any bytes, NUL included.
  std::string Bytes(std::size_t size) {
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(Uniform(0, 255));
    return bytes;
  }

  static constexpr result_type min() { return std::mt19937_64::min(); }
  static constexpr result_type max() { return std::mt19937_64::max(); }
  result_type operator()() { return Next(); }

 private:
  static std::uint64_t NewSeed() {
    const char* given = std::getenv("VOUCH_TEST_SEED");
    return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  }

  std::uint64_t seed_;
  std::mt19937_64 engine_;
};

}  // namespace vouch::test

#endif  // VOUCH_TESTS_SUPPORT_RANDOM_H_
