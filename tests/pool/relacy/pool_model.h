#ifndef VOUCH_TESTS_POOL_RELACY_POOL_MODEL_H_
#define VOUCH_TESTS_POOL_RELACY_POOL_MODEL_H_

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <ostream>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "pool/histogram.h"
#include "pool/internal/async_waiter.h"
#include "pool/internal/handoff.h"
#include "tests/pool/relacy/relacy_platform.h"

namespace vouch::pool::pool_internal {

// What a slot holds. Relacy reports two uses that nothing orders as a data race.
class ModelResource {
 public:
  ~ModelResource() { Use(); }
  void Use() { uses_(RL_INFO) = uses_(RL_INFO).load() + 1; }

 private:
  rl::var<int> uses_{0};
};

// The model's mutex, over the platform that is explored.
class ModelMutex {
 public:
  class Lock {
   public:
    explicit Lock(ModelMutex* mutex) : mutex_(*mutex) {
      while (mutex_.locked_.exchange(1, std::memory_order_acquire) != 0) {
        RelacyPlatform::Park(mutex_.locked_, 1, kForever);
      }
    }
    ~Lock() {
      mutex_.locked_.store(0, std::memory_order_release);
      RelacyPlatform::Unpark(mutex_.locked_);
    }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;

   private:
    ModelMutex& mutex_;
  };

 private:
  RelacyAtomic<uint32_t> locked_{0};
};

// PoolModel is to Handoff what Pool and Lease are, without statuses, factory and keeper thread:
// each function does the steps of its namesake in pool/pool.h and pool/lease.h, in their order, and
// checks that a slot has one holder, that no more resources are being opened than may be, and that
// nothing is lent while all is said to be in. It leaves out TakeSoon(), which only tries again.
class PoolModel {
 public:
  using PoolHandoff = Handoff<ModelResource, RelacyPlatform>;
  using Slot = PoolHandoff::SlotType;
  using End = PoolHandoff::End;
  using Result = PoolHandoff::Result;
  using Ticket = PoolHandoff::Ticket;
  using Visit = PoolHandoff::Visit;
  using Request = PoolHandoff::WaitRequest;

  struct Options {
    uint32_t slots = 1;
    uint32_t more_slots = 0;  // room for so many more
    uint64_t waiters = 4;
    uint32_t opens = 4;  // permits
    ClockSteps clock = ClockSteps::kAny;
    bool open = true;       // whether the slots have resources from the start
    int failing_opens = 0;  // so many opens fail, the first ones
    bool watched = false;
    bool gate_changes = false;  // by several threads
  };

  static constexpr int64_t kSomeDeadline = 1;
  // What an acquire ends with, besides Handoff's own, if no resource could be opened.
  static constexpr auto kOpenFailed = static_cast<End>(100);

  explicit PoolModel(const Options& options)
      : options_(options),
        storage_(static_cast<PoolHandoff*>(
            ::operator new (sizeof(PoolHandoff), std::align_val_t{alignof(PoolHandoff)}))) {
    RelacyClock::Start(options.clock);
    handoff_ = new (storage_.get()) PoolHandoff({.capacity = options.slots,
                                                 .reserve = options.slots + options.more_slots,
                                                 .max_waiters = options.waiters,
                                                 .max_opens = options.opens,
                                                 .watched = options.watched},
                                                [](Slot& slot, bool) { CloseResource(slot); });
    // Pool::Create
    for (uint32_t i = 0; i < options.slots && options.open; ++i) {
      RL_ASSERT(slot(i).word.TryTake(SlotState::kEmpty));
      OpenResource(slot(i));
      handoff_->Put(i);
    }
  }

  ~PoolModel() {
    if (!destroyed_) handoff_->~PoolHandoff();
  }
  PoolModel(const PoolModel&) = delete;
  PoolModel& operator=(const PoolModel&) = delete;

  PoolHandoff& handoff() { return *handoff_; }
  Slot& slot(uint32_t index) { return handoff_->slots()[index]; }

  // Pool::Acquire
  Result Acquire(const Request& request) {
    Slot& hinted = slot(request.start);
    if (hinted.word.TryLease()) {
      MakeLease(request.start, request.thread);
      return {End::kTaken, request.start};
    }
    return AcquireSlow(request);
  }
  Result Acquire(uint32_t hint, int64_t deadline_ns = kForever) {
    return Acquire(Request{.start = hint, .deadline_ns = deadline_ns});
  }

  // Pool::AcquireSlow
  Result AcquireSlow(const Request& request) {
    const Visit visit(handoff_);
    const uint32_t index = handoff_->TryTake(request.start);
    if (index != PoolHandoff::kNone) return Leave({End::kTaken, index}, request.thread);
    if (handoff_->gate().closed()) return Leave({End::kClosed, PoolHandoff::kNone}, 0);
    return Leave(handoff_->Wait(request), request.thread);
  }

  // The part of it that comes when there was no slot.
  Result Wait(const Request& request) {
    const Visit visit(handoff_);
    return Leave(handoff_->Wait(request), request.thread);
  }
  template <typename OnTicket>
  Result Wait(const Request& request, const OnTicket& on_ticket) {
    const Visit visit(handoff_);
    return Leave(handoff_->Wait(request, on_ticket), request.thread);
  }
  Result Wait(uint32_t hint, int64_t deadline_ns = kForever) {
    return Wait(Request{.start = hint, .deadline_ns = deadline_ns});
  }

  // Takes a slot that is known to be available, for a thread with that number.
  void Hold(uint32_t index, uint32_t thread = 0) {
    const SlotState state = slot(index).word.Peek();
    RL_ASSERT(state != SlotState::kEmpty || handoff_->TryBeginOpen());
    RL_ASSERT(slot(index).word.TryTake(state));
    RL_ASSERT(Occupy(index, thread));
  }

  // ~Lease, Pool::ReleaseSlow
  void Release(uint32_t index, bool broken = false) {
    Slot& slot = this->slot(index);
    slot.resource->Use();
    --holders_[index];
    if (lessees_[index] != 0) {
      lessees_[index] = 0;
      slot.owner.store(0, std::memory_order_relaxed);
    }
    UseMemory();
    if (!broken && slot.word.TryPutBack(SlotState::kIdle)) return;
    const Visit visit(handoff_);
    const bool expired = slot.expired.load(std::memory_order_relaxed) ==
                         slot.opened_at.load(std::memory_order_relaxed);
    if (broken || expired) CloseResource(slot);
    handoff_->PutSlow(index);
    UseMemory();
  }

  // Acquires, and if that worked releases.
  End Borrow(const Request& request) { return ReleaseAfter(Acquire(request)); }
  End Borrow(uint32_t hint, int64_t deadline_ns = kForever) {
    return ReleaseAfter(Acquire(hint, deadline_ns));
  }
  End WaitAndRelease(const Request& request) { return ReleaseAfter(Wait(request)); }
  End WaitAndRelease(uint32_t hint, int64_t deadline_ns = kForever) {
    return ReleaseAfter(Wait(hint, deadline_ns));
  }

  // Pool::Occupy. False if the resource could not be opened: the slot has been given up then. It
  // leaves out TimeHold(), which does what the keeper may do at any time: it marks the slot, so that
  // the release is not a fast one. REQUIRES: a Visit.
  bool Occupy(uint32_t index, uint32_t thread) {
    RL_ASSERT(++holders_[index] == 1);
    if (slot(index).resource == nullptr && !OpenFor(index)) return false;
    --holders_[index];
    MakeLease(index, thread);
    return true;
  }

  // Caretaker::VisitIdle, to close what is in the slot.
  void CloseIdle(uint32_t index) {
    if (!slot(index).word.TryReserve(SlotState::kIdle)) return;
    CloseResource(slot(index));
    slot(index).word.Unreserve();
    handoff_->Put(index);
  }

  // Caretaker::Refill
  void Refill(uint32_t index) {
    const Visit visit(handoff_);
    if (!handoff_->TryReserveEmpty(index)) return;
    BeginOpening();
    OpenResource(slot(index));
    --opening_;
    slot(index).word.Unreserve();
    handoff_->PutOpened(index);
  }

  // LifecycleAction::kExpireOnRelease. The state the slot was in.
  SlotState Expire(uint32_t index, int64_t opened_at) {
    slot(index).expired.store(opened_at, std::memory_order_relaxed);
    return slot(index).word.Want();
  }

  // Pool::Suspend, Resume, Resize
  void Suspend() {
    ChangeGate([this] { handoff_->Suspend(); });
  }
  void Resume() {
    all_in_ = false;
    ChangeGate([this] { handoff_->Resume(); });
  }
  void Resize(uint32_t limit) {
    ChangeGate([this, limit] { handoff_->Resize(limit); });
  }

  // After Suspend(). If PoolStats::leased is 0 nothing is lent until Resume().
  void LookWhetherAllAreIn() {
    for (uint32_t i = 0; i < handoff_->slots().size(); ++i) {
      if (slot(i).word.Glance() == SlotState::kLeased) return;
    }
    all_in_ = true;
  }

  // Pool::Close
  void Close() {
    ChangeGate([this] { handoff_->Close(); });
    RL_ASSERT(handoff_->AwaitRetired(kForever));
    for (uint32_t i = 0; i < handoff_->slots().size(); ++i) {
      RL_ASSERT(slot(i).word.Glance() == SlotState::kRetired);
      RL_ASSERT(slot(i).resource == nullptr);
    }
  }

  // ~Pool. Whatever comes later to the memory is reported: as a race with this if nothing orders
  // the two, or by Relacy, which knows destroyed variables again.
  void Destroy() {
    Close();
    handoff_->AwaitVisitors();
    memory_(RL_INFO) = 1;
    handoff_->~PoolHandoff();
    destroyed_ = true;
  }

  // At the end: nobody has a slot, or is in the line, or opens one; every slot is where the gate
  // wants it.
  void CheckQuiet() {
    for (uint32_t i = 0; i < handoff_->slots().size(); ++i) {
      RL_ASSERT(holders_[i] == 0);
      RL_ASSERT(slot(i).word.Peek() == RestingState(i));
      if (RestingState(i) == SlotState::kRetired) RL_ASSERT(slot(i).resource == nullptr);
    }
    RL_ASSERT(handoff_->waiting() == 0);
    RL_ASSERT(handoff_->opening() == 0);
  }

  // The same, and as many slots as there are to be can be taken, and every place of the line used.
  void CheckAllAvailable(uint32_t slots) {
    CheckQuiet();
    RL_ASSERT(handoff_->gate().limit() == slots);
    for (uint32_t i = 0; i < slots; ++i) RL_ASSERT(Acquire(i).end == End::kTaken);
    RL_ASSERT(handoff_->TryTake(0) == PoolHandoff::kNone);
    for (uint32_t i = 0; i < slots; ++i) Release(i);
    for (uint64_t i = 0; i < options_.waiters; ++i) RL_ASSERT(WaitAndRelease(0) == End::kTaken);
  }
  void CheckAllAvailable() { CheckAllAvailable(options_.slots); }

 private:
  template <typename Change>
  void ChangeGate(const Change& change) {
    const Visit visit(handoff_);
    std::optional<ModelMutex::Lock> lock;
    if (options_.gate_changes) lock.emplace(&gate_mutex_);
    change();
  }

  // Pool::MakeLease. Only a thread with a number is noted: it makes executions longer.
  void MakeLease(uint32_t index, uint32_t thread) {
    RL_ASSERT(++holders_[index] == 1);
    RL_ASSERT(!all_in_);
    slot(index).resource->Use();
    if (thread == 0) return;
    lessees_[index] = thread;
    slot(index).NoteLease({"", 0}, thread);
  }

  // The end of a visit.
  Result Leave(Result result, uint32_t thread) {
    UseMemory();
    if (result.end == End::kTaken && !Occupy(result.slot, thread)) {
      return {kOpenFailed, PoolHandoff::kNone};
    }
    return result;
  }

  End ReleaseAfter(const Result& result) {
    if (result.end == End::kTaken) Release(result.slot);
    return result.end;
  }

  // Pool::OpenFor
  bool OpenFor(uint32_t index) {
    BeginOpening();
    if (failed_opens_ < options_.failing_opens) {
      ++failed_opens_;
      --opening_;
      --holders_[index];
      handoff_->PutOpened(index);
      return false;
    }
    OpenResource(slot(index));
    --opening_;
    handoff_->FinishOpen();
    return true;
  }

  void BeginOpening() { RL_ASSERT(++opening_ <= options_.opens); }
  void OpenResource(Slot& slot) {
    slot.opened_at.store(++opened_, std::memory_order_relaxed);
    slot.resource = std::make_unique<ModelResource>();
  }
  static void CloseResource(Slot& slot) {
    slot.resource.reset();
    slot.opened_at.store(0, std::memory_order_relaxed);
  }

  SlotState RestingState(uint32_t index) {
    switch (handoff_->gate().VerdictOn(index)) {
      case Gate::Verdict::kRetire:
        return SlotState::kRetired;
      case Gate::Verdict::kWithhold:
        return SlotState::kWithheld;
      default:
        return slot(index).AvailableState();
    }
  }

  // Stands for the last access to the pool's memory that a thread makes.
  void UseMemory() { memory_(RL_INFO).load(); }

  const Options options_;

  // The memory outlives the object, so that Relacy can look at what is left of it.
  struct FreeMemory {
    void operator()(void* memory) const {
      ::operator delete (memory, std::align_val_t{alignof(PoolHandoff)});
    }
  };
  const std::unique_ptr<PoolHandoff, FreeMemory> storage_;
  PoolHandoff* handoff_ = nullptr;
  ModelMutex gate_mutex_;
  bool destroyed_ = false;

  // What the model knows of an execution: no variables of the threads that are explored.
  std::array<int, 4> holders_{};
  std::array<uint32_t, 4> lessees_{};
  uint32_t opening_ = 0;
  int failed_opens_ = 0;
  bool all_in_ = false;
  int64_t opened_ = 0;

  rl::var<int> memory_{0};
};

// For Relacy's record of what happened.
inline std::ostream& operator<<(std::ostream& stream, PoolModel::End end) {
  return stream << static_cast<int>(end);
}

// AsyncWaiter's platform: the times it reads are for statistics only and so no choice.
struct UntimedPlatform : RelacyPlatform {
  static int64_t Now() { return 1; }
};

// An acquire without a thread: the real AsyncWaiter in a small Pool::StartAsync, with an executor
// that runs at once. No stop tokens: std::stop_callback waits where Relacy cannot see it. The
// deadlines stand for them: both come by AsyncWaiter::Abort.
class AsyncAcquire {
 public:
  using PoolHandoff = PoolModel::PoolHandoff;
  using Waiter = AsyncWaiter<PoolHandoff, UntimedPlatform>;
  using End = PoolModel::End;

  // If it `keeps` its slot somebody else has to call ReleaseKept().
  AsyncAcquire(PoolModel* pool, bool keeps)
      : pool_(*pool),
        keeps_(keeps),
        waiter_(std::make_shared<Waiter>(typename Waiter::Parts{
            .handoff = &pool->handoff(),
            .fork_guard = &nobody_forks_,
            .deadlines = &deadlines_,
            .waits = &waits_,
            .nudge_keeper = [] {},
            .executor = [](absl::AnyInvocable<void() &&> closure) { std::move(closure)(); },
            .refuse =
                [this](End end) {
                  refused_ = end;
                  return absl::Status(absl::StatusCode::kUnavailable, "");
                },
            .done = [this](Waiter::SlotResult slot, int64_t) { Finish(std::move(slot)); }})) {}

  void Start(uint32_t start, int64_t deadline_ns = kForever) {
    const PoolModel::Visit visit(&handoff());
    const uint32_t taken = handoff().TryTake(start);
    if (taken != PoolHandoff::kNone) {
      return Finish(OwnedSlot<PoolHandoff>(&handoff(), &nobody_forks_, taken));
    }
    waiter_->Start(start, deadline_ns, {});
  }

  // The keeper, after the deadline. It may have found the waiter long before it does this.
  void Abort() { waiter_->OnDeadline(); }
  // The keeper, which finds the waiter only if it has a deadline.
  void Expire() { deadlines_.Expire(kForever - 1); }

  // Nothing: it has not ended.
  const std::optional<End>& end() const { return end_; }

  void ReleaseKept() {
    if (end_ == End::kTaken && keeps_) pool_.Release(slot_);
  }

 private:
  PoolHandoff& handoff() { return pool_.handoff(); }

  void Finish(Waiter::SlotResult slot) {
    RL_ASSERT(!end_.has_value());
    end_ = slot.ok() ? End::kTaken : refused_;
    life_(RL_INFO) = 1;  // races with whatever else ends it
    if (!slot.ok()) return;
    slot_ = slot->Take();
    const PoolModel::Visit visit(&handoff());
    RL_ASSERT(pool_.Occupy(slot_, 0));
    if (!keeps_) pool_.Release(slot_);
  }

  static inline Histogram waits_;
  static inline const ForkGuard nobody_forks_;

  PoolModel& pool_;
  const bool keeps_;
  AsyncDeadlines deadlines_;
  const std::shared_ptr<Waiter> waiter_;
  uint32_t slot_ = 0;
  End refused_ = End::kTaken;
  std::optional<End> end_;
  rl::var<int> life_{0};
};

}  // namespace vouch::pool::pool_internal

#endif  // VOUCH_TESTS_POOL_RELACY_POOL_MODEL_H_
