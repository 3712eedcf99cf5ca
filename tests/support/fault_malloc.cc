#include "tests/support/fault_malloc.h"

#include <sqlite3.h>

#include <atomic>
#include <cstdlib>

namespace vouch::test {
namespace {

sqlite3_mem_methods real;

// Written by Arm(), counted by any thread that allocates. All relaxed: Arm() happens between the
// uses of the database, and a test's other threads are not told of it by these.
std::atomic<std::int64_t> count{0};
std::atomic<std::int64_t> fail_at{0};
std::atomic<bool> fail_sticky{false};

bool Fails() {
  const std::int64_t number = count.fetch_add(1, std::memory_order_relaxed) + 1;
  const std::int64_t at = fail_at.load(std::memory_order_relaxed);
  if (at == 0 || number < at) return false;
  return number == at || fail_sticky.load(std::memory_order_relaxed);
}

void Check(int code) {
  if (code != SQLITE_OK) std::abort();
}

}  // namespace

FaultMalloc::FaultMalloc() {
  Check(sqlite3_shutdown());
  Check(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real));
  sqlite3_mem_methods methods = real;
  methods.xMalloc = [](int size) { return Fails() ? nullptr : real.xMalloc(size); };
  methods.xRealloc = [](void* memory, int size) {
    return Fails() ? nullptr : real.xRealloc(memory, size);
  };
  Check(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods));
  Check(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0));
  Check(sqlite3_initialize());
  Disarm();
}

FaultMalloc::~FaultMalloc() {
  constexpr int kDefaultSize = 1200;
  constexpr int kDefaultCount = 40;
  Check(sqlite3_shutdown());
  Check(sqlite3_config(SQLITE_CONFIG_MALLOC, &real));
  Check(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, kDefaultSize, kDefaultCount));
  Check(sqlite3_initialize());
}

void FaultMalloc::Arm(std::int64_t at, bool sticky) {
  fail_at.store(at, std::memory_order_relaxed);
  fail_sticky.store(sticky, std::memory_order_relaxed);
  count.store(0, std::memory_order_relaxed);
}

std::int64_t FaultMalloc::allocations() const { return count.load(std::memory_order_relaxed); }

bool FaultMalloc::failed() const {
  const std::int64_t at = fail_at.load(std::memory_order_relaxed);
  return at != 0 && allocations() >= at;
}

}  // namespace vouch::test
