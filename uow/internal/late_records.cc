#include "uow/internal/late_records.h"

#include <algorithm>
#include <utility>

namespace vouch::uow {
namespace {

using pool::MutexLock;

// Between tries to write what cannot be written: another process has the lock, or the disk is full.
constexpr absl::Duration kShortestRest = absl::Milliseconds(100);
constexpr absl::Duration kLongestRest = absl::Minutes(1);

}  // namespace

LateRecords::LateRecords(absl::Duration delay, std::function<absl::Status()> write)
    : delay_(delay), write_(std::move(write)) {}

void LateRecords::Expect() {
  const MutexLock lock(&mutex_);
  if (stopped_ || std::exchange(expected_, true)) return;
  if (thread_ == nullptr) {
    thread_ = std::make_unique<std::thread>([this] { Run(); });
  } else {
    changed_.Signal();
  }
}

void LateRecords::Stop() {
  if (fork_guard_.forked()) return Forget();
  std::unique_ptr<std::thread> thread;
  {
    const MutexLock lock(&mutex_);
    stopped_ = true;
    changed_.Signal();
    thread = std::move(thread_);
  }
  if (thread != nullptr) thread->join();
}

void LateRecords::Run() {
  absl::Duration delay = delay_;
  mutex_.Lock();
  while (!stopped_) {
    if (!expected_) {
      changed_.Wait(&mutex_);
      continue;
    }
    while (!stopped_ && changed_.WaitFor(&mutex_, delay)) {
    }
    if (stopped_) break;
    // What is expected from now on, this time may miss.
    expected_ = false;
    mutex_.Unlock();
    const bool written = write_().ok();
    mutex_.Lock();
    delay = written ? delay_ : NextDelay(delay);
    expected_ = expected_ || !written;
  }
  mutex_.Unlock();
}

absl::Duration LateRecords::NextDelay(absl::Duration delay) {
  return std::clamp(2 * delay, kShortestRest, kLongestRest);
}

}  // namespace vouch::uow
