// A store: a named set of tables whose rows are receipted.
//
//   EngineOptions options{.path = "app.db",
//                         .stores = {{.name = "accounts", .tables = {"accounts", "transfers"}}}};
//
// Every write in a receipt names its store. Without any store given, an engine has one, `main`,
// with every table that qualifies (uow/table.h) and is not vouch's own. With stores given, exactly
// their tables are receipted; a unit that changes another table fails, unless the table is listed
// as unreceipted.
//
// Thread safety: StoreMap is built once and then read by the holder of the writer.
// Errors: kInvalidArgument: a name is empty, reserved or used twice, a table is in two stores or
//   does not qualify (with the reason). kNotFound: no such table.

#ifndef VOUCH_UOW_STORE_H_
#define VOUCH_UOW_STORE_H_

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "storage/connection.h"
#include "uow/format.h"
#include "uow/table.h"

namespace vouch::uow {

inline constexpr std::string_view kDefaultStore = "main";
inline constexpr std::string_view kReservedStore = "vouch";

struct StoreOptions {
  std::string name = {};
  std::vector<std::string> tables = {};
  // The file the tables are in; empty for the engine's own.
  std::string database = {};
};

// A table of a store, ready to encode its rows.
struct StoreTable {
  StoreTable(std::string store_name, TableSchema table_schema);

  std::string store;
  TableSchema schema;
  RowEncoder encoder;
  // Where the change hook has the value of a column of a stored row; -1: VIRTUAL, it has none.
  std::vector<int> stored_index;
};

class StoreMap {
 public:
  static absl::StatusOr<StoreMap> Build(storage::Connection& connection,
                                        const std::vector<StoreOptions>& stores,
                                        const std::vector<std::string>& unreceipted);

  // The table of that name, or null when it is in no store.
  const StoreTable* Find(std::string_view table) const;
  // Whether a change of this table, which is in no store, is none of a receipt's business: it was
  // declared so, it is a shadow table that a virtual table keeps for itself, or the library's own
  // outbox or memory of results.
  bool IsIgnored(std::string_view table) const;

  // The name of the store when there is just one.
  const std::string* OnlyStore() const;
  const std::vector<const StoreTable*>& tables() const { return order_; }

 private:
  // By name; the keys are the tables' own.
  absl::flat_hash_map<std::string_view, std::unique_ptr<StoreTable>> tables_;
  std::vector<const StoreTable*> order_;
  std::set<std::string, std::less<>> ignored_;
  std::vector<std::string> names_;
};

}  // namespace vouch::uow

#endif  // VOUCH_UOW_STORE_H_
