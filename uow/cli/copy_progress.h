// CopyProgress: how far a backup or a restore has come, between the one that works and the line
// that is drawn.
//
//   CopyProgress progress("backup");
//   const ProgressLine line(console.shows_progress(), [&] { return progress.Sample(); });
//   … BackUp(database, file, {.progress = progress.Sink()});
//
// Thread safety: any thread. Relaxed: the numbers are only shown.
// Ownership: must outlive its sink.

#ifndef VOUCH_UOW_CLI_COPY_PROGRESS_H_
#define VOUCH_UOW_CLI_COPY_PROGRESS_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "storage/sqlite/backup.h"
#include "uow/cli/progress.h"

namespace vouch::cli {

class CopyProgress {
 public:
  explicit CopyProgress(std::string verb) : verb_(std::move(verb)) {}
  CopyProgress(const CopyProgress&) = delete;
  CopyProgress& operator=(const CopyProgress&) = delete;

  std::function<void(const storage::BackupProgress&)> Sink() {
    return [this](const storage::BackupProgress& progress) {
      phase_.store(progress.phase, std::memory_order_relaxed);
      if (progress.phase == storage::BackupPhase::kChecking) return;  // It tells no numbers.
      copied_.store(progress.copied_bytes, std::memory_order_relaxed);
      total_.store(progress.total_bytes, std::memory_order_relaxed);
    };
  }

  Progress Sample() const {
    const bool copying = phase_.load(std::memory_order_relaxed) == storage::BackupPhase::kCopying;
    return {.verb = verb_,
            .done = copied_.load(std::memory_order_relaxed),
            .total = total_.load(std::memory_order_relaxed),
            .detail = copying ? "bytes, copying" : "bytes, checking"};
  }

 private:
  const std::string verb_;
  std::atomic<storage::BackupPhase> phase_{storage::BackupPhase::kCopying};
  std::atomic<std::int64_t> copied_{0};
  std::atomic<std::int64_t> total_{0};
};

}  // namespace vouch::cli

#endif  // VOUCH_UOW_CLI_COPY_PROGRESS_H_
