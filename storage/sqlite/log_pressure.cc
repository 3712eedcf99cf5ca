#include "storage/sqlite/log_pressure.h"

#include <algorithm>

namespace vouch::storage {

int LogLimits::PagesToNextAttempt(int log_pages) const {
  const int often = checkpoint_pages / 4 + 1;
  return log_pages < door_pages() ? often : std::min(often, budget_pages / 16 + 1);
}

LogAction DecideLogAction(const LogState& state, const LogLimits& limits) {
  LogAction action;
  if (state.log_pages < limits.checkpoint_pages) return action;
  const bool over = state.log_pages >= limits.budget_pages;
  const bool pressed = over && state.admitting;
  if (state.log_pages >= state.next_attempt_pages || state.reader_left || pressed) {
    const bool may_close =
        state.log_pages >= limits.door_pages() && state.since_door >= limits.door_rest();
    action.attempt = may_close ? CheckpointAttempt::kDoor : CheckpointAttempt::kTry;
  }
  action.stop_readers = state.hindered_for >= limits.reader_age_limit;
  if (!pressed) return action;
  const int excess = state.log_pages - limits.budget_pages;
  if (excess >= limits.budget_pages) {
    action.refuse = true;
  } else {
    action.slow_down = limits.slowest_write * (excess + 1) / limits.budget_pages;
  }
  return action;
}

}  // namespace vouch::storage
