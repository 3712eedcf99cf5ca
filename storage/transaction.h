// Transaction and Savepoint: guards that roll back unless committed.
//
//   VOUCH_ASSIGN_OR_RETURN(Transaction transaction,
//                          Transaction::Begin(connection, TransactionMode::kWrite));
//   VOUCH_RETURN_IF_ERROR(connection.Execute("DELETE FROM t"));   // an early return rolls back
//   VOUCH_RETURN_IF_ERROR(transaction.Commit());
//
// Thread safety: the connection's: one thread at a time.
// Ownership: the connection must outlive the guard. Savepoints end before what encloses them.
// Errors: kUnavailable from Begin: another process holds the write lock past the busy timeout.
//   kFailedPrecondition: committed or rolled back already. kAborted from Commit: the transaction
//   had been ended by an error; nothing of it is there. kUnknown from Commit: it failed while it was
//   written; a crash can decide otherwise about it than what is seen now, until another transaction
//   is committed. After any other failure of Commit nothing of it is there, nor will be. A failed
//   Commit leaves the transaction open when the engine does; the guard then rolls it back.
// Cost: Commit of a write blocks for a sync to disk, as the profile says.

#ifndef VOUCH_STORAGE_TRANSACTION_H_
#define VOUCH_STORAGE_TRANSACTION_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/connection.h"

namespace vouch::storage {

class [[nodiscard]] Transaction {
 public:
  static absl::StatusOr<Transaction> Begin(Connection& connection, TransactionMode mode);

  Transaction(Transaction&& other) noexcept;
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();

  absl::Status Commit();
  absl::Status Rollback();

 private:
  explicit Transaction(Connection& connection) : connection_(&connection) {}

  Connection* connection_;  // Null once committed, rolled back or moved from.
};

// A part of a transaction that can be undone alone. Savepoints nest; ending one ends those within.
// One that outlives its transaction does nothing.
class [[nodiscard]] Savepoint {
 public:
  static absl::StatusOr<Savepoint> Begin(Connection& connection);

  Savepoint(Savepoint&& other) noexcept;
  Savepoint& operator=(Savepoint&&) = delete;
  ~Savepoint();

  absl::Status Release();
  absl::Status Rollback();

 private:
  Savepoint(Connection& connection, std::uint64_t savepoint)
      : connection_(&connection), savepoint_(savepoint) {}

  Connection* connection_;  // Null once released, rolled back or moved from.
  std::uint64_t savepoint_;
};

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_TRANSACTION_H_
