// ChangeSink: told of every row a connection is about to change.
//
// SQLite's preupdate hook sees each row of an ordinary or WITHOUT ROWID table that is inserted,
// updated or deleted, by whatever means: REPLACE victims, cascades, triggers, incremental blob
// writes. It does not see virtual tables (their shadow tables it does see), and nothing tells it
// that a failed statement or a rolled-back savepoint undid what it had announced: OnUndone() does.
//
// Thread safety: called by the thread that steps the statement, within the step.
// Ownership: the sink must outlive its time on the connection. Values are valid during the call.
// Errors: a sink cannot refuse a change; it notes what is wrong and its owner rolls back.

#ifndef VOUCH_STORAGE_SQLITE_CHANGES_H_
#define VOUCH_STORAGE_SQLITE_CHANGES_H_

#include <string_view>

#include "storage/value.h"

struct sqlite3;
struct sqlite3_value;

namespace vouch::storage {

enum class ChangeKind { kInsert, kUpdate, kDelete };

class RowChange {
 public:
  ChangeKind kind() const { return kind_; }
  std::string_view database() const { return database_; }
  std::string_view table() const { return table_; }

  // Number of the table's columns. VIRTUAL generated ones have no value in a row image: image
  // column i is the table's i-th column that is not VIRTUAL, and reading beyond the last gives
  // null.
  int column_count() const;

  // The row before and after. REQUIRES: Old for an update or a delete, New for an insert or an
  // update. As SQLite stores them: an integer in a REAL column may still be an integer.
  ValueView Old(int column) const;
  ValueView New(int column) const;

  // Whether there was no memory for a value read so far, which was given as null. The statement
  // may succeed all the same.
  bool failed() const { return failed_; }

 private:
  friend class SqliteConnection;
  RowChange(sqlite3* db, ChangeKind kind, std::string_view database, std::string_view table)
      : db_(db), kind_(kind), database_(database), table_(table) {}

  ValueView Read(int code, sqlite3_value* value) const;

  sqlite3* db_;
  ChangeKind kind_;
  std::string_view database_;
  std::string_view table_;
  mutable bool failed_ = false;
};

class ChangeSink {
 public:
  virtual ~ChangeSink() = default;
  virtual void OnChange(const RowChange& change) = 0;
  // Some changes announced before have been undone: a statement failed, or a savepoint was rolled
  // back. Which ones only a fresh look at the rows can tell.
  virtual void OnUndone() = 0;
};

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_SQLITE_CHANGES_H_
