// Migration and MigrationSet: the steps that lead from one schema to the next.
//
//   VOUCH_ASSIGN_OR_RETURN(
//       const MigrationSet set,
//       MigrationSet::FromSql("billing", {{.version = 1,
//                                          .name = "invoices",
//                                          .up = "CREATE TABLE invoices(id INTEGER PRIMARY KEY)",
//                                          .down = "DROP TABLE invoices"}}));
//
// A set is what one component of a program owns: its migrations are numbered 1, 2, 3 … without
// gaps, and its history is kept in a table of its own. Sets of several components share a database
// without knowing of each other.
//
// Thread safety: immutable once made; any thread may read.
// Errors: kInvalidArgument: a migration that cannot be right, named by file and line.
//   FromFolder also: kNotFound, kPermissionDenied; kFailedPrecondition: everybody may write the
//   folder or a file in it, and so say what is done to the database.

#ifndef VOUCH_STORAGE_MIGRATIONS_MIGRATION_H_
#define VOUCH_STORAGE_MIGRATIONS_MIGRATION_H_

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/migrations/source.h"

namespace vouch::storage {

class MigrationSet {
 public:
  // `name` is the component's: empty, or a lower-case letter followed by lower-case letters,
  // digits and underscores. Empty is for a program whose database is all its own.
  static absl::StatusOr<MigrationSet> FromSql(std::string name, std::vector<Migration> migrations);
  // Of every file called NNNN_name.sql in `folder`; another *.sql there is an error.
  static absl::StatusOr<MigrationSet> FromFolder(const std::filesystem::path& folder,
                                                 std::string name = "");
  static absl::StatusOr<MigrationSet> FromFiles(std::string name,
                                                std::span<const MigrationFile> files);
  // Of files that were built into the program: ends the program when they are not right.
  static MigrationSet FromEmbedded(std::string name, std::span<const MigrationFile> files);

  const std::string& name() const { return name_; }
  // In the order of their versions.
  const std::vector<Migration>& migrations() const { return migrations_; }
  // The greatest version, 0 for a set without migrations.
  std::int64_t latest() const { return static_cast<std::int64_t>(migrations_.size()); }
  // Null when there is no such version.
  const Migration* Find(std::int64_t version) const;

  // The table that holds this set's history: "schema_migrations" for the set without a name, else
  // "<name>_schema_migrations".
  std::string history_table() const;
  // How messages call a migration of this set: "core 2 (uow_enhancement)".
  std::string Describe(std::int64_t version, const std::string& migration_name) const;

 private:
  MigrationSet(std::string name, std::vector<Migration> migrations)
      : name_(std::move(name)), migrations_(std::move(migrations)) {}

  std::string name_;
  std::vector<Migration> migrations_;  // Version v stands at v − 1.
};

// What the history keeps of a migration's text, and what tells later that it was edited: SHA-256,
// in hex, over
//   vouch-migration/1 LF text(version) text(name) text(up) text(down)
// where text(s) is the length of s in decimal, a colon, s and LF. A set's texts have LF for CRLF,
// and those of files lack the blank lines around a section: neither makes a migration another one.
// Set in stone: a change would make every applied migration look edited.
std::string Checksum(const Migration& migration);

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_MIGRATIONS_MIGRATION_H_
