#include "pool/internal/platform.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <ctime>

namespace vouch::pool::pool_internal {
namespace {

constexpr int64_t kNanosPerSecond = 1'000'000'000;

// The futex word is the atomic itself.
static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t));

}  // namespace

bool SystemPlatform::Park(Atomic<uint32_t>& word, uint32_t expected, int64_t deadline_ns) {
  timespec deadline{};
  timespec* timeout = nullptr;
  if (deadline_ns != kForever) {
    if (deadline_ns <= 0) return false;
    deadline.tv_sec = static_cast<time_t>(deadline_ns / kNanosPerSecond);
    deadline.tv_nsec = static_cast<long>(deadline_ns % kNanosPerSecond);
    timeout = &deadline;
  }
  // FUTEX_WAIT takes a length; only FUTEX_WAIT_BITSET takes a point on CLOCK_MONOTONIC.
  const long result =
      syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG,
              expected, timeout, nullptr, FUTEX_BITSET_MATCH_ANY);
  return result == 0 || errno != ETIMEDOUT;
}

void SystemPlatform::Unpark(Atomic<uint32_t>& word) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT_MAX,
          nullptr, nullptr, 0);
}

int64_t SystemPlatform::Now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * kNanosPerSecond + now.tv_nsec;
}

void SystemPlatform::Yield() { sched_yield(); }

}  // namespace vouch::pool::pool_internal
