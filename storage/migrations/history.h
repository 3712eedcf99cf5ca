// History: which migrations a database has seen, in a table of that database.
//
//   const History history(CoreMigrations());
//   VOUCH_ASSIGN_OR_RETURN(std::vector<HistoryRow> rows, history.Read(connection));
//
// The table is `schema_migrations`, or `<set>_schema_migrations` for a set with a name:
//
//   version      INTEGER  primary key
//   name         TEXT     as in the file's name
//   description  TEXT     null when there is none
//   applied_at   TEXT     YYYY-MM-DDTHH:MM:SS.mmmZ, when it was applied, or last failed
//   applied_by   TEXT
//   duration_ms  INTEGER  of up and verify, without COMMIT
//   checksum     TEXT     Checksum() of the migration then
//   status       TEXT     applied, rolled_back, failed
//   component    TEXT     the set's name
//
// There is one row a version. Only `applied` counts; the others tell what happened last to a
// version that is not applied now, and are overwritten when it is applied again.
//
// Thread safety: immutable; the connection's: one thread at a time.
// Errors: the database's. Read: kFailedPrecondition when a table of that name is not of this shape.
// Cost: Read() is one query over a small table; nothing is written but by Create() and the others.

#ifndef VOUCH_STORAGE_MIGRATIONS_HISTORY_H_
#define VOUCH_STORAGE_MIGRATIONS_HISTORY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/connection.h"
#include "storage/migrations/migration.h"

namespace vouch::storage {

enum class HistoryStatus { kApplied, kRolledBack, kFailed };

struct HistoryRow {
  std::int64_t version = 0;
  std::string name = {};
  std::string description = {};
  std::string applied_at = {};
  std::string applied_by = {};
  std::int64_t duration_ms = 0;
  std::string checksum = {};
  HistoryStatus status = HistoryStatus::kApplied;
};

class History {
 public:
  explicit History(const MigrationSet& set) : table_(set.history_table()), component_(set.name()) {}

  const std::string& table() const { return table_; }

  // By version; empty when there is no such table yet.
  absl::StatusOr<std::vector<HistoryRow>> Read(Connection& connection) const;

  // Makes the table when it is not there.
  absl::Status Create(Connection& connection) const;

  // Writes `row` over what was there for its version. A row that says kFailed does not replace one
  // that says applied: another process has succeeded meanwhile.
  absl::Status Write(Connection& connection, const HistoryRow& row) const;

  // Marks an applied version as rolled back; the rest of its row stays.
  absl::Status MarkRolledBack(Connection& connection, std::int64_t version) const;

 private:
  std::string table_;
  std::string component_;
};

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_MIGRATIONS_HISTORY_H_
