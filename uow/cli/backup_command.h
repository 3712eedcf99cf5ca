// `vouch backup`: a checked copy of a database that others may be using.
//
// Thread safety: one thread.
// Returns the exit code: kUsage when another database or another name for the copy is needed.

#ifndef VOUCH_UOW_CLI_BACKUP_COMMAND_H_
#define VOUCH_UOW_CLI_BACKUP_COMMAND_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "uow/cli/console.h"

namespace vouch::cli {

struct BackupArguments {
  std::string file;
  double megabytes_per_second = 0;  // At most. 0: as fast as it goes.
  bool compact = false;
  bool skip_foreign_keys = false;
};

int RunBackup(const BackupArguments& arguments, const Settings& settings, Console& console);

// How many pages to copy before each pause, so that no more than so many bytes a second are copied,
// in steps of a tenth of a second at most, a page at least.
struct Pace {
  int pages_per_step = 256;
  absl::Duration pause = absl::ZeroDuration();
};
Pace PaceFor(double bytes_per_second, std::int64_t page_size_bytes);

// The exit code for an error of writing the file `path`: kUsage when another name is what is
// needed.
ExitCode CodeForTarget(const absl::Status& status, const std::string& path);

}  // namespace vouch::cli

#endif  // VOUCH_UOW_CLI_BACKUP_COMMAND_H_
