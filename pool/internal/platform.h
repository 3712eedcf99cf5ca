#ifndef VOUCH_POOL_INTERNAL_PLATFORM_H_
#define VOUCH_POOL_INTERNAL_PLATFORM_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#include "pool/park.h"

namespace vouch::pool::pool_internal {

// A platform is what the pool needs from the machine: atomics, parking, a clock. The pool's
// algorithms take it as a template parameter, so that a test can put its own in place and decide
// every interleaving and every reading of the clock. A platform has the members of SystemPlatform.

// Linux: std::atomic, futex, CLOCK_MONOTONIC. No state; any thread.
struct SystemPlatform {
  template <typename T>
  using Atomic = std::atomic<T>;

  // As pool/park.h says; another platform's may demand that the memory of `word` is still there.
  static bool Park(Atomic<uint32_t>& word, uint32_t expected, int64_t deadline_ns) {
    return pool::Park(word, expected, deadline_ns);
  }
  static void Unpark(Atomic<uint32_t>& word) { pool::Unpark(&word); }

  // Nanoseconds of a clock that never goes back and does not stop for clock changes.
  static int64_t Now();

  // Gives the processor to somebody else.
  static void Yield();

  // An array whose elements are all zero bytes. Pages are not touched: the kernel gives them when
  // they are first used, so a long wait queue that nobody stands in costs address space only.
  // T may consist of Atomic integers and pointers only. The language would like their constructors
  // to run; GCC and Clang represent such a std::atomic as the value, whose zero is zero bytes.
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  template <typename T>
  using Array = std::unique_ptr<T[], Free>;
  template <typename T>
  static Array<T> MakeZeroedArray(size_t size) {
    static_assert(sizeof(std::atomic<uint64_t>) == sizeof(uint64_t) &&
                  std::atomic<uint64_t>::is_always_lock_free);
    static_assert(alignof(T) <= alignof(std::max_align_t));
    void* const memory = std::calloc(size, sizeof(T));
    if (memory == nullptr) throw std::bad_alloc();
    return Array<T>(static_cast<T*>(memory));
  }
};

}  // namespace vouch::pool::pool_internal

#endif  // VOUCH_POOL_INTERNAL_PLATFORM_H_
