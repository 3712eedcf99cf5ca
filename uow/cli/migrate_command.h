// `vouch migrate status|up|down`: the schemas of a database.

#ifndef VOUCH_UOW_CLI_MIGRATE_COMMAND_H_
#define VOUCH_UOW_CLI_MIGRATE_COMMAND_H_

#include <cstdint>
#include <string>

#include "uow/cli/console.h"

namespace vouch::cli {

inline constexpr char kCoreSet[] = "core";
inline constexpr char kMemorySet[] = "memory";

// `set` is one of the above; empty stands for both.
int RunMigrateStatus(const std::string& set, const Settings& settings, Console& console);
int RunMigrateUp(const std::string& set, const Settings& settings, Console& console);

struct MigrateDownArguments {
  std::int64_t count = 1;
  std::string set = kMemorySet;
  bool accept_data_loss = false;
};
int RunMigrateDown(const MigrateDownArguments& arguments, const Settings& settings,
                   Console& console);

}  // namespace vouch::cli

#endif  // VOUCH_UOW_CLI_MIGRATE_COMMAND_H_
