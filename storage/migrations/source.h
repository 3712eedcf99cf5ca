// Migration files: NNNN_name.sql, one migration a file.
//
//   -- vouch:migration v1
//   -- vouch:id billing-2026-11                  optional, a name that other systems know it by
//   -- vouch:version 1.1.0                       optional, three numbers
//   -- vouch:description Who pays                optional
//   -- vouch:default plans WHERE id = 'free'     optional, any number: see DefaultRows
//
//   -- vouch:up
//   CREATE TABLE plans(id TEXT NOT NULL PRIMARY KEY);
//   INSERT INTO plans VALUES ('free');
//   -- vouch:down
//   DROP TABLE plans;
//   -- vouch:verify
//   SELECT count(*) = 1 FROM sqlite_schema WHERE name = 'plans';
//
// - Before the first section there are only headers, comments and blank lines, and the line that
//   says v1 comes first of the headers.
// - `up` is required and not empty. Without `down` the migration cannot be reverted. Each statement
//   of `verify` is a query; after `up` it must give one row whose first column is 1.
// - A section holds no BEGIN, COMMIT or the like: the migrator runs it in a transaction. A PRAGMA
//   that has no effect in one has none here either: foreign keys stay enforced, so dropping a table
//   to make it anew takes along the rows that refer to it with ON DELETE CASCADE.
// - A line that begins with `-- vouch:` is never SQL, not even inside a literal.
// - A byte-order mark and CRLF line ends are accepted, and are not part of the migration.
//
// Thread safety: pure functions. Cost: linear in the text.

#ifndef VOUCH_STORAGE_MIGRATIONS_SOURCE_H_
#define VOUCH_STORAGE_MIGRATIONS_SOURCE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vouch::storage {

// Rows of `table` that `up` puts there: dropping the table with nothing but these loses nothing.
struct DefaultRows {
  std::string table;
  std::string where;  // An SQL condition.
};

struct Migration {
  std::int64_t version = 0;
  std::string name = {};  // Lower-case letters, digits, underscores.
  std::string id = {};
  std::string semver = {};
  std::string description = {};
  std::vector<DefaultRows> default_rows = {};
  std::string up = {};
  std::string down = {};  // Empty: cannot be reverted.
  std::string verify = {};

  // For messages: the file, if there is one, and where in it each section begins.
  std::string file = {};
  int up_line = 1;
  int down_line = 1;
  int verify_line = 1;
};

struct MigrationFile {
  std::string_view name;  // Without folder: "0001_plans.sql".
  std::string_view text;
};

// kInvalidArgument, with file and line, when it is not as above.
absl::StatusOr<Migration> ParseMigration(const MigrationFile& file);

// What every migration must be, wherever it comes from: a version, a name, an `up`, texts with LF
// and without transaction control. kInvalidArgument, with file (or version) and line.
absl::Status CheckMigration(const Migration& migration);

// `text` with LF for CRLF, and without a byte-order mark.
std::string NormalizeText(std::string_view text);

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_MIGRATIONS_SOURCE_H_
