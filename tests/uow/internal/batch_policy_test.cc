#include "uow/internal/batch_policy.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vouch::uow {
namespace {

TEST(BatchPolicyTest, ABatchIsFullAtItsFirstBound) {
  const GroupOptions options{.max_units = 10, .max_bytes = 1000, .max_time = absl::Milliseconds(5)};
  const auto full = [&](int units, std::int64_t bytes, absl::Duration age) {
    return IsFull(options, {.units = units, .bytes = bytes, .age = age});
  };
  EXPECT_FALSE(full(0, 0, absl::ZeroDuration()));
  EXPECT_FALSE(full(9, 999, absl::Milliseconds(4)));
  EXPECT_TRUE(full(10, 0, absl::ZeroDuration()));
  EXPECT_TRUE(full(0, 1000, absl::ZeroDuration()));
  EXPECT_TRUE(full(0, 0, absl::Milliseconds(5)));
}

struct Case {
  Outcome outcome;
  Verdict verdict;
};

TEST(BatchPolicyTest, AUnitWithoutNeighboursIsKeptOrFails) {
  EXPECT_EQ(Judge({.ok = true}), Verdict::kKeep);
  EXPECT_EQ(Judge({.ok = true, .in_transaction = false}), Verdict::kFail);
  EXPECT_EQ(Judge({.changed_rows = true}), Verdict::kFail);
  EXPECT_EQ(Judge({.own_limit = true}), Verdict::kFail);
}

TEST(BatchPolicyTest, AmongNeighbours) {
  const std::vector<Case> cases = {
      {{.ok = true}, Verdict::kKeep},
      {{.ok = true, .has_savepoint = true}, Verdict::kKeep},
      // Nothing to undo: what a neighbour may have caused is told with it, the rest at once.
      {{}, Verdict::kKeep},
      {{.own_limit = true}, Verdict::kDrop},
      // Something to undo.
      {{.changed_rows = true}, Verdict::kReplay},
      {{.changed_rows = true, .has_savepoint = true}, Verdict::kUndo},
      {{.own_limit = true, .changed_rows = true}, Verdict::kReplayAndFail},
      {{.own_limit = true, .changed_rows = true, .has_savepoint = true}, Verdict::kUndo},
      // The transaction is gone, and the savepoint with it.
      {{.in_transaction = false}, Verdict::kReplayAlone},
      {{.ok = true, .in_transaction = false}, Verdict::kReplayAlone},
      {{.in_transaction = false, .changed_rows = true, .has_savepoint = true},
       Verdict::kReplayAlone},
      {{.own_limit = true, .in_transaction = false}, Verdict::kReplayAndFail},
      // Stopped for its neighbours' sake: its own answer is still to be found.
      {{.outstayed = true}, Verdict::kReplayAlone},
      {{.outstayed = true, .changed_rows = true, .has_savepoint = true}, Verdict::kReplayAlone},
  };
  for (std::size_t i = 0; i < cases.size(); ++i) {
    Outcome outcome = cases[i].outcome;
    outcome.has_neighbours = true;
    EXPECT_EQ(Judge(outcome), cases[i].verdict) << "case " << i;
  }
}

int BatchesWithSavepoints(SavepointPolicy& policy) {
  int batches = 0;
  for (; policy.use(); ++batches) policy.Committed(/*undid_any=*/false);
  return batches;
}

TEST(BatchPolicyTest, SavepointsAreUsedForAWhileAfterAFailure) {
  SavepointPolicy policy;
  EXPECT_FALSE(policy.use());
  policy.Committed(false);
  EXPECT_FALSE(policy.use());
  policy.Replayed();
  const int first = BatchesWithSavepoints(policy);
  EXPECT_GT(first, 0);
  policy.Replayed();
  EXPECT_EQ(BatchesWithSavepoints(policy), first) << "a quiet while makes up for it";
}

TEST(BatchPolicyTest, SavepointsStayWhileTheySaveReplays) {
  SavepointPolicy policy;
  policy.Replayed();
  for (int batch = 0; batch < 1000; ++batch) {
    policy.Committed(/*undid_any=*/batch % 10 == 0);
    ASSERT_TRUE(policy.use()) << batch;
  }
}

TEST(BatchPolicyTest, FailuresThatComeOftenMakeTheWhileLonger) {
  SavepointPolicy once;
  once.Replayed();
  SavepointPolicy twice;
  twice.Replayed();
  twice.Replayed();
  EXPECT_GT(BatchesWithSavepoints(twice), BatchesWithSavepoints(once));
}

}  // namespace
}  // namespace vouch::uow
