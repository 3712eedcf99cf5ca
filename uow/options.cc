#include "uow/options.h"

#include <functional>
#include <set>

#include "absl/strings/str_cat.h"
#include "storage/status_macros.h"
#include "uow/participant.h"
#include "uow/ulid.h"

namespace vouch::uow {
namespace {

absl::Status NotNegative(std::string_view field, absl::Duration value) {
  if (value >= absl::ZeroDuration()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(std::string(field), " is ", absl::FormatDuration(value), ", less than zero"));
}

// Names are those of receipts, so a participant's may be no other store's.
absl::Status CheckParticipants(const EngineOptions& options) {
  std::set<std::string, std::less<>> names;
  for (const StoreOptions& store : options.stores) names.insert(store.name);
  if (options.stores.empty()) names.emplace(kDefaultStore);
  for (const auto& participant : options.participants) {
    if (participant == nullptr) return absl::InvalidArgumentError("engine: a participant is null");
    const std::string name(participant->name());
    if (name.empty()) return absl::InvalidArgumentError("engine: a participant's name is empty");
    if (name.find('\0') != std::string::npos) {
      return absl::InvalidArgumentError("engine: a participant's name holds a NUL");
    }
    if (name == kReservedStore) {
      return absl::InvalidArgumentError("engine: participant vouch: the name is reserved");
    }
    if (!names.insert(name).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("engine: participant ", name, ": another store has this name"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status GroupOptions::Validate() const {
  if (max_units < 1) {
    return absl::InvalidArgumentError(absl::StrCat("engine: group.max_units is ", max_units));
  }
  if (max_bytes < 1) {
    return absl::InvalidArgumentError(absl::StrCat("engine: group.max_bytes is ", max_bytes));
  }
  VOUCH_RETURN_IF_ERROR(NotNegative("engine: group.max_time", max_time));
  return NotNegative("engine: group.patience", patience);
}

absl::Status EngineOptions::Validate() const {
  if (path.empty()) return absl::InvalidArgumentError("engine: path is empty");
  if (max_readers < 1) {
    return absl::InvalidArgumentError(absl::StrCat("engine: max_readers is ", max_readers));
  }
  if (wall_clock == nullptr || steady_clock == nullptr) {
    return absl::InvalidArgumentError("engine: a clock is null");
  }
  VOUCH_RETURN_IF_ERROR(NotNegative("engine: unit_timeout", unit_timeout));
  VOUCH_RETURN_IF_ERROR(NotNegative("engine: busy_timeout", busy_timeout));
  VOUCH_RETURN_IF_ERROR(NotNegative("engine: record_failures_within", record_failures_within));
  VOUCH_RETURN_IF_ERROR(group.Validate());
  if (capture_bytes < 1) {
    return absl::InvalidArgumentError(absl::StrCat("engine: capture_bytes is ", capture_bytes));
  }
  for (const StoreOptions& store : stores) {
    if (!store.database.empty() && store.database != path) {
      return absl::UnimplementedError(absl::StrCat(
          "engine: store ", store.name, " is in ", store.database,
          ": a unit over several files would not be atomic; keep all stores in ", path));
    }
  }
  VOUCH_RETURN_IF_ERROR(CheckParticipants(*this));
  return retry.Validate();
}

absl::Status RunOptions::Validate() const {
  if (!uow_id.empty() && !IsUlid(uow_id)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "run: uow_id \"", uow_id,
        "\" is not a ULID (26 of 0-9 and A-Z without I, L, O, U; the first at most 7)"));
  }
  if (timeout.has_value()) VOUCH_RETURN_IF_ERROR(NotNegative("run: timeout", *timeout));
  return retry.has_value() ? retry->Validate() : absl::OkStatus();
}

}  // namespace vouch::uow
