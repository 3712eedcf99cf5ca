#include "storage/sqlite/internal/bounds.h"

#include <sqlite3.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/error.h"

namespace vouch::storage::storage_internal {
namespace {

constexpr int kProgressSteps = 2000;

std::chrono::nanoseconds ToChrono(absl::Duration duration) {
  return absl::ToChronoNanoseconds(std::min(duration, absl::Hours(24 * 365)));
}

}  // namespace

Bounds::Bounds(std::string operation, std::stop_token stop, absl::Duration timeout)
    : operation_(std::move(operation)), stop_(std::move(stop)), timeout_(timeout) {
  if (timeout != absl::InfiniteDuration()) deadline_ = Clock::now() + ToChrono(timeout);
}

absl::Status Bounds::Check() const {
  if (stop_.stop_requested()) return absl::CancelledError("stopped");
  if (deadline_.has_value() && Clock::now() >= *deadline_) {
    return absl::DeadlineExceededError(
        absl::StrCat("not done after ", absl::FormatDuration(timeout_)));
  }
  return absl::OkStatus();
}

absl::Status Bounds::Sleep(absl::Duration duration) const {
  Clock::time_point until = Clock::now() + ToChrono(duration);
  if (deadline_.has_value()) until = std::min(until, *deadline_);
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_until(lock, stop_, until, [] { return false; });
  return Check();
}

void Bounds::Apply(sqlite3* db) const {
  sqlite3_progress_handler(
      db, kProgressSteps,
      [](void* self) { return static_cast<const Bounds*>(self)->Check().ok() ? 0 : 1; },
      const_cast<Bounds*>(this));
}

absl::Status Bounds::Explain(const absl::Status& status) const {
  if (status.ok()) return status;
  if ((NativeCode(status).value_or(0) & 0xFF) == SQLITE_INTERRUPT) {
    const absl::Status reached = Check();
    if (!reached.ok()) return Annotate(reached, absl::StrCat(operation_, ": "));
  }
  return Annotate(status, absl::StrCat(operation_, ": "));
}

}  // namespace vouch::storage::storage_internal
