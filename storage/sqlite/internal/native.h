// The engine's own handle of a connection, for the parts of this driver that need SQLite's C
// interface beyond statements.
//
// Thread safety: the connection's. Ownership: the connection owns its handle.

#ifndef VOUCH_STORAGE_SQLITE_INTERNAL_NATIVE_H_
#define VOUCH_STORAGE_SQLITE_INTERNAL_NATIVE_H_

#include "storage/sqlite/connection.h"

namespace vouch::storage::storage_internal {

struct Native {
  static sqlite3* HandleOf(const SqliteConnection& connection) { return connection.db_; }
};

}  // namespace vouch::storage::storage_internal

#endif  // VOUCH_STORAGE_SQLITE_INTERNAL_NATIVE_H_
