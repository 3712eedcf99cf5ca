#include "uow/capture.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <charconv>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/error.h"
#include "storage/status_macros.h"

namespace vouch::uow {
namespace {

using storage::ChangeKind;
using storage::RowChange;
using storage::Value;
using storage::ValueView;

std::optional<std::string> BytesOfHex(std::string_view hex) {
  if (hex.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    unsigned byte = 0;
    const auto parsed = std::from_chars(hex.data() + i, hex.data() + i + 2, byte, 16);
    if (parsed.ptr != hex.data() + i + 2) return std::nullopt;
    bytes.push_back(static_cast<char>(byte));
  }
  return bytes;
}

// The key value that one part of a record id stands for.
std::optional<Value> ValueOfKeyPart(std::string_view part) {
  if (part.empty()) return std::nullopt;
  const std::string_view rest = part.substr(1);
  switch (part.front()) {
    case '\'': {
      const auto text = PercentDecoded(rest);
      if (!text.has_value()) return std::nullopt;
      return Value(ValueView::Text(*text));
    }
    case 'x': {
      const auto blob = BytesOfHex(rest);
      if (!blob.has_value()) return std::nullopt;
      return Value(ValueView::Blob(*blob));
    }
    case 'r': {
      std::uint64_t bits = 0;
      const auto parsed = std::from_chars(rest.data(), rest.data() + rest.size(), bits, 16);
      if (parsed.ptr != rest.data() + rest.size()) return std::nullopt;
      return Value(ValueView::Real(std::bit_cast<double>(bits)));
    }
    default: {
      std::int64_t integer = 0;
      const auto parsed = std::from_chars(part.data(), part.data() + part.size(), integer);
      if (parsed.ptr != part.data() + part.size()) return std::nullopt;
      return Value(ValueView::Integer(integer));
    }
  }
}

// The key values of a row's record id, in the order of the key. Commas inside text are encoded.
std::vector<Value> KeyOfRecordId(std::string_view id, std::string_view prefix) {
  std::vector<Value> key;
  std::string_view rest = id.substr(prefix.size());
  while (true) {
    const std::size_t comma = rest.find(',');
    auto value = ValueOfKeyPart(rest.substr(0, comma));
    if (value.has_value()) key.push_back(*std::move(value));
    if (comma == std::string_view::npos) return key;
    rest = rest.substr(comma + 1);
  }
}

// What a record takes in the map by ids, which is at least 7/16 full when it has grown.
constexpr std::size_t kMapBytes = 40;

// ---- What is put into the temporary file ----
// Both begin with the record's position, most significant byte first, so that of several the first
// and the last are found by their bytes. A digest that is absent has no bytes.

constexpr std::size_t kNumberBytes = 8;

void AppendNumber(std::string& out, std::uint64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(number >> shift));
}

std::uint64_t TakeNumber(std::string_view& bytes) {
  std::uint64_t number = 0;
  for (const char c : bytes.substr(0, kNumberBytes)) {
    number = number << 8 | static_cast<unsigned char>(c);
  }
  bytes.remove_prefix(std::min(kNumberBytes, bytes.size()));
  return number;
}

void AppendDigest(std::string& out, const std::optional<storage::Digest>& digest) {
  if (digest.has_value()) out.append(reinterpret_cast<const char*>(digest->data()), digest->size());
}

std::optional<storage::Digest> DigestOf(std::string_view bytes) {
  if (bytes.empty()) return std::nullopt;
  storage::Digest digest;
  assert(bytes.size() == digest.size());
  std::memcpy(digest.data(), bytes.data(), digest.size());
  return digest;
}

}  // namespace

Capture::State Capture::StateOf(const StoreTable& table) {
  row_.clear();
  State state;
  state.bytes = table.encoder.AppendRow(row_, values_);
  state.checksum = hash_.Update(row_).Finish();
  return state;
}

Capture::Record& Capture::Touch(const StoreTable& table, std::string_view id, bool existed,
                                const State& before) {
  const auto found = by_id_.find(id);
  if (found != by_id_.end()) return *found->second;
  Record& record = records_.emplace_back(Record{.table = &table, .id = std::string(id)});
  if (existed) record.prior = before.checksum;
  by_id_.emplace(record.id, &record);
  held_bytes_ += static_cast<std::int64_t>(sizeof(Record) + kMapBytes + record.id.size());
  return record;
}

void Capture::OnChange(const RowChange& change) {
  const StoreTable* table = change.database() == "main" ? stores_.Find(change.table()) : nullptr;
  if (table == nullptr) {
    if (!stores_.IsIgnored(change.table()) && refused_.empty()) refused_ = change.table();
    return;
  }
  last_store_ = &table->store;

  const auto load = [&](bool is_new) {
    // Seen on SQLite 3.40: a row of a WITHOUT ROWID table goes by the table's own column numbers,
    // but for the new row of an UPDATE, which goes by the stored ones like those of other tables.
    const bool by_number =
        table->schema.without_rowid && !(is_new && change.kind() == ChangeKind::kUpdate);
    values_.resize(table->stored_index.size());
    for (std::size_t i = 0; i < values_.size(); ++i) {
      const int stored = table->stored_index[i];
      const int index = by_number ? static_cast<int>(i) : stored;
      values_[i] = stored < 0 ? ValueView() : (is_new ? change.New(index) : change.Old(index));
    }
    if (change.failed()) out_of_memory_ = true;
    return !change.failed();
  };

  if (change.kind() != ChangeKind::kInsert) {
    if (!load(/*is_new=*/false)) return;
    id_.clear();
    table->encoder.AppendRecordId(id_, values_);
    // The state before is needed once, at a record's first change.
    const bool known = by_id_.contains(id_);
    Record& record = Touch(*table, id_, /*existed=*/true, known ? State() : StateOf(*table));
    record.now = State();
  }
  if (change.kind() != ChangeKind::kDelete) {
    if (!load(/*is_new=*/true)) return;
    new_id_.clear();
    table->encoder.AppendRecordId(new_id_, values_);
    const State state = StateOf(*table);
    Touch(*table, new_id_, /*existed=*/false, State()).now = state;
  }
  if (held_bytes_ > max_bytes_) spill_status_.Update(Spill());
}

absl::Status Capture::Spill() {
  // What is lost is lost; the rest is not kept either.
  if (spill_status_.ok()) {
    if (spill_ == nullptr) {
      VOUCH_ASSIGN_OR_RETURN(spill_, storage::Spill::Open());
    }
    std::string first;
    std::string last;
    for (std::size_t i = 0; i < records_.size(); ++i) {
      const Record& record = records_[i];
      first.clear();
      AppendNumber(first, spilled_ + i);
      last = first;
      AppendDigest(first, record.prior);
      AppendNumber(last, static_cast<std::uint64_t>(record.now.bytes));
      AppendDigest(last, record.now.checksum);
      VOUCH_RETURN_IF_ERROR(spill_->Add(record.id, first, last));
    }
  }
  spilled_ += records_.size();
  by_id_.clear();
  records_.clear();
  held_bytes_ = 0;
  return absl::OkStatus();
}

absl::Status Capture::ForEachRecord(absl::FunctionRef<absl::Status(std::size_t, Record&)> tell) {
  if (spill_ == nullptr) {
    std::size_t position = 0;
    for (Record& record : records_) VOUCH_RETURN_IF_ERROR(tell(position++, record));
    return absl::OkStatus();
  }
  VOUCH_RETURN_IF_ERROR(Spill());
  return spill_->ForEach([&](std::string_view id, std::string_view first,
                             std::string_view last) -> absl::Status {
    Record record{.table = stores_.Find(TableOfRecordId(id).value_or("")), .id = std::string(id)};
    assert(record.table != nullptr);
    const std::uint64_t position = TakeNumber(first);
    record.prior = DigestOf(first);
    TakeNumber(last);
    record.now.bytes = static_cast<std::int64_t>(TakeNumber(last));
    record.now.checksum = DigestOf(last);
    return tell(position, record);
  });
}

absl::Status Capture::Reread(storage::SqliteConnection& connection, Record& record) {
  const StoreTable& table = *record.table;
  record.now = State();
  VOUCH_ASSIGN_OR_RETURN(const storage::StatementPtr select,
                         connection.PrepareTrusted(SelectRowSql(table.schema)));
  const std::vector<Value> key = KeyOfRecordId(record.id, table.encoder.record_prefix());
  for (std::size_t i = 0; i < key.size(); ++i) {
    VOUCH_RETURN_IF_ERROR(select->Bind(static_cast<int>(i + 1), key[i]));
  }
  while (true) {
    VOUCH_ASSIGN_OR_RETURN(const bool row, select->Step());
    if (!row) return absl::OkStatus();
    values_.assign(table.schema.columns.size(), ValueView());
    for (std::size_t i = 0; i < table.schema.captured.size(); ++i) {
      values_[static_cast<std::size_t>(table.schema.captured[i])] =
          select->column(static_cast<int>(i));
    }
    id_.clear();
    table.encoder.AppendRecordId(id_, values_);
    if (id_ == record.id) record.now = StateOf(table);
  }
}

absl::Status Capture::Check() const {
  if (!refused_.empty()) {
    return absl::PermissionDeniedError(
        absl::StrCat("unit of work: changed table ", refused_,
                     ", which is in no store; add it to a store, or declare it unreceipted"));
  }
  if (out_of_memory_) {
    return absl::ResourceExhaustedError(
        "unit of work: out of memory while a changed row was read; nothing of the unit is stored");
  }
  if (spill_status_.ok()) return absl::OkStatus();
  return storage::Annotate(spill_status_,
                           absl::StrCat("unit of work: of ", touched(),
                                        " touched records, some could not be put by in a temporary"
                                        " file: "));
}

absl::Status Capture::Tell(storage::SqliteConnection& connection,
                           const std::vector<DeclaredWrite>& declared, WriteSink sink) {
  auto next = declared.begin();
  const absl::Status told =
      ForEachRecord([&](std::size_t position, Record& record) -> absl::Status {
        for (; next != declared.end() && next->after <= position; ++next) {
          VOUCH_RETURN_IF_ERROR(sink(next->write.fields()));
        }
        if (must_reread_) VOUCH_RETURN_IF_ERROR(Reread(connection, record));
        if (record.prior == record.now.checksum) return absl::OkStatus();
        const Operation operation = !record.prior.has_value()          ? Operation::kCreate
                                    : !record.now.checksum.has_value() ? Operation::kDelete
                                                                       : Operation::kUpdate;
        return sink({.store = record.table->store,
                     .record_id = record.id,
                     .operation = operation,
                     .bytes = record.now.bytes,
                     .prior = record.prior,
                     .checksum = record.now.checksum});
      });
  VOUCH_RETURN_IF_ERROR(told);
  for (; next != declared.end(); ++next) VOUCH_RETURN_IF_ERROR(sink(next->write.fields()));
  return absl::OkStatus();
}

}  // namespace vouch::uow
