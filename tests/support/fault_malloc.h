// FaultMalloc: SQLite's memory, of which the Nth allocation fails on demand.
//
//   FaultMalloc memory;
//   memory.Arm(/*at=*/12, /*sticky=*/false);
//   … use a database …
//   memory.Disarm();
//
// SQLite takes its allocator before it starts, so construction and destruction shut it down.
// Lookaside, in which small allocations of a connection are served without asking the allocator, is
// off meanwhile, so that they can fail as well. Allocations of C++ are not touched.
//
// Thread safety: any thread, except construction and destruction.
// Ownership: no SQLite object may live when one is constructed or destroyed, nor a FaultVfs that
// was
//   made before it.

#ifndef VOUCH_TESTS_SUPPORT_FAULT_MALLOC_H_
#define VOUCH_TESTS_SUPPORT_FAULT_MALLOC_H_

#include <cstdint>

namespace vouch::test {

class FaultMalloc {
 public:
  FaultMalloc();
  ~FaultMalloc();
  FaultMalloc(const FaultMalloc&) = delete;
  FaultMalloc& operator=(const FaultMalloc&) = delete;

  // Counts from zero, and fails allocation number `at`, from 1 (0: none), and if `sticky` all
  // after.
  void Arm(std::int64_t at, bool sticky);
  void Disarm() { Arm(0, false); }

  // Since Arm().
  std::int64_t allocations() const;
  bool failed() const;
};

}  // namespace vouch::test

#endif  // VOUCH_TESTS_SUPPORT_FAULT_MALLOC_H_
