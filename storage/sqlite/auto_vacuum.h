// Whether a database gives freed pages back to the file system, and changing it for an old file.
//
//   VOUCH_ASSIGN_OR_RETURN(auto connection, database->OpenUnrestricted());
//   VOUCH_ASSIGN_OR_RETURN(const AutoVacuum mode, AutoVacuumOf(*connection));
//   if (mode != AutoVacuum::kIncremental) …  // `PRAGMA incremental_vacuum` would free nothing
//
// A new file gets its profile's setting before anything is written to it. A file made by another
// program keeps the one it has, usually none, until the whole of it is written anew.
//
// Thread safety: the connection's: one thread at a time.

#ifndef VOUCH_STORAGE_SQLITE_AUTO_VACUUM_H_
#define VOUCH_STORAGE_SQLITE_AUTO_VACUUM_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/connection.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/profile.h"

namespace vouch::storage {

// What the file has, whatever the connection's profile asks for.
absl::StatusOr<AutoVacuum> AutoVacuumOf(Connection& connection);

// Rewrites the file with `mode` by a VACUUM; nothing is done when it has that mode. A crash leaves
// the file as it was or as it is to be, perhaps in rollback-journal mode, which the next connection
// for writing changes back. Row ids of tables without an INTEGER PRIMARY KEY may change.
// kFailedPrecondition: another connection, of this process or another, uses the database (close the
//   pools first); a transaction is open.
// kPermissionDenied: the connection is not unrestricted. kResourceExhausted: no room for the copy.
// Cost: reads and writes the whole database, twice, and needs up to twice its size on disk.
absl::Status ConvertAutoVacuum(SqliteConnection& connection, AutoVacuum mode);

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_SQLITE_AUTO_VACUUM_H_
