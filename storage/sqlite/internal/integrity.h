// Integrity: SQLite's own check of a file's structure, with its failures told from what it found.
//
// The check puts into words both what is wrong with a file and that a page could not be read just
// then, which is no damage: "Failed to read ptrmap key=5" may be either. So when it finds something,
// every byte is read, which tells an I/O error as one, and then it is asked once more.
//
// Thread safety: the connection's: one thread at a time.
// Cost: reads the file once; three times if something is found.

#ifndef VOUCH_STORAGE_SQLITE_INTERNAL_INTEGRITY_H_
#define VOUCH_STORAGE_SQLITE_INTERNAL_INTEGRITY_H_

#include <string>

#include "absl/status/status.h"

struct sqlite3;

namespace vouch::storage::storage_internal {

// `pragma` is "PRAGMA integrity_check(3)" or the like.
// kDataLoss: the file is damaged; the message says how. Otherwise as of reading.
absl::Status CheckIntegrity(sqlite3* db, const std::string& pragma);

}  // namespace vouch::storage::storage_internal

#endif  // VOUCH_STORAGE_SQLITE_INTERNAL_INTEGRITY_H_
