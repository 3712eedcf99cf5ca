// What the size of the write-ahead log asks for: a pure decision, apart from the governor that acts
// on it.
//
//     0          checkpoint          budget / 2          budget         2 × budget
//     |   nothing    |     try, now     |  try, with the   |  … and slow    |  … and refuse
//     |              |     and then     |  door closed     |  writers       |  writers
//
// An attempt that was in vain is repeated when the log has grown by some pages, or when the reader
// that was in its way has left; beyond the budget every writer that is admitted makes one. With the
// door closed newcomers wait, so after that was in vain the door stays open for a while whatever the
// log's size: a reader that does not leave must not keep the others out.
//
// Thread safety: pure functions.

#ifndef VOUCH_STORAGE_SQLITE_LOG_PRESSURE_H_
#define VOUCH_STORAGE_SQLITE_LOG_PRESSURE_H_

#include "absl/time/time.h"

namespace vouch::storage {

struct LogLimits {
  int checkpoint_pages = 1000;
  int budget_pages = 16'000;
  absl::Duration patience = absl::Milliseconds(20);  // How long the door may be closed.
  absl::Duration slowest_write = absl::Milliseconds(50);
  absl::Duration reader_age_limit = absl::InfiniteDuration();  // Infinite: no reader is stopped.

  // From here on the door is closed for an attempt.
  int door_pages() const { return budget_pages / 2; }
  // How much the log grows after an attempt in vain until the next, at most.
  int PagesToNextAttempt(int log_pages) const;
  // How long the door stays open after it was closed in vain.
  absl::Duration door_rest() const { return 4 * patience; }
};

struct LogState {
  int log_pages = 0;
  bool admitting = false;  // A writer is about to begin; else one has ended.
  // The size at which the next attempt is due. 0: the last one was not in vain.
  int next_attempt_pages = 0;
  bool reader_left = false;                              // … that was in its way.
  absl::Duration hindered_for = absl::ZeroDuration();    // … for so long.
  absl::Duration since_door = absl::InfiniteDuration();  // … since the door was closed in vain.
};

enum class CheckpointAttempt {
  kNone,
  kTry,   // Now or never: nobody is waited for, or for a moment only.
  kDoor,  // New readers wait at the door, until those that are in have left.
};

struct LogAction {
  CheckpointAttempt attempt = CheckpointAttempt::kNone;
  bool stop_readers = false;                        // Those that are older than the limit.
  absl::Duration slow_down = absl::ZeroDuration();  // Of the writer, unless the attempt succeeds.
  bool refuse = false;                              // The writer, unless the attempt succeeds.

  friend bool operator==(const LogAction&, const LogAction&) = default;
};

LogAction DecideLogAction(const LogState& state, const LogLimits& limits);

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_SQLITE_LOG_PRESSURE_H_
