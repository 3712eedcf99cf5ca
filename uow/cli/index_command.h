// `vouch index`: brings the table of documents in line with folders.

#ifndef VOUCH_UOW_CLI_INDEX_COMMAND_H_
#define VOUCH_UOW_CLI_INDEX_COMMAND_H_

#include <string>
#include <vector>

#include "storage/sqlite/profile.h"
#include "uow/cli/catalog.h"
#include "uow/cli/console.h"

namespace vouch::cli {

struct IndexArguments {
  std::vector<std::string> folders;
  int threads = 0;  // 0: as many as there are cores.
  bool keep_going = false;
  std::string activity_table = kDefaultActivityTable;
  storage::Synchronous synchronous = storage::Synchronous::kFull;
};

inline constexpr int kMostThreads = 64;

int RunIndex(const IndexArguments& arguments, const Settings& settings, Console& console);

}  // namespace vouch::cli

#endif  // VOUCH_UOW_CLI_INDEX_COMMAND_H_
