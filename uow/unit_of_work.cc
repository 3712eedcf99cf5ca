#include "uow/unit_of_work.h"

#include <utility>

#include "uow/internal/attempt.h"

namespace vouch::uow {

void UnitOfWork::OnCommit(std::function<void()> hook) {
  attempt_.hooks().OnCommit(std::move(hook));
}

void UnitOfWork::OnRollback(std::function<void()> hook) {
  attempt_.hooks().OnRollback(std::move(hook));
}

}  // namespace vouch::uow
