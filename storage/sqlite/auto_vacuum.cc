#include "storage/sqlite/auto_vacuum.h"

#include <sqlite3.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "storage/error.h"
#include "storage/status_macros.h"

namespace vouch::storage {
namespace {

// Leaves only to this connection what it finds: exclusive locking keeps the lock that leaving the
// write-ahead log, or BEGIN EXCLUSIVE without one, has to take.
absl::Status TakeAlone(SqliteConnection& connection) {
  const absl::Status status = connection.ExecuteScript(
      "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE; COMMIT");
  if ((NativeCode(status).value_or(0) & 0xFF) == SQLITE_BUSY) {
    return absl::FailedPreconditionError(absl::StrCat(
        "auto_vacuum: others use the database; close them first: ", std::string(status.message())));
  }
  VOUCH_RETURN_IF_ERROR(status);
  VOUCH_ASSIGN_OR_RETURN(const auto journal,
                         connection.QueryValue<std::string>("PRAGMA journal_mode"));
  if (journal == "delete") return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("auto_vacuum: the journal mode stays ", journal, ", not delete"));
}

absl::Status Rebuild(SqliteConnection& connection, AutoVacuum mode) {
  VOUCH_RETURN_IF_ERROR(connection.ExecuteScript(
      absl::StrCat("PRAGMA auto_vacuum = ", static_cast<int>(mode), "; VACUUM")));
  VOUCH_ASSIGN_OR_RETURN(const AutoVacuum after, AutoVacuumOf(connection));
  if (after == mode) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("auto_vacuum: is ", static_cast<int>(after), ", not ",
                                          static_cast<int>(mode), ", after VACUUM"));
}

// Normal locking first: a log entered under exclusive locking stays exclusive. The read is what
// gives the lock back.
absl::Status GiveBack(SqliteConnection& connection, const std::string& journal) {
  return connection.ExecuteScript(
      absl::StrCat("PRAGMA locking_mode = NORMAL; SELECT count(*) FROM sqlite_schema; "
                   "PRAGMA journal_mode = ",
                   journal));
}

}  // namespace

absl::StatusOr<AutoVacuum> AutoVacuumOf(Connection& connection) {
  VOUCH_ASSIGN_OR_RETURN(const int mode, connection.QueryValue<int>("PRAGMA auto_vacuum"));
  return static_cast<AutoVacuum>(mode);
}

absl::Status ConvertAutoVacuum(SqliteConnection& connection, AutoVacuum mode) {
  if (connection.in_transaction()) {
    return absl::FailedPreconditionError("auto_vacuum: a transaction is open");
  }
  VOUCH_ASSIGN_OR_RETURN(const AutoVacuum before, AutoVacuumOf(connection));
  if (before == mode) return absl::OkStatus();
  VOUCH_ASSIGN_OR_RETURN(const auto journal,
                         connection.QueryValue<std::string>("PRAGMA journal_mode"));
  absl::Status status = TakeAlone(connection);
  if (status.ok()) status = Rebuild(connection, mode);
  status.Update(GiveBack(connection, journal));
  return status;
}

}  // namespace vouch::storage
