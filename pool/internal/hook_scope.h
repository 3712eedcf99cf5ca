#ifndef VOUCH_POOL_INTERNAL_HOOK_SCOPE_H_
#define VOUCH_POOL_INTERNAL_HOOK_SCOPE_H_

#include <cstdint>

#include "pool/internal/thread_hint.h"

namespace vouch::pool::pool_internal {

// A HookScope lives while the pool runs code of its user's (the factory, a hook) that must not
// acquire from the same pool: the slot it works on is taken, and another may never come. It makes
// the thread forget its hint, so that an acquire comes by the slow way, which asks Inside().
//
// Thread safety: each thread has its own.
class HookScope {
 public:
  HookScope(uint64_t pool_id, const char* hook)
      : pool_id_(pool_id), hook_(hook), outer_(innermost_) {
    innermost_ = this;
    ThreadHint::Forget(pool_id);
  }
  ~HookScope() { innermost_ = outer_; }
  HookScope(const HookScope&) = delete;
  HookScope& operator=(const HookScope&) = delete;

  // The name of the hook of this pool that the calling thread is in; null if it is in none.
  static const char* Inside(uint64_t pool_id) {
    for (const HookScope* scope = innermost_; scope != nullptr; scope = scope->outer_) {
      if (scope->pool_id_ == pool_id) return scope->hook_;
    }
    return nullptr;
  }

 private:
  static inline constinit thread_local const HookScope* innermost_ = nullptr;

  const uint64_t pool_id_;
  const char* const hook_;
  const HookScope* const outer_;
};

}  // namespace vouch::pool::pool_internal

#endif  // VOUCH_POOL_INTERNAL_HOOK_SCOPE_H_
