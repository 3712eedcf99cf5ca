#include "uow/cli/migrate_command.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/migrations/migrator.h"
#include "storage/migrations/sets.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/file.h"
#include "storage/status_macros.h"
#include "uow/cli/json.h"
#include "uow/cli/printable.h"
#include "uow/cli/stable_read.h"
#include "uow/cli/text_table.h"
#include "uow/options.h"

namespace vouch::cli {
namespace {

using storage::MigrationInfo;
using storage::MigrationResult;
using storage::MigrationSet;
using storage::MigrationState;

// In the order in which they are applied.
std::vector<const MigrationSet*> SetsCalled(const std::string& name) {
  std::vector<const MigrationSet*> sets;
  for (const MigrationSet* set : {&storage::CoreMigrations(), &storage::MemoryMigrations()}) {
    if (name.empty() || set->name() == name) sets.push_back(set);
  }
  return sets;
}

const char* NameOf(MigrationState state) {
  switch (state) {
    case MigrationState::kPending:
      return "pending";
    case MigrationState::kApplied:
      return "applied";
    case MigrationState::kRolledBack:
      return "rolled back";
    case MigrationState::kFailed:
      return "failed";
    case MigrationState::kEdited:
      return "edited";
    case MigrationState::kUnknown:
      return "unknown";
  }
  return "?";
}

template <typename Item>
struct OfSet {
  std::string set;
  Item item;
};
using Status = std::vector<OfSet<MigrationInfo>>;
using Results = std::vector<OfSet<MigrationResult>>;

absl::StatusOr<Status> ReadStatus(storage::Connection& reader, const std::string& name) {
  Status all;
  for (const MigrationSet* set : SetsCalled(name)) {
    VOUCH_ASSIGN_OR_RETURN(const auto migrations, storage::Migrator(reader, *set).Status());
    for (const MigrationInfo& migration : migrations) all.push_back({set->name(), migration});
  }
  return all;
}

void Print(const Status& migrations, const std::string& database, Console& console) {
  using enum TextTable::Align;
  TextTable table({kLeft, kRight, kLeft, kLeft, kLeft, kRight});
  table.Add({"set", "version", "name", "state", "at", "took"});
  Json list = Json::array();
  for (const auto& [set, migration] : migrations) {
    const bool ran = !migration.applied_at.empty();
    table.Add({set, absl::StrCat(migration.version), Printable(migration.name),
               NameOf(migration.state), Printable(migration.applied_at),
               ran ? ShortDuration(migration.duration) : ""});
    list.push_back({{"set", set},
                    {"version", migration.version},
                    {"name", migration.name},
                    {"state", NameOf(migration.state)},
                    {"applied_at", migration.applied_at},
                    {"duration_ms", absl::ToInt64Milliseconds(migration.duration)}});
  }
  console.Result({{"verb", "migrate status"}, {"database", database}, {"migrations", list}},
                 table.Render());
}

void Print(const std::string& verb, const Results& results, const std::string& database,
           Console& console) {
  std::string text;
  Json list = Json::array();
  for (const auto& [set, result] : results) {
    const bool up = result.direction == storage::MigrationDirection::kUp;
    absl::StrAppend(&text, up ? "applied " : "reverted ", set, " ", result.version, " (",
                    result.name, ") in ", ShortDuration(result.duration), "\n");
    list.push_back({{"set", set},
                    {"version", result.version},
                    {"name", result.name},
                    {"direction", up ? "up" : "down"},
                    {"duration_ms", absl::ToDoubleMilliseconds(result.duration)}});
  }
  if (results.empty()) text = "nothing to do\n";
  console.Result({{"verb", verb}, {"database", database}, {"migrations", list}}, text);
}

absl::StatusOr<std::unique_ptr<storage::SqliteConnection>> OpenForMigrating(
    const std::string& path, const Settings& settings) {
  return storage::SqliteConnection::Open({.path = path,
                                          .access = storage::Access::kReadWrite,
                                          .is_protected = {},
                                          .application_id = uow::kApplicationId,
                                          .busy_timeout = settings.wait});
}

storage::MigratorOptions OptionsOf(const Settings& settings) {
  storage::MigratorOptions options;
  options.applied_by = "vouch migrate";
  options.lock_timeout = settings.wait;
  return options;
}

// Moves what was done to `all`.
absl::Status Collect(const std::string& set, absl::StatusOr<std::vector<MigrationResult>> results,
                     Results& all) {
  VOUCH_RETURN_IF_ERROR(results.status());
  for (MigrationResult& result : *results) all.push_back({set, std::move(result)});
  return absl::OkStatus();
}

}  // namespace

int RunMigrateStatus(const std::string& set, const Settings& settings, Console& console) {
  const auto database = storage::PrepareDatabaseFile(settings.database, /*create=*/false);
  if (!database.ok()) return console.Fail(database.status(), kUsage);
  Status migrations;
  const absl::Status status =
      StableRead(database->path, settings.wait, [&](storage::Connection& reader) -> absl::Status {
        VOUCH_ASSIGN_OR_RETURN(migrations, ReadStatus(reader, set));
        return absl::OkStatus();
      });
  if (!status.ok()) return console.Fail(status, CodeForOpening(status));
  Print(migrations, database->path, console);
  return kDone;
}

int RunMigrateUp(const std::string& set, const Settings& settings, Console& console) {
  const auto database = storage::PrepareDatabaseFile(settings.database, /*create=*/true);
  if (!database.ok()) return console.Fail(database.status(), kUsage);
  const auto connection = OpenForMigrating(database->path, settings);
  if (!connection.ok())
    return console.Fail(connection.status(), CodeForOpening(connection.status()));
  Results done;
  for (const MigrationSet* each : SetsCalled(set)) {
    storage::Migrator migrator(**connection, *each, OptionsOf(settings));
    const absl::Status status = Collect(each->name(), migrator.Up(), done);
    if (!status.ok()) return console.Fail(status);
  }
  Print("migrate up", done, database->path, console);
  return kDone;
}

int RunMigrateDown(const MigrateDownArguments& arguments, const Settings& settings,
                   Console& console) {
  const auto database = storage::PrepareDatabaseFile(settings.database, /*create=*/false);
  if (!database.ok()) return console.Fail(database.status(), kUsage);
  const auto connection = OpenForMigrating(database->path, settings);
  if (!connection.ok())
    return console.Fail(connection.status(), CodeForOpening(connection.status()));
  Results done;
  for (const MigrationSet* each : SetsCalled(arguments.set)) {
    storage::MigratorOptions options = OptionsOf(settings);
    options.accept_data_loss = arguments.accept_data_loss;
    storage::Migrator migrator(**connection, *each, std::move(options));
    const absl::Status status = Collect(each->name(), migrator.Down(arguments.count), done);
    if (!status.ok()) {
      console.Fail(status);
      if (absl::IsFailedPrecondition(status) && !arguments.accept_data_loss) {
        console.Note("--accept-data-loss drops tables and columns with what they hold");
      }
      return kFailed;
    }
  }
  Print("migrate down", done, database->path, console);
  return kDone;
}

}  // namespace vouch::cli
