#include "uow/cli/restore_command.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "absl/strings/str_cat.h"
#include "storage/sha256.h"
#include "storage/sqlite/backup.h"
#include "storage/sqlite/file.h"
#include "uow/cli/backup_command.h"
#include "uow/cli/copy_progress.h"
#include "uow/cli/json.h"
#include "uow/cli/printable.h"
#include "uow/cli/stop_signal.h"
#include "uow/cli/text_table.h"

namespace vouch::cli {
namespace {

using storage::RestoreOptions;
using storage::RestoreResult;

std::int64_t BytesOf(const RestoreResult& restored) {
  return restored.pages * restored.page_size_bytes;
}

std::string Replaced(const RestoreResult& restored) {
  if (!restored.replaced) return "nothing, it was not there";
  if (restored.old_kept_as.empty()) return "the old one, which is not kept";
  return absl::StrCat("the old one, kept as ", Printable(restored.old_kept_as));
}

std::string TextOf(const RestoreResult& restored, const RestoreArguments& arguments,
                   const std::string& database, absl::Duration elapsed) {
  using enum TextTable::Align;
  TextTable table({kLeft, kLeft});
  table.Add({"restored", Printable(database)});
  table.Add({"from", Printable(arguments.file)});
  table.Add({"bytes", WithCommas(BytesOf(restored))});
  table.Add(
      {"sha256", absl::StrCat(storage::HexOf(restored.digest),
                              restored.digest_compared ? ", as it was made" : ", not compared")});
  table.Add({"replaced", Replaced(restored)});
  table.Add({"time", ShortDuration(elapsed)});
  return table.Render();
}

Json JsonOf(const RestoreResult& restored, const RestoreArguments& arguments,
            const std::string& database, absl::Duration elapsed) {
  return {{"verb", "restore"},
          {"database", database},
          {"file", arguments.file},
          {"bytes", BytesOf(restored)},
          {"pages", restored.pages},
          {"page_size", restored.page_size_bytes},
          {"sha256", storage::HexOf(restored.digest)},
          {"digest_compared", restored.digest_compared},
          {"foreign_keys_checked", !arguments.skip_foreign_keys},
          {"replaced", restored.replaced},
          {"old_kept_as", restored.old_kept_as.empty() ? Json() : Json(restored.old_kept_as)},
          {"seconds", absl::ToDoubleSeconds(elapsed)}};
}

}  // namespace

int RunRestore(const RestoreArguments& arguments, const Settings& settings, Console& console) {
  RestoreOptions options{.keep_old_as = arguments.keep_old,
                         .lock_timeout = settings.wait,
                         .check_foreign_keys = !arguments.skip_foreign_keys};
  if (!arguments.sha256.empty()) {
    options.digest = storage::DigestFromHex(arguments.sha256);
    if (!options.digest.has_value()) {
      return console.Fail(
          absl::InvalidArgumentError("restore: --sha256 takes 64 hexadecimal digits"), kUsage);
    }
  }
  const auto database = storage::ResolveDatabasePath(settings.database);
  if (!database.ok()) return console.Fail(database.status(), kUsage);
  const StopSignal stop([&console] { console.Note("stopping; once more to stop at once"); });
  CopyProgress progress("restore");
  options.progress = progress.Sink();
  options.stop = stop.token();
  const auto begin = std::chrono::steady_clock::now();
  absl::StatusOr<RestoreResult> restored;
  {
    const ProgressLine line(console.shows_progress(), [&progress] { return progress.Sample(); });
    restored = storage::Restore(arguments.file, *database, options);
  }
  const auto elapsed = absl::FromChrono(std::chrono::steady_clock::now() - begin);
  const absl::Status& status = restored.status();
  if (absl::IsCancelled(status) && stop.signal() != 0) {
    console.Fail(status);
    return 128 + stop.signal();
  }
  if (!status.ok()) {
    return console.Fail(
        status, std::max(CodeForTarget(status, *database), CodeForTarget(status, arguments.file)));
  }
  console.Result(JsonOf(*restored, arguments, *database, elapsed),
                 TextOf(*restored, arguments, *database, elapsed));
  if (!restored->digest_compared) {
    console.Note(absl::StrCat("there is no ", arguments.file,
                              ".sha256: what was checked is the structure, not each byte"));
  }
  return kDone;
}

}  // namespace vouch::cli
