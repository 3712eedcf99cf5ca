// Bounds: until when a long operation on connections of its own may go on.
//
// Thread safety: one thread at a time; the stop may be requested by any.
// Ownership: must outlive the connections it was applied to.

#ifndef VOUCH_STORAGE_SQLITE_INTERNAL_BOUNDS_H_
#define VOUCH_STORAGE_SQLITE_INTERNAL_BOUNDS_H_

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"

struct sqlite3;

namespace vouch::storage::storage_internal {

class Bounds {
 public:
  // `operation` is what Explain() begins messages with.
  Bounds(std::string operation, std::stop_token stop, absl::Duration timeout);

  // kCancelled or kDeadlineExceeded once a bound is reached.
  absl::Status Check() const;

  // Sleeps, at most until a bound is reached.
  absl::Status Sleep(absl::Duration duration) const;

  // Stops the statements of `db` when a bound is reached, in place of its own progress handler.
  void Apply(sqlite3* db) const;
  // `status` with the operation before it, and with the bound's own code and words when it came of
  // being stopped. For the outermost function, once.
  absl::Status Explain(const absl::Status& status) const;

 private:
  using Clock = std::chrono::steady_clock;

  const std::string operation_;
  const std::stop_token stop_;
  const absl::Duration timeout_;
  std::optional<Clock::time_point> deadline_;
};

}  // namespace vouch::storage::storage_internal

#endif  // VOUCH_STORAGE_SQLITE_INTERNAL_BOUNDS_H_
