#ifndef VOUCH_POOL_ACQUIRE_AWAITER_H_
#define VOUCH_POOL_ACQUIRE_AWAITER_H_

#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "pool/acquire_options.h"
#include "pool/call_site.h"
#include "pool/pool.h"

namespace vouch::pool {

// Has a coroutine wait for a lease without holding a thread:
//
//   absl::StatusOr<Lease<Connection>> lease = co_await AcquireOn(pool, executor);
//
// The coroutine is resumed by the executor, with what Pool::AcquireAsync() passes to its callback:
// see there for the executor and the errors. It is resumed also when the lease is there at once. An
// executor that drops its closures leaves the coroutine suspended for ever.
//
// Thread safety: an awaiter is awaited once, by one coroutine.
// Ownership: the pool must outlive the wait. A coroutine may not be destroyed while it waits: end
// the wait with AcquireOptions::stop first.
template <typename Resource, typename Platform>
class [[nodiscard]] AcquireAwaiter {
 public:
  using PoolType = Pool<Resource, Platform>;

  AcquireAwaiter(PoolType& pool, typename PoolType::Executor executor, AcquireOptions options,
                 CallSite site)
      : pool_(pool), executor_(std::move(executor)), options_(std::move(options)), site_(site) {}

  bool await_ready() const noexcept { return false; }

  // A template, so that this header does without <coroutine>, which some compilers do not have yet.
  template <typename Handle>
  void await_suspend(Handle handle) {
    // Nothing of *this is touched after the call: the coroutine may have ended by then.
    pool_.AcquireAsync(
        std::move(executor_),
        [this, handle](absl::StatusOr<typename PoolType::LeaseType> lease) mutable {
          lease_ = std::move(lease);
          handle.resume();
        },
        options_, site_);
  }

  absl::StatusOr<typename PoolType::LeaseType> await_resume() { return *std::move(lease_); }

 private:
  PoolType& pool_;
  typename PoolType::Executor executor_;
  const AcquireOptions options_;
  const CallSite site_;
  std::optional<absl::StatusOr<typename PoolType::LeaseType>> lease_;
};

template <typename Resource, typename Platform>
AcquireAwaiter<Resource, Platform> AcquireOn(Pool<Resource, Platform>& pool,
                                             typename Pool<Resource, Platform>::Executor executor,
                                             AcquireOptions options = {},
                                             CallSite site = CallSite::Current()) {
  return {pool, std::move(executor), std::move(options), site};
}

}  // namespace vouch::pool

#endif  // VOUCH_POOL_ACQUIRE_AWAITER_H_
