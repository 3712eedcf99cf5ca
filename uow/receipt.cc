#include "uow/receipt.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/status_macros.h"
#include "uow/ledger.h"

namespace vouch::uow {
namespace {

using storage::Connection;
using storage::Statement;
using storage::StatementPtr;

// Columns of a unit, in the order in which ReadUnit takes them.
constexpr std::string_view kSelectUnit =
    "SELECT seq, uow_id, envelope_id, status, created_ts, committed_ts, store_count,"
    " total_bytes_written, retry_count, total_execution_time_ms, commit_time_ms, error_type,"
    " failed_store, receipt_hash, space_id, actor_id, device_id, correlation_id, band,"
    " contract_version FROM unit_of_work ";

absl::Status NoReceipt(std::int64_t seq, std::string_view what) {
  return absl::DataLossError(absl::StrCat("receipt: unit ", seq, " has no valid ",
                                          std::string(what), "; run `vouch audit`"));
}

absl::StatusOr<std::vector<WriteRecord>> ReadWrites(Connection& connection, std::int64_t seq) {
  VOUCH_ASSIGN_OR_RETURN(
      const StatementPtr query,
      connection.Prepare("SELECT store, record_id, operation_type, bytes_written, checksum,"
                         " prior_checksum FROM uow_writes WHERE seq = ?1 ORDER BY ordinal"));
  VOUCH_RETURN_IF_ERROR(query->BindAll(seq));
  std::vector<WriteRecord> writes;
  while (true) {
    VOUCH_ASSIGN_OR_RETURN(const bool row, query->Step());
    if (!row) return writes;
    const auto operation = ParseOperation(query->Get<std::string_view>(2));
    if (!operation.has_value()) return NoReceipt(seq, "operation_type");
    WriteRecord write{.store = query->Get<std::string>(0),
                      .record_id = query->Get<std::string>(1),
                      .operation = *operation,
                      .bytes = query->Get<std::int64_t>(3)};
    write.checksum = ParseDigest(query->Get<std::string_view>(4));
    write.prior = ParseDigest(query->Get<std::string_view>(5));
    writes.push_back(std::move(write));
  }
}

absl::StatusOr<storage::Digest> PreviousHash(Connection& connection, std::int64_t seq) {
  if (seq == 1) return storage::Digest{};
  VOUCH_ASSIGN_OR_RETURN(const std::string hash,
                         connection.QueryValue<std::string>(
                             "SELECT receipt_hash FROM unit_of_work WHERE seq = ?1", seq - 1));
  const auto digest = ParseDigest(hash);
  if (!digest.has_value()) return NoReceipt(seq - 1, "receipt_hash");
  return *digest;
}

// The receipt of the unit in the current row of `unit`.
absl::StatusOr<StoredReceipt> ReadUnit(Connection& connection, Statement& unit) {
  const auto text = [&](int column) { return unit.Get<std::optional<std::string_view>>(column); };
  StoredReceipt stored;
  Receipt& receipt = stored.receipt;
  receipt.seq = unit.Get<std::int64_t>(0);
  receipt.uow_id = unit.Get<std::string>(1);
  const auto status = ParseUnitStatus(unit.Get<std::string_view>(3));
  if (!status.has_value()) return NoReceipt(receipt.seq, "status");
  const auto band_name = text(18);
  const auto band = band_name.has_value() ? ParseBand(*band_name) : std::nullopt;
  if (band_name.has_value() && !band.has_value()) return NoReceipt(receipt.seq, "band");

  VOUCH_ASSIGN_OR_RETURN(const std::string ledger,
                         connection.QueryValue<std::string>("SELECT id FROM uow_ledger"));
  VOUCH_ASSIGN_OR_RETURN(receipt.prev, PreviousHash(connection, receipt.seq));
  VOUCH_ASSIGN_OR_RETURN(stored.writes, ReadWrites(connection, receipt.seq));
  TreeHasher tree;
  std::string buffer;
  for (const WriteRecord& write : stored.writes) {
    buffer.clear();
    AppendWrite(buffer, write);
    tree.Append(buffer);
  }

  receipt.status = *status;
  receipt.committed = std::string(text(5).value_or(""));
  receipt.stores = unit.Get<std::int64_t>(6);
  receipt.bytes_written = unit.Get<std::int64_t>(7);
  receipt.writes = static_cast<std::int64_t>(stored.writes.size());
  receipt.retries = unit.Get<int>(8);
  receipt.execution_time = absl::Milliseconds(unit.Get<std::int64_t>(9));
  receipt.commit_time = absl::Milliseconds(unit.Get<std::int64_t>(10));
  stored.stored_hash = unit.Get<std::string>(13);
  const ReceiptFields fields{.ledger = ledger,
                             .seq = receipt.seq,
                             .prev = receipt.prev,
                             .uow_id = receipt.uow_id,
                             .status = receipt.status,
                             .created = unit.Get<std::string_view>(4),
                             .committed = text(5),
                             .contract = unit.Get<std::string_view>(19),
                             .envelope = text(2),
                             .space = text(14),
                             .actor = text(15),
                             .device = text(16),
                             .correlation = text(17),
                             .band = band,
                             .error_type = text(11),
                             .failed_store = text(12),
                             .stores = receipt.stores,
                             .bytes = receipt.bytes_written,
                             .write_count = receipt.writes,
                             .writes_root = tree.Head()};
  AppendReceipt(receipt.bytes, fields);
  receipt.hash = storage::Sha256::Of(receipt.bytes);
  return stored;
}

template <typename Key>
absl::StatusOr<StoredReceipt> Find(Connection& connection, std::string_view condition,
                                   const Key& key) {
  VOUCH_ASSIGN_OR_RETURN(
      const StatementPtr unit,
      connection.Prepare(absl::StrCat(std::string(kSelectUnit), std::string(condition))));
  VOUCH_RETURN_IF_ERROR(unit->BindAll(key));
  VOUCH_ASSIGN_OR_RETURN(const bool row, unit->Step());
  if (!row) return absl::NotFoundError(absl::StrCat("receipt: there is no unit ", key));
  return ReadUnit(connection, *unit);
}

}  // namespace

absl::StatusOr<StoredReceipt> ReadReceipt(Connection& connection, std::string_view uow_id) {
  return Find(connection, "WHERE uow_id = ?1 ORDER BY status = 'committed' DESC, seq DESC LIMIT 1",
              std::string(uow_id));
}

absl::StatusOr<StoredReceipt> ReadReceipt(Connection& connection, std::int64_t seq) {
  return Find(connection, "WHERE seq = ?1", seq);
}

absl::StatusOr<std::vector<ReceiptLine>> ListReceipts(Connection& connection, int limit,
                                                      std::int64_t before_seq) {
  VOUCH_ASSIGN_OR_RETURN(
      const StatementPtr query,
      connection.Prepare("SELECT seq, uow_id, status, created_ts, store_count, total_bytes_written,"
                         " receipt_hash, error_type FROM unit_of_work"
                         " WHERE ?1 = 0 OR seq < ?1 ORDER BY seq DESC LIMIT ?2"));
  VOUCH_RETURN_IF_ERROR(query->BindAll(before_seq, limit));
  std::vector<ReceiptLine> lines;
  while (true) {
    VOUCH_ASSIGN_OR_RETURN(const bool row, query->Step());
    if (!row) return lines;
    lines.push_back({.seq = query->Get<std::int64_t>(0),
                     .uow_id = query->Get<std::string>(1),
                     .status = query->Get<std::string>(2),
                     .created = query->Get<std::string>(3),
                     .stores = query->Get<std::int64_t>(4),
                     .bytes_written = query->Get<std::int64_t>(5),
                     .hash = query->Get<std::string>(6),
                     .error_type = query->Get<std::string>(7)});
  }
}

}  // namespace vouch::uow
