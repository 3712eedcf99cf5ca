#include "storage/sqlite/governor.h"

namespace vouch::storage {

void Governor::AfterWrite(SqliteConnection& writer) {
  const int pages = writer.log_pages();
  log_pages_.store(pages, std::memory_order_relaxed);
  // A log that has shrunk was restarted by a writer after a complete checkpoint.
  if (pages < options_.checkpoint_pages) next_attempt_pages_ = options_.checkpoint_pages;
  if (pages < next_attempt_pages_ || pages < options_.checkpoint_pages) return;

  const auto result = writer.Checkpoint(options_.patience);
  if (!result.ok()) {
    failed_.fetch_add(1, std::memory_order_relaxed);
  } else if (!result->done) {
    given_up_.fetch_add(1, std::memory_order_relaxed);
  } else {
    checkpoints_.fetch_add(1, std::memory_order_relaxed);
    next_attempt_pages_ = options_.checkpoint_pages;
    return;
  }
  next_attempt_pages_ = pages + options_.checkpoint_pages / 4 + 1;
}

GovernorStats Governor::stats() const {
  return {.checkpoints = checkpoints_.load(std::memory_order_relaxed),
          .given_up = given_up_.load(std::memory_order_relaxed),
          .failed = failed_.load(std::memory_order_relaxed),
          .log_pages = log_pages_.load(std::memory_order_relaxed)};
}

}  // namespace vouch::storage
