#include "uow/cli/receipt_command.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "storage/sha256.h"
#include "storage/sqlite/file.h"
#include "storage/status_macros.h"
#include "uow/cli/json.h"
#include "uow/cli/printable.h"
#include "uow/cli/stable_read.h"
#include "uow/cli/text_table.h"
#include "uow/receipt.h"
#include "uow/ulid.h"

namespace vouch::cli {
namespace {

using uow::ReceiptLine;
using uow::StoredReceipt;

std::string TextOf(const std::vector<ReceiptLine>& lines) {
  using enum TextTable::Align;
  TextTable table({kRight, kLeft, kLeft, kLeft, kRight, kRight, kLeft});
  table.Add({"seq", "unit", "status", "created", "stores", "bytes", "receipt"});
  for (const ReceiptLine& line : lines) {
    const std::string status =
        line.error_type.empty() ? line.status : absl::StrCat(line.status, ": ", line.error_type);
    table.Add({absl::StrCat(line.seq), Printable(line.uow_id), Printable(status),
               Printable(line.created), absl::StrCat(line.stores), WithCommas(line.bytes_written),
               Printable(line.hash)});
  }
  return table.Render();
}

Json JsonOf(const std::vector<ReceiptLine>& lines, const std::string& database) {
  Json receipts = Json::array();
  for (const ReceiptLine& line : lines) {
    receipts.push_back({{"seq", line.seq},
                        {"uow_id", line.uow_id},
                        {"status", line.status},
                        {"created", line.created},
                        {"stores", line.stores},
                        {"bytes", line.bytes_written},
                        {"receipt_hash", line.hash},
                        {"error_type", line.error_type}});
  }
  return {{"verb", "receipt list"}, {"database", database}, {"receipts", receipts}};
}

// The row of the unit, column by column.
absl::StatusOr<Json> FieldsOf(storage::Connection& reader, std::int64_t seq) {
  VOUCH_ASSIGN_OR_RETURN(const storage::StatementPtr query,
                         reader.Prepare("SELECT * FROM unit_of_work WHERE seq = ?1"));
  VOUCH_RETURN_IF_ERROR(query->BindAll(seq));
  VOUCH_ASSIGN_OR_RETURN(const bool found, query->Step());
  if (!found) return absl::DataLossError(absl::StrCat("receipt: number ", seq, " is gone"));
  Json fields = Json::object();
  for (int column = 0; column < query->column_count(); ++column) {
    const storage::ValueView value = query->column(column);
    Json& field = fields[std::string(query->column_name(column))];
    switch (value.type()) {
      case storage::ValueType::kNull:
        break;
      case storage::ValueType::kInteger:
        field = value.integer();
        break;
      case storage::ValueType::kReal:
        field = value.real();
        break;
      case storage::ValueType::kText:
      case storage::ValueType::kBlob:
        field = std::string(value.bytes());
        break;
    }
  }
  return fields;
}

Json JsonOf(const StoredReceipt& stored, const Json& fields, const std::string& database) {
  Json writes = Json::array();
  for (const uow::WriteRecord& write : stored.writes) {
    writes.push_back({{"store", write.store},
                      {"record", write.record_id},
                      {"operation", NameOf(write.operation)},
                      {"bytes", write.bytes},
                      {"prior", HexOrNull(write.prior)},
                      {"checksum", HexOrNull(write.checksum)}});
  }
  const std::string hash = storage::HexOf(stored.receipt.hash);
  return {{"verb", "receipt show"},
          {"database", database},
          {"uow_id", stored.receipt.uow_id},
          {"seq", stored.receipt.seq},
          {"status", NameOf(stored.receipt.status)},
          {"prev", storage::HexOf(stored.receipt.prev)},
          {"hash", hash},
          {"stored_hash", stored.stored_hash},
          {"matches", hash == stored.stored_hash},
          {"bytes", stored.receipt.bytes},
          {"fields", fields},
          {"writes", writes}};
}

struct Shown {
  StoredReceipt stored;
  Json fields;
};

absl::StatusOr<Shown> Read(storage::Connection& reader, const std::string& which,
                           std::optional<std::int64_t> seq) {
  Shown shown;
  VOUCH_ASSIGN_OR_RETURN(shown.stored, seq.has_value() ? uow::ReadReceipt(reader, *seq)
                                                       : uow::ReadReceipt(reader, which));
  VOUCH_ASSIGN_OR_RETURN(shown.fields, FieldsOf(reader, shown.stored.receipt.seq));
  return shown;
}

}  // namespace

int RunReceiptList(const ReceiptListArguments& arguments, const Settings& settings,
                   Console& console) {
  const auto database = storage::PrepareDatabaseFile(settings.database, /*create=*/false);
  if (!database.ok()) return console.Fail(database.status(), kUsage);
  std::vector<ReceiptLine> lines;
  const absl::Status status =
      StableRead(database->path, settings.wait, [&](storage::Connection& reader) -> absl::Status {
        VOUCH_ASSIGN_OR_RETURN(lines, uow::ListReceipts(reader, arguments.limit, arguments.before));
        return absl::OkStatus();
      });
  if (!status.ok()) return console.Fail(status, CodeForOpening(status));
  console.Result(JsonOf(lines, database->path), TextOf(lines));
  return kDone;
}

int RunReceiptShow(const std::string& which, const Settings& settings, Console& console) {
  std::int64_t number = 0;
  std::optional<std::int64_t> seq;
  if (!uow::IsUlid(which)) {
    if (!absl::SimpleAtoi(which, &number) || number < 1) {
      return console.Fail(
          absl::InvalidArgumentError(
              absl::StrCat("receipt show: \"", which,
                           "\" is neither the id of a unit (26 characters) nor a sequence number")),
          kUsage);
    }
    seq = number;
  }
  const auto database = storage::PrepareDatabaseFile(settings.database, /*create=*/false);
  if (!database.ok()) return console.Fail(database.status(), kUsage);

  absl::StatusOr<Shown> shown = absl::UnknownError("not read");
  const absl::Status opened =
      StableRead(database->path, settings.wait, [&](storage::Connection& reader) -> absl::Status {
        shown = Read(reader, which, seq);
        return absl::OkStatus();
      });
  if (!opened.ok()) return console.Fail(opened, CodeForOpening(opened));
  if (!shown.ok()) return console.Fail(shown.status());

  const StoredReceipt& stored = shown->stored;
  if (console.json()) {
    console.Result(JsonOf(stored, shown->fields, database->path), "");
  } else {
    console.Bytes(stored.receipt.bytes);
  }
  const std::string hash = storage::HexOf(stored.receipt.hash);
  if (hash == stored.stored_hash) return kDone;
  console.Error(absl::StrCat("receipt show: number ", stored.receipt.seq, " hashes to ", hash,
                             ", but the ledger says ", stored.stored_hash,
                             ": it was altered; run `vouch audit`"));
  return kFailed;
}

}  // namespace vouch::cli
