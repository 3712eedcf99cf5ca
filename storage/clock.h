// WallClock and SteadyClock: the time that is written down, and the time that is measured.
//
// They are two ideas. Wall time goes into rows and receipts and may step; steady time measures
// durations and deadlines and only advances. Both are interfaces, so that a test can hold them
// still.
//
// Thread safety: Now() may be called by any thread.
// Ownership: whoever is given a pointer borrows it; the System() clocks live for ever.
// Cost: a clock read of the system's, 20–50 ns.

#ifndef VOUCH_STORAGE_CLOCK_H_
#define VOUCH_STORAGE_CLOCK_H_

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace vouch::storage {

class WallClock {
 public:
  virtual ~WallClock() = default;
  virtual absl::Time Now() = 0;
  static WallClock& System();
};

class SteadyClock {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  virtual ~SteadyClock() = default;
  virtual TimePoint Now() = 0;
  static SteadyClock& System();
};

// `time` in UTC as YYYY-MM-DDTHH:MM:SS.mmmZ, truncated to milliseconds: the one form in which
// units of work and migrations store a time. Years outside 0000–9999 are clamped to them.
std::string FormatUtcMillis(absl::Time time);

// The time that `text` says in exactly one of the forms in which a table stores one, all in UTC:
// YYYY-MM-DDTHH:MM:SS.mmmZ, YYYY-MM-DDTHH:MM:SSZ, or SQLite's own YYYY-MM-DD HH:MM:SS. Nothing when
// it is in none, or names no day or time there is.
std::optional<absl::Time> ParseUtc(std::string_view text);

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_CLOCK_H_
