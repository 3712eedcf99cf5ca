#include "uow/cli/program.h"

#include <CLI/CLI.hpp>
#include <functional>
#include <iostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "storage/sqlite/profile.h"
#include "uow/cli/audit_command.h"
#include "uow/cli/backup_command.h"
#include "uow/cli/console.h"
#include "uow/cli/doctor_command.h"
#include "uow/cli/index_command.h"
#include "uow/cli/migrate_command.h"
#include "uow/cli/receipt_command.h"
#include "uow/cli/restore_command.h"

namespace vouch::cli {
namespace {

constexpr char kFooter[] =
    "Exit codes: 0 done; 1 failed, or something bad was found; 2 wrong usage: arguments, a "
    "folder\n"
    "or a file's path; 4 the audit cannot verify the ledger's format; 130, 143 interrupted.";

constexpr double kLongestWaitSeconds = 3600;

// What was chosen on the command line: how to run it, with the arguments it has collected.
using Command = std::function<int(const Settings&, Console&)>;

// Each Add… declares a verb. Arguments live in `Arguments` until the command has run.
struct Arguments {
  Settings settings;
  double wait_seconds = 5;
  IndexArguments index;
  AuditArguments audit;
  ReceiptListArguments list;
  std::string which;
  std::string set;
  MigrateDownArguments down;
  BackupArguments backup;
  RestoreArguments restore;
  Command command;
};

void AddGlobals(CLI::App& app, Arguments& arguments) {
  app.add_option("--db", arguments.settings.database,
                 "The database file (default: vouch.db in the current folder)")
      ->envname("VOUCH_DB")
      ->type_name("PATH");
  app.add_flag("--json", arguments.settings.json, "Print one JSON object instead of a text");
  app.add_flag("--quiet,-q", arguments.settings.quiet, "Print errors only");
  app.add_option("--wait", arguments.wait_seconds,
                 "How long to wait for a lock of another process (default: 5)")
      ->envname("VOUCH_WAIT")
      ->check(CLI::Range(0.0, kLongestWaitSeconds))
      ->type_name("SECONDS");
}

void AddIndex(CLI::App& app, Arguments& arguments) {
  CLI::App* verb = app.add_subcommand(
      "index",
      "Bring the table of documents in line with folders: each regular file below them\n"
      "is a row, and each change of a row is a unit of work with a receipt");
  IndexArguments& index = arguments.index;
  verb->add_option("DIR", index.folders, "Folders; symbolic links in them are not followed")
      ->required();
  verb->add_option("--threads", index.threads, "Files looked at at a time (default: one a core)")
      ->check(CLI::Range(1, kMostThreads));
  verb->add_flag("--keep-going", index.keep_going,
                 "Go on when a file cannot be read, and report it at the end");
  verb->add_option("--activity-table", index.activity_table,
                   "The table that each change is noted in (default: audit)")
      ->type_name("NAME");
  verb->add_option_function<std::string>(
          "--synchronous",
          [&index](const std::string& value) {
            index.synchronous =
                value == "full" ? storage::Synchronous::kFull : storage::Synchronous::kNormal;
          },
          "full: a committed unit survives a power loss (default); normal: it may not")
      ->check(CLI::IsMember({"full", "normal"}))
      ->type_name("");
  verb->callback([&arguments] {
    arguments.command = [&arguments](const Settings& settings, Console& console) {
      return RunIndex(arguments.index, settings, console);
    };
  });
}

void AddAudit(CLI::App& app, Arguments& arguments) {
  CLI::App* verb = app.add_subcommand(
      "audit",
      "Recompute every receipt, the chain between them, and every row from what is\n"
      "stored, and name what does not fit; changes nothing");
  verb->add_flag("--quick", arguments.audit.quick, "Do not read the rows");
  verb->callback([&arguments] {
    arguments.command = [&arguments](const Settings& settings, Console& console) {
      return RunAudit(arguments.audit, settings, console);
    };
  });
}

void AddReceipt(CLI::App& app, Arguments& arguments) {
  CLI::App* receipt = app.add_subcommand("receipt", "Show receipts");
  receipt->require_subcommand(1);
  CLI::App* list = receipt->add_subcommand("list", "List receipts, the newest first");
  list->add_option("--limit", arguments.list.limit, "How many (default: 20)")
      ->check(CLI::Range(1, 1'000'000));
  list->add_option("--before", arguments.list.before, "Only those before this number")
      ->check(CLI::PositiveNumber)
      ->type_name("SEQ");
  list->callback([&arguments] {
    arguments.command = [&arguments](const Settings& settings, Console& console) {
      return RunReceiptList(arguments.list, settings, console);
    };
  });
  CLI::App* show = receipt->add_subcommand(
      "show", "Print the exact bytes of a receipt; their SHA-256 is the receipt hash");
  show->add_option("ID", arguments.which, "The id of a unit of work, or a sequence number")
      ->required()
      ->type_name("ID|SEQ");
  show->callback([&arguments] {
    arguments.command = [&arguments](const Settings& settings, Console& console) {
      return RunReceiptShow(arguments.which, settings, console);
    };
  });
}

void AddMigrate(CLI::App& app, Arguments& arguments) {
  CLI::App* migrate = app.add_subcommand("migrate", "Show and change the schema's version");
  migrate->require_subcommand(1);
  const auto add_set = [](CLI::App* verb, std::string& set, const std::string& otherwise) {
    verb->add_option("--set", set, absl::StrCat("core or memory (default: ", otherwise, ")"))
        ->check(CLI::IsMember({kCoreSet, kMemorySet}))
        ->type_name("NAME");
  };
  CLI::App* status = migrate->add_subcommand("status", "List migrations and what became of them");
  add_set(status, arguments.set, "both");
  status->callback([&arguments] {
    arguments.command = [&arguments](const Settings& settings, Console& console) {
      return RunMigrateStatus(arguments.set, settings, console);
    };
  });
  CLI::App* up = migrate->add_subcommand("up", "Apply what is pending");
  add_set(up, arguments.set, "both");
  up->callback([&arguments] {
    arguments.command = [&arguments](const Settings& settings, Console& console) {
      return RunMigrateUp(arguments.set, settings, console);
    };
  });
  CLI::App* down = migrate->add_subcommand("down", "Revert the last migrations");
  down->add_option("N", arguments.down.count, "How many (default: 1)")->check(CLI::PositiveNumber);
  add_set(down, arguments.down.set, kMemorySet);
  down->add_flag("--accept-data-loss", arguments.down.accept_data_loss,
                 "Drop tables and columns also when they hold data");
  down->callback([&arguments] {
    arguments.command = [&arguments](const Settings& settings, Console& console) {
      return RunMigrateDown(arguments.down, settings, console);
    };
  });
}

constexpr char kSkipForeignKeys[] =
    "Also when rows refer to rows that are not there (PRAGMA foreign_key_check)";

void AddBackup(CLI::App& app, Arguments& arguments) {
  CLI::App* verb = app.add_subcommand(
      "backup",
      "Copy the database into a new file, while others may write it; the copy is checked,\n"
      "and FILE.sha256 beside it holds its digest");
  BackupArguments& backup = arguments.backup;
  verb->add_option("FILE", backup.file, "The file to be made; it must not be there")->required();
  CLI::Option* rate = verb->add_option("--rate", backup.megabytes_per_second,
                                       "Copy no more than so many megabytes a second")
                          ->check(CLI::Range(0.001, 1e6))
                          ->type_name("MB");
  verb->add_flag("--compact", backup.compact, "Without free pages (VACUUM INTO)")->excludes(rate);
  verb->add_flag("--skip-foreign-keys", backup.skip_foreign_keys, kSkipForeignKeys);
  verb->callback([&arguments] {
    arguments.command = [&arguments](const Settings& settings, Console& console) {
      return RunBackup(arguments.backup, settings, console);
    };
  });
}

void AddRestore(CLI::App& app, Arguments& arguments) {
  CLI::App* verb = app.add_subcommand(
      "restore",
      "Put a checked copy of a backup in the database's place, which nobody may have open;\n"
      "what was there is lost unless it is kept");
  RestoreArguments& restore = arguments.restore;
  verb->add_option("FILE", restore.file, "The backup; it stays where it is")->required();
  verb->add_option("--keep-old", restore.keep_old,
                   "Keep the replaced database under this name, in the same file system")
      ->type_name("PATH");
  verb->add_option("--sha256", restore.sha256,
                   "The digest the backup must have (default: the one in FILE.sha256)")
      ->type_name("HEX");
  verb->add_flag("--skip-foreign-keys", restore.skip_foreign_keys, kSkipForeignKeys);
  verb->callback([&arguments] {
    arguments.command = [&arguments](const Settings& settings, Console& console) {
      return RunRestore(arguments.restore, settings, console);
    };
  });
}

void AddDoctor(CLI::App& app, Arguments& arguments) {
  CLI::App* verb = app.add_subcommand(
      "doctor",
      "Tell which SQLite is linked, which known bugs it has, and what of the database's\n"
      "settings and files is not as it should be; changes nothing");
  verb->callback([&arguments] {
    arguments.command = [](const Settings& settings, Console& console) {
      return RunDoctor(settings, console);
    };
  });
}

int WrongUsage(const CLI::App& app, const CLI::ParseError& error) {
  // Help and version are "errors" to the parser, with the exit code 0.
  if (error.get_exit_code() == 0) {
    const int code = app.exit(error, std::cout, std::cerr);
    std::cout.flush();
    return code == 0 && std::cout.good() ? kDone : kFailed;
  }
  const Console console(Settings{});
  console.Error(error.what());
  console.Error("`vouch --help` and `vouch VERB --help` say how it is used");
  return kUsage;
}

}  // namespace

int RunProgram(int argc, const char* const* argv) {
  CLI::App app(
      "Indexes files into an SQLite database, in units of work that leave receipts, and\n"
      "proves from the receipts that nothing was altered behind them.",
      "vouch");
  app.footer(kFooter);
  app.set_version_flag("--version", std::string("vouch " VOUCH_VERSION));
  app.require_subcommand(1);
  app.fallthrough();  // `vouch index DIR --db PATH` works as well.
  Arguments arguments;
  AddGlobals(app, arguments);
  AddIndex(app, arguments);
  AddAudit(app, arguments);
  AddReceipt(app, arguments);
  AddMigrate(app, arguments);
  AddBackup(app, arguments);
  AddRestore(app, arguments);
  AddDoctor(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return WrongUsage(app, error);
  }
  arguments.settings.wait = absl::Seconds(arguments.wait_seconds);
  Console console(arguments.settings);
  return console.Finish(arguments.command(arguments.settings, console));
}

}  // namespace vouch::cli
