#ifndef VOUCH_STORAGE_SQLITE_INTERNAL_ONE_USER_H_
#define VOUCH_STORAGE_SQLITE_INTERNAL_ONE_USER_H_

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace vouch::storage::storage_internal {

// OneUser finds two threads using one thing at the same time, and ends the process. Its handles are
// opened without SQLite's mutex, and two threads in one corrupt memory. It finds overlaps, not the
// use by one thread after another, which is allowed; a thread may enter again from a callback.
//
//   const OneUserScope scope(user_);  // does something only in builds with assertions
//
// Thread safety: any thread, that being the point. Cost: one compare-and-swap.
class OneUser {
 public:
  // Returns what Leave() is to be given.
  std::uintptr_t Enter() {
    std::uintptr_t before = 0;
    if (!user_.compare_exchange_strong(before, ThisThread(), std::memory_order_relaxed) &&
        before != ThisThread()) {
      (void)std::fputs("vouch: a connection is used by two threads at once\n", stderr);
      std::abort();
    }
    return before;
  }
  void Leave(std::uintptr_t before) { user_.store(before, std::memory_order_relaxed); }

 private:
  static std::uintptr_t ThisThread() {
    static thread_local const char here = 0;
    return reinterpret_cast<std::uintptr_t>(&here);
  }

  // user_: the thread that is inside, or 0.
  //   Written and read by: whoever enters or leaves. Relaxed on purpose: it hands nothing over, and
  //   stronger orders would hide from ThreadSanitizer the very races this is about.
  std::atomic<std::uintptr_t> user_{0};
};

template <bool kOn>
class UseScope {
 public:
  explicit UseScope(OneUser& user) : user_(user), before_(user.Enter()) {}
  ~UseScope() { user_.Leave(before_); }
  UseScope(const UseScope&) = delete;
  UseScope& operator=(const UseScope&) = delete;

 private:
  OneUser& user_;
  const std::uintptr_t before_;
};

template <>
class UseScope<false> {
 public:
  explicit UseScope(OneUser& /*user*/) {}
  ~UseScope() {}  // Not trivial, so that a scope is never an unused variable.
  UseScope(const UseScope&) = delete;
  UseScope& operator=(const UseScope&) = delete;
};

#ifdef NDEBUG
using OneUserScope = UseScope<false>;
#else
using OneUserScope = UseScope<true>;
#endif

}  // namespace vouch::storage::storage_internal

#endif  // VOUCH_STORAGE_SQLITE_INTERNAL_ONE_USER_H_
