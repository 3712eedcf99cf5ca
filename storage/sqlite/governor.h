// Governor: the one place that decides when the write-ahead log is moved into the database file,
// and what happens when it cannot be.
//
// Every other way is off: no connection checkpoints by itself, and SQL text cannot. The writer's
// lease calls AfterWrite() when it is given back, so that a checkpoint runs on the writer's own
// connection between two transactions and never overlaps a write of this process; holding the
// write lock meanwhile, it does not overlap one of another vouch process either. That keeps clear
// of a defect of SQLite 3.7.0–3.51.2, by which a checkpoint racing a writer that resets the log
// loses committed pages (storage/sqlite/version.h).
//
// A log can be begun anew only when nobody reads it. Readers that overlap without a pause never
// leave such a moment, and the log of plain SQLite grows without bound beside them. So the governor
// makes one: it holds new readers at the door of their pool until those that are in have left, for
// `patience` at most. What remains is a reader that does not leave. It is named (GovernorStats,
// messages), and stopped if the options say so; one that sleeps within its snapshot is beyond reach,
// and writers are slowed beyond the log's budget and refused at twice of it, rather than that the
// disk fills up. storage/sqlite/log_pressure.h has the decisions.
//
//     write ends ──> AfterWrite ──> due? ──> try ──────────────────────> the log begins anew
//                                    └─────> close the door, try, open ──┘     │ in vain
//     write wants to begin ──> Admit ──> as above, then admit, slow or refuse <┘
//
// The budget is kept up to the size of one transaction, whose pages come all at once. The log counts
// as of our own last commit: what other processes have added since shows at the next. Without writes
// nothing is done, as the log does not grow.
//
// Thread safety: AfterWrite() and Admit() by the holder of the writer; the others by any thread.
// Ownership: watched connections must be forgotten before they are closed, the readers' pool
//   detached before it is destroyed.
// Errors: a checkpoint that fails loses nothing, the log only grows; it is counted, and a later
//   write tries again. Admit: kResourceExhausted, the log is at twice its budget: shed the write, or
//   wait; the message names the reader that is in the way.
// Cost: below the thresholds, a comparison each. Otherwise the copying of at most the log's pages,
//   and the bounded waits that the options tell.

#ifndef VOUCH_STORAGE_SQLITE_GOVERNOR_H_
#define VOUCH_STORAGE_SQLITE_GOVERNOR_H_

#include <atomic>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "pool/call_site.h"
#include "pool/mutex.h"
#include "pool/pool.h"
#include "storage/clock.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/log_pressure.h"

namespace vouch::storage {

struct GovernorOptions {
  // Log size, in pages, from which on the writer checkpoints when nobody is in the way.
  int checkpoint_pages = 1000;
  // How large the log may become. From half of it on the door is closed for a checkpoint, beyond it
  // writers are slowed, at twice of it they are refused. Log files are cut to it as well.
  std::int64_t log_budget_bytes = 64 << 20;
  // How long new readers may be held at the door for one checkpoint. After that was in vain the door
  // stays open for at least four times as long.
  absl::Duration patience = absl::Milliseconds(20);
  // How long one attempt waits for readers and for other processes' writes. It holds the write lock
  // meanwhile, which keeps other processes from writing.
  absl::Duration lock_patience = absl::Milliseconds(5);
  // How long a write is delayed when the log is close to twice its budget.
  absl::Duration slowest_write = absl::Milliseconds(50);
  // A reader that has kept the log from being moved for longer is stopped, if `stop_old_readers`:
  // the statement it is running ends, and those after it, with kAborted. Its age is counted from the
  // first checkpoint that it was in the way of.
  absl::Duration reader_age_limit = absl::Seconds(60);
  bool stop_old_readers = false;

  // For the ages of readers. Borrowed; outlives the database.
  SteadyClock* clock = &SteadyClock::System();

  // kInvalidArgument naming the first bad field and its value.
  absl::Status Validate() const;
};

// A reader of this process that was in the way of the last checkpoint and is still there.
struct PinningReader {
  pool::CallSite site = {};
  std::string label;  // AcquireOptions::label, if one was given.
  absl::Duration age = absl::ZeroDuration();
  int others = 0;  // So many more were.
};

struct GovernorStats {
  std::int64_t checkpoints = 0;
  std::int64_t given_up = 0;         // A reader or another process was in the way.
  std::int64_t failed = 0;           // Errors: disk full, I/O.
  std::int64_t doors_closed = 0;     // Attempts with new readers held at the door.
  std::int64_t readers_stopped = 0;  // Leases.
  std::int64_t writes_slowed = 0;
  std::int64_t writes_refused = 0;
  absl::Duration longest_door = absl::ZeroDuration();
  int log_pages = 0;  // After the last write.
  int most_log_pages = 0;
  int budget_pages = 0;
  // What was in the way of the last checkpoint, if it was in vain and readers of ours were.
  std::optional<PinningReader> pinned_by;
};

class Governor {
 public:
  using Readers = pool::Pool<SqliteConnection>;
  using TimePoint = SteadyClock::TimePoint;

  explicit Governor(const GovernorOptions& options);

  // Before the first write: what a page is, and where the door is.
  void SetPageSize(int page_size_bytes);
  void Attach(Readers* readers);
  // No door is touched any more once this has returned.
  void Detach();

  // The connections that readers are lent.
  void Watch(SqliteConnection& reader);
  void Forget(SqliteConnection& reader);

  // Whether Admit() may have something to do.
  bool Presses() const {
    return log_pages_.load(std::memory_order_relaxed) >= limits_.budget_pages;
  }
  // To be called before a write. May wait, not beyond `until`, nor once `stop` is requested.
  // REQUIRES: `writer` is not in a transaction.
  absl::Status Admit(SqliteConnection& writer, TimePoint until, const std::stop_token& stop);

  // REQUIRES: `writer` is not in a transaction.
  void AfterWrite(SqliteConnection& writer);

  GovernorStats stats() const;

 private:
  enum class Outcome { kDone, kInVain, kFailed };
  // A reader's connection, and the use of it that was first seen in the way at `since`.
  struct Watched {
    SqliteConnection* connection;
    std::uint64_t lease = 0;  // 0: none.
    TimePoint since = {};
    int times = 0;  // Attempts in vain since then.
  };

  LogState StateNow(int pages, bool admitting);
  // Whether the log begins anew. `patience` bounds a closed door.
  bool Attempt(SqliteConnection& writer, const LogAction& action, absl::Duration patience);
  Outcome TryBehindDoor(SqliteConnection& writer, absl::Duration patience);
  Outcome TryUntil(SqliteConnection& writer, TimePoint until);
  Outcome TryOnce(SqliteConnection& writer, absl::Duration patience);
  void SlowDown(SqliteConnection& writer, TimePoint until, const std::stop_token& stop);
  absl::Status Refusal(int pages) const;

  void NoteReadersInTheWay();
  void ForgetReadersInTheWay();
  void StopOldReaders();
  // The oldest, those within a transaction first; null when there is none.
  const Watched* OldestInTheWay() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(watch_mutex_);
  static bool IsStillIn(const Watched& watched);
  std::optional<PinningReader> PinnedBy() const;

  // Constant after SetPageSize().
  const GovernorOptions options_;
  LogLimits limits_;

  // Used by the holder of the writer only.
  int next_attempt_pages_ = 0;
  std::optional<TimePoint> door_in_vain_;  // When it was opened again, on options_.clock.

  // Held while the door is closed.
  pool::Mutex door_mutex_;
  Readers* readers_ ABSL_GUARDED_BY(door_mutex_) = nullptr;

  mutable pool::Mutex watch_mutex_ ABSL_ACQUIRED_AFTER(door_mutex_);
  std::vector<Watched> watched_ ABSL_GUARDED_BY(watch_mutex_);

  // Written by the holder of the writer, read by any. log_pages_ is also read by Presses(), where a
  // stale value lets one write in that would have been slowed. Relaxed.
  std::atomic<int> log_pages_{0};
  // Written by the holder of the writer, read by stats(). Advisory: relaxed, decide nothing.
  std::atomic<int> most_log_pages_{0};
  std::atomic<std::int64_t> checkpoints_{0};
  std::atomic<std::int64_t> given_up_{0};
  std::atomic<std::int64_t> failed_{0};
  std::atomic<std::int64_t> doors_closed_{0};
  std::atomic<std::int64_t> readers_stopped_{0};
  std::atomic<std::int64_t> writes_slowed_{0};
  std::atomic<std::int64_t> writes_refused_{0};
  std::atomic<std::int64_t> longest_door_ns_{0};
};

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_SQLITE_GOVERNOR_H_
