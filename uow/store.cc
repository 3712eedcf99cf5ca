#include "uow/store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/status_macros.h"

namespace vouch::uow {
namespace {

absl::Status CheckName(const StoreOptions& store, const std::vector<std::string>& names) {
  if (store.name.empty()) return absl::InvalidArgumentError("store: the name is empty");
  if (store.name == kReservedStore) {
    return absl::InvalidArgumentError("store vouch: the name is reserved");
  }
  if (std::find(names.begin(), names.end(), store.name) != names.end()) {
    return absl::InvalidArgumentError(absl::StrCat("store ", store.name, ": registered twice"));
  }
  if (store.tables.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("store ", store.name, ": has no tables"));
  }
  return absl::OkStatus();
}

// VIRTUAL columns have no place in a stored row.
std::vector<int> StoredIndexes(const TableSchema& schema) {
  std::vector<int> indexes(schema.columns.size(), -1);
  int next = 0;
  for (std::size_t i = 0; i < schema.columns.size(); ++i) {
    if (!schema.columns[i].is_virtual) indexes[i] = next++;
  }
  return indexes;
}

}  // namespace

StoreTable::StoreTable(std::string store_name, TableSchema table_schema)
    : store(std::move(store_name)),
      schema(std::move(table_schema)),
      encoder(schema),
      stored_index(StoredIndexes(schema)) {}

absl::StatusOr<StoreMap> StoreMap::Build(storage::Connection& connection,
                                         const std::vector<StoreOptions>& stores,
                                         const std::vector<std::string>& unreceipted) {
  StoreMap map;
  const auto add = [&](const std::string& store, TableSchema schema) {
    auto table = std::make_unique<StoreTable>(store, std::move(schema));
    map.order_.push_back(table.get());
    const std::string_view name = table->schema.name;
    map.tables_.emplace(name, std::move(table));
  };
  for (const StoreOptions& store : stores) {
    VOUCH_RETURN_IF_ERROR(CheckName(store, map.names_));
    map.names_.push_back(store.name);
    for (const std::string& name : store.tables) {
      if (IsOwnTable(name)) {
        return absl::InvalidArgumentError(
            absl::StrCat("store ", store.name, ": table ", name, " is the library's own"));
      }
      auto schema = ReadTableSchema(connection, name);
      if (!schema.ok()) {
        return absl::Status(
            schema.status().code(),
            absl::StrCat("store ", store.name, ": ", std::string(schema.status().message())));
      }
      if (const auto reason = WhyNotCaptured(*schema)) {
        return absl::InvalidArgumentError(
            absl::StrCat("store ", store.name, ": table ", name, " ", *reason));
      }
      if (map.tables_.contains(schema->name)) {
        return absl::InvalidArgumentError(
            absl::StrCat("store ", store.name, ": table ", name, " is in another store too"));
      }
      add(store.name, *std::move(schema));
    }
  }
  for (const std::string& name : unreceipted) map.ignored_.insert(name);
  // The library's own tables that it writes to within units; a unit's SQL cannot.
  map.ignored_.insert({"uow_outbox", "uow_idempotency_keys"});
  VOUCH_ASSIGN_OR_RETURN(const std::vector<ListedTable> tables, ListTables(connection));
  for (const ListedTable& listed : tables) {
    if (listed.kind == TableKind::kShadow) map.ignored_.insert(listed.name);
    if (!stores.empty() || listed.kind != TableKind::kOrdinary) continue;
    if (map.ignored_.contains(listed.name)) continue;
    VOUCH_ASSIGN_OR_RETURN(TableSchema schema, ReadTableSchema(connection, listed.name));
    if (!WhyNotCaptured(schema).has_value()) add(std::string(kDefaultStore), std::move(schema));
  }
  if (stores.empty()) map.names_.emplace_back(kDefaultStore);
  return map;
}

const StoreTable* StoreMap::Find(std::string_view table) const {
  const auto found = tables_.find(table);
  return found == tables_.end() ? nullptr : found->second.get();
}

bool StoreMap::IsIgnored(std::string_view table) const {
  return ignored_.find(table) != ignored_.end();
}

const std::string* StoreMap::OnlyStore() const {
  return names_.size() == 1 ? &names_.front() : nullptr;
}

}  // namespace vouch::uow
