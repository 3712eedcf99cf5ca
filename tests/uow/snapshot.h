// Snapshot: all rows of some tables as a SELECT reads them, encoded as the audit does it: what the
// writes that a unit captured are compared with. Thread safety: plain data.

#ifndef VOUCH_TESTS_UOW_SNAPSHOT_H_
#define VOUCH_TESTS_UOW_SNAPSHOT_H_

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/connection.h"
#include "storage/sha256.h"
#include "storage/status_macros.h"
#include "uow/format.h"
#include "uow/receipt.h"
#include "uow/table.h"

namespace vouch::uow {

// Every row of every table, by record id.
using Snapshot = std::map<std::string, storage::Digest>;

template <typename Names>
absl::StatusOr<Snapshot> TakeSnapshot(storage::Connection& connection, const Names& tables) {
  Snapshot snapshot;
  for (const auto& name : tables) {
    VOUCH_ASSIGN_OR_RETURN(const TableSchema schema, ReadTableSchema(connection, name));
    const RowEncoder encoder(schema);
    VOUCH_ASSIGN_OR_RETURN(const auto rows, connection.Prepare(SelectRowsSql(schema)));
    while (true) {
      VOUCH_ASSIGN_OR_RETURN(const bool more, rows->Step());
      if (!more) break;
      std::vector<storage::ValueView> values(schema.columns.size());
      for (std::size_t i = 0; i < schema.captured.size(); ++i) {
        values[static_cast<std::size_t>(schema.captured[i])] = rows->column(static_cast<int>(i));
      }
      std::string id;
      std::string row;
      encoder.AppendRecordId(id, values);
      (void)encoder.AppendRow(row, values);
      snapshot[id] = storage::Sha256::Of(row);
    }
  }
  return snapshot;
}

// Before and after; nothing where there is no such row.
using Change = std::pair<std::optional<storage::Digest>, std::optional<storage::Digest>>;

inline std::map<std::string, Change> Difference(const Snapshot& before, const Snapshot& after) {
  std::map<std::string, Change> changes;
  for (const auto& [id, digest] : before) changes[id].first = digest;
  for (const auto& [id, digest] : after) changes[id].second = digest;
  std::erase_if(changes,
                [](const auto& entry) { return entry.second.first == entry.second.second; });
  return changes;
}

// The same of what a receipt says.
inline std::map<std::string, Change> ChangesIn(const StoredReceipt& stored) {
  std::map<std::string, Change> changes;
  for (const WriteRecord& write : stored.writes) {
    changes[write.record_id] = {write.prior, write.checksum};
  }
  return changes;
}

}  // namespace vouch::uow

#endif  // VOUCH_TESTS_UOW_SNAPSHOT_H_
