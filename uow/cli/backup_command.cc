#include "uow/cli/backup_command.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/sha256.h"
#include "storage/sqlite/backup.h"
#include "storage/sqlite/database.h"
#include "storage/sqlite/file.h"
#include "storage/status_macros.h"
#include "uow/cli/copy_progress.h"
#include "uow/cli/json.h"
#include "uow/cli/printable.h"
#include "uow/cli/stable_read.h"
#include "uow/cli/stop_signal.h"
#include "uow/cli/text_table.h"

namespace vouch::cli {
namespace {

using storage::Access;
using storage::BackupResult;
using storage::Database;
using storage::FileState;

constexpr int kMostPagesPerStep = 256;
constexpr double kMegabyte = 1e6;

// A reader of a log needs files beside the database. Where none can be made nor any log is, the
// file is read as it is, and compared afterwards.
Access AccessForBackup(const std::string& path, const FileState& state) {
  if (state.has_log || storage::CheckFolderMayBeWritten(path).ok()) return Access::kReadOnly;
  return Access::kImmutable;
}

absl::StatusOr<storage::BackupOptions> OptionsOf(const BackupArguments& arguments,
                                                 Database& database) {
  storage::BackupOptions options;
  if (arguments.compact) options.method = storage::BackupMethod::kVacuum;
  options.check_foreign_keys = !arguments.skip_foreign_keys;
  if (arguments.megabytes_per_second <= 0) return options;
  VOUCH_ASSIGN_OR_RETURN(const storage::ReadLease reader, database.Read());
  VOUCH_ASSIGN_OR_RETURN(const auto page_size,
                         reader->QueryValue<std::int64_t>("PRAGMA page_size"));
  const Pace pace = PaceFor(arguments.megabytes_per_second * kMegabyte, page_size);
  options.pages_per_step = pace.pages_per_step;
  options.pause = pace.pause;
  return options;
}

// What failed, apart: an exit code depends on it.
struct Backup {
  absl::Status opened;
  absl::StatusOr<BackupResult> result = absl::UnknownError("not begun");
};

Backup BackUpDatabase(const std::string& path, const BackupArguments& arguments,
                      const Settings& settings, std::stop_token stop, CopyProgress& progress) {
  Backup backup;
  const LogLeftovers leftovers(path);
  const auto before = storage::StateOfDatabaseFile(path);
  if (!before.ok()) return {.opened = before.status()};
  const Access access = AccessForBackup(path, *before);
  const auto database =
      Database::Open({.path = path, .access = access, .busy_timeout = settings.wait});
  if (!database.ok()) return {.opened = database.status()};
  auto options = OptionsOf(arguments, **database);
  if (!options.ok()) return {.opened = options.status()};
  options->progress = progress.Sink();
  options->stop = std::move(stop);
  backup.result = storage::BackUp(**database, arguments.file, *options);
  if (!backup.result.ok()) return backup;
  const auto after = storage::StateOfDatabaseFile(path);
  if (after.ok() && !MustReadAgain(access, *before, *after)) return backup;
  // Nobody was kept from writing while the pages were copied one by one.
  const std::string file = backup.result->path;
  ::unlink(file.c_str());
  ::unlink((file + ".sha256").c_str());
  backup.result = absl::UnavailableError(
      absl::StrCat("backup: ", path, " was written meanwhile, and its folder cannot be, which ",
                   "keeping others out needs; the copy is removed"));
  return backup;
}

std::int64_t BytesOf(const BackupResult& backup) { return backup.pages * backup.page_size_bytes; }

std::string TextOf(const BackupResult& backup, absl::Duration elapsed) {
  using enum TextTable::Align;
  TextTable table({kLeft, kLeft});
  table.Add({"backup", Printable(backup.path)});
  table.Add({"bytes", WithCommas(BytesOf(backup))});
  table.Add({"pages", absl::StrCat(WithCommas(backup.pages), " of ", backup.page_size_bytes)});
  table.Add({"sha256", storage::HexOf(backup.digest)});
  table.Add({"time", ShortDuration(elapsed)});
  return table.Render();
}

Json JsonOf(const BackupResult& backup, const BackupArguments& arguments,
            const std::string& database, absl::Duration elapsed) {
  return {{"verb", "backup"},
          {"database", database},
          {"file", backup.path},
          {"bytes", BytesOf(backup)},
          {"pages", backup.pages},
          {"page_size", backup.page_size_bytes},
          {"sha256", storage::HexOf(backup.digest)},
          {"compact", arguments.compact},
          {"foreign_keys_checked", !arguments.skip_foreign_keys},
          {"seconds", absl::ToDoubleSeconds(elapsed)}};
}

}  // namespace

Pace PaceFor(double bytes_per_second, std::int64_t page_size_bytes) {
  const double pages_per_second = bytes_per_second / static_cast<double>(page_size_bytes);
  const double pages =
      std::clamp(std::floor(pages_per_second / 10), 1.0, static_cast<double>(kMostPagesPerStep));
  return {.pages_per_step = static_cast<int>(pages),
          .pause = absl::Seconds(pages / pages_per_second)};
}

ExitCode CodeForTarget(const absl::Status& status, const std::string& path) {
  if (absl::IsAlreadyExists(status)) return kUsage;
  std::error_code error;
  if (absl::IsFailedPrecondition(status) && std::filesystem::is_directory(path, error)) {
    return kUsage;
  }
  return CodeForOpening(status);
}

int RunBackup(const BackupArguments& arguments, const Settings& settings, Console& console) {
  const auto database = storage::PrepareDatabaseFile(settings.database, /*create=*/false);
  if (!database.ok()) return console.Fail(database.status(), kUsage);
  const StopSignal stop([&console] { console.Note("stopping; once more to stop at once"); });
  CopyProgress progress("backup");
  const auto begin = std::chrono::steady_clock::now();
  Backup backup;
  {
    const ProgressLine line(console.shows_progress(), [&progress] { return progress.Sample(); });
    backup = BackUpDatabase(database->path, arguments, settings, stop.token(), progress);
  }
  const auto elapsed = absl::FromChrono(std::chrono::steady_clock::now() - begin);
  if (!backup.opened.ok()) return console.Fail(backup.opened, CodeForOpening(backup.opened));
  const absl::Status& status = backup.result.status();
  if (absl::IsCancelled(status) && stop.signal() != 0) {
    console.Fail(status);
    return 128 + stop.signal();
  }
  if (!status.ok()) return console.Fail(status, CodeForTarget(status, arguments.file));
  console.Result(JsonOf(*backup.result, arguments, database->path, elapsed),
                 TextOf(*backup.result, elapsed));
  return kDone;
}

}  // namespace vouch::cli
