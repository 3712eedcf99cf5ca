#include "uow/internal/participation.h"

#include <algorithm>
#include <chrono>
#include <exception>

#include "absl/strings/str_cat.h"
#include "storage/error.h"

namespace vouch::uow {
namespace {

using std::chrono::steady_clock;

// Has the unit's policy run it again where the participant says that this may help.
absl::Status Retryable(absl::Status status) {
  if (!absl::IsUnavailable(status) || storage::NativeCode(status).has_value()) return status;
  return absl::AbortedError(status.message());
}

}  // namespace

Participation::Participation(std::span<const std::shared_ptr<StoreParticipant>> participants) {
  parts_.reserve(participants.size());
  for (const auto& participant : participants) parts_.push_back({.store = participant.get()});
}

absl::Status Participation::Call(Part& part, absl::Duration& time, std::string_view operation,
                                 absl::FunctionRef<absl::Status()> call) {
  const auto before = steady_clock::now();
  absl::Status status;
  try {
    status = call();
  } catch (const std::exception& exception) {
    status = absl::InternalError(absl::StrCat("threw an exception: ", exception.what()));
  } catch (...) {
    status = absl::InternalError("threw an exception");
  }
  time += absl::FromChrono(steady_clock::now() - before);
  if (status.ok()) return status;
  part.error = std::string(status.message());
  std::string prefix(operation);
  prefix.append(": ").append(part.store->name()).append(": ");
  return storage::Annotate(status, prefix);
}

absl::Status Participation::Begin(UnitOfWork& unit) {
  for (Part& part : parts_) part = {.store = part.store};
  failed_store_.clear();
  for (Part& part : parts_) {
    absl::Status status = Call(part, part.begin, "begin: Store begin failed", [&] {
      absl::Status valid = part.store->Validate(unit);
      if (!valid.ok()) return valid;
      part.is_begun = true;  // Also one that fails half-way is rolled back.
      return part.store->Begin(unit);
    });
    if (status.ok()) continue;
    failed_store_ = std::string(part.store->name());
    return Retryable(std::move(status));
  }
  return absl::OkStatus();
}

absl::Status Participation::Validate(UnitOfWork& unit) {
  for (Part& part : parts_) {
    absl::Status status = Call(part, part.commit, "commit: Store commit failed",
                               [&] { return part.store->Validate(unit); });
    if (status.ok()) continue;
    failed_store_ = std::string(part.store->name());
    return Retryable(std::move(status));
  }
  return absl::OkStatus();
}

std::vector<std::string> Participation::Commit(const Receipt& receipt) {
  std::vector<std::string> errors;
  for (Part& part : parts_) {
    const absl::Status status = Call(part, part.commit, "Store commit failed", [&] {
      absl::Status committed = part.store->Commit(receipt);
      part.bytes = part.store->TransactionSize();
      return committed;
    });
    part.is_begun = false;
    if (!status.ok()) errors.emplace_back(status.message());
  }
  return errors;
}

std::vector<std::string> Participation::Rollback(std::string_view uow_id) {
  std::vector<std::string> errors;
  for (auto part = parts_.rbegin(); part != parts_.rend(); ++part) {
    if (!part->is_begun) continue;
    part->is_begun = false;
    const absl::Status status = Call(*part, part->rollback, "Store rollback failed",
                                     [&] { return part->store->Rollback(uow_id); });
    if (!status.ok()) errors.emplace_back(status.message());
  }
  return errors;
}

void Participation::AddTo(TransactionSummary& summary) const {
  for (const Part& part : parts_) {
    const std::string name(part.store->name());
    auto found = std::find_if(summary.stores.begin(), summary.stores.end(),
                              [&](const StoreMetrics& store) { return store.store == name; });
    if (found == summary.stores.end()) {
      found = summary.stores.insert(
          std::find_if(summary.stores.begin(), summary.stores.end(),
                       [&](const StoreMetrics& store) { return store.store > name; }),
          {.store = name,
           .units = 1,
           .retries = summary.retries,
           .total_time = summary.total_duration});
    }
    found->begin_time = part.begin;
    found->commit_time = part.commit;
    found->rollback_time = part.rollback;
    if (part.bytes > 0) found->size_bytes = part.bytes;
    if (part.error.empty()) continue;
    found->error_count = 1;
    found->last_error = part.error;
    if (summary.last_error.empty()) summary.last_error = part.error;
  }
}

void LogStoreErrors(const EngineOptions& options, const std::string& uow_id,
                    const std::vector<std::string>& errors) {
  if (!options.log) return;
  for (const std::string& error : errors) {
    options.log(LogLevel::kError, absl::StrCat("unit ", uow_id, ": ", error));
  }
}

}  // namespace vouch::uow
