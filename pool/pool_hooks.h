#ifndef VOUCH_POOL_POOL_HOOKS_H_
#define VOUCH_POOL_POOL_HOOKS_H_

#include <functional>

#include "absl/status/status.h"
#include "pool/holder.h"

namespace vouch::pool {

// Why a pool closes a resource.
enum class CloseReason {
  kIdle,      // unused for idle_timeout
  kLifetime,  // older than max_lifetime
  kBroken,    // Lease::MarkBroken()
  kInvalid,   // validate failed
  kRejected,  // after_open, before_lend or after_return failed
  kResize,    // Resize() made the pool smaller
  kShutdown,  // Close()
};
inline constexpr int kCloseReasons = 7;

// What a Pool calls at the turns of a resource's life. Each may be null.
//
//   hooks.validate = [](Connection& connection) { return connection.Ping(); };
//
// Thread safety: called on the thread that acquires, releases or closes, or on the pool's own;
// several at once, for different resources; of one resource one at a time.
// Errors: a hook that throws has failed. A hook must not acquire from its pool: that is refused with
// kFailedPrecondition.
// Cost: a pool with before_lend or after_return has no fast path: every lease and release costs some
// 50 ns more, and theirs.
template <typename Resource>
struct PoolHooks {
  // A resource has been opened. An error closes it, and the open has failed with that error.
  std::function<absl::Status(Resource&)> after_open = {};

  // It is about to be lent. An error closes it and another is opened; if that fails as well, the
  // acquire ends with the error.
  std::function<absl::Status(Resource&)> before_lend = {};

  // It has been released. An error closes it.
  std::function<absl::Status(Resource&)> after_return = {};

  // It is about to be closed. Also called for one that after_open refused.
  std::function<void(Resource&, CloseReason)> before_close = {};

  // Whether it still works. Called before a resource is lent that was not used for
  // PoolOptions::validate_after_idle, and on idle ones every PoolOptions::keepalive_interval. An
  // error closes it; an acquire goes on with another.
  std::function<absl::Status(Resource&)> validate = {};

  // A lease is out for longer than PoolOptions::leak_threshold. Called once a lease, on the pool's
  // own thread.
  std::function<void(const Holder&)> on_leak = {};
};

}  // namespace vouch::pool

#endif  // VOUCH_POOL_POOL_HOOKS_H_
