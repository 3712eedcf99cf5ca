#include "pool/internal/platform.h"

#include <sched.h>

#include <ctime>

namespace vouch::pool::pool_internal {

int64_t SystemPlatform::Now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

void SystemPlatform::Yield() { sched_yield(); }

}  // namespace vouch::pool::pool_internal
