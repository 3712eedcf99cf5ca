#ifndef VOUCH_POOL_FORK_GUARD_H_
#define VOUCH_POOL_FORK_GUARD_H_

#include <atomic>
#include <cstdint>

namespace vouch::pool {

// A ForkGuard tells whether the process has forked since the guard was made, that is, whether this
// is a child that has merely inherited what the guard protects. Connections do not survive a fork:
// a child that uses or closes one disturbs the parent's (SQLite even loses the parent's file
// locks). What a guard finds forked is to be refused and leaked.
//
//   if (guard_.forked()) return absl::FailedPreconditionError("query: used after fork");
//
// Thread safety: any thread. Cost: forked() is one load; the first guard of a process registers a
// handler with pthread_atfork.
class ForkGuard {
 public:
  ForkGuard();

  bool forked() const { return generation_.load(std::memory_order_relaxed) != made_in_; }

 private:
  // generation_: forks between this process and the first guard's. Written in a forked child,
  // where there is one thread; read by any.
  static inline std::atomic<uint64_t> generation_{0};

  const uint64_t made_in_;
};

}  // namespace vouch::pool

#endif  // VOUCH_POOL_FORK_GUARD_H_
