#ifndef VOUCH_TESTS_POOL_EXECUTORS_H_
#define VOUCH_TESTS_POOL_EXECUTORS_H_

#include <atomic>
#include <cstddef>
#include <deque>
#include <functional>
#include <optional>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "pool/mutex.h"

namespace vouch::pool {

using Closure = absl::AnyInvocable<void() &&>;

// The executor that runs everything where it stands.
inline void RunAtOnce(Closure closure) { std::move(closure)(); }

// The executor that loses everything.
inline void DropAtOnce(const Closure&) {}

// An executor that keeps closures until the test runs or drops them. Thread safety: any thread.
class ClosureQueue {
 public:
  std::function<void(Closure)> executor() {
    return [this](Closure closure) {
      MutexLock lock(&mutex_);
      closures_.push_back(std::move(closure));
    };
  }

  size_t size() {
    MutexLock lock(&mutex_);
    return closures_.size();
  }

  // Runs the oldest closure. False if there is none.
  bool RunOne() {
    std::optional<Closure> closure = Take();
    if (!closure.has_value()) return false;
    (*std::move(closure))();
    return true;
  }
  void RunAll() {
    while (RunOne()) {
    }
  }

  bool DropOne() { return Take().has_value(); }

 private:
  std::optional<Closure> Take() {
    MutexLock lock(&mutex_);
    if (closures_.empty()) return std::nullopt;
    std::optional<Closure> closure(std::move(closures_.front()));
    closures_.pop_front();
    return closure;
  }

  Mutex mutex_;
  std::deque<Closure> closures_ ABSL_GUARDED_BY(mutex_);
};

// What an asynchronous acquire came to. Must outlive it.
template <typename AnyPool>
class Answer {
 public:
  using Result = absl::StatusOr<typename AnyPool::LeaseType>;

  typename AnyPool::AsyncDone done() {
    return [this](Result result) {
      result_ = std::move(result);
      calls_.fetch_add(1, std::memory_order_release);
    };
  }

  int calls() const { return calls_.load(std::memory_order_acquire); }

  // REQUIRES: calls() has been 1.
  Result& operator*() { return *result_; }
  Result* operator->() { return &*result_; }

 private:
  std::optional<Result> result_;
  std::atomic<int> calls_{0};
};

}  // namespace vouch::pool

#endif  // VOUCH_TESTS_POOL_EXECUTORS_H_
