// BoundedQueue: hands items from producers to consumers, and makes producers wait when it is full.
//
// Thread safety: any thread.
// Memory ordering: what was done before Push() is visible to whoever pops that item.

#ifndef VOUCH_UOW_CLI_BOUNDED_QUEUE_H_
#define VOUCH_UOW_CLI_BOUNDED_QUEUE_H_

#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "pool/mutex.h"

namespace vouch::cli {

template <typename Item>
class BoundedQueue {
 public:
  // REQUIRES: capacity >= 1.
  explicit BoundedQueue(std::size_t capacity) : capacity_(capacity) {}

  // Waits for room. False: the queue is closed, and the item is gone.
  bool Push(Item item) {
    const pool::MutexLock lock(&mutex_);
    while (!closed_ && items_.size() >= capacity_) changed_.Wait(&mutex_);
    if (closed_) return false;
    items_.push_back(std::move(item));
    changed_.SignalAll();
    return true;
  }

  // Waits for an item. Nothing: the queue is closed and empty.
  std::optional<Item> Pop() {
    const pool::MutexLock lock(&mutex_);
    while (!closed_ && items_.empty()) changed_.Wait(&mutex_);
    if (items_.empty()) return std::nullopt;
    std::optional<Item> item(std::move(items_.front()));
    items_.pop_front();
    changed_.SignalAll();
    return item;
  }

  // No more items; those inside can still be popped.
  void Close() {
    const pool::MutexLock lock(&mutex_);
    closed_ = true;
    changed_.SignalAll();
  }

  // No more items, and those inside are dropped.
  void Abort() {
    const pool::MutexLock lock(&mutex_);
    closed_ = true;
    items_.clear();
    changed_.SignalAll();
  }

 private:
  const std::size_t capacity_;
  pool::Mutex mutex_;
  pool::CondVar changed_;
  std::deque<Item> items_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace vouch::cli

#endif  // VOUCH_UOW_CLI_BOUNDED_QUEUE_H_
