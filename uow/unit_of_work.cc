#include "uow/unit_of_work.h"

#include <utility>

#include "uow/failure.h"
#include "uow/internal/attempt.h"

namespace vouch::uow {

void UnitOfWork::OnCommit(std::function<void()> hook) {
  attempt_.hooks().OnCommit(std::move(hook));
}

void UnitOfWork::OnRollback(std::function<void()> hook) {
  attempt_.hooks().OnRollback(std::move(hook));
}

absl::Status UnitOfWork::Track(std::string_view store, std::string_view record_id,
                               Operation operation, std::string_view payload) {
  return attempt_.Track(store, record_id, operation, payload);
}

absl::Status UnitOfWork::CheckVersion(std::int64_t expected, std::optional<std::int64_t> found) {
  if (found == expected) return absl::OkStatus();
  return VersionConflictError({.expected = expected, .found = found});
}

}  // namespace vouch::uow
