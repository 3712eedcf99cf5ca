#include "uow/write_receipt.h"

#include <map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "storage/status_macros.h"
#include "uow/contract_document.h"
#include "uow/internal/json.h"
#include "uow/receipt.h"

namespace vouch::uow {
namespace {

using storage::Connection;
using storage::StatementPtr;
using uow_internal::CanonicalText;
using uow_internal::Json;

Json OrNull(const std::optional<std::string>& text) {
  return text.has_value() ? Json(*text) : Json();
}

Json HashedFields(const WriteReceipt& receipt) {
  Json stores = Json::array();
  for (const WriteReceipt::Store& store : receipt.stores) {
    stores.push_back({{"bytes_written", store.bytes_written},
                      {"name", store.name},
                      {"operation_type", store.operation_type},
                      {"record_id", OrNull(store.record_id)},
                      {"ts", store.ts}});
  }
  return {{"committed", receipt.committed},
          {"committed_ts", OrNull(receipt.committed_ts)},
          {"contract_version", receipt.contract_version},
          {"created_ts", receipt.created_ts},
          {"envelope_id", OrNull(receipt.envelope_id)},
          {"stores", std::move(stores)},
          {"uow_id", receipt.uow_id}};
}

// The field `name` when it is there and not null.
template <typename T>
void Take(const Json& object, const char* name, T& field) {
  const auto found = object.find(name);
  if (found != object.end() && !found->is_null()) field = found->template get<T>();
}
void Take(const Json& object, const char* name, std::optional<std::string>& field) {
  const auto found = object.find(name);
  if (found != object.end() && !found->is_null()) field = found->get<std::string>();
}

// A store's part of a committed unit is its writes' sizes.
void AddStores(const StoredReceipt& stored, std::string_view ts, WriteReceipt& receipt) {
  std::map<std::string, std::int64_t> bytes;
  for (const WriteRecord& write : stored.writes) bytes[write.store] += write.bytes;
  for (const auto& [name, size] : bytes) {
    receipt.stores.push_back({.name = name,
                              .ts = std::string(ts),
                              .bytes_written = size,
                              .duration_ms = receipt.total_duration_ms,
                              .retry_count = stored.receipt.retries});
  }
}

}  // namespace

absl::StatusOr<std::string> HashedText(const WriteReceipt& receipt) {
  return CanonicalText(HashedFields(receipt));
}

absl::StatusOr<storage::Digest> HashOf(const WriteReceipt& receipt) {
  VOUCH_ASSIGN_OR_RETURN(const std::string text, HashedText(receipt));
  return storage::Sha256::Of(text);
}

bool VerifyIntegrity(const WriteReceipt& receipt) {
  const auto stated = storage::DigestFromHex(receipt.receipt_hash);
  const auto actual = HashOf(receipt);
  return stated.has_value() && actual.ok() && *stated == *actual;
}

absl::StatusOr<std::string> ToJson(const WriteReceipt& receipt) {
  Json object = HashedFields(receipt);
  for (std::size_t i = 0; i < receipt.stores.size(); ++i) {
    object["stores"][i]["duration_ms"] = receipt.stores[i].duration_ms;
    object["stores"][i]["retry_count"] = receipt.stores[i].retry_count;
  }
  object["error"] = OrNull(receipt.error);
  object["receipt_hash"] = receipt.receipt_hash;
  object["signature"] = OrNull(receipt.signature);
  object["total_duration_ms"] = receipt.total_duration_ms;
  object["total_stores"] = receipt.total_stores;
  object["total_writes"] = receipt.total_writes;
  return CanonicalText(object);
}

absl::StatusOr<WriteReceipt> ParseWriteReceipt(std::string_view json) {
  const auto violations = CheckDocument(ContractDocument::kWriteReceipt, json);
  if (!violations.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("write receipt: ", violations.front().message));
  }
  VOUCH_ASSIGN_OR_RETURN(const Json object, uow_internal::ParseJson(json, "write receipt"));
  WriteReceipt receipt;
  Take(object, "envelope_id", receipt.envelope_id);
  Take(object, "committed", receipt.committed);
  for (const Json& one : object["stores"]) {
    WriteReceipt::Store store;
    Take(one, "name", store.name);
    Take(one, "ts", store.ts);
    Take(one, "record_id", store.record_id);
    Take(one, "operation_type", store.operation_type);
    Take(one, "bytes_written", store.bytes_written);
    Take(one, "duration_ms", store.duration_ms);
    Take(one, "retry_count", store.retry_count);
    receipt.stores.push_back(std::move(store));
  }
  Take(object, "error", receipt.error);
  Take(object, "uow_id", receipt.uow_id);
  Take(object, "created_ts", receipt.created_ts);
  Take(object, "committed_ts", receipt.committed_ts);
  Take(object, "receipt_hash", receipt.receipt_hash);
  Take(object, "signature", receipt.signature);
  Take(object, "total_duration_ms", receipt.total_duration_ms);
  Take(object, "total_stores", receipt.total_stores);
  Take(object, "total_writes", receipt.total_writes);
  Take(object, "contract_version", receipt.contract_version);
  return receipt;
}

absl::StatusOr<WriteReceipt> ReadWriteReceipt(Connection& connection, std::string_view uow_id) {
  VOUCH_ASSIGN_OR_RETURN(const StoredReceipt stored, ReadReceipt(connection, uow_id));
  if (stored.stored_hash != storage::HexOf(stored.receipt.hash)) {
    return absl::DataLossError(absl::StrCat("write receipt: the receipt of unit ",
                                            stored.receipt.uow_id,
                                            " does not verify; run `vouch audit`"));
  }
  VOUCH_ASSIGN_OR_RETURN(
      const StatementPtr query,
      connection.Prepare("SELECT envelope_id, created_ts, committed_ts, error_message,"
                         " failed_store, error_ts, contract_version"
                         " FROM unit_of_work WHERE seq = ?1"));
  VOUCH_RETURN_IF_ERROR(query->BindAll(stored.receipt.seq));
  VOUCH_ASSIGN_OR_RETURN(const bool found, query->Step());
  if (!found) return absl::NotFoundError("write receipt: the unit is gone");

  WriteReceipt receipt{.envelope_id = query->Get<std::optional<std::string>>(0),
                       .committed = stored.receipt.status == UnitStatus::kCommitted,
                       .error = query->Get<std::optional<std::string>>(3),
                       .uow_id = stored.receipt.uow_id,
                       .created_ts = query->Get<std::string>(1),
                       .committed_ts = query->Get<std::optional<std::string>>(2),
                       .total_duration_ms = absl::ToInt64Milliseconds(
                           stored.receipt.execution_time + stored.receipt.commit_time),
                       .total_writes = stored.receipt.writes,
                       .contract_version = query->Get<std::string>(6)};
  AddStores(stored, receipt.committed_ts.value_or(receipt.created_ts), receipt);
  if (const auto failed = query->Get<std::optional<std::string>>(4)) {
    const auto error_ts = query->Get<std::optional<std::string>>(5);
    receipt.stores.push_back({.name = *failed,
                              .ts = error_ts.value_or(receipt.created_ts),
                              .operation_type = "rollback",
                              .duration_ms = receipt.total_duration_ms,
                              .retry_count = stored.receipt.retries});
  }
  receipt.total_stores = static_cast<std::int64_t>(receipt.stores.size());
  VOUCH_ASSIGN_OR_RETURN(const storage::Digest hash, HashOf(receipt));
  receipt.receipt_hash = storage::HexOf(hash);
  return receipt;
}

}  // namespace vouch::uow
