// What tables and columns a database has, and what a script took away from it.
//
//   VOUCH_ASSIGN_OR_RETURN(const Catalog before, ReadCatalog(connection));
//   … run a script in a savepoint, read again, roll back …
//   for (const Loss& loss : FindLosses(before, after))
//     VOUCH_ASSIGN_OR_RETURN(std::int64_t rows, CountRows(connection, loss, {}));
//
// A rename looks like a loss: the old name is gone. Rows that a script deletes, and a table that it
// drops and makes again, do not show.
//
// Thread safety: the connection's. Errors: the database's.
// Cost: ReadCatalog() one query; CountRows() reads the whole table.

#ifndef VOUCH_STORAGE_MIGRATIONS_INTERNAL_CATALOG_H_
#define VOUCH_STORAGE_MIGRATIONS_INTERNAL_CATALOG_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/connection.h"
#include "storage/migrations/source.h"

namespace vouch::storage::migrations_internal {

// Column name to the text of its default, by table. Views, generated columns and what the engine
// keeps for itself hold no data of their own and are left out.
using Columns = std::map<std::string, std::optional<std::string>>;
using Catalog = std::map<std::string, Columns>;

absl::StatusOr<Catalog> ReadCatalog(Connection& connection);

struct Loss {
  std::string table;
  std::string column = {};  // Empty: the whole table.
  std::optional<std::string> column_default = {};
};

// The tables and columns of `before` that `after` does not have.
std::vector<Loss> FindLosses(const Catalog& before, const Catalog& after);

// Rows that hold something which would be lost: any row of a table except `default_rows`, and rows
// whose column is not its default. A default that is an expression counts as no default.
absl::StatusOr<std::int64_t> CountRows(Connection& connection, const Loss& loss,
                                       const std::vector<DefaultRows>& default_rows);

}  // namespace vouch::storage::migrations_internal

#endif  // VOUCH_STORAGE_MIGRATIONS_INTERNAL_CATALOG_H_
