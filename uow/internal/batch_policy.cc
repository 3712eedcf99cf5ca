#include "uow/internal/batch_policy.h"

#include <algorithm>

namespace vouch::uow {

bool IsFull(const GroupOptions& options, const BatchSize& size) {
  return size.units >= options.max_units || size.bytes >= options.max_bytes ||
         size.age >= options.max_time;
}

Verdict Judge(const Outcome& outcome) {
  if (!outcome.has_neighbours) {
    return outcome.ok && outcome.in_transaction ? Verdict::kKeep : Verdict::kFail;
  }
  if (!outcome.in_transaction || outcome.outstayed) {
    return outcome.own_limit ? Verdict::kReplayAndFail : Verdict::kReplayAlone;
  }
  if (outcome.ok) return Verdict::kKeep;
  if (!outcome.changed_rows) return outcome.own_limit ? Verdict::kDrop : Verdict::kKeep;
  if (outcome.has_savepoint) return Verdict::kUndo;
  return outcome.own_limit ? Verdict::kReplayAndFail : Verdict::kReplay;
}

void SavepointPolicy::Replayed() {
  batches_left_ = next_;
  next_ = std::min(2 * next_, kMost);
}

void SavepointPolicy::Committed(bool undid_any) {
  if (batches_left_ == 0) return;
  // Each failure that a savepoint saved from a replay shows that they are still worth it.
  if (undid_any) {
    batches_left_ = std::max(batches_left_, kFirst);
    return;
  }
  if (--batches_left_ == 0) next_ = kFirst;
}

}  // namespace vouch::uow
