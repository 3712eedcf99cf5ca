// Statements of the library's own on a unit's connection: they may change vouch's tables, which the
// unit's SQL may not.
//
// Thread safety: the unit's.
// Errors: those of preparing. kUnimplemented: the unit's connection is not SQLite's.

#ifndef VOUCH_UOW_INTERNAL_OWN_STATEMENT_H_
#define VOUCH_UOW_INTERNAL_OWN_STATEMENT_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "storage/sqlite/connection.h"
#include "storage/statement.h"
#include "storage/status_macros.h"
#include "uow/unit_of_work.h"

namespace vouch::uow::uow_internal {

absl::StatusOr<storage::StatementPtr> PrepareOwn(UnitOfWork& unit, std::string_view sql);

// Runs one such statement with `args` as its parameters 1…n.
template <typename... Args>
absl::Status ExecuteOwn(storage::SqliteConnection& connection, std::string_view sql,
                        const Args&... args) {
  VOUCH_ASSIGN_OR_RETURN(const storage::StatementPtr statement, connection.PrepareTrusted(sql));
  VOUCH_RETURN_IF_ERROR(statement->BindBorrowed(args...));
  return statement->Run();
}
template <typename... Args>
absl::Status ExecuteOwn(UnitOfWork& unit, std::string_view sql, const Args&... args) {
  VOUCH_ASSIGN_OR_RETURN(const storage::StatementPtr statement, PrepareOwn(unit, sql));
  VOUCH_RETURN_IF_ERROR(statement->BindBorrowed(args...));
  return statement->Run();
}

}  // namespace vouch::uow::uow_internal

#endif  // VOUCH_UOW_INTERNAL_OWN_STATEMENT_H_
