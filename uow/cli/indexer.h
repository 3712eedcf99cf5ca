// Indexer: brings the table of documents in line with folders, one unit of work a file.
//
//     folders ──walk──> queue ──> workers: read and hash, look up ──┬─> unchanged: skipped
//                        ^                                          └─> a unit: saved
//     table ──no file any more──┘             vanished: a unit, marked stale
//
// It stops early when it is asked to, when a unit fails, and, unless it is to keep going, when a
// file or folder cannot be read. Units in flight are finished then; whatever was not looked at is
// left as it is, and the next run takes it up.
//
// Thread safety: Run() once, by one thread; counts() any thread meanwhile.
// Ownership: borrows the engine.
// Cost: a read lease and an indexed look-up for each file; a unit for each that changed.

#ifndef VOUCH_UOW_CLI_INDEXER_H_
#define VOUCH_UOW_CLI_INDEXER_H_

#include <atomic>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "pool/mutex.h"
#include "uow/cli/bounded_queue.h"
#include "uow/cli/catalog.h"
#include "uow/cli/document.h"
#include "uow/cli/own_files.h"
#include "uow/cli/samples.h"
#include "uow/cli/walker.h"
#include "uow/engine.h"

namespace vouch::cli {

struct IndexOptions {
  std::string database;              // Its files are not indexed.
  std::vector<std::string> folders;  // As ResolveFolders() gives them.
  int threads = 1;
  bool keep_going = false;
  std::string activity_table = kDefaultActivityTable;
  // Recorded with every unit of this run.
  std::string correlation_id;
  // Where the id of each committed unit is written, one a line; -1: nowhere.
  int acknowledge_fd = -1;
};

struct IndexCounts {
  std::int64_t seen = 0;  // Regular files, read or not.
  std::int64_t created = 0;
  std::int64_t updated = 0;
  std::int64_t unchanged = 0;
  std::int64_t vanished = 0;
  std::int64_t failed = 0;  // Files and folders that could not be read.
  std::int64_t units = 0;
  std::int64_t bytes = 0;  // Read.
};

struct IndexReport {
  IndexCounts counts;
  struct Failure {
    std::string path;
    std::string message;
  };
  std::vector<Failure> failures;
  // A unit, or the database, failed: nothing more was tried.
  absl::Status error;
  absl::Duration elapsed;
  Samples unit_times;
  Samples acquire_waits;
};

class Indexer final : private FileVisitor {
 public:
  Indexer(uow::Engine& engine, IndexOptions options);

  IndexReport Run(std::stop_token stop);

  struct Snapshot {
    IndexCounts counts;
    std::int64_t taken = 0;             // Files and documents that are done with.
    std::optional<std::int64_t> found;  // All there are, once that is known.
  };
  Snapshot snapshot() const;

 private:
  enum class TaskKind { kFile, kVanished };
  struct Task {
    TaskKind kind;
    std::string path;
  };

  // The producer: fills the queue.
  void Produce();
  bool OnFile(std::string path) override;
  bool OnUnreadable(const std::string& folder, const absl::Status& status) override;
  bool FindVanished(const std::string& folder);
  bool Push(Task task);

  // The workers: empty it.
  void Work();
  void IndexFile(DocumentReader& reader, const std::string& path);
  absl::StatusOr<std::optional<StoredDocument>> Find(const std::string& path);
  template <typename Function>
  void RunUnit(const std::string& path, Function function);
  void Acknowledge(const std::string& uow_id) const;

  // What became of a file. Both may end the run.
  void FileFailed(const std::string& path, const absl::Status& status);
  void DatabaseFailed(const std::string& path, const absl::Status& status);
  void Stop();

  // Constant after construction.
  uow::Engine& engine_;
  const IndexOptions options_;
  const Catalog catalog_;
  const OwnFiles own_files_;

  BoundedQueue<Task> queue_;
  // Set by whoever ends the run early, read by all. Relaxed: the queue's lock orders what matters,
  // and a worker that sees it late only does one more file.
  std::atomic<bool> stopped_{false};

  mutable pool::Mutex mutex_;
  IndexReport report_ ABSL_GUARDED_BY(mutex_);
  std::int64_t pushed_ ABSL_GUARDED_BY(mutex_) = 0;
  std::int64_t taken_ ABSL_GUARDED_BY(mutex_) = 0;
  bool all_pushed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace vouch::cli

#endif  // VOUCH_UOW_CLI_INDEXER_H_
