#ifndef VOUCH_POOL_LEASE_H_
#define VOUCH_POOL_LEASE_H_

#include <atomic>
#include <cassert>
#include <memory>
#include <utility>

#include "pool/internal/platform.h"
#include "pool/internal/slot.h"

namespace vouch::pool {

template <typename Resource, typename Platform>
class Pool;

// A Lease is the right to use one pooled resource until it is released or destroyed.
//
// Thread safety: one thread at a time; may be moved to another thread and released there. A lease
// that is to change threads should say so (AcquireOptions::transferable, MakeTransferable()).
// Memory ordering: what one holder did to the resource before releasing it is visible to the next.
// Ownership: the Pool must outlive its leases; ~Pool waits for them, and aborts the process if they
// do not come back (PoolOptions::destroy_timeout). The resource belongs to the pool, until Detach().
// Cost: release is one compare-and-swap where nobody waits. It never waits for a resource. If
// somebody waits it reads the clock and wakes one thread, seldom more, or hands the slot to an
// asynchronous acquire, whose executor is called here. If the resource is closed by it (broken, too
// old, or the pool is closed) it takes as long as destroying a Resource takes; hooks take their time.
template <typename Resource, typename Platform = pool_internal::SystemPlatform>
class [[nodiscard]] Lease {
 public:
  // No lease.
  Lease() = default;

  Lease(Lease&& other) noexcept
      : pool_(other.pool_), slot_(std::exchange(other.slot_, nullptr)), broken_(other.broken_) {}
  Lease& operator=(Lease&& other) noexcept {
    if (this != &other) {
      Release();
      pool_ = other.pool_;
      slot_ = std::exchange(other.slot_, nullptr);
      broken_ = other.broken_;
    }
    return *this;
  }
  ~Lease() { Release(); }

  // Whether there is a resource: false after Release() and after being moved from.
  explicit operator bool() const { return slot_ != nullptr; }

  // The resource; null if there is none.
  Resource* get() const { return slot_ == nullptr ? nullptr : slot_->resource.get(); }

  // REQUIRES: a resource.
  Resource* operator->() const {
    assert(slot_ != nullptr);
    return slot_->resource.get();
  }
  Resource& operator*() const {
    assert(slot_ != nullptr);
    return *slot_->resource;
  }

  // The resource is closed on release instead of being given to the next.
  void MarkBroken() { broken_ = true; }

  // The lease may be released by another thread than acquired it: it is not held against this one
  // when this one waits for another (AcquireOptions::transferable). REQUIRES: a resource.
  void MakeTransferable() {
    assert(slot_ != nullptr);
    slot_->owner.store(Slot::kAnyThread, std::memory_order_relaxed);
  }

  // Takes the resource out of the pool, which may open another in its place, and ends the lease.
  // Null in a forked child: the resource is the parent's. REQUIRES: a resource.
  std::unique_ptr<Resource> Detach() {
    assert(slot_ != nullptr);
    return pool_->DetachFrom(*std::exchange(slot_, nullptr));
  }

  // Gives the resource back now. Nothing happens if there is none.
  void Release() {
    Slot* const slot = std::exchange(slot_, nullptr);
    if (slot == nullptr) return;
    slot->owner.store(Slot::kNobody, std::memory_order_relaxed);
    // After success the pool may be destroyed at once: nothing of it may be touched.
    if (!broken_ && slot->word.TryPutBack(pool_internal::SlotState::kIdle)) [[likely]]
      return;
    pool_->ReleaseSlow(*slot, broken_);
  }

 private:
  friend class Pool<Resource, Platform>;
  using Slot = pool_internal::Slot<Resource, Platform>;

  Lease(Pool<Resource, Platform>* pool, Slot* slot) : pool_(pool), slot_(slot) {}

  Pool<Resource, Platform>* pool_ = nullptr;
  Slot* slot_ = nullptr;  // null: no lease
  bool broken_ = false;
};

}  // namespace vouch::pool

#endif  // VOUCH_POOL_LEASE_H_
