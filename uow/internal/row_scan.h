// RowScan: an audit's pass over live rows: decides which table belongs to which store, compares
// every row of those tables with its record's last checksum, and names the records that no row was
// found for.
//
// Thread safety: one thread at a time.
// Ownership: borrows the context and the custody map, in which it marks the live records.

#ifndef VOUCH_UOW_INTERNAL_ROW_SCAN_H_
#define VOUCH_UOW_INTERNAL_ROW_SCAN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/statement.h"
#include "storage/value.h"
#include "uow/format.h"
#include "uow/internal/audit_context.h"
#include "uow/internal/custody.h"
#include "uow/table.h"

namespace vouch::uow::uow_internal {

class RowScan {
 public:
  RowScan(AuditContext& context, Custody& custody) : context_(context), custody_(custody) {}

  absl::Status Run();

 private:
  struct Target {
    TableSchema schema;
    std::string store;
  };
  // A store's claim to a table, by the last units that wrote to it. Records that are still there
  // count for more: a table that moves is deleted in one store and created in another at once.
  struct Claim {
    std::int64_t last_present = 0;
    std::int64_t last = 0;
    Custody::StoreIndex store = 0;
    bool operator<(const Claim& other) const {
      return std::tie(last_present, last) < std::tie(other.last_present, other.last);
    }
  };

  // Finds the stores without tables, and for each table that the ledger knows the store that last
  // wrote to it.
  void LearnStores();
  bool HasTables(Custody::StoreIndex store, bool all_are_rows) const;

  absl::Status PlanTables();
  absl::Status PlanTable(const ListedTable& table);
  absl::Status Skip(const std::string& table, std::string reason);
  std::optional<std::string> StoreOf(const std::string& table) const;
  bool IsUnreceipted(std::string_view table) const;

  absl::Status ReadTable(const Target& target);
  absl::Status ReadRows(const Target& target, AuditReport::Table& table);
  void CheckRow(Custody::StoreIndex store, const std::string& store_name);
  void AddMissing();

  void AddToRow(FindingCode code, const std::string& store, std::string_view what,
                std::optional<std::int64_t> seq);

  AuditContext& context_;
  Custody& custody_;

  std::vector<bool> without_tables_;                // By store index.
  absl::flat_hash_map<std::string, Claim> learnt_;  // The best claim, by table name.
  std::vector<Target> targets_;

  // Reused from row to row.
  std::vector<storage::ValueView> values_;
  std::string record_id_;
  std::string row_;
  storage::Sha256 hash_;
};

}  // namespace vouch::uow::uow_internal

#endif  // VOUCH_UOW_INTERNAL_ROW_SCAN_H_
