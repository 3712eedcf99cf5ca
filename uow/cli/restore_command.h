// `vouch restore`: puts a backup in a database's place.
//
// Thread safety: one thread.
// Returns the exit code: kUsage when another backup or another database is needed.

#ifndef VOUCH_UOW_CLI_RESTORE_COMMAND_H_
#define VOUCH_UOW_CLI_RESTORE_COMMAND_H_

#include <string>

#include "uow/cli/console.h"

namespace vouch::cli {

struct RestoreArguments {
  std::string file;
  std::string sha256 = {};    // 64 hexadecimal digits. Empty: those in FILE.sha256.
  std::string keep_old = {};  // Empty: what is replaced is not kept, unless it is damaged.
  bool skip_foreign_keys = false;
};

int RunRestore(const RestoreArguments& arguments, const Settings& settings, Console& console);

}  // namespace vouch::cli

#endif  // VOUCH_UOW_CLI_RESTORE_COMMAND_H_
