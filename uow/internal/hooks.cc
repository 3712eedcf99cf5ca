#include "uow/internal/hooks.h"

#include <exception>

namespace vouch::uow {

void Hooks::Discard() {
  on_commit_.clear();
  on_rollback_.clear();
}

std::vector<std::string> Hooks::Run(bool committed) {
  const std::vector<Hook> hooks = std::move(committed ? on_commit_ : on_rollback_);
  Discard();
  std::vector<std::string> thrown;
  for (const Hook& hook : hooks) {
    try {
      hook();
    } catch (const std::exception& exception) {
      thrown.emplace_back(exception.what());
    } catch (...) {
      thrown.emplace_back("something that is no std::exception");
    }
  }
  return thrown;
}

}  // namespace vouch::uow
