#ifndef VOUCH_TESTS_POOL_INTERNAL_MODEL_PLATFORM_H_
#define VOUCH_TESTS_POOL_INTERNAL_MODEL_PLATFORM_H_

#include <ucontext.h>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "pool/internal/platform.h"
#include "tests/support/random.h"

namespace vouch::pool::pool_internal {

// Model runs a few threads of control on one thread of the machine, as fibers, and chooses before
// every atomic operation which of them goes on. So it visits interleavings that a real machine
// shows once a year, and shows them again for the same seed. It explores sequentially consistent
// executions only: it finds wrong algorithms, not missing memory orders.
//
// A run in which every unfinished fiber is parked without a deadline has lost a wake-up.
class Model {
 public:
  explicit Model(uint64_t seed) : random_(seed), stay_(random_.Uniform<uint64_t>(0, 3)) {
    current_model_ = this;
  }
  ~Model() { current_model_ = nullptr; }
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  static Model& Current() { return *current_model_; }

  void Spawn(std::function<void()> body) {
    auto fiber = std::make_unique<Fiber>();
    fiber->rank = random_.Next();
    fiber->body = std::move(body);
    fiber->stack = std::make_unique<char[]>(kStackSize);
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = fiber->stack.get();
    fiber->context.uc_stack.ss_size = kStackSize;
    fiber->context.uc_link = &main_;
    makecontext(&fiber->context, &Model::Enter, 0);
    fibers_.push_back(std::move(fiber));
  }

  // Runs all fibers to their ends. False if they got stuck: a wake-up was lost.
  bool Run() {
    for (;;) {
      Fiber* const next = Choose();
      if (next == nullptr) return Finished();
      Resume(next);
    }
  }

  // Before an atomic operation: perhaps somebody else goes first.
  void Step() {
    if (running_ == nullptr) return;  // setting up or looking at the end
    if (ranked_ ? !random_.OneIn(12) : stay_ > 0 && !random_.OneIn(stay_ + 1)) return;
    running_->rank = random_.Next();
    SwitchToMain();
  }

  void Yield() {
    if (running_ == nullptr) return;
    running_->rank = random_.Next();
    SwitchToMain();
  }

  // Sleeps until Unpark(key). False if the model decides that the deadline passes first.
  bool Park(const void* key, bool has_deadline) {
    running_->parked_on = key;
    running_->has_deadline = has_deadline;
    running_->timed_out = false;
    SwitchToMain();
    return !running_->timed_out;
  }

  void Unpark(const void* key) {
    for (const auto& fiber : fibers_) {
      if (fiber->parked_on == key) fiber->parked_on = nullptr;
    }
  }

  // A clock that sometimes moves a little and sometimes a lot.
  int64_t Now() {
    Step();
    if (random_.OneIn(3)) now_ += random_.OneIn(2) ? 600'000 : 2'000'000;
    return now_;
  }

  test::Random& random() { return random_; }

 private:
  static constexpr size_t kStackSize = 64 * 1024;

  struct Fiber {
    std::function<void()> body;
    std::unique_ptr<char[]> stack;
    ucontext_t context;
    uint64_t rank = 0;
    const void* parked_on = nullptr;
    bool has_deadline = false;
    bool timed_out = false;
    bool done = false;
  };

  static void Enter() {
    Fiber* const fiber = current_model_->running_;
    fiber->body();
    fiber->done = true;
  }

  void Resume(Fiber* fiber) {
    if (fiber->parked_on != nullptr) {
      fiber->parked_on = nullptr;
      fiber->timed_out = true;
    }
    running_ = fiber;
    swapcontext(&main_, &fiber->context);
    running_ = nullptr;
  }

  void SwitchToMain() { swapcontext(&running_->context, &main_); }

  // One that can go on, at random; a deadline passes only now and then, or if nothing else can.
  Fiber* Choose() {
    std::vector<Fiber*> ready;
    std::vector<Fiber*> timed;
    for (const auto& fiber : fibers_) {
      if (fiber->done) continue;
      if (fiber->parked_on == nullptr) ready.push_back(fiber.get());
      if (fiber->parked_on != nullptr && fiber->has_deadline) timed.push_back(fiber.get());
    }
    if (!timed.empty() && (ready.empty() || random_.OneIn(8))) return OneOf(timed);
    if (ready.empty()) return nullptr;
    return ranked_ ? Highest(ready) : OneOf(ready);
  }

  Fiber* OneOf(const std::vector<Fiber*>& fibers) {
    return fibers[random_.Uniform<size_t>(0, fibers.size() - 1)];
  }

  static Fiber* Highest(const std::vector<Fiber*>& fibers) {
    return *std::max_element(fibers.begin(), fibers.end(),
                             [](const Fiber* a, const Fiber* b) { return a->rank < b->rank; });
  }

  bool Finished() const {
    for (const auto& fiber : fibers_) {
      if (!fiber->done) return false;
    }
    return true;
  }

  static inline Model* current_model_ = nullptr;

  test::Random random_;
  const bool ranked_ = random_.OneIn(2);
  const uint64_t stay_;  // how many operations on average before somebody else goes on
  std::vector<std::unique_ptr<Fiber>> fibers_;
  Fiber* running_ = nullptr;
  ucontext_t main_;
  int64_t now_ = 1'000'000;
};

// An atomic each of whose operations is a step of the model. Memory orders are ignored.
template <typename T>
class ModelAtomic {
 public:
  constexpr ModelAtomic() = default;
  // Not explicit, as std::atomic's is not: the pool writes `Atomic<T> name{value}`.
  constexpr ModelAtomic(T value) : value_(value) {}  // NOLINT(google-explicit-constructor)
  ModelAtomic(const ModelAtomic&) = delete;
  ModelAtomic& operator=(const ModelAtomic&) = delete;

  T load(std::memory_order) const { return Stepped(); }
  void store(T value, std::memory_order) { Stepped() = value; }
  T exchange(T value, std::memory_order) { return std::exchange(Stepped(), value); }
  bool compare_exchange_strong(T& expected, T desired, std::memory_order, std::memory_order) {
    T& value = Stepped();
    if (value != expected) {
      expected = value;
      return false;
    }
    value = desired;
    return true;
  }
  T fetch_add(T other, std::memory_order) {
    return Set([=](T old) { return T(old + other); });
  }
  T fetch_sub(T other, std::memory_order) {
    return Set([=](T old) { return T(old - other); });
  }
  T fetch_or(T other, std::memory_order) {
    return Set([=](T old) { return T(old | other); });
  }
  T fetch_and(T other, std::memory_order) {
    return Set([=](T old) { return T(old & other); });
  }
  T fetch_xor(T other, std::memory_order) {
    return Set([=](T old) { return T(old ^ other); });
  }

  T raw() const { return value_; }

 private:
  T& Stepped() const {
    Model::Current().Step();
    return value_;
  }
  template <typename Function>
  T Set(Function function) {
    T& value = Stepped();
    return std::exchange(value, function(value));
  }

  mutable T value_{};
};

struct ModelPlatform {
  template <typename T>
  using Atomic = ModelAtomic<T>;

  static bool Park(Atomic<uint32_t>& word, uint32_t expected, int64_t deadline_ns) {
    Model::Current().Step();
    if (word.raw() != expected) return true;
    return Model::Current().Park(&word, deadline_ns != kForever);
  }
  static void Unpark(Atomic<uint32_t>& word) {
    Model::Current().Step();
    Model::Current().Unpark(&word);
  }
  static int64_t Now() { return Model::Current().Now(); }
  static void Yield() { Model::Current().Yield(); }

  template <typename T>
  using Array = std::unique_ptr<T[]>;
  template <typename T>
  static Array<T> MakeZeroedArray(size_t size) {
    return std::make_unique<T[]>(size);
  }
};

}  // namespace vouch::pool::pool_internal

#endif  // VOUCH_TESTS_POOL_INTERNAL_MODEL_PLATFORM_H_
