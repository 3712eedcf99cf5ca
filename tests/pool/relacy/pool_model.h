#ifndef VOUCH_TESTS_POOL_RELACY_POOL_MODEL_H_
#define VOUCH_TESTS_POOL_RELACY_POOL_MODEL_H_

#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#include "pool/internal/handoff.h"
#include "tests/pool/relacy/relacy_platform.h"

namespace vouch::pool::pool_internal {

// What a slot holds. Relacy reports two uses that nothing orders as a data race.
class ModelResource {
 public:
  ~ModelResource() { Use(); }
  void Use() { uses_(RL_INFO) = uses_(RL_INFO).load() + 1; }

  static void* operator new(size_t size) { return std::malloc(size); }
  static void operator delete(void* memory) { std::free(memory); }

 private:
  rl::var<int> uses_{0};
};

// PoolModel is to Handoff what Pool and Lease are, without statuses, factory and keeper thread:
// each function does the steps of its namesake in pool/pool.h and pool/lease.h, in their order, and
// checks that a slot has one holder.
class PoolModel {
 public:
  using PoolHandoff = Handoff<ModelResource, RelacyPlatform>;
  using End = PoolHandoff::End;
  using Result = PoolHandoff::Result;
  using Visit = PoolHandoff::Visit;

  struct Options {
    uint32_t slots = 1;
    uint64_t places = 4;
    ClockSteps clock = ClockSteps::kAny;
    bool open = true;  // whether the slots have resources from the start
  };

  static constexpr int64_t kSomeDeadline = 1;

  explicit PoolModel(const Options& options)
      : places_(options.places),
        storage_(static_cast<PoolHandoff*>(
            ::operator new (sizeof(PoolHandoff), std::align_val_t{alignof(PoolHandoff)}))) {
    RelacyClock::Start(options.clock);
    handoff_ = new (storage_.get()) PoolHandoff(options.slots, options.places);
    for (uint32_t i = 0; i < options.slots && options.open; ++i) {
      Hold(i);
      Release(i);
    }
  }

  ~PoolModel() {
    if (!destroyed_) handoff_->~PoolHandoff();
  }
  PoolModel(const PoolModel&) = delete;
  PoolModel& operator=(const PoolModel&) = delete;

  PoolHandoff& handoff() { return *handoff_; }
  PoolHandoff::SlotType& slot(uint32_t index) { return handoff_->slots()[index]; }

  // Pool::Acquire
  Result Acquire(uint32_t hint, int64_t deadline_ns = kForever) {
    if (slot(hint).word.TryLease()) return Occupy({End::kTaken, hint});
    const uint32_t index = handoff_->slots().TryTake(hint);
    if (index != PoolHandoff::kNone) return Occupy({End::kTaken, index});
    const Visit visit(handoff_);
    if (handoff_->closed()) return Leave({End::kClosed, PoolHandoff::kNone});
    return Leave(handoff_->Wait(hint, deadline_ns));
  }

  // The part of it that comes when there was no slot.
  Result Wait(uint32_t hint, int64_t deadline_ns = kForever) {
    const Visit visit(handoff_);
    return Leave(handoff_->Wait(hint, deadline_ns));
  }

  // Takes a slot that is known to be available.
  void Hold(uint32_t index) {
    const SlotState state = slot(index).word.Peek();
    RL_ASSERT(slot(index).word.TryTake(state));
    Occupy({End::kTaken, index});
  }

  // ~Lease
  void Release(uint32_t index) {
    slot(index).resource->Use();
    --holders_[index];
    UseMemory();
    if (slot(index).word.TryPutBack(SlotState::kIdle)) return;
    const Visit visit(handoff_);
    const bool expired = slot(index).expired.load(std::memory_order_relaxed) ==
                         slot(index).opened_at.load(std::memory_order_relaxed);
    if (expired) {
      CloseResource(index);
      handoff_->Put(index);
    } else {
      handoff_->PutSlow(index);
    }
    UseMemory();
  }

  // Acquires, and if that worked releases.
  End Borrow(uint32_t hint, int64_t deadline_ns = kForever) {
    const Result result = Acquire(hint, deadline_ns);
    if (result.end == End::kTaken) Release(result.slot);
    return result.end;
  }
  End WaitAndRelease(uint32_t hint, int64_t deadline_ns = kForever) {
    const Result result = Wait(hint, deadline_ns);
    if (result.end == End::kTaken) Release(result.slot);
    return result.end;
  }

  // Pool::CloseIdleSlot
  void CloseIdle(uint32_t index) {
    if (!slot(index).word.TryReserve(SlotState::kIdle)) return;
    CloseResource(index);
    slot(index).word.Unreserve();
    handoff_->Put(index);
  }

  // Pool::Refill
  void Refill(uint32_t index) {
    if (!slot(index).word.TryReserve(SlotState::kEmpty)) return;
    Open(index);
    slot(index).word.Unreserve();
    handoff_->Put(index);
  }

  // LifecycleAction::kExpireOnRelease. The state the slot was in.
  SlotState Expire(uint32_t index, int64_t opened_at) {
    slot(index).expired.store(opened_at, std::memory_order_relaxed);
    return slot(index).word.Want();
  }

  // Pool::Close
  void Close() {
    handoff_->Close();
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

  // At the end: every slot is available and nobody has it, nobody is in the line, and every place
  // of it is usable.
  void CheckAllAvailable() {
    const uint32_t slots = handoff_->slots().size();
    for (uint32_t i = 0; i < slots; ++i) {
      RL_ASSERT(holders_[i] == 0);
      RL_ASSERT(slot(i).word.Peek() == slot(i).AvailableState());
    }
    RL_ASSERT(handoff_->waiting() == 0);
    for (uint64_t i = 0; i < places_; ++i) RL_ASSERT(WaitAndRelease(0) == End::kTaken);
  }

  // At the end of a closed pool.
  void CheckAllRetired() {
    for (uint32_t i = 0; i < handoff_->slots().size(); ++i) {
      RL_ASSERT(holders_[i] == 0);
      RL_ASSERT(slot(i).word.Peek() == SlotState::kRetired);
    }
    RL_ASSERT(handoff_->waiting() == 0);
  }

 private:
  // Pool::Occupy
  Result Occupy(Result result) {
    RL_ASSERT(++holders_[result.slot] == 1);
    if (slot(result.slot).resource == nullptr) Open(result.slot);
    slot(result.slot).resource->Use();
    return result;
  }

  // The end of a visit.
  Result Leave(Result result) {
    UseMemory();
    return result.end == End::kTaken ? Occupy(result) : result;
  }

  void Open(uint32_t index) {
    slot(index).resource = std::make_unique<ModelResource>();
    slot(index).opened_at.store(++opened_, std::memory_order_relaxed);
  }
  void CloseResource(uint32_t index) {
    slot(index).resource.reset();
    slot(index).opened_at.store(0, std::memory_order_relaxed);
  }

  // Stands for the last access to the pool's memory that a thread makes.
  void UseMemory() { memory_(RL_INFO).load(); }

  const uint64_t places_;

  // The memory outlives the object, so that Relacy can look at what is left of it.
  struct FreeMemory {
    void operator()(void* memory) const {
      ::operator delete (memory, std::align_val_t{alignof(PoolHandoff)});
    }
  };
  const std::unique_ptr<PoolHandoff, FreeMemory> storage_;
  PoolHandoff* handoff_ = nullptr;
  bool destroyed_ = false;
  std::array<int, 4> holders_{};
  int64_t opened_ = 0;
  rl::var<int> memory_{0};
};

}  // namespace vouch::pool::pool_internal

#endif  // VOUCH_TESTS_POOL_RELACY_POOL_MODEL_H_
