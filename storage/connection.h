// Connection: one open connection to a database, whatever the engine behind it.
//
//   VOUCH_RETURN_IF_ERROR(connection.Execute("INSERT INTO t(id, name) VALUES (?1, ?2)", 1, "Zoë"));
//   VOUCH_ASSIGN_OR_RETURN(auto name, connection.QueryValue<std::string>("SELECT name FROM t"));
//
// Connections come from a pool (storage/sqlite/database.h); applications rarely open one.
//
// Thread safety: one thread at a time; may be handed to another thread.
// Ownership: statements and guards made from a connection must be gone before it is.
// Errors: mapped by what the caller does next, see storage/error.h; messages carry the shortened
//   SQL. A statement that fails inside a transaction can end the whole transaction; from then on
//   every statement fails with kAborted until the transaction's guard is gone, so that nothing is
//   committed by accident.
// Cost: Prepare() of a statement that is in the cache does not allocate.

#ifndef VOUCH_STORAGE_CONNECTION_H_
#define VOUCH_STORAGE_CONNECTION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/statement.h"
#include "storage/status_macros.h"

namespace vouch::storage {

// When a transaction takes its locks.
enum class TransactionMode {
  kRead,   // A snapshot from the first read on; writing in it is refused.
  kWrite,  // The write lock at once, so that no later statement can fail for want of it.
};

class Connection {
 public:
  virtual ~Connection() = default;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Lends the statement for `sql` from the cache, preparing it when it is not there.
  // kInvalidArgument: a syntax error, an unknown name, no statement, or more than one.
  // kPermissionDenied: this connection may not run it; the message says what to use.
  virtual absl::StatusOr<StatementPtr> Prepare(std::string_view sql) = 0;

  // Runs one statement to its end with `args` as its parameters 1…n.
  template <typename... Args>
  absl::Status Execute(std::string_view sql, const Args&... args) {
    VOUCH_ASSIGN_OR_RETURN(StatementPtr statement, Prepare(sql));
    VOUCH_RETURN_IF_ERROR(statement->BindBorrowed(args...));
    return statement->Run();
  }

  // The first column of the first row. kNotFound: no row.
  template <typename T, typename... Args>
  absl::StatusOr<T> QueryValue(std::string_view sql, const Args&... args) {
    static_assert(!std::is_same_v<T, std::string_view>, "the row is gone when this returns");
    VOUCH_ASSIGN_OR_RETURN(StatementPtr statement, Prepare(sql));
    VOUCH_RETURN_IF_ERROR(statement->BindBorrowed(args...));
    VOUCH_ASSIGN_OR_RETURN(const bool row, statement->Step());
    if (!row) return absl::NotFoundError("query: no row");
    return statement->Get<T>(0);
  }

  // Runs the statements of a script one after another, as the engine's own parser separates them:
  // strings, comments and trigger bodies may hold semicolons. Stops at the first error, whose
  // message says at which line; what ran before it stays, so wrap a script in a transaction.
  virtual absl::Status ExecuteScript(std::string_view script) = 0;

  // Rows changed by the last statement that changed any; the row id of the last insert.
  virtual std::int64_t changes() const = 0;
  virtual std::int64_t last_insert_id() const = 0;

  // False also when an error has ended the transaction behind its guard's back.
  virtual bool in_transaction() const = 0;

 protected:
  Connection() = default;

 private:
  friend class Transaction;
  friend class Savepoint;

  // The guards in storage/transaction.h call these; SQL text cannot control transactions.
  virtual absl::Status Begin(TransactionMode mode) = 0;
  virtual absl::Status Commit() = 0;
  virtual absl::Status Rollback() = 0;
  // A savepoint is known by a number that its connection uses once: a guard that outlives its
  // transaction cannot undo a part of the next one. Ending one ends those within it.
  virtual absl::StatusOr<std::uint64_t> BeginSavepoint() = 0;
  virtual absl::Status ReleaseSavepoint(std::uint64_t savepoint) = 0;
  virtual absl::Status RollbackSavepoint(std::uint64_t savepoint) = 0;
};

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_CONNECTION_H_
