#ifndef VOUCH_POOL_INTERNAL_NEST_H_
#define VOUCH_POOL_INTERNAL_NEST_H_

#include <deque>
#include <utility>

#include "absl/functional/any_invocable.h"

namespace vouch::pool::pool_internal {

// Nest runs calls that may cause one another on the same thread, as where a closure that is run at
// once releases its lease, which serves the next waiter, whose closure is run at once. They nest
// kDeepest deep; what would be deeper runs after the deepest has returned, so that a long line does
// not need a long stack.
//
// Thread safety: any thread; each has its own nest. Cost: allocates when it is that deep.
class Nest {
 public:
  using Call = absl::AnyInvocable<void() &&>;

  static constexpr int kDeepest = 16;

  // Runs the call, now or before the outermost Run() of this thread returns.
  static void Run(Call call) {
    if (later_ != nullptr) {
      later_->push_back(std::move(call));
    } else if (depth_ == kDeepest) {
      RunDeepest(std::move(call));
    } else {
      ++depth_;
      std::move(call)();
      --depth_;
    }
  }

 private:
  static void RunDeepest(Call call) {
    std::deque<Call> later;
    later_ = &later;
    std::move(call)();
    while (!later.empty()) {
      Call next = std::move(later.front());
      later.pop_front();
      std::move(next)();
    }
    later_ = nullptr;
  }

  static inline constinit thread_local int depth_ = 0;
  // What is to run after the deepest call; null unless that is under way.
  static inline constinit thread_local std::deque<Call>* later_ = nullptr;
};

}  // namespace vouch::pool::pool_internal

#endif  // VOUCH_POOL_INTERNAL_NEST_H_
