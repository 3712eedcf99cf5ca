#include "uow/internal/row_scan.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/status_macros.h"

namespace vouch::uow::uow_internal {
namespace {

using storage::StatementPtr;
using storage::ValueView;

bool Names(const std::vector<std::string>& tables, std::string_view table) {
  return std::any_of(tables.begin(), tables.end(),
                     [&](const std::string& name) { return SameName(name, table); });
}

}  // namespace

absl::Status RowScan::Run() {
  LearnStores();
  VOUCH_RETURN_IF_ERROR(PlanTables());
  for (const Target& target : targets_) VOUCH_RETURN_IF_ERROR(ReadTable(target));
  AddMissing();
  return absl::OkStatus();
}

// ---- Which table belongs to which store ----

void RowScan::LearnStores() {
  const std::size_t count = custody_.stores().size();
  std::vector<bool> all_are_rows(count, true);
  std::vector<absl::flat_hash_map<std::string, Claim>> claims(count);
  custody_.ForEach(
      [&](Custody::StoreIndex store, std::string_view id, const Custody::Record& record) {
        if (!all_are_rows[store]) return;
        const std::optional<std::string> table = TableOfRecordId(id);
        if (!table) {
          all_are_rows[store] = false;
          return;
        }
        Claim& claim = claims[store][*table];
        claim.last = std::max(claim.last, record.seq);
        if (record.checksum) claim.last_present = std::max(claim.last_present, record.seq);
      });
  without_tables_.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto store = static_cast<Custody::StoreIndex>(i);
    without_tables_[i] = !HasTables(store, all_are_rows[i]);
    if (without_tables_[i]) {
      context_.report.stores_without_tables.push_back(custody_.stores()[i].name);
      continue;
    }
    for (auto& [table, claim] : claims[i]) {
      claim.store = store;
      const auto [owner, added] = learnt_.try_emplace(table, claim);
      if (!added && owner->second < claim) owner->second = claim;
    }
  }
  std::sort(context_.report.stores_without_tables.begin(),
            context_.report.stores_without_tables.end());
}

bool RowScan::HasTables(Custody::StoreIndex store, bool all_are_rows) const {
  const Custody::Store& known = custody_.stores()[store];
  if (known.name == kReservedStore) return false;
  for (const StoreOptions& given : context_.options.stores) {
    if (given.name == known.name) return !given.tables.empty() || given.name == kDefaultStore;
  }
  return all_are_rows && !known.has_upsert;
}

absl::Status RowScan::PlanTables() {
  absl::StatusOr<std::vector<ListedTable>> tables = ListTables(context_.connection);
  if (!tables.ok()) return context_.AddIfDamage(tables.status(), "the list of tables");
  for (const ListedTable& table : *tables) VOUCH_RETURN_IF_ERROR(PlanTable(table));
  for (const StoreOptions& store : context_.options.stores) {
    for (const std::string& name : store.tables) {
      const bool there = std::any_of(tables->begin(), tables->end(), [&](const ListedTable& table) {
        return SameName(table.name, name);
      });
      if (!there) {
        context_.report.skipped_tables.push_back(
            {.name = name, .reason = "does not exist", .rows = 0});
      }
    }
  }
  return absl::OkStatus();
}

absl::Status RowScan::PlanTable(const ListedTable& table) {
  absl::StatusOr<TableSchema> schema = ReadTableSchema(context_.connection, table.name);
  if (!schema.ok()) return context_.AddIfDamage(schema.status(), "the schema of " + table.name);
  if (IsUnreceipted(table.name)) return Skip(table.name, "was declared unreceipted");
  if (std::optional<std::string> reason = WhyNotReceipted(*schema)) {
    return Skip(table.name, *std::move(reason));
  }
  std::optional<std::string> store = StoreOf(table.name);
  if (!store) return Skip(table.name, "is in no store");
  targets_.push_back({*std::move(schema), *std::move(store)});
  if (!context_.options.progress) return absl::OkStatus();
  const absl::StatusOr<std::int64_t> rows = context_.connection.QueryValue<std::int64_t>(
      "SELECT count(*) FROM main." + QuoteIdentifier(table.name));
  // Only for the progress: damage is met again when the rows are read.
  if (rows.ok()) context_.AddTotal(*rows);
  return absl::IsDataLoss(rows.status()) ? absl::OkStatus() : rows.status();
}

absl::Status RowScan::Skip(const std::string& table, std::string reason) {
  AuditReport::SkippedTable skipped{.name = table, .reason = std::move(reason), .rows = {}};
  const absl::StatusOr<std::int64_t> rows = context_.connection.QueryValue<std::int64_t>(
      "SELECT count(*) FROM main." + QuoteIdentifier(table));
  // A virtual table whose module is not there cannot be counted.
  if (rows.ok()) skipped.rows = *rows;
  context_.report.skipped_tables.push_back(std::move(skipped));
  return absl::OkStatus();
}

std::optional<std::string> RowScan::StoreOf(const std::string& table) const {
  const std::vector<StoreOptions>& given = context_.options.stores;
  bool main_is_open = given.empty() && custody_.FindStore(kDefaultStore).has_value();
  for (const StoreOptions& store : given) {
    if (Names(store.tables, table)) return store.name;
    main_is_open |= store.name == kDefaultStore && store.tables.empty();
  }
  if (given.empty()) {
    const auto owner = learnt_.find(table);
    if (owner != learnt_.end()) return custody_.stores()[owner->second.store].name;
  }
  if (main_is_open) return std::string(kDefaultStore);
  return std::nullopt;
}

bool RowScan::IsUnreceipted(std::string_view table) const {
  return Names(context_.options.unreceipted_tables, table);
}

// ---- Rows ----

absl::Status RowScan::ReadTable(const Target& target) {
  AuditReport::Table table{.name = target.schema.name, .store = target.store};
  const absl::Status status = ReadRows(target, table);
  context_.report.rows += table.rows;
  context_.report.tables.push_back(table);
  return context_.AddIfDamage(status, "table " + target.schema.name);
}

absl::Status RowScan::ReadRows(const Target& target, AuditReport::Table& table) {
  const TableSchema& schema = target.schema;
  const RowEncoder encoder(schema);
  const Custody::StoreIndex store = custody_.AddStore(target.store);
  without_tables_.resize(custody_.stores().size(), false);
  VOUCH_ASSIGN_OR_RETURN(const StatementPtr rows,
                         context_.connection.Prepare(SelectRowsSql(schema)));
  values_.assign(schema.columns.size(), ValueView());
  while (true) {
    VOUCH_ASSIGN_OR_RETURN(const bool row, rows->Step());
    if (!row) return absl::OkStatus();
    for (int i = 0; i < static_cast<int>(schema.captured.size()); ++i) {
      const int column = schema.captured[static_cast<std::size_t>(i)];
      values_[static_cast<std::size_t>(column)] = rows->column(i);
    }
    ++table.rows;
    context_.CountDone();
    const bool has_key = std::none_of(schema.key.begin(), schema.key.end(), [&](int column) {
      return values_[static_cast<std::size_t>(column)].is_null();
    });
    if (!has_key) {
      context_.Add({.code = FindingCode::kMalformed,
                    .store = target.store,
                    .message = "table " + schema.name + " has a row whose key is NULL"});
      continue;
    }
    record_id_.clear();
    row_.clear();
    encoder.AppendRecordId(record_id_, values_);
    encoder.AppendRow(row_, values_);
    CheckRow(store, target.store);
  }
}

void RowScan::CheckRow(Custody::StoreIndex store, const std::string& store_name) {
  Custody::Record* record = custody_.Find(store, record_id_);
  if (record == nullptr) {
    AddToRow(FindingCode::kRowUnreceipted, store_name, "was written by no unit", std::nullopt);
  } else if (!record->checksum) {
    AddToRow(FindingCode::kRowUnreceipted, store_name,
             absl::StrCat("is there although unit ", record->seq, " deleted it"), record->seq);
  } else if (record->live) {
    AddToRow(FindingCode::kRowUnreceipted, store_name, "is there twice", record->seq);
  } else {
    record->live = true;
    if (hash_.Update(row_).Finish() != *record->checksum) {
      AddToRow(FindingCode::kRowAltered, store_name,
               absl::StrCat("is not what unit ", record->seq, " left"), record->seq);
    }
  }
}

void RowScan::AddMissing() {
  struct Missing {
    Custody::StoreIndex store;
    std::string_view record_id;
    std::int64_t seq;
  };
  std::vector<Missing> missing;
  custody_.ForEach(
      [&](Custody::StoreIndex store, std::string_view id, const Custody::Record& record) {
        if (record.checksum && !record.live && !without_tables_[store]) {
          missing.push_back({store, id, record.seq});
        }
      });
  std::sort(missing.begin(), missing.end(), [](const Missing& a, const Missing& b) {
    return std::pair(a.store, a.record_id) < std::pair(b.store, b.record_id);
  });
  for (const Missing& record : missing) {
    record_id_ = record.record_id;
    AddToRow(FindingCode::kRowMissing, custody_.stores()[record.store].name,
             absl::StrCat("is missing: unit ", record.seq, " left it and none deleted it"),
             record.seq);
  }
}

void RowScan::AddToRow(FindingCode code, const std::string& store, std::string_view what,
                       std::optional<std::int64_t> seq) {
  std::string message = "row " + record_id_ + " of store " + store + " ";
  message.append(what);
  context_.Add({.code = code,
                .seq = seq,
                .store = store,
                .record_id = record_id_,
                .message = std::move(message)});
}

}  // namespace vouch::uow::uow_internal
