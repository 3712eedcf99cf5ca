// UnitOfWork: what the function of one unit sees: SQL, and nothing that could escape the unit.
//
//   [&](UnitOfWork& unit) -> absl::Status {
//     VOUCH_RETURN_IF_ERROR(
//         unit.Execute("UPDATE accounts SET balance = balance - ?1 WHERE id = ?2", 10, 1));
//     return unit.Execute("UPDATE accounts SET balance = balance + ?1 WHERE id = ?2", 10, 2);
//   }
//
// A unit changes rows of its engine's stores. It cannot change the schema, settings, temporary
// tables or vouch's own tables, nor begin or end transactions by SQL (kPermissionDenied, when the
// statement is prepared). Whatever rows it changes, by whatever means, are in its receipt.
//
// Thread safety: the thread that runs the unit.
// Ownership: lives during the call of the function. Statements and savepoints made from it must be
//   gone before the function returns.
// Errors: those of the database (storage/error.h). After an error that ended the transaction, all
//   statements fail with kAborted, and the unit is rolled back whatever the function returns.

#ifndef VOUCH_UOW_UNIT_OF_WORK_H_
#define VOUCH_UOW_UNIT_OF_WORK_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/connection.h"
#include "storage/statement.h"
#include "storage/transaction.h"
#include "uow/format.h"

namespace vouch::uow {

class Attempt;

class UnitOfWork {
 public:
  UnitOfWork(const UnitOfWork&) = delete;
  UnitOfWork& operator=(const UnitOfWork&) = delete;

  // See storage::Connection.
  template <typename... Args>
  absl::Status Execute(std::string_view sql, const Args&... args) {
    return connection_.Execute(sql, args...);
  }
  template <typename T, typename... Args>
  absl::StatusOr<T> QueryValue(std::string_view sql, const Args&... args) {
    return connection_.QueryValue<T>(sql, args...);
  }
  absl::StatusOr<storage::StatementPtr> Prepare(std::string_view sql) {
    return connection_.Prepare(sql);
  }
  std::int64_t changes() const { return connection_.changes(); }
  std::int64_t last_insert_id() const { return connection_.last_insert_id(); }

  // A part of the unit that can be undone alone. Savepoints nest: the inner ends before the outer.
  // What is undone leaves no trace in the receipt.
  absl::StatusOr<storage::Savepoint> BeginSavepoint() {
    return storage::Savepoint::Begin(connection_);
  }

  // Has `hook` called once the unit is committed, or once it is known not to be: after the outcome is
  // durable, on the thread that called Run, Commit or Rollback, before that returns; in the order of
  // registration, each at most once. The unit is over by then: a hook may begin others, cannot fail
  // this one, and what it throws goes to the log. It may not close the engine, which waits for it.
  //
  // Only the attempt that counted has hooks: those of one that was run again are dropped uncalled, and
  // so are all when COMMIT's outcome is unknown. A hook stays when a savepoint is rolled back.
  void OnCommit(std::function<void()> hook);
  void OnRollback(std::function<void()> hook);

  // Declares that the unit writes this record of a participant (uow/participant.h), so that it gets
  // into the receipt: its checksum is over `payload`, which is not kept. Of several declarations of
  // one record the last wins; a record that is as it was has no write. What it was before is known
  // from the ledger: kAlreadyExists: a kCreate of what is there; kNotFound: a kUpdate or kDelete of
  // what is not (kUpsert is for who does not know). kInvalidArgument: no such participant, an id that
  // reads as a row's ("table/1"), a delete with a payload. kFailedPrecondition: within a savepoint.
  absl::Status Track(std::string_view store, std::string_view record_id, Operation operation,
                     std::string_view payload = {});

  // OK if the first column of the query's first row is `expected`, as when somebody read it before
  // this unit:
  //
  //   VOUCH_RETURN_IF_ERROR(unit.ExpectVersion(read_version,
  //                                            "SELECT version FROM documents WHERE id = ?1", id));
  //   return unit.Execute("UPDATE documents SET text = ?1, version = version + 1 WHERE id = ?2",
  //                       text, id);
  //
  // kAborted: it is another, or there is no row; the message names both. The engine does not run
  // such a unit again, which would expect the same: read again, decide, and call Run anew.
  // VersionConflictOf() (uow/failure.h) tells it from other kAborted. The unit is recorded as failed
  // with constraint_violation.
  template <typename... Args>
  absl::Status ExpectVersion(std::int64_t expected, std::string_view sql, const Args&... args) {
    const auto found = connection_.QueryValue<std::optional<std::int64_t>>(sql, args...);
    if (found.ok()) return CheckVersion(expected, *found);
    return absl::IsNotFound(found.status()) ? CheckVersion(expected, std::nullopt) : found.status();
  }

  // The unit's connection, for code that is written against one.
  storage::Connection& connection() { return connection_; }

  // The unit's id; the same in every attempt.
  const std::string& id() const { return id_; }
  // How many attempts there were before this one.
  int retries() const { return retries_; }

 private:
  friend class Attempt;
  static absl::Status CheckVersion(std::int64_t expected, std::optional<std::int64_t> found);

  UnitOfWork(Attempt& attempt, storage::Connection& connection, const std::string& id, int retries)
      : attempt_(attempt), connection_(connection), id_(id), retries_(retries) {}

  Attempt& attempt_;
  storage::Connection& connection_;
  const std::string& id_;
  const int retries_;
};

}  // namespace vouch::uow

#endif  // VOUCH_UOW_UNIT_OF_WORK_H_
