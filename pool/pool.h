#ifndef VOUCH_POOL_POOL_H_
#define VOUCH_POOL_POOL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <stop_token>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "pool/acquire_options.h"
#include "pool/call_site.h"
#include "pool/fork_guard.h"
#include "pool/histogram.h"
#include "pool/holder.h"
#include "pool/internal/async_waiter.h"
#include "pool/internal/caretaker.h"
#include "pool/internal/forecast.h"
#include "pool/internal/handoff.h"
#include "pool/internal/keeper.h"
#include "pool/internal/lifecycle.h"
#include "pool/internal/messages.h"
#include "pool/internal/platform.h"
#include "pool/internal/resources.h"
#include "pool/internal/thread_hint.h"
#include "pool/lease.h"
#include "pool/mutex.h"
#include "pool/pool_hooks.h"
#include "pool/pool_options.h"
#include "pool/pool_stats.h"

namespace vouch::pool {

// A Pool lends at most `max` resources to any number of threads.
//
//   PoolOptions options;
//   options.name = "readers";
//   absl::StatusOr<std::unique_ptr<Pool<Connection>>> pool =
//       Pool<Connection>::Create(options, [] { return Connection::Open("app.db"); });
//   if (!pool.ok()) return pool.status();
//   absl::StatusOr<Lease<Connection>> lease = (*pool)->Acquire(absl::Milliseconds(250));
//   if (!lease.ok()) return lease.status();
//   (*lease)->Query("…");                     // released at the end of the scope
//
// Thread safety: every method from any thread at once; creation and destruction excepted.
// Memory ordering: what a holder did to a resource before its release is visible to the next
// holder; what the factory did, to the first.
// Ownership: the pool owns its resources and must outlive its leases. ~Pool() closes it and waits
// for the leases, and for threads that are waiting in Acquire(), which leave with
// kFailedPrecondition; after PoolOptions::destroy_timeout it names the holders on the standard error
// stream and aborts the process. It also waits for factory and hooks that are running on the pool's
// own threads. Calling Acquire() once destruction has begun is a mistake. The factory and the hooks
// are called from threads that acquire and from the pool's own, several at once.
// Fork: a pool belongs to the process that made it. In a forked child every call that would lend or
// change anything is refused with kFailedPrecondition, a lease that comes to an end does nothing, and
// deleting the pool leaks it: nothing of the parent's is closed. Asynchronous acquires that wait go
// on waiting, in the parent.
// Cost: Acquire and release of an idle resource are one compare-and-swap each, mostly on a cache
// line of this thread's own: no lock, no allocation, no system call, no clock (but for one in 256 or
// less, which is timed: PoolStats::hold). A thread is started if the options leave something to keep
// (min, a timeout, a lifetime, validation, leaks to look for), another with the first asynchronous
// acquire that has a deadline.
//
// Fairness: who waits is served first in, first out. For the first millisecond of its wait, or what
// PoolOptions::patience says, the oldest waiter competes with threads that come by, which keeps
// resources busy while it wakes up; after that a released resource is handed to it and nobody can
// come in between.
//
// Invariants (1 to 7 of internal/handoff.h, from which these follow):
// 1. At most `max` resources exist, and each has at most one holder. (After a Resize() to less, as
//    soon as the surplus has been released.)
// 2. No resource released after a waiter's first millisecond goes to a younger waiter or a newcomer.
// 3. A waiter never sleeps beside an available resource with nobody on the way to wake it.
// 4. An acquire that times out at the instant it is given a resource returns the resource.
// 5. After failures, broken leases and timeouts, whatever their order, there are `min` resources
//    again as soon as the factory makes them.
// 6. After Close() has returned OK there is no resource and no lease, and will be none.
//
// Linearization: Acquire and TryAcquire at the CAS that takes the slot, or, when it is handed over,
// at the releaser's CAS on the waiter's cell; a timeout, a stop or a cancelled asynchronous acquire
// at the CAS that cancels the waiter; release and Detach at the CAS that puts the slot back or hands
// it over; Close, Suspend, Resume and Resize, as far as newcomers see them, at the store of the
// gate. A TryAcquire that fails saw every slot unavailable at some moment of the call, not all at
// the same one.
//
// Errors; messages begin with the operation and the pool's name, and carry the numbers:
//   kDeadlineExceeded    none in time: shed load. Names the holders, for how long they have held,
//                        and the likely cause.
//   kResourceExhausted   TryAcquire: none available. Acquire: the line is full, or the wait would be
//                        hopeless (PoolOptions::refuse_hopeless_waits); nobody waited: shed load.
//   kCancelled           the caller's stop token.
//   kFailedPrecondition  the pool is closed; or the acquire is a mistake: every lease is held by a
//                        thread that waits for another, this one among them; it was made inside a
//                        hook of the pool; the process has forked. The last two hold for Suspend,
//                        Resume, Resize and Close as well.
//   kInvalidArgument     bad options (Create, Resize).
//   the factory's own    it failed: "acquire NAME: open failed: …". kInternal if it threw, or
//                        returned null. Exceptions of the factory and of hooks do not leave the pool.
//                        This ends the acquire even where another lease might come back in time: a
//                        limit of the server's belongs into PoolOptions::max.
template <typename Resource, typename Platform = pool_internal::SystemPlatform>
class Pool {
 public:
  using Factory = std::function<absl::StatusOr<std::unique_ptr<Resource>>()>;
  using Hooks = PoolHooks<Resource>;
  using LeaseType = Lease<Resource, Platform>;

  // Opens `min` resources, one after the other; returns the first error, then with nothing left
  // open.
  static absl::StatusOr<std::unique_ptr<Pool>> Create(PoolOptions options, Factory factory,
                                                      Hooks hooks = {});

  ~Pool();
  // Deletes the pool, but not in a forked child: there other threads' work may have been left half
  // done, and what is to be closed is the parent's. (The other one is there because GCC wants a pair.)
  static void operator delete(Pool* pool, std::destroying_delete_t);
  static void* operator new(size_t size, std::align_val_t alignment);
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // Takes a resource: an idle one, else opens one if there are less than `max`, else waits. Waits
  // at most options().acquire_timeout, or `timeout`, or until `deadline`; zero or less does not wait
  // and ends with kDeadlineExceeded. The time the factory takes is not bounded by the timeout.
  absl::StatusOr<LeaseType> Acquire(CallSite site = CallSite::Current());
  absl::StatusOr<LeaseType> Acquire(absl::Duration timeout, CallSite site = CallSite::Current());
  absl::StatusOr<LeaseType> Acquire(absl::Time deadline, CallSite site = CallSite::Current());
  absl::StatusOr<LeaseType> Acquire(const AcquireOptions& options,
                                    CallSite site = CallSite::Current());

  // The same without ever waiting for another thread: kResourceExhausted if none is available. May
  // open a resource.
  absl::StatusOr<LeaseType> TryAcquire(CallSite site = CallSite::Current());

  // Runs a closure some time later, on a thread of its choice. Must not throw. One that runs it at
  // once is allowed; then `done` may run inside any call of the pool, a release, a request_stop(), or
  // on the thread that looks after the deadlines of all asynchronous acquires. It must not block then,
  // and neither destroy the pool nor close, suspend, resume or resize it.
  using Executor = std::function<void(absl::AnyInvocable<void() &&>)>;
  using AsyncDone = absl::AnyInvocable<void(absl::StatusOr<LeaseType>) &&>;

  // Acquires without a thread that waits: has the executor run `done` with the lease or the error,
  // once. Stands in the same line as everybody, but never competes: it is handed its slot. The lease
  // has no owner thread (AcquireOptions::transferable). options.stop ends the wait with kCancelled.
  // If the executor drops the closure, the resource goes back and `done` is destroyed uncalled. For
  // coroutines see acquire_awaiter.h. REQUIRES: neither is null.
  void AcquireAsync(Executor executor, AsyncDone done, const AcquireOptions& options = {},
                    CallSite site = CallSite::Current());

  // Lends nothing until Resume(): newcomers wait, and TryAcquire is refused; leases that are out stay
  // valid. What is released is kept. Idempotent, both. To see all of them in, wait until
  // stats().leased is 0.
  absl::Status Suspend();
  absl::Status Resume();

  // Changes PoolOptions::min and max from now on. What is more is closed as it is released or at
  // once. kInvalidArgument as for the options. Whoever has to look for a resource looks at as many
  // places as there have ever been.
  absl::Status Resize(int min, int max);

  // Closes the pool: newcomers and waiters get kFailedPrecondition, idle resources are closed,
  // leased ones when they are released. Waits for that until `drain` has passed, then returns
  // kDeadlineExceeded with the number of leases still out and their holders; the pool stays
  // closed and Close() may be called again to wait on. Idempotent, from any thread. What it takes to
  // close a resource, here or in a Resize() under way, is not cut short at the deadline.
  absl::Status Close(absl::Duration drain);

  // Who holds leases, oldest first.
  std::vector<Holder> holders() const;

  PoolStats stats() const;
  const PoolOptions& options() const { return options_; }

 private:
  friend class Lease<Resource, Platform>;

  using Handoff = pool_internal::Handoff<Resource, Platform>;
  using Slot = typename Handoff::SlotType;
  using SlotState = pool_internal::SlotState;
  using End = typename Handoff::End;
  using Waiter = pool_internal::AsyncWaiter<Handoff, Platform>;
  using ThreadHint = pool_internal::ThreadHint;
  template <typename T>
  using Atomic = typename Platform::template Atomic<T>;

  // One acquire on its way.
  struct Request {
    CallSite site;
    absl::Duration timeout;
    int64_t deadline_ns = kUnknown;     // known once the clock has been read
    uint32_t owner = Slot::kAnyThread;  // the lease's
    const char* label = nullptr;
    std::stop_token stop = {};
    pool_internal::Forecast forecast = {};  // once it has been found hopeless

    static constexpr int64_t kUnknown = INT64_MIN;
  };

  Pool(PoolOptions options, Factory factory, Hooks hooks);

  // Acquiring
  LeaseType MakeLease(Slot& slot, CallSite site);
  static void TimeHold(Slot& slot, int64_t now, const char* label, bool is_sample);
  Request RequestFor(const AcquireOptions& options, CallSite site) const;
  uint32_t FirstLook() const;
  absl::Status CheckCaller(const char* operation, CallSite site = {}) const;
  absl::StatusOr<LeaseType> AcquireSlow(Request request);
  typename Handoff::Result TakeOrWait(Request* request, int64_t* waited_until);
  typename Handoff::Result Wait(const Request& request, uint32_t start);
  End RefusalOf(const Request& request) const;
  bool IsHopeless(Request* request) const;
  std::optional<absl::StatusOr<LeaseType>> Occupy(uint32_t index, const Request& request,
                                                  int64_t waited_until);
  std::optional<absl::Status> MakeReady(Slot& slot, uint32_t index, const Request& request);
  absl::Status OpenFor(Slot& slot, uint32_t index, const Request& request);
  absl::Status OpenUntil(Slot& slot, const Request& request, int64_t deadline_ns);
  void DiscardUnfit(Slot& slot);
  absl::Status Refused(End end, const Request& request);
  void StartAsync(Executor executor, AsyncDone done, Request request);
  static void RunOn(const Executor& executor, absl::AnyInvocable<void() &&> closure);

  // Releasing: what a lease could not do with one CAS.
  void ReleaseSlow(Slot& slot, bool broken);
  std::unique_ptr<Resource> DetachFrom(Slot& slot);
  bool CloseIfUnfit(Slot& slot, bool broken);
  void RecordHold(Slot& slot);

  // Keeping
  bool HasSomethingToKeep() const;
  void StartKeeper();
  int64_t KeeperPass();
  static pool_internal::LifecycleLimits LimitsOf(const PoolOptions& options, const Hooks& hooks);

  void MarkWithheldDue();
  static int64_t DeadlineAfter(absl::Duration timeout);
  pool_internal::Situation DescribeSituation() const;
  static void Count(Atomic<uint64_t>& counter) { counter.fetch_add(1, std::memory_order_relaxed); }
  static uint64_t Read(const Atomic<uint64_t>& counter) {
    return counter.load(std::memory_order_relaxed);
  }

  // Constant after construction
  const PoolOptions options_;
  const uint64_t id_;
  const ForkGuard fork_guard_;
  const int64_t created_at_;

  // Synchronize themselves
  pool_internal::Resources<Resource, Platform> resources_;
  Handoff handoff_;
  pool_internal::AsyncDeadlines async_deadlines_;
  Histogram waits_;
  Histogram holds_;

  // min_: Written by Resize, read by the keeper, which is nudged afterwards.
  // mean_hold_ns_: a moving average, for refuse_hopeless_waits. A lost update is harmless.
  // The others are counters. All relaxed.
  Atomic<int> min_;
  Atomic<int64_t> mean_hold_ns_{0};
  Atomic<uint64_t> timed_out_{0};
  Atomic<uint64_t> stopped_{0};
  Atomic<uint64_t> refused_{0};
  Atomic<uint64_t> deadlocks_{0};

  // Held while the gate is changed: one at a time.
  Mutex gate_mutex_;

  // Used by the keeper's thread only
  pool_internal::Caretaker<Resource, Platform> caretaker_;

  // Last: their threads use everything above. One for the slots, one for async_deadlines_: the first
  // runs the user's code, which may take its time.
  pool_internal::Keeper<Platform> keeper_;
  pool_internal::Keeper<Platform> timekeeper_;
};

}  // namespace vouch::pool

#include "pool/internal/pool_impl.h"  // IWYU pragma: export

#endif  // VOUCH_POOL_POOL_H_
