#include "uow/ledger.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/status_macros.h"
#include "uow/ulid.h"

namespace vouch::uow {
namespace {

using storage::SqliteConnection;
using storage::StatementPtr;

std::optional<std::string_view> Optional(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional<std::string_view>(text);
}

std::optional<std::string> Hex(const std::optional<storage::Digest>& digest) {
  return digest.has_value() ? std::optional<std::string>(storage::HexOf(*digest)) : std::nullopt;
}

// The connection's view of who else has committed.
absl::StatusOr<std::int64_t> DataVersion(SqliteConnection& connection) {
  VOUCH_ASSIGN_OR_RETURN(const StatementPtr query,
                         connection.PrepareTrusted("PRAGMA data_version"));
  VOUCH_RETURN_IF_ERROR(query->Step().status());
  return query->Get<std::int64_t>(0);
}

}  // namespace

absl::Status Ledger::Open(SqliteConnection& connection, std::string_view new_id,
                          std::string_view now) {
  VOUCH_ASSIGN_OR_RETURN(const StatementPtr query,
                         connection.PrepareTrusted("SELECT id, format FROM uow_ledger"));
  VOUCH_ASSIGN_OR_RETURN(bool row, query->Step());
  if (!row) {
    id_ = new_id;
    VOUCH_ASSIGN_OR_RETURN(const StatementPtr insert,
                           connection.PrepareTrusted(
                               "INSERT INTO uow_ledger(id, format, created) VALUES (?1, ?2, ?3)"));
    VOUCH_RETURN_IF_ERROR(insert->BindBorrowed(new_id, kFormatVersion, now));
    VOUCH_RETURN_IF_ERROR(insert->Run());
  } else {
    id_ = query->Get<std::string>(0);
    const auto format = query->Get<std::int64_t>(1);
    VOUCH_ASSIGN_OR_RETURN(row, query->Step());
    if (row || !IsUlid(id_)) {
      return absl::FailedPreconditionError(
          "ledger: uow_ledger does not hold one ledger's id; run `vouch audit`");
    }
    if (format != kFormatVersion) {
      return absl::FailedPreconditionError(absl::StrCat(
          "ledger: format ", format, " is not one this program knows (", kFormatVersion, ")"));
    }
  }
  VOUCH_ASSIGN_OR_RETURN(data_version_, DataVersion(connection));
  connection_ = connection.serial();
  return ReadHead(connection);
}

absl::Status Ledger::ReadHead(SqliteConnection& connection) {
  VOUCH_ASSIGN_OR_RETURN(
      const StatementPtr query,
      connection.PrepareTrusted(
          "SELECT seq, receipt_hash FROM unit_of_work ORDER BY seq DESC LIMIT 1"));
  VOUCH_ASSIGN_OR_RETURN(const bool row, query->Step());
  committed_ = Head();
  if (row) {
    const auto hash = ParseDigest(query->Get<std::string_view>(1));
    committed_.seq = query->Get<std::int64_t>(0);
    if (!hash.has_value()) {
      return absl::DataLossError(
          absl::StrCat("ledger: unit ", committed_.seq, " has no receipt hash; run `vouch audit`"));
    }
    committed_.hash = *hash;
  }
  head_ = committed_;
  return absl::OkStatus();
}

absl::StatusOr<bool> Ledger::Refresh(SqliteConnection& connection) {
  VOUCH_ASSIGN_OR_RETURN(const std::int64_t version, DataVersion(connection));
  head_ = committed_;
  if (data_version_ == version && connection_ == connection.serial()) return false;
  VOUCH_RETURN_IF_ERROR(ReadHead(connection));
  data_version_ = version;
  connection_ = connection.serial();
  return true;
}

absl::StatusOr<Receipt> Ledger::Append(SqliteConnection& connection, UnitRecord& record,
                                       std::string_view committed, WriteSource writes) {
  ReceiptFields fields{.ledger = id_,
                       .seq = head_.seq + 1,
                       .prev = head_.hash,
                       .uow_id = record.uow_id,
                       .status = record.status,
                       .created = record.created,
                       .contract = kContractVersion,
                       .envelope = Optional(record.envelope_id),
                       .space = Optional(record.space_id),
                       .actor = Optional(record.actor_id),
                       .device = Optional(record.device_id),
                       .correlation = Optional(record.correlation_id),
                       .band = record.band,
                       .error_type = Optional(record.error_type),
                       .failed_store = Optional(record.failed_store)};
  if (record.status == UnitStatus::kCommitted) fields.committed = committed;

  // Before the unit's own row, which has the hash over them.
  VOUCH_RETURN_IF_ERROR(AppendWrites(connection, writes, record, fields));

  Receipt receipt{.uow_id = record.uow_id,
                  .seq = fields.seq,
                  .status = record.status,
                  .prev = head_.hash,
                  .stores = fields.stores,
                  .writes = fields.write_count,
                  .bytes_written = fields.bytes,
                  .retries = record.retries,
                  .execution_time = record.execution_time};
  AppendReceipt(receipt.bytes, fields);
  receipt.hash = hash_.Update(receipt.bytes).Finish();

  VOUCH_RETURN_IF_ERROR(InsertUnit(connection, record, fields, storage::HexOf(receipt.hash)));
  head_ = {.seq = fields.seq, .hash = receipt.hash};
  return receipt;
}

absl::Status Ledger::InsertUnit(SqliteConnection& connection, const UnitRecord& record,
                                const ReceiptFields& fields, const std::string& hash) {
  VOUCH_ASSIGN_OR_RETURN(
      const StatementPtr insert,
      connection.PrepareTrusted(
          "INSERT INTO unit_of_work(seq, uow_id, envelope_id, status, created_ts, committed_ts,"
          " total_execution_time_ms, store_count, total_bytes_written, retry_count, error_type,"
          " error_message, failed_store, error_ts, recovery_attempted, receipt_hash, space_id,"
          " actor_id, device_id, correlation_id, band, contract_version)"
          " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,"
          " ?18, ?19, ?20, ?21, ?22)"));
  const std::optional<std::string_view> band =
      record.band.has_value() ? std::optional<std::string_view>(NameOf(*record.band))
                              : std::nullopt;
  VOUCH_RETURN_IF_ERROR(insert->BindBorrowed(
      fields.seq, record.uow_id, fields.envelope, NameOf(record.status), record.created,
      fields.committed, absl::ToInt64Milliseconds(record.execution_time), fields.stores,
      fields.bytes, record.retries, fields.error_type, Optional(record.error_message),
      fields.failed_store, Optional(record.error_time), record.recovery_attempted, hash,
      fields.space, fields.actor, fields.device, fields.correlation, band, kContractVersion));
  return insert->Run();
}

absl::Status Ledger::AppendWrites(SqliteConnection& connection, WriteSource writes,
                                  UnitRecord& record, ReceiptFields& fields) {
  tree_.Clear();
  record.parts.clear();
  StatementPtr insert;
  const absl::Status told = writes([&](const WriteFields& write) -> absl::Status {
    if (insert == nullptr) {
      VOUCH_ASSIGN_OR_RETURN(
          insert, connection.PrepareTrusted(
                      "INSERT INTO uow_writes(seq, ordinal, store, record_id, operation_type,"
                      " bytes_written, checksum, prior_checksum)"
                      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"));
    }
    buffer_.clear();
    AppendWrite(buffer_, write);
    tree_.Append(buffer_);
    auto part = record.parts.find(write.store);
    if (part == record.parts.end()) part = record.parts.try_emplace(std::string(write.store)).first;
    ++part->second.writes;
    part->second.bytes += write.bytes;
    fields.bytes += write.bytes;
    const std::optional<std::string> checksum = Hex(write.checksum);
    const std::optional<std::string> prior = Hex(write.prior);
    VOUCH_RETURN_IF_ERROR(insert->BindBorrowed(fields.seq, fields.write_count++, write.store,
                                               write.record_id, NameOf(write.operation),
                                               write.bytes, checksum, prior));
    return insert->Run();
  });
  VOUCH_RETURN_IF_ERROR(told);
  fields.stores = static_cast<std::int64_t>(record.parts.size());
  fields.writes_root = tree_.Head();
  return absl::OkStatus();
}

absl::Status Ledger::RecordCommitTime(SqliteConnection& connection, std::int64_t first,
                                      std::int64_t last, absl::Duration time) {
  VOUCH_ASSIGN_OR_RETURN(const StatementPtr update,
                         connection.PrepareTrusted("UPDATE unit_of_work SET commit_time_ms = ?3"
                                                   " WHERE seq BETWEEN ?1 AND ?2"));
  VOUCH_RETURN_IF_ERROR(update->BindBorrowed(first, last, absl::ToInt64Milliseconds(time)));
  return update->Run();
}

absl::StatusOr<std::optional<std::int64_t>> Ledger::FindCommitted(SqliteConnection& connection,
                                                                  std::string_view uow_id) {
  VOUCH_ASSIGN_OR_RETURN(const StatementPtr query,
                         connection.PrepareTrusted("SELECT seq FROM unit_of_work"
                                                   " WHERE uow_id = ?1 AND status = 'committed'"));
  VOUCH_RETURN_IF_ERROR(query->BindBorrowed(uow_id));
  VOUCH_ASSIGN_OR_RETURN(const bool row, query->Step());
  if (!row) return std::nullopt;
  return query->Get<std::int64_t>(0);
}

absl::StatusOr<bool> Ledger::HasFailure(SqliteConnection& connection, const UnitRecord& record) {
  VOUCH_ASSIGN_OR_RETURN(
      const StatementPtr query,
      connection.PrepareTrusted("SELECT 1 FROM unit_of_work WHERE status = ?1 AND created_ts = ?2"
                                " AND uow_id = ?3 AND retry_count = ?4"));
  VOUCH_RETURN_IF_ERROR(
      query->BindBorrowed(NameOf(record.status), record.created, record.uow_id, record.retries));
  return query->Step();
}

}  // namespace vouch::uow
