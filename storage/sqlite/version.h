// Which SQLite is linked, and what is known to be wrong with it.
//
// The WAL-reset bug (sqlite.org/wal.html, "The WAL-reset bug"): a checkpoint that runs while another
// connection's write begins the log anew can take pages for moved that are not, and committed
// changes are lost. It is in 3.7.0 to 3.51.2, except 3.44.6 and later of the 3.44 line and 3.50.7
// and later of the 3.50 line. Within vouch it cannot happen: the governor's checkpoints hold the
// write lock (storage/sqlite/governor.h), so that no write runs beside them. Other programs that
// write to the same file and checkpoint, which SQLite does by itself, remain exposed.
//
// Thread safety: pure functions.

#ifndef VOUCH_STORAGE_SQLITE_VERSION_H_
#define VOUCH_STORAGE_SQLITE_VERSION_H_

#include <string>

namespace vouch::storage {

// Of the library linked: as SQLite counts, 3051003 for 3.51.3.
int SqliteVersion();

// 3051003 as "3.51.3".
std::string FormatSqliteVersion(int version);

bool HasWalResetBug(int version);

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_SQLITE_VERSION_H_
