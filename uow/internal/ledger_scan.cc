#include "uow/internal/ledger_scan.h"

#include <array>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "storage/status_macros.h"
#include "uow/internal/cells.h"
#include "uow/table.h"
#include "uow/ulid.h"

namespace vouch::uow::uow_internal {
namespace {

using storage::Digest;
using storage::Statement;
using storage::StatementPtr;

constexpr std::array<std::string_view, 3> kLedgerColumns = {"id", "format", "created"};
constexpr std::array<std::string_view, 17> kUnitColumns = {
    "seq",          "uow_id",           "status",         "created_ts",
    "committed_ts", "contract_version", "envelope_id",    "space_id",
    "actor_id",     "device_id",        "correlation_id", "band",
    "error_type",   "failed_store",     "store_count",    "total_bytes_written",
    "receipt_hash"};
constexpr std::array<std::string_view, 8> kWriteColumns = {
    "seq",           "ordinal",  "store",         "record_id", "operation_type",
    "bytes_written", "checksum", "prior_checksum"};
constexpr std::array<std::string_view, 3> kPayloadColumns = {"seq", "ordinal", "payload"};
constexpr std::array<std::string_view, 3> kTreeColumns = {"level", "idx", "hash"};

// Stored nodes of the ledger's tree are those of every eighth level.
constexpr int kStoredLevels = 8;

// Without an index even where one would serve: the rows of the table are the ledger.
std::string SelectSql(std::string_view table, std::span<const std::string_view> columns,
                      const char* order) {
  std::string sql = "SELECT ";
  for (const std::string_view column : columns) {
    if (column != columns.front()) sql.append(", ");
    sql.append(column);
  }
  sql.append(" FROM main.").append(table).append(" NOT INDEXED ").append(order);
  return sql;
}

}  // namespace

// ---- The whole ----

absl::StatusOr<bool> LedgerScan::Run() {
  VOUCH_RETURN_IF_ERROR(context_.AddIfDamage(ReadLedger(), "the ledger"));
  // The cursors end with the pass: what follows must not find them open.
  writes_.statement.reset();
  payloads_.statement.reset();
  Finish();
  return complete_;
}

absl::Status LedgerScan::ReadLedger() {
  VOUCH_ASSIGN_OR_RETURN(const bool found, FindTables());
  if (!found) return absl::OkStatus();
  VOUCH_ASSIGN_OR_RETURN(const bool known, ReadLedgerRow());
  if (!known) return absl::OkStatus();
  VOUCH_RETURN_IF_ERROR(ReadUnits());
  if (has_tree_ && tree_is_whole_) VOUCH_RETURN_IF_ERROR(CompareTree());
  complete_ = true;
  return absl::OkStatus();
}

absl::StatusOr<bool> LedgerScan::FindTables() {
  VOUCH_ASSIGN_OR_RETURN(const bool ledger, HasTable("uow_ledger", kLedgerColumns, true));
  VOUCH_ASSIGN_OR_RETURN(const bool units, HasTable("unit_of_work", kUnitColumns, true));
  VOUCH_ASSIGN_OR_RETURN(const bool writes, HasTable("uow_writes", kWriteColumns, true));
  VOUCH_ASSIGN_OR_RETURN(has_payloads_, HasTable("uow_payloads", kPayloadColumns, false));
  VOUCH_ASSIGN_OR_RETURN(has_tree_, HasTable("uow_tree", kTreeColumns, false));
  return ledger && units && writes;
}

absl::StatusOr<bool> LedgerScan::HasTable(std::string_view table,
                                          std::span<const std::string_view> columns,
                                          bool required) {
  const auto missing = [&](std::string_view what) {
    std::string message = "the ledger's table ";
    message.append(table).append(what);
    context_.Add({.code = FindingCode::kLedgerMissing, .message = std::move(message)});
    return false;
  };
  const absl::StatusOr<TableSchema> schema = ReadTableSchema(context_.connection, table);
  if (absl::IsNotFound(schema.status())) return required ? missing(" is not there") : false;
  VOUCH_RETURN_IF_ERROR(schema.status());
  // A view could show one ledger to an audit and another to everybody else.
  if (schema->kind != TableKind::kOrdinary) return missing(" is not an ordinary table");
  for (const std::string_view column : columns) {
    bool found = false;
    for (const ColumnInfo& info : schema->columns) found |= SameName(info.name, column);
    if (!found) return missing(absl::StrCat(" has no column ", std::string(column)));
  }
  return true;
}

absl::StatusOr<bool> LedgerScan::ReadLedgerRow() {
  VOUCH_ASSIGN_OR_RETURN(const StatementPtr row,
                         context_.connection.Prepare(SelectSql("uow_ledger", kLedgerColumns, "")));
  VOUCH_ASSIGN_OR_RETURN(const bool found, row->Step());
  if (!found) {
    context_.Add({.code = FindingCode::kLedgerMissing,
                  .message = "uow_ledger is empty: the ledger's id is not there"});
    return false;
  }
  Cells cells(*row);
  const std::string_view id = cells.Text(0, IsUlid, "a ULID");
  const std::int64_t format = cells.Integer(1);
  const bool readable = cells.ok();
  cells.Text(2, IsTime, "a time");
  if (!cells.ok()) {
    context_.Add({.code = FindingCode::kMalformed, .message = "uow_ledger: " + cells.fault()});
  }
  if (!readable) return false;
  ledger_id_ = id;
  if (format != kFormatVersion) {
    context_.Add(
        {.code = FindingCode::kUnsupportedFormat,
         .message = absl::StrCat("the ledger has format ", format,
                                 ", and this program knows only format ", kFormatVersion)});
    return false;
  }
  VOUCH_ASSIGN_OR_RETURN(const bool second, row->Step());
  if (second) {
    context_.Add(
        {.code = FindingCode::kMalformed, .message = "uow_ledger has more than its one row"});
  }
  return true;
}

absl::Status LedgerScan::ReadUnits() {
  if (context_.options.progress) {
    VOUCH_ASSIGN_OR_RETURN(const std::int64_t count,
                           context_.connection.QueryValue<std::int64_t>(
                               "SELECT count(*) FROM main.unit_of_work NOT INDEXED"));
    context_.AddTotal(count);
  }
  VOUCH_RETURN_IF_ERROR(Open(writes_, kWriteColumns));
  if (has_payloads_) VOUCH_RETURN_IF_ERROR(Open(payloads_, kPayloadColumns));
  VOUCH_ASSIGN_OR_RETURN(
      const StatementPtr units,
      context_.connection.Prepare(SelectSql("unit_of_work", kUnitColumns, "ORDER BY seq")));
  while (true) {
    VOUCH_ASSIGN_OR_RETURN(const bool row, units->Step());
    if (!row) break;
    VOUCH_RETURN_IF_ERROR(ReadUnit(*units));
    context_.CountDone();
  }
  VOUCH_RETURN_IF_ERROR(ReadOrphans(std::nullopt));
  return ReadStrayPayloads(std::nullopt);
}

void LedgerScan::Finish() {
  AuditReport& report = context_.report;
  report.records = static_cast<std::int64_t>(custody_.size());
  report.head.ledger_id = ledger_id_;
  report.head.seq = next_seq_ - 1;
  if (next_seq_ > 1) report.head.receipt_hash = previous_stored_;
  if (complete_ && tree_is_whole_) report.head.tree_head = tree_.Head();
  if (steps_back_ > 0) {
    report.notes.push_back(absl::StrCat(
        "clock: ", steps_back_, " committed unit(s) bear an earlier time than the one before, ",
        "first unit ", first_step_back_, "; units are ordered by their number"));
  }
}

// ---- Units ----

absl::Status LedgerScan::ReadUnit(const Statement& row) {
  Cells cells(row);
  const std::int64_t seq = cells.Integer(0);
  if (!cells.ok() || seq < next_seq_) {
    std::string message = "unit_of_work has a row that cannot be a unit: ";
    message += cells.ok()
                   ? absl::StrCat("its number is ", seq, " and ", next_seq_, " would be the next")
                   : cells.fault();
    context_.Add({.code = FindingCode::kMalformed, .message = std::move(message)});
    return absl::OkStatus();
  }
  ++context_.report.receipts;
  VOUCH_RETURN_IF_ERROR(ReadOrphans(seq));
  CheckSequence(seq);
  VOUCH_ASSIGN_OR_RETURN(const Sums sums, ReadWrites(seq));
  CheckUnit(seq, row, sums);
  next_seq_ = seq + 1;
  return absl::OkStatus();
}

void LedgerScan::CheckSequence(std::int64_t seq) {
  if (seq == next_seq_) return;
  const std::int64_t last = seq - 1;
  const std::string which = last == next_seq_
                                ? absl::StrCat("unit ", last, " is")
                                : absl::StrCat("units ", next_seq_, " to ", last, " are");
  context_.AddToReceipt(next_seq_, {.code = FindingCode::kSequenceGap,
                                    .message = absl::StrCat(which,
                                                            " missing: numbers have no "
                                                            "gaps")});
  previous_stored_.reset();
  previous_computed_.reset();
  tree_is_whole_ = false;
}

void LedgerScan::CheckUnit(std::int64_t seq, const Statement& row, const Sums& sums) {
  ReceiptFields receipt;
  Cells cells(row);
  receipt.ledger = ledger_id_;
  receipt.seq = seq;
  receipt.uow_id = cells.Text(1, IsUlid, "a ULID");
  receipt.status = cells.Name<UnitStatus>(2, ParseUnitStatus, "committed, rolled_back or failed");
  receipt.created = cells.Text(3, IsTime, "a time");
  receipt.committed = cells.OptionalText(4, IsTime, "a time");
  receipt.contract = cells.Text(5, IsContractVersion, "a version like 1.1.0");
  receipt.envelope = cells.OptionalText(6);
  receipt.space = cells.OptionalText(7);
  receipt.actor = cells.OptionalText(8);
  receipt.device = cells.OptionalText(9);
  receipt.correlation = cells.OptionalText(10);
  receipt.band = cells.OptionalName<Band>(11, ParseBand, "GREEN, AMBER, RED or BLACK");
  receipt.error_type = cells.OptionalText(12);
  receipt.failed_store = cells.OptionalText(13);
  receipt.stores = cells.Count(14);
  receipt.bytes = cells.Count(15);
  receipt.write_count = sums.count;
  receipt.writes_root = write_tree_.Head();

  Cells hash_cell(row);
  const Digest hash = hash_cell.Digest(16);
  if (!hash_cell.ok()) AddToUnit(FindingCode::kMalformed, seq, hash_cell.fault());
  std::optional<Digest> stored;
  if (hash_cell.ok()) stored = hash;

  std::optional<Digest> computed;
  if (!cells.ok()) {
    AddToUnit(FindingCode::kMalformed, seq, cells.fault());
  } else {
    CheckStatus(receipt, sums);
    NoteTime(receipt);
    if (sums.well_formed) {
      CheckSums(receipt, sums);
      computed = CheckReceipt(receipt, stored);
    }
  }
  tree_is_whole_ &= computed.has_value();
  previous_stored_ = stored;
  previous_computed_ = computed;
}

void LedgerScan::CheckStatus(const ReceiptFields& receipt, const Sums& sums) {
  const auto mismatch = [&](std::string_view what) {
    std::string message = "it is ";
    message.append(NameOf(receipt.status)).append(" and ").append(what);
    AddToUnit(FindingCode::kStatusMismatch, receipt.seq, message);
  };
  const bool committed = receipt.status == UnitStatus::kCommitted;
  const bool failed = receipt.status == UnitStatus::kFailed;
  if (committed && !receipt.committed) mismatch("has no time of commit");
  if (!committed && receipt.committed) mismatch("has a time of commit");
  if (!committed && sums.count > 0) mismatch("has writes");
  if (failed && !receipt.error_type) mismatch("has no error_type");
  if (!failed && receipt.error_type) mismatch("has an error_type");
  if (!failed && receipt.failed_store) mismatch("has a failed_store");
}

void LedgerScan::CheckSums(const ReceiptFields& receipt, const Sums& sums) {
  const auto mismatch = [&](const char* column, std::int64_t said, std::int64_t found) {
    AddToUnit(FindingCode::kWritesMismatch, receipt.seq,
              absl::StrCat(column, " says ", said, ", and its writes come to ", found));
  };
  if (receipt.stores != sums.stores) mismatch("store_count", receipt.stores, sums.stores);
  if (receipt.bytes != sums.bytes) mismatch("total_bytes_written", receipt.bytes, sums.bytes);
}

std::optional<Digest> LedgerScan::CheckReceipt(ReceiptFields& receipt,
                                               const std::optional<Digest>& stored) {
  if (!previous_stored_ && !previous_computed_) {
    AddToUnit(FindingCode::kChainBroken, receipt.seq,
              "the receipt before it is missing or cannot be read, so this one cannot be checked");
    return std::nullopt;
  }
  Digest computed =
      HashReceipt(receipt, previous_stored_ ? *previous_stored_ : *previous_computed_);
  if (stored && computed != *stored && previous_stored_ && previous_computed_ &&
      *previous_stored_ != *previous_computed_) {
    // The receipt hash before was found altered already: this unit may still follow the true one.
    computed = HashReceipt(receipt, *previous_computed_);
    if (computed != *stored) computed = HashReceipt(receipt, *previous_stored_);
  }
  if (stored && computed != *stored) {
    AddToUnit(FindingCode::kReceiptMismatch, receipt.seq,
              receipt.seq == 1
                  ? "its columns and writes do not give its receipt hash"
                  : "its columns and writes, with the receipt hash of the unit before, do not "
                    "give its receipt hash");
  }
  tree_.Append(bytes_, [this](int level, std::uint64_t index, const Digest& node) {
    AddNode(level, index, node);
  });
  return computed;
}

// Leaves the receipt's bytes in bytes_.
Digest LedgerScan::HashReceipt(ReceiptFields& receipt, const Digest& prev) {
  receipt.prev = prev;
  bytes_.clear();
  AppendReceipt(bytes_, receipt);
  return hash_.Update(bytes_).Finish();
}

void LedgerScan::NoteTime(const ReceiptFields& receipt) {
  if (!receipt.committed) return;
  if (*receipt.committed < last_committed_ && ++steps_back_ == 1) first_step_back_ = receipt.seq;
  last_committed_ = *receipt.committed;
}

// ---- Writes ----

absl::Status LedgerScan::Open(Cursor& cursor, std::span<const std::string_view> columns) {
  VOUCH_ASSIGN_OR_RETURN(cursor.statement, context_.connection.Prepare(SelectSql(
                                               cursor.table, columns, "ORDER BY seq, ordinal")));
  cursor.at_end = false;
  return Advance(cursor);
}

absl::Status LedgerScan::Advance(Cursor& cursor) {
  while (true) {
    VOUCH_ASSIGN_OR_RETURN(const bool row, cursor.statement->Step());
    if (!row) {
      cursor.at_end = true;
      return absl::OkStatus();
    }
    Cells cells(*cursor.statement);
    cursor.seq = cells.Integer(0);
    cursor.ordinal = cells.Integer(1);
    if (cells.ok()) return absl::OkStatus();
    context_.Add({.code = FindingCode::kMalformed,
                  .message = absl::StrCat(cursor.table, ": ", cells.fault())});
  }
}

absl::Status LedgerScan::ReadOrphans(std::optional<std::int64_t> seq) {
  while (!writes_.at_end && (!seq || writes_.seq < *seq)) {
    const std::int64_t orphan = writes_.seq;
    // They are taken into custody all the same, so that later units are not blamed.
    VOUCH_ASSIGN_OR_RETURN(const Sums sums, ReadWrites(orphan));
    context_.AddToReceipt(
        orphan, {.code = FindingCode::kOrphanWrites,
                 .message = absl::StrCat("unit ", orphan, " does not exist and has ", sums.count,
                                         " write(s)")});
  }
  return absl::OkStatus();
}

absl::StatusOr<LedgerScan::Sums> LedgerScan::ReadWrites(std::int64_t seq) {
  Sums sums;
  write_tree_.Clear();
  for (std::int64_t next = 0; !writes_.at_end && writes_.seq == seq; ++next) {
    if (writes_.ordinal != next) {
      AddToUnit(
          FindingCode::kWritesMismatch, seq,
          absl::StrCat("its write ", next, " is missing: the next has ordinal ", writes_.ordinal));
      next = writes_.ordinal;
      sums.well_formed = false;
    }
    VOUCH_RETURN_IF_ERROR(ReadWrite(sums));
    VOUCH_RETURN_IF_ERROR(Advance(writes_));
  }
  return sums;
}

absl::Status LedgerScan::ReadWrite(Sums& sums) {
  const std::int64_t seq = writes_.seq;
  Cells cells(*writes_.statement);
  WriteFields write;
  write.store = cells.Text(2);
  write.record_id = cells.Text(3);
  write.operation = cells.Name<Operation>(4, ParseOperation, "create, update, delete or upsert");
  write.bytes = cells.Count(5);
  write.checksum = cells.OptionalDigest(6);
  write.prior = cells.OptionalDigest(7);
  ++context_.report.writes;
  ++sums.count;
  if (!cells.ok()) {
    AddToUnit(FindingCode::kMalformed, seq,
              absl::StrCat("write ", writes_.ordinal, ": ", cells.fault()));
    sums.well_formed = false;
    return absl::OkStatus();
  }
  Custody::Store& store = custody_.store(custody_.AddStore(write.store));
  if (store.last_seq != seq) ++sums.stores;
  store.last_seq = seq;
  store.has_upsert |= write.operation == Operation::kUpsert;
  // The sum of a forged ledger may not fit; a wrong sum is then still a wrong sum.
  sums.bytes = static_cast<std::int64_t>(static_cast<std::uint64_t>(sums.bytes) +
                                         static_cast<std::uint64_t>(write.bytes));
  bytes_.clear();
  AppendWrite(bytes_, write);
  write_tree_.Append(bytes_);
  CheckCustody(seq, write);
  return CheckPayload(seq, write);
}

void LedgerScan::CheckCustody(std::int64_t seq, const WriteFields& write) {
  const auto broken = [&](std::string_view message) {
    AddToWrite(FindingCode::kCustodyBroken, seq, write, message);
  };
  Custody::Record& record = custody_.Put(custody_.AddStore(write.store), write.record_id);
  if (record.seq == seq) {
    broken("is written twice by this unit");
  } else if (record.checksum != write.prior) {
    broken(record.seq == 0 ? absl::StrCat("was there before, but no earlier unit created it")
                           : absl::StrCat("was not what unit ", record.seq, " had left"));
  }
  const bool before = write.prior.has_value();
  const bool after = write.checksum.has_value();
  bool fits = true;
  switch (write.operation) {
    case Operation::kCreate:
      fits = !before && after;
      break;
    case Operation::kUpdate:
      fits = before && after;
      break;
    case Operation::kDelete:
      fits = before && !after && write.bytes == 0;
      break;
    case Operation::kUpsert:
      fits = after;
      break;
  }
  if (!fits) {
    broken(absl::StrCat("has checksums or a size that do not go with a ", NameOf(write.operation)));
  }
  record.checksum = write.checksum;
  record.seq = seq;
}

// ---- Payloads ----

absl::Status LedgerScan::CheckPayload(std::int64_t seq, const WriteFields& write) {
  const std::int64_t ordinal = writes_.ordinal;
  if (has_payloads_) VOUCH_RETURN_IF_ERROR(ReadStrayPayloads(std::pair(seq, ordinal)));
  if (payloads_.at_end || payloads_.seq != seq || payloads_.ordinal != ordinal) {
    if (write.store == kReservedStore && write.checksum) {
      AddToWrite(FindingCode::kPayloadMismatch, seq, write, "has no kept payload");
    }
    return absl::OkStatus();
  }
  ++context_.report.payloads;
  const storage::ValueView payload = payloads_.statement->column(2);
  if (payload.type() != storage::ValueType::kBlob) {
    AddToWrite(FindingCode::kMalformed, seq, write, "has a kept payload that is not a blob");
  } else if (PayloadChecksum(write.store, write.record_id, payload.bytes()) != write.checksum) {
    AddToWrite(FindingCode::kPayloadMismatch, seq, write,
               "has a kept payload that its checksum does not describe");
  }
  return Advance(payloads_);
}

absl::Status LedgerScan::ReadStrayPayloads(
    std::optional<std::pair<std::int64_t, std::int64_t>> write) {
  while (!payloads_.at_end && (!write || std::pair(payloads_.seq, payloads_.ordinal) < *write)) {
    AddToUnit(
        FindingCode::kPayloadMismatch, payloads_.seq,
        absl::StrCat("a payload is kept for write ", payloads_.ordinal, ", which does not exist"));
    VOUCH_RETURN_IF_ERROR(Advance(payloads_));
  }
  return absl::OkStatus();
}

// ---- The tree ----

void LedgerScan::AddNode(int level, std::uint64_t index, const Digest& hash) {
  if (!has_tree_ || level == 0 || level % kStoredLevels != 0) return;
  nodes_[{level, static_cast<std::int64_t>(index)}] = hash;
}

absl::Status LedgerScan::CompareTree() {
  VOUCH_ASSIGN_OR_RETURN(const StatementPtr rows,
                         context_.connection.Prepare(SelectSql("uow_tree", kTreeColumns, "")));
  while (true) {
    VOUCH_ASSIGN_OR_RETURN(const bool row, rows->Step());
    if (!row) return absl::OkStatus();
    Cells cells(*rows);
    const std::int64_t level = cells.Integer(0);
    const std::int64_t index = cells.Integer(1);
    const Digest hash = cells.Digest(2);
    if (!cells.ok()) {
      context_.Add({.code = FindingCode::kMalformed, .message = "uow_tree: " + cells.fault()});
      continue;
    }
    const auto node = nodes_.find({level, index});
    if (node != nodes_.end() && node->second == hash) continue;
    context_.Add({.code = FindingCode::kTreeMismatch,
                  .message = absl::StrCat("uow_tree: node ", index, " of level ", level,
                                          " is not what the receipts give")});
  }
}

// ---- Findings ----

void LedgerScan::AddToUnit(FindingCode code, std::int64_t seq, std::string_view message) {
  std::string text = absl::StrCat("unit ", seq, ": ");
  text.append(message);
  context_.AddToReceipt(seq, {.code = code, .message = std::move(text)});
}

void LedgerScan::AddToWrite(FindingCode code, std::int64_t seq, const WriteFields& write,
                            std::string_view message) {
  const std::string store(write.store);
  const std::string record_id(write.record_id);
  std::string text = absl::StrCat("unit ", seq, ": record ", record_id, " of store ", store, " ");
  text.append(message);
  context_.AddToReceipt(
      seq, {.code = code, .store = store, .record_id = record_id, .message = std::move(text)});
}

}  // namespace vouch::uow::uow_internal
