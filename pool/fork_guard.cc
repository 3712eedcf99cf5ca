#include "pool/fork_guard.h"

#include <pthread.h>

#include "pool/internal/thread_hint.h"

namespace vouch::pool {

ForkGuard::ForkGuard() : made_in_(generation_.load(std::memory_order_relaxed)) {
  [[maybe_unused]] static const int registered = pthread_atfork(nullptr, nullptr, [] {
    generation_.fetch_add(1, std::memory_order_relaxed);
    pool_internal::ThreadHint::ForgetAll();  // closes the fast way of every pool
  });
}

}  // namespace vouch::pool
