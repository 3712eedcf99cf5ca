// Governor: the one place that decides when the write-ahead log is moved into the database file.
//
// Every other way is off: no connection checkpoints by itself, and SQL text cannot. The writer's
// lease calls AfterWrite() when it is given back, so that a checkpoint runs on the writer's own
// connection between two transactions and never overlaps a write of this process; holding the
// write lock meanwhile, it does not overlap one of another vouch process either. That keeps clear
// of a defect of SQLite 3.7.0–3.51.2, by which a checkpoint racing a writer that resets the log
// loses committed pages (sqlite.org/wal.html, "The WAL-reset bug").
//
// Thread safety: AfterWrite() by the holder of the writer; stats() by any thread.
// Errors: a checkpoint that fails loses nothing, the log only grows; it is counted, and the next
//   write tries again.
// Cost: below the threshold, one comparison. Otherwise the copying of at most the log's pages, and
//   a bounded wait for readers and other processes.

#ifndef VOUCH_STORAGE_SQLITE_GOVERNOR_H_
#define VOUCH_STORAGE_SQLITE_GOVERNOR_H_

#include <atomic>
#include <cstdint>

#include "absl/time/time.h"
#include "storage/sqlite/connection.h"

namespace vouch::storage {

struct GovernorOptions {
  // Log size, in pages, from which on the writer checkpoints.
  int checkpoint_pages = 1000;
  // How long one checkpoint waits for readers and for other processes' writes.
  absl::Duration patience = absl::Milliseconds(20);
};

struct GovernorStats {
  std::int64_t checkpoints = 0;
  std::int64_t given_up = 0;  // A reader or another process was in the way.
  std::int64_t failed = 0;    // Errors: disk full, I/O.
  int log_pages = 0;          // After the last write.
};

class Governor {
 public:
  explicit Governor(const GovernorOptions& options) : options_(options) {}

  // REQUIRES: `writer` is not in a transaction.
  void AfterWrite(SqliteConnection& writer);

  GovernorStats stats() const;

 private:
  const GovernorOptions options_;
  // The log size at which the next attempt is made: after one that gave up, not at every write.
  // Used by the holder of the writer only.
  int next_attempt_pages_ = 0;
  // Written by the holder of the writer, read by stats(). Advisory: relaxed, decide nothing.
  std::atomic<std::int64_t> checkpoints_{0};
  std::atomic<std::int64_t> given_up_{0};
  std::atomic<std::int64_t> failed_{0};
  std::atomic<int> log_pages_{0};
};

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_SQLITE_GOVERNOR_H_
