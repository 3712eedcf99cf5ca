#ifndef VOUCH_POOL_INTERNAL_ASYNC_WAITER_H_
#define VOUCH_POOL_INTERNAL_ASYNC_WAITER_H_

#include <atomic>
#include <cassert>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "pool/fork_guard.h"
#include "pool/histogram.h"
#include "pool/internal/handoff.h"
#include "pool/internal/nest.h"
#include "pool/mutex.h"

namespace vouch::pool::pool_internal {

// Calls off a waiter when its time is over.
class Abortable {
 public:
  virtual ~Abortable() = default;
  virtual void OnDeadline() = 0;
};

// AsyncDeadlines are the deadlines of the waiters that do not sleep. A keeper of their own looks after
// them: the one of the slots may be busy with the factory for as long as that takes.
//
// Thread safety: any thread.
class AsyncDeadlines {
 public:
  using Key = std::pair<int64_t, uint64_t>;  // the deadline, and a number that makes it unique

  // True in *is_first if it is the next to come: then the keeper has to be told.
  Key Add(int64_t deadline_ns, std::weak_ptr<Abortable> waiter, bool* is_first) {
    MutexLock lock(&mutex_);
    const Key key(deadline_ns, ++last_number_);
    const auto added = waiters_.emplace(key, std::move(waiter)).first;
    *is_first = added == waiters_.begin();
    return key;
  }

  void Remove(const Key& key) {
    MutexLock lock(&mutex_);
    waiters_.erase(key);
  }

  // Calls off those whose time is over at `now`; returns the next deadline.
  int64_t Expire(int64_t now) {
    std::vector<std::weak_ptr<Abortable>> expired;
    int64_t next = kForever;
    {
      MutexLock lock(&mutex_);
      while (!waiters_.empty() && waiters_.begin()->first.first <= now) {
        expired.push_back(std::move(waiters_.begin()->second));
        waiters_.erase(waiters_.begin());
      }
      if (!waiters_.empty()) next = waiters_.begin()->first.first;
    }
    for (const std::weak_ptr<Abortable>& waiter : expired) {
      if (const std::shared_ptr<Abortable> alive = waiter.lock()) alive->OnDeadline();
    }
    return next;
  }

 private:
  Mutex mutex_;
  std::map<Key, std::weak_ptr<Abortable>> waiters_ ABSL_GUARDED_BY(mutex_);
  uint64_t last_number_ ABSL_GUARDED_BY(mutex_) = 0;
};

// A slot on its way to its new owner: goes back to the pool if it does not get there. In a forked
// child it is the parent's, and nothing happens to it.
template <typename HandoffType>
class OwnedSlot {
 public:
  OwnedSlot(HandoffType* handoff, const ForkGuard* guard, uint32_t index)
      : handoff_(handoff), guard_(guard), index_(index) {}
  OwnedSlot(OwnedSlot&& other) noexcept
      : handoff_(other.handoff_),
        guard_(other.guard_),
        index_(std::exchange(other.index_, HandoffType::kNone)) {}
  OwnedSlot& operator=(OwnedSlot&&) = delete;
  ~OwnedSlot() {
    if (index_ == HandoffType::kNone || guard_->forked()) return;
    const typename HandoffType::Visit visit(handoff_);
    handoff_->GiveBack(index_);
  }

  // The caller owns the slot now.
  uint32_t Take() { return std::exchange(index_, HandoffType::kNone); }

 private:
  HandoffType* const handoff_;
  const ForkGuard* const guard_;
  uint32_t index_;
};

// AsyncWaiter is one that waits without a thread. It ends once, by a grant, by its stop token or by
// its deadline, and then has the executor run `done`.
//
//                     Publish
//    (setting up) ───────────────► standing ───► ended
//          │                                       ▲      by whoever wins the CAS on its cell:
//          └───────────────────────────────────────┘      OnGrant, or Abort's TryCancelListener
//
// Thread safety: Start() once; the rest from any thread.
// Ownership: it holds itself from Start() until it has ended. The pool outlives it: Close() ends
// every waiter, and ending waits for a stop callback that is under way (~stop_callback). In a forked
// child it never ends: it is the parent's, who goes on waiting.
template <typename HandoffType, typename Platform>
class AsyncWaiter final : public HandoffType::Listener,
                          public Abortable,
                          public std::enable_shared_from_this<AsyncWaiter<HandoffType, Platform>> {
 public:
  using End = typename HandoffType::End;
  using SlotResult = absl::StatusOr<OwnedSlot<HandoffType>>;
  using Executor = std::function<void(absl::AnyInvocable<void() &&>)>;

  struct Parts {
    HandoffType* handoff;
    const ForkGuard* fork_guard;
    AsyncDeadlines* deadlines;
    Histogram* waits;
    std::function<void()> nudge_keeper;  // of the deadlines
    Executor executor;
    // Makes the error for an end without a slot. Called while the pool is alive.
    std::function<absl::Status(End)> refuse;
    // Run by the executor, with when the wait ended; 0 if there was none.
    absl::AnyInvocable<void(SlotResult, int64_t) &&> done;
  };

  explicit AsyncWaiter(Parts parts) : parts_(std::move(parts)) {}

  // REQUIRES: a Visit.
  void Start(uint32_t start, int64_t deadline_ns, const std::stop_token& stop) {
    const std::shared_ptr<AsyncWaiter> self = this->shared_from_this();
    self_ = self;
    HandoffType& handoff = *parts_.handoff;
    if (handoff.gate().closed()) return Finish({End::kClosed, HandoffType::kNone});
    End full;
    if (!handoff.TryEnqueue(&ticket_, &full)) return Finish({full, HandoffType::kNone});
    began_ = Platform::Now();
    // From here on Abort() may be called, but it cannot end a waiter that is not published.
    if (stop.stop_possible()) on_stop_.emplace(stop, StopCallback{this});
    if (deadline_ns != kForever) AddDeadline(deadline_ns);
    typename HandoffType::Result result;
    if (!handoff.Publish(ticket_, this, start, &result)) return Finish(result);
    // It may have ended meanwhile, on another thread. [abort]
    const End reason = aborted_.load(std::memory_order_seq_cst);
    if (reason != End::kTaken && handoff.TryCancelListener(ticket_)) {
      Finish({reason, HandoffType::kNone});
    }
  }

  void OnGrant(uint32_t grant) noexcept override {
    parts_.handoff->NoteHeard();
    if (grant == HandoffType::kClosedGrant) return Finish({End::kClosed, HandoffType::kNone});
    Finish({End::kTaken, grant});
  }

  void OnDeadline() override { Abort(End::kTimedOut); }

 private:
  struct StopCallback {
    AsyncWaiter* waiter;
    void operator()() const noexcept { waiter->Abort(End::kStopped); }
  };

  void AddDeadline(int64_t deadline_ns) {
    bool is_first = false;
    deadline_ = parts_.deadlines->Add(deadline_ns, this->weak_from_this(), &is_first);
    if (is_first) parts_.nudge_keeper();
  }

  // [abort] "aborted_ := reason; try to cancel" against "publish; read aborted_", all seq_cst:
  // either the cancel finds it published, or Start() finds the reason.
  void Abort(End reason) {
    const std::shared_ptr<AsyncWaiter> self = this->weak_from_this().lock();
    if (self == nullptr || parts_.fork_guard->forked()) return;
    const typename HandoffType::Visit visit(parts_.handoff);
    aborted_.store(reason, std::memory_order_seq_cst);
    if (parts_.handoff->TryCancelListener(ticket_)) Finish({reason, HandoffType::kNone});
  }

  void Finish(typename HandoffType::Result result) {
    const std::shared_ptr<AsyncWaiter> self = std::move(self_);
    assert(self != nullptr);  // it ends once
    on_stop_.reset();
    if (deadline_.has_value()) parts_.deadlines->Remove(*deadline_);
    SlotResult slot =
        result.end == End::kTaken
            ? SlotResult(OwnedSlot<HandoffType>(parts_.handoff, parts_.fork_guard, result.slot))
            : SlotResult(parts_.refuse(result.end));
    const int64_t ended = began_.has_value() ? Platform::Now() : 0;
    if (began_.has_value()) parts_.waits->Add(ended - *began_);
    Nest::Run([executor = std::move(parts_.executor), done = std::move(parts_.done),
               slot = std::move(slot), ended]() mutable {
      executor([done = std::move(done), slot = std::move(slot), ended]() mutable {
        std::move(done)(std::move(slot), ended);
      });
    });
  }

  Parts parts_;
  std::shared_ptr<AsyncWaiter> self_;

  // Written by Start() before Publish. Without began_ it never stood in the line.
  std::optional<int64_t> began_;
  typename HandoffType::Ticket ticket_ = 0;
  std::optional<std::stop_callback<StopCallback>> on_stop_;
  std::optional<AsyncDeadlines::Key> deadline_;

  // aborted_: why it is to end; kTaken: it is not. Written by Abort, read by Start: [abort].
  typename Platform::template Atomic<End> aborted_{End::kTaken};
};

}  // namespace vouch::pool::pool_internal

#endif  // VOUCH_POOL_INTERNAL_ASYNC_WAITER_H_
