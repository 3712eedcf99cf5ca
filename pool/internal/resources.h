#ifndef VOUCH_POOL_INTERNAL_RESOURCES_H_
#define VOUCH_POOL_INTERNAL_RESOURCES_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "pool/call_site.h"
#include "pool/internal/hook_scope.h"
#include "pool/internal/lifecycle.h"
#include "pool/internal/messages.h"
#include "pool/internal/slot.h"
#include "pool/mutex.h"
#include "pool/pool_hooks.h"

namespace vouch::pool::pool_internal {

// Resources opens and closes what a pool lends: the factory, the hooks around it, and the count of
// all that. Exceptions of the user's code end here, as errors.
//
// Thread safety: any thread; a slot is passed by its owner.
template <typename Resource, typename Platform>
class Resources {
 public:
  using SlotType = Slot<Resource, Platform>;
  using Factory = std::function<absl::StatusOr<std::unique_ptr<Resource>>()>;
  using Hooks = PoolHooks<Resource>;

  Resources(std::string name, uint64_t pool_id, Factory factory, Hooks hooks)
      : name_(std::move(name)),
        pool_id_(pool_id),
        factory_(std::move(factory)),
        hooks_(std::move(hooks)) {}

  const Hooks& hooks() const { return hooks_; }

  // Whether every lease and every release has to stop for a hook.
  bool watches_leases() const {
    return hooks_.before_lend != nullptr || hooks_.after_return != nullptr;
  }

  // Opens a resource in an empty slot, for `site`; that is empty if it is for the pool itself. Tries
  // again after kUnavailable, up to `attempts` times and with a back-off between them, unless that
  // would take longer than until the deadline, or give_up() is true, which is asked before it sleeps
  // and after each Interrupt().
  template <typename GiveUp>
  absl::Status Open(SlotType& slot, CallSite site, const char* operation, int attempts,
                    int64_t deadline_ns, const GiveUp& give_up) {
    slot.NoteOpening(site, Platform::Now());
    absl::Status opened = OpenInAttempts(slot, operation, attempts, deadline_ns, give_up);
    slot.NoteOpened();
    return opened;
  }
  absl::Status Open(SlotType& slot, CallSite site, const char* operation, int attempts,
                    int64_t deadline_ns) {
    return Open(slot, site, operation, attempts, deadline_ns, [] { return false; });
  }

  // Has those that sleep between two attempts ask whether to give up.
  void Interrupt() {
    interrupts_.fetch_add(1, std::memory_order_release);  // [interrupt]
    Platform::Unpark(interrupts_);
  }

  // Closes the resource of a slot.
  void Close(SlotType& slot, CloseReason reason) {
    CallBeforeClose(*slot.resource, reason);
    slot.resource.reset();
    NoteGone(slot);
    closed_[static_cast<size_t>(reason)].fetch_add(1, std::memory_order_relaxed);
  }

  // Takes the resource out of a slot.
  std::unique_ptr<Resource> Detach(SlotType& slot) {
    detached_.fetch_add(1, std::memory_order_relaxed);
    NoteGone(slot);
    return std::move(slot.resource);
  }

  // The hooks. OK if there is none.
  absl::Status Validate(Resource& resource) {
    absl::Status valid = Call(hooks_.validate, "validate", resource);
    if (!valid.ok()) validation_failures_.fetch_add(1, std::memory_order_relaxed);
    return valid;
  }
  absl::Status BeforeLend(Resource& resource) {
    return Call(hooks_.before_lend, "before_lend", resource);
  }
  absl::Status AfterReturn(Resource& resource) {
    return Call(hooks_.after_return, "after_return", resource);
  }
  void ReportLeak(const Holder& holder) {
    leaks_.fetch_add(1, std::memory_order_relaxed);
    if (hooks_.on_leak == nullptr) return;
    const HookScope scope(pool_id_, "on_leak");
    try {
      hooks_.on_leak(holder);
    } catch (...) {  // there is nobody to tell
    }
  }

  // Counters. Relaxed and advisory; but size() also tells the keeper whether there are less than
  // `min`: a stale value delays a refill until the next nudge, which whoever changes size()
  // downwards sends afterwards.
  int size() const { return size_.load(std::memory_order_relaxed); }
  uint64_t opened() const { return opened_.load(std::memory_order_relaxed); }
  uint64_t open_failures() const { return open_failures_.load(std::memory_order_relaxed); }
  uint64_t validation_failures() const {
    return validation_failures_.load(std::memory_order_relaxed);
  }
  uint64_t detached() const { return detached_.load(std::memory_order_relaxed); }
  uint64_t leaks() const { return leaks_.load(std::memory_order_relaxed); }
  uint64_t closed(CloseReason reason) const {
    return closed_[static_cast<size_t>(reason)].load(std::memory_order_relaxed);
  }

  // The error of the last open and its time, if that failed; else the text is empty.
  struct OpenFailure {
    std::string text;
    int64_t at = 0;
  };
  OpenFailure last_open_failure() const {
    MutexLock lock(&mutex_);
    return last_open_failure_;
  }

 private:
  template <typename T>
  using Atomic = typename Platform::template Atomic<T>;

  template <typename GiveUp>
  absl::Status OpenInAttempts(SlotType& slot, const char* operation, int attempts,
                              int64_t deadline_ns, const GiveUp& give_up) {
    for (int attempt = 1;; ++attempt) {
      absl::Status opened = OpenOnce(slot);
      if (opened.ok()) return opened;
      NoteFailure(opened);
      const int64_t next = SaturatingAdd(Platform::Now(), OpenBackoff(attempt));
      if (!absl::IsUnavailable(opened) || attempt >= attempts || next >= deadline_ns ||
          !SleepUntil(next, give_up)) {
        return OpenError(operation, name_, opened);
      }
    }
  }

  absl::Status OpenOnce(SlotType& slot) {
    absl::StatusOr<std::unique_ptr<Resource>> resource = CallFactory();
    if (!resource.ok()) return resource.status();
    absl::Status accepted = Call(hooks_.after_open, "after_open", **resource);
    if (!accepted.ok()) {
      CallBeforeClose(**resource, CloseReason::kRejected);
      return accepted;
    }
    slot.resource = *std::move(resource);
    slot.due_use.store(SlotType::kNoUse, std::memory_order_relaxed);
    slot.opened_at.store(std::max<int64_t>(Platform::Now(), 1), std::memory_order_relaxed);
    size_.fetch_add(1, std::memory_order_relaxed);
    opened_.fetch_add(1, std::memory_order_relaxed);
    MutexLock lock(&mutex_);
    last_open_failure_ = {};
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<Resource>> CallFactory() {
    absl::StatusOr<std::unique_ptr<Resource>> resource = nullptr;
    const HookScope scope(pool_id_, "the factory");
    absl::Status called = Guarded("the factory", [&] {
      resource = factory_();
      return absl::OkStatus();
    });
    if (!called.ok()) return called;
    if (resource.ok() && *resource == nullptr) {
      return absl::InternalError("the factory returned null");
    }
    return resource;
  }

  absl::Status Call(const std::function<absl::Status(Resource&)>& hook, const char* what,
                    Resource& resource) {
    if (hook == nullptr) return absl::OkStatus();
    const HookScope scope(pool_id_, what);
    return Guarded(what, [&] { return hook(resource); });
  }

  void CallBeforeClose(Resource& resource, CloseReason reason) {
    if (hooks_.before_close == nullptr) return;
    const HookScope scope(pool_id_, "before_close");
    Guarded("before_close", [&] {
      hooks_.before_close(resource, reason);
      return absl::OkStatus();
    }).IgnoreError();  // it is closed all the same
  }

  template <typename Function>
  static absl::Status Guarded(const char* what, const Function& function) {
    try {
      return function();
    } catch (const std::exception& exception) {
      return absl::InternalError(absl::StrCat(what, " threw: ", exception.what()));
    } catch (...) {
      return absl::InternalError(absl::StrCat(what, " threw something that is no std::exception"));
    }
  }

  void NoteFailure(const absl::Status& failure) {
    MutexLock lock(&mutex_);
    last_open_failure_ = {std::string(failure.message()), Platform::Now()};
    // Under the mutex and last: who sees it counted finds its text.
    open_failures_.fetch_add(1, std::memory_order_relaxed);
  }

  void NoteGone(SlotType& slot) {
    slot.opened_at.store(0, std::memory_order_relaxed);
    size_.fetch_sub(1, std::memory_order_relaxed);
  }

  // False if it gave up.
  template <typename GiveUp>
  bool SleepUntil(int64_t time_ns, const GiveUp& give_up) {
    for (;;) {
      const uint32_t interrupts = interrupts_.load(std::memory_order_acquire);  // [interrupt]
      if (give_up()) return false;
      if (!Platform::Park(interrupts_, interrupts, time_ns)) return true;
    }
  }

  // Constant after construction
  const std::string name_;
  const uint64_t pool_id_;
  const Factory factory_;
  const Hooks hooks_;

  // interrupts_: counted; who sleeps between attempts parks on it. Written by Interrupt, after what
  //   give_up() looks at: release; read before that: acquire. [interrupt]
  Atomic<uint32_t> interrupts_{0};

  Atomic<int> size_{0};
  Atomic<uint64_t> opened_{0};
  Atomic<uint64_t> open_failures_{0};
  Atomic<uint64_t> validation_failures_{0};
  Atomic<uint64_t> detached_{0};
  Atomic<uint64_t> leaks_{0};
  std::array<Atomic<uint64_t>, kCloseReasons> closed_{};

  mutable Mutex mutex_;
  OpenFailure last_open_failure_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace vouch::pool::pool_internal

#endif  // VOUCH_POOL_INTERNAL_RESOURCES_H_
