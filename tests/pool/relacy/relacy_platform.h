#ifndef VOUCH_TESTS_POOL_RELACY_RELACY_PLATFORM_H_
#define VOUCH_TESTS_POOL_RELACY_RELACY_PLATFORM_H_

// The parts of Relacy one by one: relacy/relacy.hpp would also define macros named new, delete,
// malloc, assert, errno and memory_order_*.
#include <relacy/context.hpp>
//
#include <relacy/atomic.hpp>
#include <relacy/atomic_fence.hpp>
#include <relacy/context_base_impl.hpp>
#include <relacy/dyn_thread.hpp>
#include <relacy/stdlib/condition_variable.hpp>
#include <relacy/stdlib/event.hpp>
#include <relacy/stdlib/mutex.hpp>
#include <relacy/stdlib/semaphore.hpp>
#include <relacy/test_suite.hpp>
#include <relacy/var.hpp>
#undef $

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#include "pool/call_site.h"
#include "pool/internal/platform.h"

// Relacy's own, for T*, cannot print a pointer to const.
template <typename T>
struct rl::atomic_add_type<const T*> {
  using type = ptrdiff_t;
  using output_type = const void*;
};

namespace vouch::pool::pool_internal {

// Relacy runs a few threads of control on one thread of the machine and decides before every atomic
// operation which of them goes on, and in every load which of the values that the C++ memory model
// allows is seen. This is the pool's platform on top of it: every atomic an rl::atomic, parking a
// futex, the clock a choice.
//
// What Relacy's memory model is not: it runs the operations of a thread in their order, so a load
// never sees a store that comes later (no load buffering); the one order of all seq_cst operations
// is the order in which it ran them; a load looks back at most two stores.

// How far the clock goes from one reading to the next.
enum class ClockSteps {
  kAny,    // a microsecond or two milliseconds
  kSmall,  // never a waiter's patience
  kLarge,  // always more than that
};

class RelacyClock {
 public:
  static void Start(ClockSteps steps) {
    steps_ = steps;
    now_ns_ = kUnread;
  }

  // From here on there is nothing to choose. Each reading that is a choice doubles what an
  // exhaustive search has to go through, also where nothing depends on it.
  static void Settle() { steps_ = ClockSteps::kSmall; }

  // The first reading is no choice either: only differences count.
  static int64_t Now() {
    const bool large = steps_ == ClockSteps::kLarge ||
                       (steps_ == ClockSteps::kAny && now_ns_ != kUnread && rl::rand(2) == 1);
    return now_ns_ += large ? 2'000'000 : 1'000;
  }

 private:
  static constexpr int64_t kUnread = 1;

  static inline ClockSteps steps_ = ClockSteps::kAny;
  static inline int64_t now_ns_ = kUnread;
};

// An rl::atomic with the face of std::atomic. Its zero is T's zero, as SystemPlatform promises.
template <typename T>
class RelacyAtomic {
 public:
  using Order = std::memory_order;

  RelacyAtomic() : RelacyAtomic(T{}) {}
  // Not explicit, as std::atomic's is not: the pool writes `Atomic<T> name{value}`.
  RelacyAtomic(T value) : value_(value) {}  // NOLINT(google-explicit-constructor)
  RelacyAtomic(const RelacyAtomic&) = delete;
  RelacyAtomic& operator=(const RelacyAtomic&) = delete;

  T load(Order order, CallSite site = CallSite::Current()) const {
    return value_.load(Relacy(order), Info(site));
  }
  void store(T value, Order order, CallSite site = CallSite::Current()) {
    value_.store(value, Relacy(order), Info(site));
  }
  T exchange(T value, Order order, CallSite site = CallSite::Current()) {
    return value_.exchange(value, Relacy(order), Info(site));
  }
  T fetch_add(T other, Order order, CallSite site = CallSite::Current()) {
    return value_.fetch_add(other, Relacy(order), Info(site));
  }
  T fetch_sub(T other, Order order, CallSite site = CallSite::Current()) {
    return value_.fetch_sub(other, Relacy(order), Info(site));
  }
  T fetch_and(T other, Order order, CallSite site = CallSite::Current()) {
    return value_.fetch_and(other, Relacy(order), Info(site));
  }
  T fetch_or(T other, Order order, CallSite site = CallSite::Current()) {
    return value_.fetch_or(other, Relacy(order), Info(site));
  }
  T fetch_xor(T other, Order order, CallSite site = CallSite::Current()) {
    return value_.fetch_xor(other, Relacy(order), Info(site));
  }

  // Relacy's own refuses an order for failure that is stronger than the one for success, which
  // C++17 allows, and always fails with the newest value, which C++ does not promise.
  bool compare_exchange_strong(T& expected, T desired, Order success, Order failure,
                               CallSite site = CallSite::Current()) {
    rl::context& context = rl::ctx();
    context.sched();
    const rl::preemption_disabler alone(context);
    if (context.is_random_sched() && rl::rand(4) == 0) {
      const T seen = load(failure, site);  // perhaps an old value
      if (seen != expected) {
        expected = seen;
        return false;
      }
    }
    // Nobody can come in between: it is known which of the two orders counts.
    const bool succeeds = value_.debug_value() == expected;
    return value_.compare_exchange(rl::bool_t<false>(), expected, desired,
                                   succeeds ? Relacy(success) : rl::mo_seq_cst,
                                   succeeds ? rl::mo_relaxed : Relacy(failure), Info(site));
  }

  // The newest value, without an operation of the model.
  T newest() const { return value_.debug_value(); }

 private:
  friend struct RelacyPlatform;

  // A relaxed load that sees the newest value: no later load of this thread sees an older one.
  void SeeNewest() {
    const rl::preemption_disabler alone(rl::ctx());
    T other = static_cast<T>(newest() + 1);
    value_.compare_exchange(rl::bool_t<false>(), other, other, rl::mo_relaxed, RL_INFO);
  }

  static rl::memory_order Relacy(Order order) {
    switch (order) {
      case std::memory_order_relaxed:
        return rl::mo_relaxed;
      case std::memory_order_consume:
        return rl::mo_consume;
      case std::memory_order_acquire:
        return rl::mo_acquire;
      case std::memory_order_release:
        return rl::mo_release;
      case std::memory_order_acq_rel:
        return rl::mo_acq_rel;
      default:
        return rl::mo_seq_cst;
    }
  }
  static rl::debug_info Info(CallSite site) {
    return {"", site.file, static_cast<unsigned>(site.line)};
  }

  mutable rl::atomic<T> value_;
  uint32_t parked_ = 0;  // a bit for each thread
};

struct RelacyPlatform {
  template <typename T>
  using Atomic = RelacyAtomic<T>;

  // The kernel tests the word and falls asleep under a lock that a wake takes too: one step. It
  // promises no memory order to the two threads, so none is modelled, except that a thread which
  // has been told of a new value does not see an older one afterwards. With a deadline the sleep
  // may end at any moment; the random scheduler also ends it for no reason.
  static bool Park(Atomic<uint32_t>& word, uint32_t expected, int64_t deadline_ns) {
    rl::context& context = rl::ctx();
    context.sched();
    if (word.newest() != expected) {
      word.SeeNewest();
      return true;
    }
    const uint32_t bit = 1u << context.current_thread();
    word.parked_ |= bit;
    const rl::unpark_reason reason = context.park_current_thread(
        deadline_ns != kForever, context.is_random_sched(), false, RL_INFO);
    if (reason != rl::unpark_reason_normal) word.parked_ &= ~bit;
    return reason != rl::unpark_reason_timeout;
  }

  static void Unpark(Atomic<uint32_t>& word) {
    rl::context& context = rl::ctx();
    context.sched();
    for (rl::thread_id_t thread = 0; word.parked_ != 0; ++thread) {
      const uint32_t bit = 1u << thread;
      if ((word.parked_ & bit) == 0) continue;
      word.parked_ &= ~bit;
      context.unpark_thread(thread, false, RL_INFO);
    }
  }

  static int64_t Now() { return RelacyClock::Now(); }
  static void Yield() { rl::ctx().yield(1, RL_INFO); }

  template <typename T>
  struct Destroy {
    void operator()(T* elements) const {
      std::destroy_n(elements, size);
      ::operator delete(elements, kAlignment);
    }
    size_t size = 0;
  };
  template <typename T>
  using Array = std::unique_ptr<T[], Destroy<T>>;
  template <typename T>
  static Array<T> MakeZeroedArray(size_t size) {
    T* const elements = static_cast<T*>(::operator new(size * sizeof(T), kAlignment));
    std::uninitialized_value_construct_n(elements, size);
    return Array<T>(elements, Destroy<T>{size});
  }

 private:
  static constexpr std::align_val_t kAlignment{64};
};

}  // namespace vouch::pool::pool_internal

#endif  // VOUCH_TESTS_POOL_RELACY_RELACY_PLATFORM_H_
