// BulkInsert: many rows into one table, fast.
//
//   VOUCH_ASSIGN_OR_RETURN(BulkInsert insert,
//                          BulkInsert::Begin(*writer, {.table = "t", .columns = {"id", "name"}}));
//   for (const Person& person : people) {
//     VOUCH_RETURN_IF_ERROR(insert.Add(person.id, person.name));
//   }
//   VOUCH_ASSIGN_OR_RETURN(const BulkResult result, insert.Finish());
//
// One prepared statement is bound anew for each row. Outside a transaction the rows are committed
// in batches, so that the log stays small; what was committed stays when a later batch fails. Inside
// one, for instance in a unit of work, they are a part of it, and nothing is committed.
//
// Thread safety: the connection's: one thread at a time. Between Begin() and Finish() other
//   statements may run on the connection, and are then a part of the batch.
// Ownership: the connection must outlive it. Destroyed before Finish(), it rolls the batch back.
// Errors: those of an INSERT, prefixed with the row's number, from 1. The first one ends it: the
//   batch is rolled back (inside a caller's transaction: that is left as it is, without the row),
//   and everything afterwards fails with kFailedPrecondition. result() says what is stored.
// Cost: Add() binds without copying or allocating. A commit for each batch.

#ifndef VOUCH_STORAGE_BULK_H_
#define VOUCH_STORAGE_BULK_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/connection.h"
#include "storage/statement.h"
#include "storage/status_macros.h"
#include "storage/transaction.h"

namespace vouch::storage {

// What happens to a row whose key is there already.
enum class OnConflict {
  kFail,     // kAlreadyExists.
  kSkip,     // The row that is there stays. NOT NULL and CHECK skip as well; foreign keys fail.
  kReplace,  // The row that is there goes.
};

struct BulkOptions {
  std::string table = {};
  std::vector<std::string> columns = {};
  OnConflict on_conflict = OnConflict::kFail;
  // Rows in one transaction, outside of a caller's.
  std::int64_t batch_rows = 10'000;
};

struct BulkResult {
  std::int64_t added = 0;      // Given to Add() without an error.
  std::int64_t inserted = 0;   // Of these, rows that came into the table.
  std::int64_t committed = 0;  // Of these, on disk; 0 inside a caller's transaction.
};

class [[nodiscard]] BulkInsert {
 public:
  // kInvalidArgument: no such table or column, no columns, batch_rows less than 1.
  static absl::StatusOr<BulkInsert> Begin(Connection& connection, BulkOptions options);

  BulkInsert(BulkInsert&&) noexcept = default;
  BulkInsert& operator=(BulkInsert&&) = delete;

  // Inserts a row: one value for each column, in their order.
  template <typename... Args>
  absl::Status Add(const Args&... values) {
    VOUCH_RETURN_IF_ERROR(BeforeRow());
    return AfterRow(insert_->BindBorrowed(values...));
  }

  // Commits what is left. kUnknown as Transaction::Commit().
  absl::StatusOr<BulkResult> Finish();

  const BulkResult& result() const { return result_; }

 private:
  BulkInsert(Connection& connection, BulkOptions options, bool own_transactions)
      : connection_(&connection),
        options_(std::move(options)),
        own_transactions_(own_transactions) {}

  static std::string Sql(const BulkOptions& options);
  absl::Status BeforeRow();
  absl::Status AfterRow(const absl::Status& bound);
  absl::Status CommitBatch();
  absl::Status End(const absl::Status& status);

  Connection* connection_;
  BulkOptions options_;
  bool own_transactions_;
  bool ended_ = false;
  std::int64_t batch_ = 0;  // Rows added in the transaction now open,
  std::int64_t batch_inserted_ = 0;
  BulkResult result_ = {};
  std::optional<Transaction> transaction_;
  StatementPtr insert_;  // After the transaction: given back before it ends.
};

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_BULK_H_
