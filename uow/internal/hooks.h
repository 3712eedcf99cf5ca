// Hooks: what the function of a unit asked to be called once the unit's outcome is durable.
//
// Each attempt begins with none: only those of the attempt that counted are called. They are called
// in the order of their registration and once; what one throws is told in the log and changes
// nothing, neither for the unit nor for those after it.
//
// Thread safety: one thread at a time.

#ifndef VOUCH_UOW_INTERNAL_HOOKS_H_
#define VOUCH_UOW_INTERNAL_HOOKS_H_

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace vouch::uow {

class Hooks {
 public:
  using Hook = std::function<void()>;

  void OnCommit(Hook hook) { on_commit_.push_back(std::move(hook)); }
  void OnRollback(Hook hook) { on_rollback_.push_back(std::move(hook)); }

  // Forgets all, for the next attempt.
  void Discard();

  // Calls the ones or the others, and forgets all. Returns what was thrown, in words.
  std::vector<std::string> Run(bool committed);

 private:
  std::vector<Hook> on_commit_;
  std::vector<Hook> on_rollback_;
};

}  // namespace vouch::uow

#endif  // VOUCH_UOW_INTERNAL_HOOKS_H_
