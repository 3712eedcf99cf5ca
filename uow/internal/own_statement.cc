#include "uow/internal/own_statement.h"

#include "absl/status/status.h"

namespace vouch::uow::uow_internal {

absl::StatusOr<storage::StatementPtr> PrepareOwn(UnitOfWork& unit, std::string_view sql) {
  auto* connection = dynamic_cast<storage::SqliteConnection*>(&unit.connection());
  if (connection == nullptr) {
    return absl::UnimplementedError("unit of work: this needs a connection of SQLite");
  }
  return connection->PrepareTrusted(sql);
}

}  // namespace vouch::uow::uow_internal
