#ifndef VOUCH_POOL_POOL_H_
#define VOUCH_POOL_POOL_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "pool/call_site.h"
#include "pool/internal/handoff.h"
#include "pool/internal/keeper.h"
#include "pool/internal/lifecycle.h"
#include "pool/internal/messages.h"
#include "pool/internal/platform.h"
#include "pool/internal/thread_hint.h"
#include "pool/lease.h"
#include "pool/mutex.h"
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
// holder; what the factory did, to the first. Ownership: the pool owns its resources and must
// outlive its leases. ~Pool() is Close() without a deadline: it waits for the leases, and for
// threads that are waiting in Acquire(), which leave with kFailedPrecondition. Calling Acquire()
// once destruction has begun is a mistake. The factory is called from threads that acquire and from
// the pool's own, several at once; it must not acquire from this pool. Cost: Acquire and release of
// an idle resource are one compare-and-swap each, mostly on a cache line of this thread's own: no
// lock, no allocation, no system call, no clock. One thread is started if the options leave
// something to keep (min, a timeout or a lifetime).
//
// Fairness: who waits is served first in, first out. For the first millisecond of its wait the
// oldest waiter competes with threads that come by, which keeps resources busy while it wakes up;
// after that a released resource is handed to it and nobody can come in between.
//
// Invariants (1 to 6 of internal/handoff.h, from which these follow):
// 1. At most `max` resources exist, and each has at most one holder.
// 2. No resource released after a waiter's first millisecond goes to a younger waiter or a
// newcomer.
// 3. A waiter never sleeps beside an available resource with nobody on the way to wake it.
// 4. An acquire that times out at the instant it is given a resource returns the resource.
// 5. After Close() has returned OK there is no resource and no lease, and will be none.
//
// Linearization: Acquire and TryAcquire at the CAS that takes the slot, or, when it is handed over,
// at the releaser's CAS on the waiter's cell; a timeout at the CAS that cancels the waiter; release
// at the CAS that puts the slot back or hands it over; Close, as far as newcomers see it, at the
// store of `closed`. A TryAcquire that fails saw every slot unavailable at some moment of the call,
// not all at the same one.
//
// Errors; messages begin with the operation and the pool's name, and carry the numbers:
//   kDeadlineExceeded    none in time: shed load. Names the call sites of the holders.
//   kResourceExhausted   TryAcquire: none available. Acquire: the line is full, nobody waited:
//   shed. kFailedPrecondition  the pool is closed. kInvalidArgument     bad options (Create). the
//   factory's own    it failed: "acquire NAME: open failed: …". kInternal if it threw, or returned
//                        null. Exceptions of the factory do not leave the pool.
template <typename Resource, typename Platform = pool_internal::SystemPlatform>
class Pool {
 public:
  using Factory = std::function<absl::StatusOr<std::unique_ptr<Resource>>()>;

  // Opens `min` resources, one after the other; returns the first error, then with nothing left
  // open.
  static absl::StatusOr<std::unique_ptr<Pool>> Create(PoolOptions options, Factory factory);

  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // Takes a resource: an idle one, else opens one if there are less than `max`, else waits. Waits
  // at most options().acquire_timeout, or `timeout`; zero or less does not wait and ends with
  // kDeadlineExceeded. The time the factory takes is not bounded by the timeout.
  absl::StatusOr<Lease<Resource, Platform>> Acquire(CallSite site = CallSite::Current());
  absl::StatusOr<Lease<Resource, Platform>> Acquire(absl::Duration timeout,
                                                    CallSite site = CallSite::Current());

  // The same without ever waiting for another thread: kResourceExhausted if none is available. May
  // open a resource.
  absl::StatusOr<Lease<Resource, Platform>> TryAcquire(CallSite site = CallSite::Current());

  // Closes the pool: newcomers and waiters get kFailedPrecondition, idle resources are closed,
  // leased ones when they are released. Waits for that until `drain` has passed, then returns
  // kDeadlineExceeded with the number of leases still out and their call sites; the pool stays
  // closed and Close() may be called again to wait on. Idempotent, from any thread.
  absl::Status Close(absl::Duration drain);

  PoolStats stats() const;
  const PoolOptions& options() const { return options_; }

 private:
  friend class Lease<Resource, Platform>;

  using LeaseType = Lease<Resource, Platform>;
  using Handoff = pool_internal::Handoff<Resource, Platform>;
  using Slot = typename Handoff::SlotType;
  using SlotState = pool_internal::SlotState;
  template <typename T>
  using Atomic = typename Platform::template Atomic<T>;

  Pool(PoolOptions options, Factory factory);

  uint32_t capacity() const { return handoff_.slots().size(); }
  static int64_t DeadlineAfter(absl::Duration timeout);

  // Acquiring.
  Slot& HintedSlot() { return handoff_.slots()[pool_internal::ThreadHint::Get(id_, capacity())]; }
  LeaseType MakeLease(Slot& slot, CallSite site);
  absl::StatusOr<LeaseType> AcquireSlow(absl::Duration timeout, CallSite site);
  absl::StatusOr<LeaseType> Occupy(uint32_t index, CallSite site);
  absl::Status Refused(typename Handoff::End end, absl::Duration timeout);
  absl::Status NoneAvailable();
  pool_internal::Situation Now() const;

  // Resources. All by the slot's owner.
  absl::Status Open(Slot& slot, const char* operation);
  absl::StatusOr<std::unique_ptr<Resource>> CallFactory();
  void CloseResource(Slot& slot, Atomic<uint64_t>* counter);
  int size() const { return size_.load(std::memory_order_relaxed); }

  // Releasing: what a lease could not do with one CAS.
  void ReleaseSlow(Slot& slot, bool broken);

  // Keeping. On the keeper's thread.
  bool HasSomethingToKeep() const;
  int64_t KeeperPass();
  int64_t KeepSlot(uint32_t index, int64_t now);
  pool_internal::SlotView ViewOf(uint32_t index, int64_t now);
  bool CloseIdleSlot(uint32_t index, Atomic<uint64_t>* counter);
  void Refill(uint32_t index, int64_t now);

  // Constant after construction
  const PoolOptions options_;
  const Factory factory_;
  const uint64_t id_;
  const pool_internal::LifecycleLimits limits_;

  // Synchronizes itself
  Handoff handoff_;

  // Counters: written on slow paths, read by stats(). Relaxed and advisory. size_ also tells the
  // keeper whether there are more than `min`: a stale value delays a refill until the next nudge,
  // which whoever changes size_ downwards sends afterwards.
  Atomic<int> size_{0};
  Atomic<uint64_t> timed_out_{0};
  Atomic<uint64_t> refused_{0};
  Atomic<uint64_t> opened_{0};
  Atomic<uint64_t> open_failures_{0};
  Atomic<uint64_t> closed_idle_{0};
  Atomic<uint64_t> closed_lifetime_{0};
  Atomic<uint64_t> closed_broken_{0};

  mutable Mutex mutex_;
  std::string last_open_error_ ABSL_GUARDED_BY(mutex_);

  // Used by the keeper's thread only
  struct LastSeen {
    uint64_t uses = UINT64_MAX;
    int64_t since = 0;
  };
  std::vector<LastSeen> last_seen_;
  int failures_in_a_row_ = 0;
  int64_t open_not_before_ = 0;

  // Last: its thread uses everything above.
  pool_internal::Keeper<Platform> keeper_;
};

// Implementation

template <typename Resource, typename Platform>
absl::StatusOr<std::unique_ptr<Pool<Resource, Platform>>> Pool<Resource, Platform>::Create(
    PoolOptions options, Factory factory) {
  absl::Status valid = options.Validate();
  if (valid.ok() && factory == nullptr) {
    valid = absl::InvalidArgumentError(
        absl::StrCat("pool options of ", options.name, ": the factory is null"));
  }
  if (!valid.ok()) return valid;
  std::unique_ptr<Pool> pool(new Pool(std::move(options), std::move(factory)));
  for (int i = 0; i < pool->options_.min; ++i) {
    const auto index = static_cast<uint32_t>(i);
    Slot& slot = pool->handoff_.slots()[index];
    slot.word.TryTake(SlotState::kEmpty);  // nobody else is here yet
    absl::Status opened = pool->Open(slot, "create");
    pool->handoff_.Put(index);
    if (!opened.ok()) return opened;
  }
  if (pool->HasSomethingToKeep()) {
    pool->keeper_.Start([raw = pool.get()] { return raw->KeeperPass(); });
  }
  return pool;
}

template <typename Resource, typename Platform>
Pool<Resource, Platform>::Pool(PoolOptions options, Factory factory)
    : options_(std::move(options)),
      factory_(std::move(factory)),
      id_(pool_internal::ThreadHint::NewPoolId()),
      limits_{options_.min, pool_internal::NanosOf(options_.idle_timeout),
              pool_internal::NanosOf(options_.max_lifetime), options_.lifetime_jitter},
      handoff_(static_cast<uint32_t>(options_.max), static_cast<uint64_t>(options_.max_waiters)),
      last_seen_(static_cast<size_t>(options_.max)) {}

template <typename Resource, typename Platform>
Pool<Resource, Platform>::~Pool() {
  Close(absl::InfiniteDuration()).IgnoreError();
  keeper_.Join();
  handoff_.AwaitVisitors();
}

// Acquiring

template <typename Resource, typename Platform>
absl::StatusOr<Lease<Resource, Platform>> Pool<Resource, Platform>::Acquire(CallSite site) {
  Slot& slot = HintedSlot();
  if (slot.word.TryLease()) [[likely]]
    return MakeLease(slot, site);
  return AcquireSlow(options_.acquire_timeout, site);
}

template <typename Resource, typename Platform>
absl::StatusOr<Lease<Resource, Platform>> Pool<Resource, Platform>::Acquire(absl::Duration timeout,
                                                                            CallSite site) {
  Slot& slot = HintedSlot();
  if (slot.word.TryLease()) [[likely]]
    return MakeLease(slot, site);
  return AcquireSlow(timeout, site);
}

template <typename Resource, typename Platform>
absl::StatusOr<Lease<Resource, Platform>> Pool<Resource, Platform>::TryAcquire(CallSite site) {
  const uint32_t index = handoff_.slots().TryTake(pool_internal::ThreadHint::Get(id_, capacity()));
  if (index != Handoff::kNone) return Occupy(index, site);
  return NoneAvailable();
}

template <typename Resource, typename Platform>
Lease<Resource, Platform> Pool<Resource, Platform>::MakeLease(Slot& slot, CallSite site) {
  slot.NoteLease(site);
  return LeaseType(this, &slot);
}

// The hinted slot was not idle: look at the others, then wait.
template <typename Resource, typename Platform>
absl::StatusOr<Lease<Resource, Platform>> Pool<Resource, Platform>::AcquireSlow(
    absl::Duration timeout, CallSite site) {
  const uint32_t start = pool_internal::ThreadHint::Get(id_, capacity());
  const uint32_t index = handoff_.slots().TryTake(start);
  if (index != Handoff::kNone) return Occupy(index, site);
  const typename Handoff::Visit visit(&handoff_);
  typename Handoff::Result result{Handoff::End::kTimedOut, Handoff::kNone};
  if (handoff_.closed()) {
    result.end = Handoff::End::kClosed;
  } else if (timeout > absl::ZeroDuration()) {
    result = handoff_.Wait(start, DeadlineAfter(timeout));
  }
  if (result.end == Handoff::End::kTaken) return Occupy(result.slot, site);
  return Refused(result.end, timeout);
}

// Makes a lease of a slot just taken, opening the resource if there is none.
template <typename Resource, typename Platform>
absl::StatusOr<Lease<Resource, Platform>> Pool<Resource, Platform>::Occupy(uint32_t index,
                                                                           CallSite site) {
  Slot& slot = handoff_.slots()[index];
  if (slot.resource == nullptr) {
    const typename Handoff::Visit visit(&handoff_);
    absl::Status opened = Open(slot, "acquire");
    if (!opened.ok()) {
      handoff_.Put(index);  // a waiter gets its chance
      return opened;
    }
    keeper_.Nudge();
  }
  pool_internal::ThreadHint::Set(id_, index);
  return MakeLease(slot, site);
}

template <typename Resource, typename Platform>
absl::Status Pool<Resource, Platform>::Refused(typename Handoff::End end, absl::Duration timeout) {
  switch (end) {
    case Handoff::End::kClosed:
      return pool_internal::ClosedError(options_.name);
    case Handoff::End::kLineFull:
      refused_.fetch_add(1, std::memory_order_relaxed);
      return pool_internal::LineFullError(Now(), options_.max_waiters);
    default:
      timed_out_.fetch_add(1, std::memory_order_relaxed);
      return pool_internal::TimeoutError(Now(), timeout);
  }
}

template <typename Resource, typename Platform>
absl::Status Pool<Resource, Platform>::NoneAvailable() {
  const typename Handoff::Visit visit(&handoff_);
  if (handoff_.closed()) return pool_internal::ClosedError(options_.name);
  refused_.fetch_add(1, std::memory_order_relaxed);
  return pool_internal::NoneAvailableError(Now());
}

template <typename Resource, typename Platform>
int64_t Pool<Resource, Platform>::DeadlineAfter(absl::Duration timeout) {
  const int64_t length = pool_internal::NanosOf(timeout);
  if (length == pool_internal::kForever) return length;
  return pool_internal::SaturatingAdd(Platform::Now(), std::max<int64_t>(length, 0));
}

// What an error message tells about the pool. Read one after the other, not at one moment.
template <typename Resource, typename Platform>
pool_internal::Situation Pool<Resource, Platform>::Now() const {
  pool_internal::Situation situation;
  situation.name = options_.name;
  situation.capacity = options_.max;
  situation.waiting = handoff_.waiting();
  for (uint32_t i = 0; i < capacity(); ++i) {
    const Slot& slot = handoff_.slots()[i];
    const SlotState state = slot.word.Glance();
    if (state != SlotState::kLeased && state != SlotState::kReserved) continue;
    ++situation.leased;
    if (state == SlotState::kReserved) continue;  // the keeper's: no call site
    const char* const file = slot.holder_file.load(std::memory_order_relaxed);
    if (file == nullptr) continue;  // never leased: its first resource is being opened
    situation.holders.push_back({file, slot.holder_line.load(std::memory_order_relaxed)});
  }
  MutexLock lock(&mutex_);
  situation.last_open_error = last_open_error_;
  return situation;
}

// Resources

template <typename Resource, typename Platform>
absl::Status Pool<Resource, Platform>::Open(Slot& slot, const char* operation) {
  absl::StatusOr<std::unique_ptr<Resource>> resource = CallFactory();
  if (!resource.ok()) {
    open_failures_.fetch_add(1, std::memory_order_relaxed);
    MutexLock lock(&mutex_);
    last_open_error_ = std::string(resource.status().message());
    return pool_internal::OpenError(operation, options_.name, resource.status());
  }
  slot.resource = *std::move(resource);
  slot.opened_at.store(std::max<int64_t>(Platform::Now(), 1), std::memory_order_relaxed);
  size_.fetch_add(1, std::memory_order_relaxed);
  opened_.fetch_add(1, std::memory_order_relaxed);
  return absl::OkStatus();
}

template <typename Resource, typename Platform>
absl::StatusOr<std::unique_ptr<Resource>> Pool<Resource, Platform>::CallFactory() {
  try {
    absl::StatusOr<std::unique_ptr<Resource>> resource = factory_();
    if (resource.ok() && *resource == nullptr) {
      return absl::InternalError("the factory returned null");
    }
    return resource;
  } catch (const std::exception& exception) {
    return absl::InternalError(absl::StrCat("the factory threw: ", exception.what()));
  } catch (...) {
    return absl::InternalError("the factory threw something that is no std::exception");
  }
}

template <typename Resource, typename Platform>
void Pool<Resource, Platform>::CloseResource(Slot& slot, Atomic<uint64_t>* counter) {
  slot.resource.reset();
  slot.opened_at.store(0, std::memory_order_relaxed);
  size_.fetch_sub(1, std::memory_order_relaxed);
  counter->fetch_add(1, std::memory_order_relaxed);
}

// Releasing

template <typename Resource, typename Platform>
void Pool<Resource, Platform>::ReleaseSlow(Slot& slot, bool broken) {
  const typename Handoff::Visit visit(&handoff_);
  const uint32_t index = handoff_.slots().IndexOf(slot);
  const bool expired = slot.expired.load(std::memory_order_relaxed) ==
                       slot.opened_at.load(std::memory_order_relaxed);
  if (broken || expired) {
    CloseResource(slot, broken ? &closed_broken_ : &closed_lifetime_);
    handoff_.Put(index);
    keeper_.Nudge();  // there may be less than `min` now
  } else {
    handoff_.PutSlow(index);
  }
}

template <typename Resource, typename Platform>
absl::Status Pool<Resource, Platform>::Close(absl::Duration drain) {
  const int64_t deadline = DeadlineAfter(drain);
  keeper_.Stop();
  handoff_.Close();
  if (handoff_.AwaitRetired(deadline)) return absl::OkStatus();
  return pool_internal::DrainError(Now(), drain);
}

// Keeping

template <typename Resource, typename Platform>
bool Pool<Resource, Platform>::HasSomethingToKeep() const {
  const bool shrinks =
      options_.max > options_.min && limits_.idle_timeout_ns != pool_internal::kForever;
  return options_.min > 0 || shrinks || limits_.max_lifetime_ns != pool_internal::kForever;
}

template <typename Resource, typename Platform>
int64_t Pool<Resource, Platform>::KeeperPass() {
  const int64_t now = Platform::Now();
  int64_t next = pool_internal::kForever;
  for (uint32_t i = 0; i < capacity() && !keeper_.stopped(); ++i) {
    next = std::min(next, KeepSlot(i, now));
  }
  return next;
}

// Does what is due for a slot; returns when to look again.
template <typename Resource, typename Platform>
int64_t Pool<Resource, Platform>::KeepSlot(uint32_t index, int64_t now) {
  using pool_internal::LifecycleAction;
  Slot& slot = handoff_.slots()[index];
  const pool_internal::SlotView view = ViewOf(index, now);
  const pool_internal::LifecycleDecision decision =
      pool_internal::DecideLifecycle(view, now, size(), open_not_before_, limits_);
  switch (decision.action) {
    case LifecycleAction::kNone:
      return decision.next_look;
    case LifecycleAction::kOpen:
      Refill(index, now);
      break;
    case LifecycleAction::kCloseIdle:
      CloseIdleSlot(index, &closed_idle_);
      break;
    case LifecycleAction::kCloseLifetime:
      CloseIdleSlot(index, &closed_lifetime_);
      break;
    case LifecycleAction::kExpireOnRelease:
      slot.expired.store(view.opened_at, std::memory_order_relaxed);  // published by Want
      slot.word.Want();
      return decision.next_look;
  }
  return now;  // something changed: look at all of them again
}

// What there is to know of a slot without owning it.
template <typename Resource, typename Platform>
pool_internal::SlotView Pool<Resource, Platform>::ViewOf(uint32_t index, int64_t now) {
  const Slot& slot = handoff_.slots()[index];
  LastSeen& seen = last_seen_[index];
  const SlotState state = slot.word.Glance();
  const uint64_t uses = slot.uses.load(std::memory_order_relaxed);
  if (uses != seen.uses || state != SlotState::kIdle) seen = {uses, now};
  return {state, slot.opened_at.load(std::memory_order_relaxed), seen.since, index};
}

// Closes the resource of a slot that is still idle and still unused since the keeper's last look.
template <typename Resource, typename Platform>
bool Pool<Resource, Platform>::CloseIdleSlot(uint32_t index, Atomic<uint64_t>* counter) {
  Slot& slot = handoff_.slots()[index];
  if (!slot.word.TryReserve(SlotState::kIdle)) return false;
  const bool unused = slot.uses.load(std::memory_order_relaxed) == last_seen_[index].uses;
  if (unused) CloseResource(slot, counter);
  slot.word.Unreserve();
  handoff_.Put(index);
  return unused;
}

template <typename Resource, typename Platform>
void Pool<Resource, Platform>::Refill(uint32_t index, int64_t now) {
  Slot& slot = handoff_.slots()[index];
  if (!slot.word.TryReserve(SlotState::kEmpty)) return;
  if (Open(slot, "refill").ok()) {
    failures_in_a_row_ = 0;
  } else {
    open_not_before_ =
        pool_internal::SaturatingAdd(now, pool_internal::OpenBackoff(++failures_in_a_row_));
  }
  slot.word.Unreserve();
  handoff_.Put(index);
}

template <typename Resource, typename Platform>
PoolStats Pool<Resource, Platform>::stats() const {
  PoolStats stats;
  stats.capacity = options_.max;
  for (uint32_t i = 0; i < capacity(); ++i) {
    const Slot& slot = handoff_.slots()[i];
    const SlotState state = slot.word.Glance();
    stats.idle += state == SlotState::kIdle ? 1 : 0;
    stats.leased += state == SlotState::kLeased ? 1 : 0;
    stats.acquired += slot.uses.load(std::memory_order_relaxed);
  }
  stats.waiting = handoff_.waiting();
  stats.waited = handoff_.waited();
  stats.handed_off = handoff_.handed_off();
  stats.timed_out = timed_out_.load(std::memory_order_relaxed);
  stats.refused = refused_.load(std::memory_order_relaxed);
  stats.opened = opened_.load(std::memory_order_relaxed);
  stats.open_failures = open_failures_.load(std::memory_order_relaxed);
  stats.closed.idle = closed_idle_.load(std::memory_order_relaxed);
  stats.closed.lifetime = closed_lifetime_.load(std::memory_order_relaxed);
  stats.closed.broken = closed_broken_.load(std::memory_order_relaxed);
  stats.closed.shutdown = handoff_.closed_at_shutdown();
  stats.size = size() - static_cast<int>(stats.closed.shutdown);
  return stats;
}

}  // namespace vouch::pool

#endif  // VOUCH_POOL_POOL_H_
