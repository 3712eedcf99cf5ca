#include "pool/park.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <ctime>

namespace vouch::pool {
namespace {

constexpr std::int64_t kNanosPerSecond = 1'000'000'000;

// The futex word is the atomic itself.
static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t));

}  // namespace

bool Park(std::atomic<std::uint32_t>& word, std::uint32_t expected, std::int64_t deadline_ns) {
  timespec deadline{};
  timespec* timeout = nullptr;
  if (deadline_ns != kForever) {
    if (deadline_ns <= 0) return false;
    deadline.tv_sec = static_cast<time_t>(deadline_ns / kNanosPerSecond);
    deadline.tv_nsec = static_cast<long>(deadline_ns % kNanosPerSecond);
    timeout = &deadline;
  }
  // FUTEX_WAIT takes a length; only FUTEX_WAIT_BITSET takes a point on CLOCK_MONOTONIC.
  const long result = syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word),
                              FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected, timeout, nullptr,
                              FUTEX_BITSET_MATCH_ANY);
  return result == 0 || errno != ETIMEDOUT;
}

void Unpark(const std::atomic<std::uint32_t>* word) {
  syscall(SYS_futex, reinterpret_cast<const std::uint32_t*>(word), FUTEX_WAKE | FUTEX_PRIVATE_FLAG,
          INT_MAX, nullptr, nullptr, 0);
}

}  // namespace vouch::pool
