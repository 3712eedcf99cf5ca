// TableSchema: what has to be known of a table to give receipts for its rows.
//
//   VOUCH_ASSIGN_OR_RETURN(TableSchema schema, ReadTableSchema(connection, "accounts"));
//   if (auto reason = WhyNotReceipted(schema)) Refuse(*reason);
//
// A row is receipted by its declared primary key, so a table qualifies only if that key cannot be
// NULL. All names are of the schema `main`: a TEMP table of the same name is never meant.
//
// Thread safety: plain data; the functions use their connection, one thread at a time.
// Errors: those of the connection; kNotFound from ReadTableSchema when there is no such table.
// Cost: ReadTableSchema runs four small queries; keep its result until the schema changes.

#ifndef VOUCH_UOW_TABLE_H_
#define VOUCH_UOW_TABLE_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/connection.h"

namespace vouch::uow {

// Shadow tables hold the contents of a virtual table (full-text indexes have five).
enum class TableKind { kOrdinary, kVirtual, kShadow, kView };

struct ColumnInfo {
  std::string name;            // As the schema spells it.
  bool real_affinity = false;  // Integers stored in it are read back as reals.
  bool text_affinity = false;  // Numbers stored in it become texts.
  bool captured = true;        // False: generated or hidden, hence not part of a row's checksum.
  bool is_virtual = false;     // Generated and computed when read: it has no place in a stored row.
  bool not_null = false;
  int key_position = 0;  // From 1 in the order of the PRIMARY KEY clause; 0 is no key column.
};

// Vectors of int hold indexes into `columns`.
struct TableSchema {
  std::string name;  // As the schema spells it.
  TableKind kind = TableKind::kOrdinary;
  std::vector<ColumnInfo> columns;  // All, in the order of the table.
  std::vector<int> key;             // In the order of the PRIMARY KEY clause.
  std::vector<int> rest;            // Captured and not in the key, sorted by the bytes of the name.
  std::vector<int> captured;        // In the order of the table; what the SELECTs below yield.
  bool without_rowid = false;
  bool strict = false;
  bool has_virtual_columns = false;  // Generated ones that are computed when read.
  int rowid_alias = -1;              // The INTEGER PRIMARY KEY that is the row's rowid, or -1.
};

// What the schema `main` says of `table`, which is found whatever the case of its letters, but not
// whether it qualifies.
absl::StatusOr<TableSchema> ReadTableSchema(storage::Connection& connection,
                                            std::string_view table);

// Why no receipt can be given for rows of this table, in words that finish "table t …"; nullopt
// when it qualifies.
std::optional<std::string> WhyNotReceipted(const TableSchema& schema);

// The same, and also why its changes cannot be told truly while they happen; its rows can be audited.
std::optional<std::string> WhyNotCaptured(const TableSchema& schema);

// Whether a column of this declared type has REAL affinity by SQLite's rules, which look for parts
// of words in an order: "FLOATING POINT" contains INT and is an integer type.
bool HasRealAffinity(std::string_view declared_type);

// Likewise TEXT affinity.
bool HasTextAffinity(std::string_view declared_type);

// Whether `table` belongs to vouch itself: the ledger, migration histories, settings and metrics.
// Such tables are changed by vouch alone and are in no store.
bool IsOwnTable(std::string_view table);

// Whether the names are one to SQL, which ignores the case of ASCII letters.
bool SameName(std::string_view a, std::string_view b);

// `name` in double quotes, as SQL wants it.
std::string QuoteIdentifier(std::string_view name);

enum class RowOrder {
  kAsStored,  // The order of the table's own tree, which no index can falsify. Cheapest.
  kByKey,
};

// SELECT of the columns `captured` of all rows.
// REQUIRES: WhyNotReceipted(schema) is nullopt, here and below.
std::string SelectRowsSql(const TableSchema& schema, RowOrder order = RowOrder::kAsStored);

// SELECT of the columns `captured` of the row whose key is ?1, ?2 … in the order of `key`, byte for
// byte where the key is text, even if its collation is not BINARY. An integer and a real of equal
// value find each other where the column has no type: compare record ids.
std::string SelectRowSql(const TableSchema& schema);

struct ListedTable {
  std::string name;
  TableKind kind;
};

// The tables of the schema `main`, by name: without views, SQLite's own (sqlite_*) and vouch's.
absl::StatusOr<std::vector<ListedTable>> ListTables(storage::Connection& connection);

}  // namespace vouch::uow

#endif  // VOUCH_UOW_TABLE_H_
