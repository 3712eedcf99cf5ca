#include "uow/cli/indexer.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "storage/clock.h"
#include "storage/error.h"
#include "storage/sha256.h"
#include "storage/status_macros.h"

namespace vouch::cli {
namespace {

constexpr char kActor[] = "vouch index";
// Large enough that in most runs the walk is over, and the total known, early on.
constexpr std::size_t kQueueCapacity = 1 << 16;
constexpr int kPageOfDocuments = 500;

class Stopwatch {
 public:
  absl::Duration elapsed() const {
    return absl::FromChrono(std::chrono::steady_clock::now() - begin_);
  }

 private:
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace

Indexer::Indexer(uow::Engine& engine, IndexOptions options)
    : engine_(engine),
      options_(std::move(options)),
      catalog_(options_.activity_table),
      own_files_(options_.database),
      queue_(kQueueCapacity) {}

IndexReport Indexer::Run(std::stop_token stop) {
  const Stopwatch watch;
  {
    const std::stop_callback on_stop(stop, [this] { Stop(); });
    std::vector<std::thread> workers;
    for (int i = 0; i < options_.threads; ++i) workers.emplace_back([this] { Work(); });
    Produce();
    for (std::thread& worker : workers) worker.join();
  }
  const pool::MutexLock lock(&mutex_);
  report_.elapsed = watch.elapsed();
  return std::move(report_);
}

Indexer::Snapshot Indexer::snapshot() const {
  const pool::MutexLock lock(&mutex_);
  return {.counts = report_.counts,
          .taken = taken_,
          .found = all_pushed_ ? std::optional(pushed_) : std::nullopt};
}

// ---- The producer ---------------------------------------------------------------------------

void Indexer::Produce() {
  const auto for_each_folder = [this](auto function) {
    return std::all_of(options_.folders.begin(), options_.folders.end(), function);
  };
  const bool complete =
      for_each_folder([this](const std::string& folder) { return Walk(folder, *this); }) &&
      for_each_folder([this](const std::string& folder) { return FindVanished(folder); });
  if (complete) {
    const pool::MutexLock lock(&mutex_);
    all_pushed_ = true;
  }
  queue_.Close();
}

bool Indexer::OnFile(std::string path) {
  return Push({.kind = TaskKind::kFile, .path = std::move(path)});
}

bool Indexer::OnUnreadable(const std::string& folder, const absl::Status& status) {
  FileFailed(folder, status);
  return !stopped_.load(std::memory_order_relaxed);
}

bool Indexer::FindVanished(const std::string& folder) {
  const PathRange range = FolderRange(folder);
  std::string after;
  for (;;) {
    const auto page = [&]() -> absl::StatusOr<std::vector<std::string>> {
      VOUCH_ASSIGN_OR_RETURN(const storage::ReadLease reader, engine_.Read());
      return catalog_.List(*reader, range, after, kPageOfDocuments);
    }();
    if (!page.ok()) {
      DatabaseFailed(folder, page.status());
      return false;
    }
    if (page->empty()) return true;
    for (const std::string& path : *page) {
      if (IsStillThere(path) != false) continue;
      if (!Push({.kind = TaskKind::kVanished, .path = path})) return false;
    }
    after = page->back();
  }
}

bool Indexer::Push(Task task) {
  {
    const pool::MutexLock lock(&mutex_);
    ++pushed_;
  }
  return queue_.Push(std::move(task));
}

// ---- The workers ----------------------------------------------------------------------------

void Indexer::Work() {
  DocumentReader reader;
  while (const std::optional<Task> task = queue_.Pop()) {
    if (task->kind == TaskKind::kFile) {
      IndexFile(reader, task->path);
    } else {
      RunUnit(task->path, [&](uow::UnitOfWork& unit, const std::string& now) {
        return catalog_.MarkVanished(unit, task->path, now);
      });
    }
    const pool::MutexLock lock(&mutex_);
    ++taken_;
  }
}

void Indexer::IndexFile(DocumentReader& reader, const std::string& path) {
  struct stat info;
  if (::lstat(path.c_str(), &info) == 0 && own_files_.Contain(info)) return;
  const absl::StatusOr<Document> document = reader.Read(path);
  {
    const pool::MutexLock lock(&mutex_);
    ++report_.counts.seen;
    if (document.ok()) report_.counts.bytes += document->size;
  }
  if (!document.ok()) return FileFailed(path, document.status());
  const auto stored = Find(path);
  if (!stored.ok()) return DatabaseFailed(path, stored.status());
  if (stored->has_value() && (*stored)->synced &&
      (*stored)->hash == storage::HexOf(document->hash)) {
    const pool::MutexLock lock(&mutex_);
    ++report_.counts.unchanged;
    return;
  }
  RunUnit(path, [&](uow::UnitOfWork& unit, const std::string& now) {
    return catalog_.Save(unit, *document, now);
  });
}

absl::StatusOr<std::optional<StoredDocument>> Indexer::Find(const std::string& path) {
  const Stopwatch watch;
  VOUCH_ASSIGN_OR_RETURN(const storage::ReadLease reader, engine_.Read());
  const absl::Duration wait = watch.elapsed();
  {
    const pool::MutexLock lock(&mutex_);
    report_.acquire_waits.Add(wait);
  }
  return catalog_.Find(*reader, path);
}

// `function` is given the unit and the time, and returns what it did.
template <typename Function>
void Indexer::RunUnit(const std::string& path, Function function) {
  const std::string now = storage::FormatUtcMillis(absl::Now());
  Change change = Change::kNone;
  const Stopwatch watch;
  const auto receipt = engine_.Run({.actor_id = kActor, .correlation_id = options_.correlation_id},
                                   [&](uow::UnitOfWork& unit) -> absl::Status {
                                     VOUCH_ASSIGN_OR_RETURN(change, function(unit, now));
                                     return absl::OkStatus();
                                   });
  const absl::Duration time = watch.elapsed();
  if (!receipt.ok()) return DatabaseFailed(path, receipt.status());
  Acknowledge(receipt->uow_id);
  const pool::MutexLock lock(&mutex_);
  IndexCounts& counts = report_.counts;
  ++counts.units;
  counts.created += change == Change::kCreated;
  counts.updated += change == Change::kUpdated;
  counts.vanished += change == Change::kVanished;
  report_.unit_times.Add(time);
}

void Indexer::Acknowledge(const std::string& uow_id) const {
  if (options_.acknowledge_fd < 0) return;
  // One write, so that lines of several threads do not mix.
  const std::string line = uow_id + "\n";
  while (::write(options_.acknowledge_fd, line.data(), line.size()) < 0 && errno == EINTR) {
  }
}

// ---- What became of a file ------------------------------------------------------------------

void Indexer::FileFailed(const std::string& path, const absl::Status& status) {
  {
    const pool::MutexLock lock(&mutex_);
    ++report_.counts.failed;
    report_.failures.push_back({.path = path, .message = std::string(status.message())});
  }
  if (!options_.keep_going) Stop();
}

void Indexer::DatabaseFailed(const std::string& path, const absl::Status& status) {
  {
    const pool::MutexLock lock(&mutex_);
    report_.error.Update(storage::Annotate(status, absl::StrCat(path, ": ")));
  }
  Stop();
}

void Indexer::Stop() {
  stopped_.store(true, std::memory_order_relaxed);
  queue_.Abort();
}

}  // namespace vouch::cli
