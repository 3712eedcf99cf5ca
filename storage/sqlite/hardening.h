// What a connection is kept from, beyond the policy on its user's SQL (storage/sqlite/policy.h).
//
// Every connection: the schema table and shadow tables cannot be written, extensions cannot be
// loaded by SQL or by C, FTS3's tokenizers cannot be replaced by SQL (Debian's SQLite lets them,
// which is to jump anywhere), "x" is never taken for a text, and files cannot be attached: not at
// all, and one at a time on an unrestricted connection, as VACUUM needs.
//
// A file that somebody else made may have been made to harm its reader. One opened as untrusted is
// read only, in the way of sqlite.org/security.html: its triggers and views do not run, its schema
// may call no function or virtual table with side effects, nothing is mapped into memory, cells are
// checked as they are read, the whole file is checked before the first use, and what it can make
// SQLite build is limited. Those limits (100 columns, values of 1 MB …) are too tight for ordinary
// stores, and a schema that may call nothing refuses FTS5 inside triggers; so for such files only.
//
// Thread safety: the connection's.

#ifndef VOUCH_STORAGE_SQLITE_HARDENING_H_
#define VOUCH_STORAGE_SQLITE_HARDENING_H_

#include <cstdint>

#include "absl/status/status.h"

struct sqlite3;

namespace vouch::storage {

struct HardeningScope {
  bool trusted_file = true;
  bool unrestricted = false;  // May VACUUM.
};

// kFailedPrecondition: a setting did not take.
absl::Status Harden(sqlite3* db, HardeningScope scope);

// Looks through all of a file that is not trusted. kDataLoss: it is damaged; the message holds the
// first finding. Cost: reads the whole file.
absl::Status CheckUntrustedFile(sqlite3* db);

// Marks a file as an application's when it is `fresh`, and refuses one that is marked as another's
// with kFailedPrecondition. 0 is nobody's: with `id` 0 every file will do, and a file marked 0
// will do for every `id`.
absl::Status CheckApplication(sqlite3* db, std::int32_t id, bool fresh);

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_SQLITE_HARDENING_H_
