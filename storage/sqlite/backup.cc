#include "storage/sqlite/backup.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "storage/error.h"
#include "storage/sqlite/database.h"
#include "storage/sqlite/error.h"
#include "storage/sqlite/file.h"
#include "storage/sqlite/internal/bounds.h"
#include "storage/sqlite/internal/native.h"
#include "storage/sqlite/internal/staging.h"
#include "storage/sqlite/internal/system_error.h"
#include "storage/sqlite/internal/verify.h"
#include "storage/status_macros.h"

namespace vouch::storage {
namespace {

using storage_internal::Bounds;
using storage_internal::FileFacts;
using storage_internal::Native;
using storage_internal::Staging;
using storage_internal::SystemError;

absl::Status RefuseTaken(const std::string& target) {
  struct stat info;
  if (::lstat(target.c_str(), &info) != 0) return absl::OkStatus();
  if (S_ISDIR(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(target, " is a folder"));
  }
  return absl::AlreadyExistsError(absl::StrCat(target, " is there already"));
}

// The end of a page-by-page copy: SQLite's two handles for it.
class PageCopy {
 public:
  static absl::StatusOr<std::unique_ptr<PageCopy>> Begin(SqliteConnection& source,
                                                         const std::string& path) {
    auto copy = std::unique_ptr<PageCopy>(new PageCopy());
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE;
    const int code = sqlite3_open_v2(path.c_str(), &copy->target_, flags, nullptr);
    if (code != SQLITE_OK) return SqliteError(copy->target_, code, "open the copy");
    // Nobody sees the copy before it is whole, synced and checked.
    sqlite3_exec(copy->target_, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;", nullptr,
                 nullptr, nullptr);
    copy->backup_ = sqlite3_backup_init(copy->target_, "main", Native::HandleOf(source), "main");
    if (copy->backup_ != nullptr) return copy;
    return SqliteError(copy->target_, sqlite3_extended_errcode(copy->target_), "copy");
  }
  ~PageCopy() {
    sqlite3_backup_finish(backup_);
    sqlite3_close(target_);
  }
  PageCopy(const PageCopy&) = delete;
  PageCopy& operator=(const PageCopy&) = delete;

  // True when there is more to do. Somebody in the way is not an error.
  absl::StatusOr<bool> Step(int pages) {
    const int code = sqlite3_backup_step(backup_, pages);
    if (code == SQLITE_DONE) return false;
    if (code == SQLITE_OK || code == SQLITE_BUSY || code == SQLITE_LOCKED) return true;
    return SqliteError(target_, code, "copy");
  }
  std::int64_t total_pages() const { return sqlite3_backup_pagecount(backup_); }
  std::int64_t copied_pages() const { return total_pages() - sqlite3_backup_remaining(backup_); }

  // Everything is in the file afterwards.
  absl::Status Finish() {
    const int code = sqlite3_backup_finish(std::exchange(backup_, nullptr));
    if (code != SQLITE_OK) return SqliteError(target_, code, "copy");
    const int closed = sqlite3_close(std::exchange(target_, nullptr));
    return closed == SQLITE_OK ? absl::OkStatus() : SqliteError(nullptr, closed, "close the copy");
  }

 private:
  PageCopy() = default;

  sqlite3* target_ = nullptr;
  sqlite3_backup* backup_ = nullptr;
};

// Bytes 18 and 19 of a database file are the versions that writing and reading it need: 2 is a
// write-ahead log. The copy has none, and as version 1 it can be read where none can be made.
absl::Status LeaveLogMode(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return SystemError(errno, "finish the copy");
  const ssize_t written = ::pwrite(fd, "\1\1", 2, 18);
  const int error = written < 0 ? errno : ENOSPC;
  ::close(fd);
  return written == 2 ? absl::OkStatus() : SystemError(error, "finish the copy");
}

absl::Status CopyPages(SqliteConnection& source, const std::string& path,
                       const BackupOptions& options, const Bounds& bounds) {
  // A snapshot that is held for the whole copy: a commit does not make it start again.
  VOUCH_RETURN_IF_ERROR(source.BeginSnapshot());
  VOUCH_ASSIGN_OR_RETURN(const auto pages, source.QueryValue<std::int64_t>("PRAGMA page_count"));
  VOUCH_ASSIGN_OR_RETURN(const auto page_size, source.QueryValue<std::int64_t>("PRAGMA page_size"));
  VOUCH_ASSIGN_OR_RETURN(const auto copy, PageCopy::Begin(source, path));
  while (true) {
    VOUCH_RETURN_IF_ERROR(bounds.Check());
    const std::int64_t before = copy->copied_pages();
    VOUCH_ASSIGN_OR_RETURN(const bool more, copy->Step(options.pages_per_step));
    if (options.progress) {
      options.progress({.phase = BackupPhase::kCopying,
                        .copied_bytes = copy->copied_pages() * page_size,
                        .total_bytes = copy->total_pages() * page_size});
    }
    if (!more) break;
    const bool stuck = copy->copied_pages() == before;
    const absl::Duration pause = stuck ? absl::Milliseconds(5) : absl::ZeroDuration();
    if (const auto rest = std::max(pause, options.pause); rest > absl::ZeroDuration()) {
      VOUCH_RETURN_IF_ERROR(bounds.Sleep(rest));
    }
  }
  if (copy->total_pages() != pages) {
    return absl::InternalError(
        absl::StrCat("copied ", copy->total_pages(), " pages of a snapshot of ", pages));
  }
  VOUCH_RETURN_IF_ERROR(copy->Finish());
  return pages == 0 ? absl::OkStatus() : LeaveLogMode(path);
}

absl::Status CopyVacuumed(SqliteConnection& source, const std::string& path) {
  VOUCH_ASSIGN_OR_RETURN(StatementPtr vacuum, source.Prepare("VACUUM INTO ?1"));
  VOUCH_RETURN_IF_ERROR(vacuum->Bind(1, path));
  const absl::Status status = vacuum->Run();
  // What SQLite says also when it cannot tell how long the file is; this one is ours, and empty.
  if (absl::StrContains(status.message(), "output file already exists")) {
    return absl::UnavailableError(absl::StrCat(path, ": its length cannot be read"));
  }
  return status;
}

absl::StatusOr<std::int64_t> Copy(Database& database, const std::string& path,
                                  const BackupOptions& options, const Bounds& bounds) {
  VOUCH_ASSIGN_OR_RETURN(const auto source, database.OpenUnrestrictedReader());
  bounds.Apply(Native::HandleOf(*source));
  if (options.method == BackupMethod::kVacuum) {
    VOUCH_RETURN_IF_ERROR(CopyVacuumed(*source, path));
    return -1;
  }
  VOUCH_RETURN_IF_ERROR(CopyPages(*source, path, options, bounds));
  // Still in the same snapshot.
  return source->QueryValue<std::int64_t>("PRAGMA page_count");
}

// A line of `sha256sum`: one whose name would break it begins with a backslash and escapes it.
std::string DigestNote(const std::string& target, const Digest& digest) {
  const std::string name = target.substr(target.rfind('/') + 1);
  const std::string escaped =
      absl::StrReplaceAll(name, {{"\\", "\\\\"}, {"\n", "\\n"}, {"\r", "\\r"}});
  return absl::StrCat(escaped == name ? "" : "\\", HexOf(digest), "  ", escaped, "\n");
}

absl::StatusOr<BackupResult> BackUpBounded(Database& database, const std::string& target,
                                           const BackupOptions& options, const Bounds& bounds) {
  VOUCH_RETURN_IF_ERROR(bounds.Check());
  BackupResult result;
  VOUCH_ASSIGN_OR_RETURN(result.path, ResolveDatabasePath(target));
  VOUCH_RETURN_IF_ERROR(RefuseTaken(result.path));
  VOUCH_ASSIGN_OR_RETURN(const auto staging, Staging::Create(result.path));
  VOUCH_ASSIGN_OR_RETURN(const std::int64_t source_pages,
                         Copy(database, staging->path(), options, bounds));
  if (options.progress) options.progress({.phase = BackupPhase::kChecking});
  VOUCH_ASSIGN_OR_RETURN(const FileFacts facts,
                         VerifyFile(staging->path(),
                                    {.functions = database.options().functions,
                                     .collations = database.options().collations,
                                     .foreign_keys = options.check_foreign_keys},
                                    bounds));
  if (source_pages >= 0 && facts.pages != source_pages) {
    return absl::DataLossError(
        absl::StrCat("the copy has ", facts.pages, " pages, the database ", source_pages));
  }
  VOUCH_ASSIGN_OR_RETURN(result.digest, DigestOfFile(staging->path(), bounds));
  VOUCH_RETURN_IF_ERROR(staging->Sync());
  VOUCH_RETURN_IF_ERROR(RefuseTaken(result.path));
  VOUCH_RETURN_IF_ERROR(bounds.Check());
  if (options.write_digest) {
    VOUCH_RETURN_IF_ERROR(staging->InstallNote(".sha256", DigestNote(result.path, result.digest)));
  }
  if (const absl::Status status = staging->Install(/*replace=*/false); !status.ok()) {
    if (options.write_digest) ::unlink(absl::StrCat(result.path, ".sha256").c_str());
    return status;
  }
  result.pages = facts.pages;
  result.page_size_bytes = facts.page_size_bytes;
  return result;
}

}  // namespace

absl::StatusOr<BackupResult> BackUp(Database& database, const std::string& target,
                                    const BackupOptions& options) {
  if (options.pages_per_step < 1 || options.pause < absl::ZeroDuration()) {
    return absl::InvalidArgumentError(absl::StrCat("back up: pages_per_step is ",
                                                   options.pages_per_step, ", pause ",
                                                   absl::FormatDuration(options.pause)));
  }
  const Bounds bounds(absl::StrCat("back up to ", target), options.stop, options.timeout);
  absl::StatusOr<BackupResult> result = BackUpBounded(database, target, options, bounds);
  if (!result.ok()) return bounds.Explain(result.status());
  if (options.progress) {
    const std::int64_t bytes = result->pages * result->page_size_bytes;
    options.progress({.phase = BackupPhase::kDone, .copied_bytes = bytes, .total_bytes = bytes});
  }
  return result;
}

}  // namespace vouch::storage
