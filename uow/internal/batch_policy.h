// When a batch of units is closed, and what becomes of each unit in it: pure decisions.
//
// A batch is a transaction that several units share (uow/internal/group_commit.h). Each must be
// alone in its effects, so one that fails has to be undone without its neighbours. A savepoint
// around each unit can do that, and costs half as much as the unit; without one, what can be undone
// is the whole batch, and the others are run again. So savepoints are used only for a while after a
// batch had to be run again.
//
// Thread safety: pure functions; SavepointPolicy belongs to who has the writer.

#ifndef VOUCH_UOW_INTERNAL_BATCH_POLICY_H_
#define VOUCH_UOW_INTERNAL_BATCH_POLICY_H_

#include <cstdint>

#include "absl/time/time.h"
#include "uow/options.h"

namespace vouch::uow {

// What a batch holds so far.
struct BatchSize {
  int units = 0;
  std::int64_t bytes = 0;  // Written, as the units' receipts count them.
  absl::Duration age = {};
};

// Whether no further unit is let in.
bool IsFull(const GroupOptions& options, const BatchSize& size);

// How one unit's turn went.
struct Outcome {
  bool ok = false;              // Its function was content and its receipt is appended.
  bool own_limit = false;       // It failed for its own deadline or stop token, whatever the data.
  bool outstayed = false;       // It was stopped because neighbours waited for its COMMIT.
  bool in_transaction = true;   // The database still has the transaction.
  bool changed_rows = false;    // It may have changed some; a failed statement may have, and not.
  bool has_neighbours = false;  // Others have run in this transaction before it.
  bool has_savepoint = false;
};

// A failure that may come from what a neighbour did is told only when that is stored, for until
// then nothing has happened. One that its own deadline caused, or without neighbours, is told at
// once.
enum class Verdict {
  kKeep,           // It stays in the batch, and is told with the others.
  kUndo,           // The same, once its savepoint is rolled back.
  kDrop,           // There is nothing to undo; told at once.
  kFail,           // The transaction, which is its own, is rolled back; told at once.
  kReplay,         // All is rolled back; the others run again and then it, with savepoints.
  kReplayAlone,    // All is rolled back; the others run again, and it alone after they are stored.
  kReplayAndFail,  // All is rolled back; the others run again, it is told at once.
};

Verdict Judge(const Outcome& outcome);

// Says whether units get savepoints: from a failure on, for as many batches as make up for the one
// that had to be run again; after each further one for longer.
class SavepointPolicy {
 public:
  bool use() const { return batches_left_ > 0; }
  void Replayed();                 // A failure made a batch run again.
  void Committed(bool undid_any);  // A batch is stored, with or without failures in it.

 private:
  static constexpr int kFirst = 16;
  static constexpr int kMost = 1024;

  int batches_left_ = 0;
  int next_ = kFirst;
};

}  // namespace vouch::uow

#endif  // VOUCH_UOW_INTERNAL_BATCH_POLICY_H_
