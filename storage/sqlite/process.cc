#include "storage/sqlite/process.h"

#include <sqlite3.h>

#include <optional>

#include "absl/strings/str_cat.h"
#include "pool/mutex.h"
#include "storage/sqlite/error.h"
#include "storage/status_macros.h"

namespace vouch::storage {
namespace {

absl::Status Apply(const ProcessSettings& settings) {
  int code = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, settings.memory_statistics ? 1 : 0);
  if (code == SQLITE_MISUSE) {
    return absl::FailedPreconditionError(
        "configure process: SQLite is in use already; call this first in main()");
  }
  if (code == SQLITE_OK) code = sqlite3_initialize();
  if (code != SQLITE_OK) return SqliteError(nullptr, code, "configure process");
  if (settings.hard_heap_limit_bytes == 0) return absl::OkStatus();
  sqlite3_hard_heap_limit64(settings.hard_heap_limit_bytes);
  const std::int64_t actual = sqlite3_hard_heap_limit64(-1);
  if (actual == settings.hard_heap_limit_bytes) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("configure process: the heap limit is ", actual,
                                                    ", not ", settings.hard_heap_limit_bytes));
}

}  // namespace

absl::Status ProcessSettings::Validate() const {
  if (hard_heap_limit_bytes < 0) {
    return absl::InvalidArgumentError(absl::StrCat("configure process: hard_heap_limit_bytes is ",
                                                   hard_heap_limit_bytes, ", less than 0"));
  }
  if (hard_heap_limit_bytes > 0 && !memory_statistics) {
    return absl::InvalidArgumentError(
        "configure process: hard_heap_limit_bytes has no effect without memory_statistics");
  }
  return absl::OkStatus();
}

absl::Status ConfigureProcess(const ProcessSettings& settings) {
  VOUCH_RETURN_IF_ERROR(settings.Validate());
  static pool::Mutex mutex;
  static std::optional<ProcessSettings> applied;  // Protected by mutex.
  const pool::MutexLock lock(&mutex);
  if (applied.has_value()) {
    if (*applied == settings) return absl::OkStatus();
    return absl::FailedPreconditionError(
        "configure process: done before, with other settings; they hold until the process ends");
  }
  VOUCH_RETURN_IF_ERROR(Apply(settings));
  applied = settings;
  return absl::OkStatus();
}

}  // namespace vouch::storage
