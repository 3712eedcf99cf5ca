#ifndef VOUCH_POOL_INTERNAL_POOL_IMPL_H_
#define VOUCH_POOL_INTERNAL_POOL_IMPL_H_

// How Pool does what pool/pool.h says.

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "pool/internal/holder_of.h"
#include "pool/internal/hook_scope.h"
#include "pool/internal/nest.h"
#include "pool/internal/thread_hint.h"
#include "pool/pool.h"

namespace vouch::pool {

template <typename Resource, typename Platform>
absl::StatusOr<std::unique_ptr<Pool<Resource, Platform>>> Pool<Resource, Platform>::Create(
    PoolOptions options, Factory factory, Hooks hooks) {
  absl::Status valid = options.Validate();
  if (valid.ok() && factory == nullptr) {
    valid = absl::InvalidArgumentError(
        absl::StrCat("pool options of ", options.name, ": the factory is null"));
  }
  if (!valid.ok()) return valid;
  std::unique_ptr<Pool> pool(new Pool(std::move(options), std::move(factory), std::move(hooks)));
  const typename Handoff::Visit visit(&pool->handoff_);
  for (int i = 0; i < pool->options_.min; ++i) {
    const auto index = static_cast<uint32_t>(i);
    Slot& slot = pool->handoff_.slots()[index];
    slot.word.TryTake(SlotState::kEmpty);  // nobody else is here yet
    absl::Status opened =
        pool->resources_.Open(slot, {}, "create", pool->options_.open_attempts, kForever);
    pool->handoff_.PutSlow(index);
    if (!opened.ok()) return opened;
  }
  if (pool->HasSomethingToKeep()) pool->StartKeeper();
  return pool;
}

template <typename Resource, typename Platform>
Pool<Resource, Platform>::Pool(PoolOptions options, Factory factory, Hooks hooks)
    : options_(std::move(options)),
      id_(ThreadHint::NewPoolId()),
      created_at_(Platform::Now()),
      resources_(options_.name, id_, std::move(factory), std::move(hooks)),
      handoff_({.capacity = static_cast<uint32_t>(options_.max),
                .reserve = PoolOptions::kMaxCapacity,
                .max_waiters = static_cast<uint64_t>(options_.max_waiters),
                .max_opens = static_cast<uint32_t>(options_.max_concurrent_opens),
                .patience_ns = absl::ToInt64Nanoseconds(options_.patience),
                .watched = resources_.watches_leases()},
               [this](Slot& slot, bool pool_closed) {
                 resources_.Close(slot,
                                  pool_closed ? CloseReason::kShutdown : CloseReason::kResize);
                 if (!pool_closed) keeper_.Nudge();  // there may be less than `min` now
               }),
      min_(options_.min),
      caretaker_(LimitsOf(options_, resources_.hooks()), &handoff_, &resources_) {}

template <typename Resource, typename Platform>
[[gnu::noinline]] void Pool<Resource, Platform>::operator delete(Pool* pool,
                                                                 std::destroying_delete_t) {
  if (pool->fork_guard_.forked()) return;
  pool->~Pool();
  ::operator delete(pool, std::align_val_t(alignof(Pool)));
}

// Neither is inlined: GCC would compare what is left of one with the other, and warn.
template <typename Resource, typename Platform>
[[gnu::noinline]] void* Pool<Resource, Platform>::operator new(size_t size,
                                                               std::align_val_t alignment) {
  return ::operator new(size, alignment);
}

template <typename Resource, typename Platform>
Pool<Resource, Platform>::~Pool() {
  const absl::Status closed = Close(options_.destroy_timeout);
  if (!closed.ok()) pool_internal::AbortDestruction(closed);
  keeper_.Join();
  timekeeper_.Stop();
  timekeeper_.Join();
  handoff_.AwaitVisitors();
}

// Acquiring

template <typename Resource, typename Platform>
absl::StatusOr<Lease<Resource, Platform>> Pool<Resource, Platform>::Acquire(CallSite site) {
  return Acquire(options_.acquire_timeout, site);
}

// The fast way is for a thread that has a hint, which it has only where neither a fork nor a hook of
// this pool stands in the way (thread_hint.h).
template <typename Resource, typename Platform>
absl::StatusOr<Lease<Resource, Platform>> Pool<Resource, Platform>::Acquire(absl::Duration timeout,
                                                                            CallSite site) {
  const uint32_t hint = ThreadHint::Find(id_);
  if (hint != ThreadHint::kNone) [[likely]] {
    Slot& slot = handoff_.slots()[hint];
    if (slot.word.TryLease()) [[likely]]
      return MakeLease(slot, site);
  }
  return AcquireSlow({.site = site, .timeout = timeout, .owner = ThreadHint::Self()});
}

template <typename Resource, typename Platform>
absl::StatusOr<Lease<Resource, Platform>> Pool<Resource, Platform>::Acquire(absl::Time deadline,
                                                                            CallSite site) {
  return Acquire(AcquireOptions{.deadline = deadline}, site);
}

template <typename Resource, typename Platform>
absl::StatusOr<Lease<Resource, Platform>> Pool<Resource, Platform>::Acquire(
    const AcquireOptions& options, CallSite site) {
  return AcquireSlow(RequestFor(options, site));
}

template <typename Resource, typename Platform>
absl::StatusOr<Lease<Resource, Platform>> Pool<Resource, Platform>::TryAcquire(CallSite site) {
  absl::Status allowed = CheckCaller("acquire", site);
  if (!allowed.ok()) return allowed;
  const typename Handoff::Visit visit(&handoff_);
  const Request request{.site = site, .timeout = {}, .owner = ThreadHint::Self()};
  for (;;) {
    const uint32_t index = handoff_.TryTake(FirstLook());
    if (index == Handoff::kNone) break;
    std::optional<absl::StatusOr<LeaseType>> lease = Occupy(index, request, 0);
    if (lease.has_value()) return *std::move(lease);
  }
  if (handoff_.gate().closed()) return pool_internal::ClosedError(options_.name);
  Count(refused_);
  return pool_internal::NoneAvailableError(DescribeSituation());
}

template <typename Resource, typename Platform>
typename Pool<Resource, Platform>::Request Pool<Resource, Platform>::RequestFor(
    const AcquireOptions& options, CallSite site) const {
  Request request{.site = site,
                  .timeout = options.timeout.value_or(options_.acquire_timeout),
                  .owner = options.transferable ? Slot::kAnyThread : ThreadHint::Self(),
                  .label = options.label,
                  .stop = options.stop};
  if (options.deadline != absl::InfiniteFuture()) {
    request.timeout = std::min(request.timeout, options.deadline - absl::Now());
  }
  return request;
}

// The slot at which this thread begins to look for one.
template <typename Resource, typename Platform>
uint32_t Pool<Resource, Platform>::FirstLook() const {
  return ThreadHint::Start(id_, handoff_.gate().limit());
}

// Inlined by force: a lease that is returned through memory costs more than the two CAS together.
template <typename Resource, typename Platform>
[[gnu::always_inline]] inline Lease<Resource, Platform> Pool<Resource, Platform>::MakeLease(
    Slot& slot, CallSite site) {
  if (slot.NoteLease(site, ThreadHint::KnownSelf())) [[unlikely]]
    TimeHold(slot, Platform::Now(), nullptr, true);
  return LeaseType(this, &slot);
}

// Owner of a leased slot. Has the release come by RecordHold().
template <typename Resource, typename Platform>
[[gnu::noinline]] void Pool<Resource, Platform>::TimeHold(Slot& slot, int64_t now,
                                                          const char* label, bool is_sample) {
  slot.NoteTime(now, label, is_sample);
  slot.word.Want();
}

template <typename Resource, typename Platform>
absl::Status Pool<Resource, Platform>::CheckCaller(const char* operation, CallSite site) const {
  if (fork_guard_.forked()) return pool_internal::ForkedError(operation, options_.name);
  const char* const hook = pool_internal::HookScope::Inside(id_);
  if (hook == nullptr) return absl::OkStatus();
  return pool_internal::InsideHookError(operation, options_.name, hook, site);
}

// The hinted slot was not idle: look at the others, then wait.
template <typename Resource, typename Platform>
absl::StatusOr<Lease<Resource, Platform>> Pool<Resource, Platform>::AcquireSlow(Request request) {
  absl::Status allowed = CheckCaller("acquire", request.site);
  if (!allowed.ok()) return allowed;
  const typename Handoff::Visit visit(&handoff_);
  for (;;) {
    int64_t waited_until = 0;
    const typename Handoff::Result result = TakeOrWait(&request, &waited_until);
    if (result.end != End::kTaken) return Refused(result.end, request);
    std::optional<absl::StatusOr<LeaseType>> lease = Occupy(result.slot, request, waited_until);
    if (lease.has_value()) return *std::move(lease);
  }
}

// Sets *waited_until if it stood in the line.
template <typename Resource, typename Platform>
typename Pool<Resource, Platform>::Handoff::Result Pool<Resource, Platform>::TakeOrWait(
    Request* request, int64_t* waited_until) {
  const uint32_t start = FirstLook();
  uint32_t slot = handoff_.TryTake(start);
  if (slot != Handoff::kNone) return {End::kTaken, slot};
  const End refusal = RefusalOf(*request);
  if (refusal != End::kTaken) return {refusal, Handoff::kNone};
  if (request->deadline_ns == Request::kUnknown) {
    request->deadline_ns = DeadlineAfter(request->timeout);
  }
  slot = handoff_.TakeSoon(start);
  if (slot != Handoff::kNone) return {End::kTaken, slot};
  if (IsHopeless(request)) return {End::kHopeless, Handoff::kNone};
  const int64_t began = Platform::Now();
  for (uint32_t i = 0; i < handoff_.slots().size(); ++i) handoff_.slots()[i].NoteSeen(began);
  const typename Handoff::Result result = Wait(*request, start);
  if (!result.stood) return result;
  *waited_until = Platform::Now();
  waits_.Add(*waited_until - began);
  return result;
}

template <typename Resource, typename Platform>
typename Pool<Resource, Platform>::Handoff::Result Pool<Resource, Platform>::Wait(
    const Request& request, uint32_t start) {
  typename Handoff::WaitRequest wait{
      .start = start, .deadline_ns = request.deadline_ns, .thread = ThreadHint::Self()};
  if (!request.stop.stop_possible()) return handoff_.Wait(wait);

  // The stop callback sets the flag and has the waiter look at it.
  Atomic<bool> stopped{false};
  wait.interrupted = &stopped;
  const auto on_stop = [&](typename Handoff::Ticket ticket) {
    stopped.store(true, std::memory_order_seq_cst);
    handoff_.Interrupt(ticket);
  };
  std::optional<std::stop_callback<std::function<void()>>> callback;
  return handoff_.Wait(wait, [&](typename Handoff::Ticket ticket) {
    callback.emplace(request.stop, [on_stop, ticket] { on_stop(ticket); });
  });
}

// Why one that would have to wait may not; kTaken: it may.
template <typename Resource, typename Platform>
typename Pool<Resource, Platform>::End Pool<Resource, Platform>::RefusalOf(
    const Request& request) const {
  if (handoff_.gate().closed()) return End::kClosed;
  return request.timeout <= absl::ZeroDuration() ? End::kTimedOut : End::kTaken;
}

template <typename Resource, typename Platform>
bool Pool<Resource, Platform>::IsHopeless(Request* request) const {
  if (!options_.refuse_hopeless_waits || request->deadline_ns == kForever) return false;
  request->forecast = {.wait = pool_internal::PredictWait(
                           handoff_.waiting(), static_cast<int>(handoff_.gate().limit()),
                           absl::Nanoseconds(mean_hold_ns_.load(std::memory_order_relaxed))),
                       .may_be = absl::Nanoseconds(request->deadline_ns - Platform::Now())};
  return request->forecast.hopeless();
}

// Makes a lease of a slot just taken. Nothing if the slot had to be given up and the caller has to
// take another. REQUIRES: a Visit.
template <typename Resource, typename Platform>
std::optional<absl::StatusOr<Lease<Resource, Platform>>> Pool<Resource, Platform>::Occupy(
    uint32_t index, const Request& request, int64_t waited_until) {
  Slot& slot = handoff_.slots()[index];
  std::optional<absl::Status> ready = MakeReady(slot, index, request);
  if (!ready.has_value()) return std::nullopt;
  if (!ready->ok()) return *std::move(ready);
  // A hook that released a lease may have served an asynchronous acquire on this very thread.
  if (pool_internal::HookScope::Inside(id_) == nullptr) ThreadHint::Set(id_, index);
  const bool is_sample = slot.NoteLease(request.site, request.owner);
  if (waited_until != 0 || request.label != nullptr || slot.IsFirstUse()) {
    TimeHold(slot, waited_until != 0 ? waited_until : Platform::Now(), request.label, false);
  } else if (is_sample) {
    TimeHold(slot, Platform::Now(), nullptr, true);
  }
  return LeaseType(this, &slot);
}

// Sees to it that there is a resource fit to be lent. After anything but OK the slot is given up.
template <typename Resource, typename Platform>
std::optional<absl::Status> Pool<Resource, Platform>::MakeReady(Slot& slot, uint32_t index,
                                                                const Request& request) {
  if (slot.resource == nullptr) return OpenFor(slot, index, request);
  DiscardUnfit(slot);
  if (slot.resource != nullptr) return absl::OkStatus();
  if (handoff_.TryBeginOpen()) return OpenFor(slot, index, request);
  // Enough are being opened already. Theirs, or somebody's release, may be had sooner.
  handoff_.PutSlow(index);
  keeper_.Nudge();
  return std::nullopt;
}

// Closes the resource if it is due for validation and invalid, or if before_lend refuses it.
template <typename Resource, typename Platform>
void Pool<Resource, Platform>::DiscardUnfit(Slot& slot) {
  if (slot.IsDue()) {
    keeper_.Nudge();  // it sleeps while every idle slot is marked
    if (!resources_.Validate(*slot.resource).ok()) {
      return resources_.Close(slot, CloseReason::kInvalid);
    }
  }
  if (!resources_.BeforeLend(*slot.resource).ok()) {
    resources_.Close(slot, CloseReason::kRejected);
  }
}

// Opens a resource in a slot that was taken empty, or for which there is a permit. Gives both up
// after a failure, else the permit only.
template <typename Resource, typename Platform>
absl::Status Pool<Resource, Platform>::OpenFor(Slot& slot, uint32_t index, const Request& request) {
  const int64_t deadline_ns = request.deadline_ns == Request::kUnknown
                                  ? DeadlineAfter(request.timeout)
                                  : request.deadline_ns;
  absl::Status opened = OpenUntil(slot, request, deadline_ns);
  if (opened.ok()) {
    const absl::Status accepted = resources_.BeforeLend(*slot.resource);
    if (!accepted.ok()) {
      resources_.Close(slot, CloseReason::kRejected);
      opened = pool_internal::OpenError("acquire", options_.name, accepted);
    }
  }
  if (opened.ok()) {
    handoff_.FinishOpen();
  } else {
    handoff_.PutOpened(index);  // a waiter gets its chance
  }
  keeper_.Nudge();
  return opened;
}

// Opens a resource, trying again until the deadline, the request's stop token, or Close().
template <typename Resource, typename Platform>
absl::Status Pool<Resource, Platform>::OpenUntil(Slot& slot, const Request& request,
                                                 int64_t deadline_ns) {
  std::optional<std::stop_callback<std::function<void()>>> on_stop;
  if (request.stop.stop_possible()) {
    on_stop.emplace(request.stop, [this] { resources_.Interrupt(); });
  }
  absl::Status opened =
      resources_.Open(slot, request.site, "acquire", options_.open_attempts, deadline_ns,
                      [&] { return request.stop.stop_requested() || handoff_.gate().closed(); });
  if (opened.ok()) return opened;
  if (request.stop.stop_requested()) return Refused(End::kStopped, request);
  return handoff_.gate().closed() ? Refused(End::kClosed, request) : opened;
}

template <typename Resource, typename Platform>
absl::Status Pool<Resource, Platform>::Refused(End end, const Request& request) {
  switch (end) {
    case End::kClosed:
      return pool_internal::ClosedError(options_.name);
    case End::kLineFull:
      Count(refused_);
      return pool_internal::LineFullError(DescribeSituation(), options_.max_waiters);
    case End::kPlacesUsed:
      Count(refused_);
      return pool_internal::PlacesUsedError(DescribeSituation(), options_.max_waiters);
    case End::kHopeless:
      Count(refused_);
      return pool_internal::HopelessError(DescribeSituation(), request.forecast);
    case End::kDeadlock:
      Count(deadlocks_);
      return pool_internal::DeadlockError(DescribeSituation(), request.site);
    case End::kStopped:
      Count(stopped_);
      return pool_internal::StoppedError(DescribeSituation());
    case End::kTaken:  // not refused
    case End::kTimedOut:
      break;
  }
  Count(timed_out_);
  return pool_internal::TimeoutError(DescribeSituation(), request.timeout);
}

template <typename Resource, typename Platform>
void Pool<Resource, Platform>::AcquireAsync(Executor executor, AsyncDone done,
                                            const AcquireOptions& options, CallSite site) {
  Request request = RequestFor(options, site);
  assert(executor != nullptr && done != nullptr);
  request.owner = Slot::kAnyThread;
  absl::Status allowed = CheckCaller("acquire", site);
  if (!allowed.ok()) {
    return RunOn(executor, [done = std::move(done), allowed = std::move(allowed)]() mutable {
      std::move(done)(std::move(allowed));
    });
  }
  StartAsync(std::move(executor), std::move(done), std::move(request));
}

// Where the executor runs it at once, what the closure does may come by here again.
template <typename Resource, typename Platform>
void Pool<Resource, Platform>::RunOn(const Executor& executor,
                                     absl::AnyInvocable<void() &&> closure) {
  pool_internal::Nest::Run(
      [executor, closure = std::move(closure)]() mutable { executor(std::move(closure)); });
}

// Takes a slot or stands in the line, then makes a lease of the slot on the executor.
template <typename Resource, typename Platform>
void Pool<Resource, Platform>::StartAsync(Executor executor, AsyncDone done, Request request) {
  using OwnedSlot = pool_internal::OwnedSlot<Handoff>;
  const typename Handoff::Visit visit(&handoff_);
  if (request.deadline_ns == Request::kUnknown) {
    request.deadline_ns = DeadlineAfter(request.timeout);
  }
  auto occupy = [this, executor, request, done = std::move(done)](absl::StatusOr<OwnedSlot> slot,
                                                                  int64_t waited_until) mutable {
    if (!slot.ok()) return std::move(done)(slot.status());
    if (fork_guard_.forked()) {  // the slot is the parent's
      return std::move(done)(pool_internal::ForkedError("acquire", options_.name));
    }
    std::optional<absl::StatusOr<LeaseType>> lease;
    {
      const typename Handoff::Visit occupying(&handoff_);
      lease = Occupy(slot->Take(), request, waited_until);
      if (!lease.has_value()) return StartAsync(std::move(executor), std::move(done), request);
    }
    std::move(done)(*std::move(lease));  // may destroy the pool, if there is no lease in it
  };
  const uint32_t start = FirstLook();
  const uint32_t taken = handoff_.TryTake(start);
  if (taken != Handoff::kNone) {
    return RunOn(executor, [occupy = std::move(occupy),
                            slot = OwnedSlot(&handoff_, &fork_guard_, taken)]() mutable {
      occupy(std::move(slot), 0);
    });
  }
  End refusal = RefusalOf(request);
  if (refusal == End::kTaken && IsHopeless(&request)) refusal = End::kHopeless;
  if (refusal != End::kTaken) {
    return RunOn(executor,
                 [occupy = std::move(occupy), refused = Refused(refusal, request)]() mutable {
                   occupy(std::move(refused), 0);
                 });
  }
  if (request.deadline_ns != kForever) {
    timekeeper_.Start([this] { return async_deadlines_.Expire(Platform::Now()); });
  }
  const auto waiter = std::make_shared<Waiter>(
      typename Waiter::Parts{.handoff = &handoff_,
                             .fork_guard = &fork_guard_,
                             .deadlines = &async_deadlines_,
                             .waits = &waits_,
                             .nudge_keeper = [this] { timekeeper_.Nudge(); },
                             .executor = std::move(executor),
                             .refuse = [this, request](End end) { return Refused(end, request); },
                             .done = std::move(occupy)});
  waiter->Start(start, request.deadline_ns, request.stop);
}

template <typename Resource, typename Platform>
int64_t Pool<Resource, Platform>::DeadlineAfter(absl::Duration timeout) {
  const int64_t length = pool_internal::NanosOf(timeout);
  if (length == kForever) return length;
  return pool_internal::SaturatingAdd(Platform::Now(), std::max<int64_t>(length, 0));
}

// Releasing

template <typename Resource, typename Platform>
void Pool<Resource, Platform>::ReleaseSlow(Slot& slot, bool broken) {
  if (fork_guard_.forked()) return;  // the slot is the parent's
  const typename Handoff::Visit visit(&handoff_);
  RecordHold(slot);
  const bool closed = CloseIfUnfit(slot, broken);
  handoff_.PutSlow(handoff_.slots().IndexOf(slot));
  if (closed) keeper_.Nudge();  // there may be less than `min` now
}

template <typename Resource, typename Platform>
std::unique_ptr<Resource> Pool<Resource, Platform>::DetachFrom(Slot& slot) {
  if (fork_guard_.forked()) return nullptr;  // the resource is the parent's
  const typename Handoff::Visit visit(&handoff_);
  slot.owner.store(Slot::kNobody, std::memory_order_relaxed);
  RecordHold(slot);
  std::unique_ptr<Resource> resource = resources_.Detach(slot);
  handoff_.PutSlow(handoff_.slots().IndexOf(slot));
  keeper_.Nudge();
  return resource;
}

// Closes the resource of a lease that ends if nobody else should have it.
template <typename Resource, typename Platform>
bool Pool<Resource, Platform>::CloseIfUnfit(Slot& slot, bool broken) {
  const bool expired = slot.expired.load(std::memory_order_relaxed) ==
                       slot.opened_at.load(std::memory_order_relaxed);
  if (broken) {
    resources_.Close(slot, CloseReason::kBroken);
  } else if (!resources_.AfterReturn(*slot.resource).ok()) {
    resources_.Close(slot, CloseReason::kRejected);
  } else if (expired) {
    resources_.Close(slot, CloseReason::kLifetime);
  }
  return slot.resource == nullptr;
}

template <typename Resource, typename Platform>
void Pool<Resource, Platform>::RecordHold(Slot& slot) {
  if (slot.timed_use.load(std::memory_order_relaxed) != slot.uses.load(std::memory_order_relaxed)) {
    return;
  }
  const int64_t held = Platform::Now() - slot.leased_at.load(std::memory_order_relaxed);
  const int64_t typical = slot.typical_ns.load(std::memory_order_relaxed);
  const uint64_t untimed = slot.UntimedBefore();
  slot.NoteHeld(held);  // first: stats() rather misses them for a moment than counts them twice
  if (untimed != 0) holds_.Add(typical, untimed);
  holds_.Add(held);
  const int64_t mean = mean_hold_ns_.load(std::memory_order_relaxed);
  mean_hold_ns_.store(mean == 0 ? held : mean + (held - mean) / 8, std::memory_order_relaxed);
}

// The gate

template <typename Resource, typename Platform>
absl::Status Pool<Resource, Platform>::Suspend() {
  absl::Status allowed = CheckCaller("suspend");
  if (!allowed.ok()) return allowed;
  const typename Handoff::Visit visit(&handoff_);
  MutexLock lock(&gate_mutex_);
  handoff_.Suspend();
  return absl::OkStatus();
}

template <typename Resource, typename Platform>
absl::Status Pool<Resource, Platform>::Resume() {
  absl::Status allowed = CheckCaller("resume");
  if (!allowed.ok()) return allowed;
  {
    const typename Handoff::Visit visit(&handoff_);
    MutexLock lock(&gate_mutex_);
    MarkWithheldDue();
    handoff_.Resume();
  }
  keeper_.Nudge();
  return absl::OkStatus();
}

// What was kept back while the pool was suspended is validated before it is lent, however short that
// was: a pool is suspended while something happens to what its resources are connected to. The gate's
// mutex is held: whatever is withheld stays so, and unused, until the gate is opened.
template <typename Resource, typename Platform>
void Pool<Resource, Platform>::MarkWithheldDue() {
  if (resources_.hooks().validate == nullptr ||
      options_.validate_after_idle == absl::InfiniteDuration()) {
    return;
  }
  for (uint32_t i = 0; i < handoff_.slots().size(); ++i) {
    Slot& slot = handoff_.slots()[i];
    if (slot.word.Peek() == SlotState::kWithheld) slot.NoteDue();
  }
}

template <typename Resource, typename Platform>
absl::Status Pool<Resource, Platform>::Resize(int min, int max) {
  absl::Status valid = CheckCaller("resize");
  valid.Update(options_.ValidateSizes(min, max));
  if (!valid.ok()) return valid;
  {
    const typename Handoff::Visit visit(&handoff_);
    MutexLock lock(&gate_mutex_);
    min_.store(min, std::memory_order_relaxed);
    handoff_.Resize(static_cast<uint32_t>(max));
  }
  if (HasSomethingToKeep()) StartKeeper();
  keeper_.Nudge();
  return absl::OkStatus();
}

template <typename Resource, typename Platform>
absl::Status Pool<Resource, Platform>::Close(absl::Duration drain) {
  absl::Status allowed = CheckCaller("close");
  if (!allowed.ok()) return allowed;
  const int64_t deadline = DeadlineAfter(drain);
  keeper_.Stop();
  {
    const typename Handoff::Visit visit(&handoff_);
    MutexLock lock(&gate_mutex_);
    handoff_.Close();
    resources_.Interrupt();
  }
  if (handoff_.AwaitRetired(deadline)) return absl::OkStatus();
  return pool_internal::DrainError(DescribeSituation(), drain);
}

// Keeping

template <typename Resource, typename Platform>
pool_internal::LifecycleLimits Pool<Resource, Platform>::LimitsOf(const PoolOptions& options,
                                                                  const Hooks& hooks) {
  const bool validates = hooks.validate != nullptr;
  const auto if_validates = [validates](absl::Duration length) {
    return validates ? pool_internal::NanosOf(length) : kForever;
  };
  return {.min = options.min,
          .idle_timeout_ns = pool_internal::NanosOf(options.idle_timeout),
          .max_lifetime_ns = pool_internal::NanosOf(options.max_lifetime),
          .lifetime_jitter = options.lifetime_jitter,
          .validate_after_idle_ns = if_validates(options.validate_after_idle),
          .keepalive_ns = if_validates(options.keepalive_interval),
          .leak_threshold_ns = pool_internal::NanosOf(options.leak_threshold)};
}

template <typename Resource, typename Platform>
bool Pool<Resource, Platform>::HasSomethingToKeep() const {
  const int min = min_.load(std::memory_order_relaxed);
  const bool shrinks = static_cast<int>(handoff_.gate().limit()) > min &&
                       options_.idle_timeout != absl::InfiniteDuration();
  const bool validates = resources_.hooks().validate != nullptr;
  return min > 0 || shrinks || validates || options_.max_lifetime != absl::InfiniteDuration() ||
         options_.leak_threshold != absl::InfiniteDuration();
}

template <typename Resource, typename Platform>
void Pool<Resource, Platform>::StartKeeper() {
  keeper_.Start([this] { return KeeperPass(); });
}

template <typename Resource, typename Platform>
int64_t Pool<Resource, Platform>::KeeperPass() {
  return caretaker_.Pass(min_.load(std::memory_order_relaxed),
                         [this] { return keeper_.stopped(); });
}

// Telling

template <typename Resource, typename Platform>
std::vector<Holder> Pool<Resource, Platform>::holders() const {
  const int64_t now = Platform::Now();
  std::vector<Holder> holders;
  for (uint32_t i = 0; i < handoff_.slots().size(); ++i) {
    std::optional<Holder> holder = pool_internal::HolderOf(handoff_.slots()[i], now);
    if (holder.has_value()) holders.push_back(*std::move(holder));
  }
  std::stable_sort(holders.begin(), holders.end(),
                   [](const Holder& a, const Holder& b) { return a.age > b.age; });
  return holders;
}

// What an error message tells about the pool. Read one after the other, not at one moment.
template <typename Resource, typename Platform>
pool_internal::Situation Pool<Resource, Platform>::DescribeSituation() const {
  const int64_t now = Platform::Now();
  pool_internal::Situation situation;
  const pool_internal::Gate gate = handoff_.gate();
  situation.name = options_.name;
  situation.capacity = static_cast<int>(gate.limit());
  situation.suspended = gate.suspended();
  situation.waiting = handoff_.waiting();
  for (uint32_t i = 0; i < handoff_.slots().size(); ++i) {
    const Slot& slot = handoff_.slots()[i];
    const SlotState state = slot.word.Glance();
    if (std::optional<Holder> holder = pool_internal::HolderOf(slot, now)) {
      situation.holders.push_back(*std::move(holder));
    } else if (std::optional<Holder> opener = pool_internal::OpenerOf(slot, now)) {
      situation.openers.push_back(*std::move(opener));
    } else if (state == SlotState::kLeased || state == SlotState::kReserved) {
      ++situation.in_between;
    }
  }
  const auto failure = resources_.last_open_failure();
  situation.last_open_error = failure.text;
  situation.last_open_error_age = absl::Nanoseconds(std::max<int64_t>(now - failure.at, 0));
  return situation;
}

template <typename Resource, typename Platform>
PoolStats Pool<Resource, Platform>::stats() const {
  PoolStats stats;
  const pool_internal::Gate gate = handoff_.gate();
  stats.min = min_.load(std::memory_order_relaxed);
  stats.capacity = static_cast<int>(gate.limit());
  stats.suspended = gate.suspended();
  stats.hold = holds_.Read();
  for (uint32_t i = 0; i < handoff_.slots().size(); ++i) {
    const Slot& slot = handoff_.slots()[i];
    const SlotState state = slot.word.Glance();
    const int64_t typical = slot.typical_ns.load(std::memory_order_relaxed);
    const uint64_t uncounted = slot.Uncounted();
    stats.hold.counts[Distribution::BucketOf(typical)] += uncounted;
    stats.hold.sum += uncounted * absl::Nanoseconds(typical);
    stats.idle += state == SlotState::kIdle ? 1 : 0;
    stats.leased += state == SlotState::kLeased ? 1 : 0;
    stats.acquired += Read(slot.uses);
  }
  stats.size = resources_.size();
  stats.opening = handoff_.opening();
  stats.waiting = handoff_.waiting();
  stats.waited = handoff_.waited();
  stats.handed_off = handoff_.handed_off();
  stats.timed_out = Read(timed_out_);
  stats.stopped = Read(stopped_);
  stats.refused = Read(refused_);
  stats.deadlocks = Read(deadlocks_);
  stats.opened = resources_.opened();
  stats.open_failures = resources_.open_failures();
  stats.validation_failures = resources_.validation_failures();
  stats.detached = resources_.detached();
  stats.leaks = resources_.leaks();
  stats.closed = {
      resources_.closed(CloseReason::kIdle),     resources_.closed(CloseReason::kLifetime),
      resources_.closed(CloseReason::kBroken),   resources_.closed(CloseReason::kInvalid),
      resources_.closed(CloseReason::kRejected), resources_.closed(CloseReason::kResize),
      resources_.closed(CloseReason::kShutdown)};
  stats.wait = waits_.Read();
  const double slot_seconds =
      absl::ToDoubleSeconds(absl::Nanoseconds(Platform::Now() - created_at_)) *
      std::max(stats.capacity, 1);
  if (slot_seconds > 0) {
    stats.utilisation = std::min(absl::ToDoubleSeconds(stats.hold.sum) / slot_seconds, 1.0);
  }
  return stats;
}

}  // namespace vouch::pool

#endif  // VOUCH_POOL_INTERNAL_POOL_IMPL_H_
