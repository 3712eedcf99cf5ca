#include "uow/internal/declared_writes.h"

#include "absl/strings/str_cat.h"
#include "storage/status_macros.h"
#include "uow/table.h"

namespace vouch::uow {
namespace {

using storage::Digest;
using storage::SqliteConnection;
using storage::StatementPtr;

// The condition of the index, which a query has to repeat to the letter.
std::string IsOfStore(std::string_view store) {
  std::string condition = "store = '";
  for (const char c : store) condition.append(c == '\'' ? 2 : 1, c);
  return condition + "'";
}

absl::StatusOr<std::optional<Digest>> LastChecksum(SqliteConnection& connection,
                                                   std::string_view store,
                                                   std::string_view record_id) {
  VOUCH_ASSIGN_OR_RETURN(const StatementPtr query,
                         connection.PrepareTrusted(absl::StrCat(
                             "SELECT checksum FROM uow_writes WHERE ", IsOfStore(store),
                             " AND record_id = ?1", " ORDER BY seq DESC, ordinal DESC LIMIT 1")));
  VOUCH_RETURN_IF_ERROR(query->BindBorrowed(record_id));
  VOUCH_ASSIGN_OR_RETURN(const bool row, query->Step());
  if (!row) return std::nullopt;
  const auto hex = query->Get<std::optional<std::string_view>>(0);
  return hex.has_value() ? ParseDigest(*hex) : std::nullopt;
}

std::string Describe(std::string_view store, std::string_view record_id) {
  return std::string("record ").append(record_id).append(" of store ").append(store);
}

}  // namespace

absl::Status DeclaredWrites::Prepare(SqliteConnection& connection, std::string_view store) {
  const std::string name = std::string("idx_uow_writes_of_").append(store);
  VOUCH_ASSIGN_OR_RETURN(const StatementPtr statement,
                         connection.PrepareTrusted(
                             absl::StrCat("CREATE INDEX IF NOT EXISTS ", QuoteIdentifier(name),
                                          " ON uow_writes(record_id) WHERE ", IsOfStore(store))));
  return statement->Run();
}

absl::Status DeclaredWrites::Add(SqliteConnection& connection, std::size_t after,
                                 std::string_view store, std::string_view record_id,
                                 Operation operation, std::string_view payload) {
  if (record_id.empty()) return absl::InvalidArgumentError("track: the record's id is empty");
  // An audit tells stores without tables by their records' ids.
  if (TableOfRecordId(record_id).has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("track: ", Describe(store, record_id),
                     ": the id reads as that of a row (table/key), which audits would look for"));
  }
  const bool is_delete = operation == Operation::kDelete;
  if (is_delete && !payload.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("track: ", Describe(store, record_id),
                                                   ": a delete has no payload, this one has ",
                                                   payload.size(), " bytes"));
  }
  const auto key = std::pair(std::string(store), std::string(record_id));
  const auto found = by_id_.find(key);
  Record declared{.after = after, .store = key.first, .id = key.second};
  if (found != by_id_.end()) {
    declared = records_[found->second];
  } else {
    VOUCH_ASSIGN_OR_RETURN(declared.prior, LastChecksum(connection, store, record_id));
    declared.checksum = declared.prior;
  }
  if (operation == Operation::kCreate && declared.checksum.has_value()) {
    return absl::AlreadyExistsError(
        absl::StrCat("track: ", Describe(store, record_id), " is there already"));
  }
  if ((operation == Operation::kUpdate || is_delete) && !declared.checksum.has_value()) {
    return absl::NotFoundError(
        absl::StrCat("track: ", Describe(store, record_id), " is not there, by the ledger"));
  }
  declared.is_upsert = operation == Operation::kUpsert;
  declared.bytes = static_cast<std::int64_t>(payload.size());
  declared.checksum =
      is_delete ? std::nullopt : std::optional(PayloadChecksum(store, record_id, payload));
  if (found != by_id_.end()) {
    records_[found->second] = std::move(declared);
  } else {
    by_id_.emplace(key, records_.size());
    records_.push_back(std::move(declared));
  }
  return absl::OkStatus();
}

std::vector<DeclaredWrite> DeclaredWrites::Take() {
  std::vector<DeclaredWrite> writes;
  for (Record& record : records_) {
    if (record.prior == record.checksum) continue;
    const Operation operation = !record.checksum.has_value() ? Operation::kDelete
                                : record.is_upsert           ? Operation::kUpsert
                                : record.prior.has_value()   ? Operation::kUpdate
                                                             : Operation::kCreate;
    writes.push_back({.after = record.after,
                      .write = {.store = std::move(record.store),
                                .record_id = std::move(record.id),
                                .operation = operation,
                                .bytes = record.bytes,
                                .prior = record.prior,
                                .checksum = record.checksum}});
  }
  records_.clear();
  by_id_.clear();
  return writes;
}

}  // namespace vouch::uow
