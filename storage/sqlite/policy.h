// Policy: what SQL a connection runs for its user, decided when a statement is prepared.
//
// The library's own statements (BEGIN, the ledger's rows, migrations) are prepared as trusted and
// are not asked. A user's are, so that:
//   - nobody controls transactions, attaches files, or changes settings by SQL text; guards, the
//     profile and the governor do that, and they would not know;
//   - a read lease reads only;
//   - a unit of work changes rows, not the schema, which a receipt could not describe, and never
//     vouch's own tables.
// SQLite runs some PRAGMAs while it prepares them, so asking when the statement is stepped is late.
//
// Thread safety: pure function.
// Source: the action codes and their arguments are those of sqlite3_set_authorizer().

#ifndef VOUCH_STORAGE_SQLITE_POLICY_H_
#define VOUCH_STORAGE_SQLITE_POLICY_H_

#include <functional>
#include <string_view>

namespace vouch::storage {

enum class Policy {
  kUnrestricted,  // Migrations and maintenance, on a connection of their own.
  kReader,        // Reads.
  kWriter,        // Reads, rows and schema.
  kUnit,          // Reads and rows of tables that are not protected.
};

// Null when `policy` allows the action, otherwise why not and what to use, as a static text.
// `is_protected` says which tables are the library's own. A `second` that is not there has no
// data(): `PRAGMA foreign_keys = ''` has an argument, which is empty and switches them off.
const char* WhyDenied(Policy policy, int action, std::string_view first, std::string_view second,
                      std::string_view database,
                      const std::function<bool(std::string_view)>& is_protected);

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_SQLITE_POLICY_H_
