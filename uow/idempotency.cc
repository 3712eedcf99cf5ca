#include "uow/idempotency.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "storage/sha256.h"
#include "storage/status_macros.h"
#include "uow/internal/json.h"
#include "uow/internal/own_statement.h"

namespace vouch::uow {
namespace {

using storage::BlobView;
using storage::StatementPtr;
using uow_internal::ExecuteOwn;
using uow_internal::PrepareOwn;

absl::StatusOr<std::optional<IdempotentResult>> FindKept(UnitOfWork& unit, const std::string& key,
                                                         const std::string& now) {
  VOUCH_ASSIGN_OR_RETURN(const StatementPtr query,
                         PrepareOwn(unit,
                                    "SELECT result, uow_id FROM uow_idempotency_keys"
                                    " WHERE key = ?1 AND expires > ?2"));
  VOUCH_RETURN_IF_ERROR(query->BindBorrowed(key, now));
  VOUCH_ASSIGN_OR_RETURN(const bool found, query->Step());
  if (!found) return std::nullopt;
  return IdempotentResult{.result = query->Get<std::string>(0),
                          .was_duplicate = true,
                          .uow_id = query->Get<std::string>(1)};
}

// More than the one that is added, so that the table does not grow without end.
absl::Status RemoveExpired(UnitOfWork& unit, const std::string& key, const std::string& now) {
  VOUCH_RETURN_IF_ERROR(ExecuteOwn(
      unit, "DELETE FROM uow_idempotency_keys WHERE key = ?1 AND expires <= ?2", key, now));
  return ExecuteOwn(unit,
                    "DELETE FROM uow_idempotency_keys WHERE key IN (SELECT key"
                    " FROM uow_idempotency_keys WHERE expires <= ?1 ORDER BY expires LIMIT 8)",
                    now);
}

}  // namespace

absl::Status IdempotencyOptions::Validate() const {
  if (ttl <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        absl::StrCat("idempotency: ttl is ", absl::FormatDuration(ttl)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> IdempotencyKey(std::string_view operation, std::string_view payload) {
  if (operation.empty()) {
    return absl::InvalidArgumentError("idempotency: the operation has no name");
  }
  VOUCH_ASSIGN_OR_RETURN(const uow_internal::Json value,
                         uow_internal::ParseJson(payload, "idempotency: the payload"));
  VOUCH_ASSIGN_OR_RETURN(const std::string text, uow_internal::CanonicalText(value));
  return storage::HexOf(storage::Sha256::Of(absl::StrCat(std::string(operation), ":", text)));
}

absl::StatusOr<IdempotentResult> ExecuteIdempotent(
    UnitOfWork& unit, std::string_view operation, std::string_view payload,
    absl::FunctionRef<absl::StatusOr<std::string>(UnitOfWork&)> function,
    const IdempotencyOptions& options) {
  VOUCH_RETURN_IF_ERROR(options.Validate());
  VOUCH_ASSIGN_OR_RETURN(const std::string key, IdempotencyKey(operation, payload));
  const absl::Time now = options.wall_clock->Now();
  const std::string now_text = storage::FormatUtcMillis(now);
  VOUCH_ASSIGN_OR_RETURN(const auto kept, FindKept(unit, key, now_text));
  if (kept.has_value()) return *kept;

  VOUCH_ASSIGN_OR_RETURN(std::string result, function(unit));
  VOUCH_RETURN_IF_ERROR(RemoveExpired(unit, key, now_text));
  VOUCH_RETURN_IF_ERROR(ExecuteOwn(
      unit,
      "INSERT INTO uow_idempotency_keys(key, operation, uow_id, result, expires)"
      " VALUES (?1, ?2, ?3, ?4, ?5)",
      key, operation, unit.id(), BlobView{result}, storage::FormatUtcMillis(now + options.ttl)));
  return IdempotentResult{.result = std::move(result), .uow_id = unit.id()};
}

}  // namespace vouch::uow
