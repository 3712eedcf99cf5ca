// Units that share a transaction: alone in their effects, together in their COMMIT.
//
// Method: a first unit holds the turn until the others stand in line behind it, in a known order;
// so they run in one batch, every time.

#include <atomic>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"
#include "tests/uow/audited.h"
#include "uow/engine.h"

namespace vouch::uow {
namespace {

using absl::StatusCode;
using test::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Result = absl::StatusOr<Receipt>;

storage::MigrationSet Schema() {
  return *storage::MigrationSet::FromSql(
      "t", {{.version = 1,
             .name = "t",
             .up = "CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT UNIQUE,"
                   " parent INTEGER REFERENCES t(id) DEFERRABLE INITIALLY DEFERRED)"}});
}

absl::Status Insert(UnitOfWork& unit, int id) {
  return unit.Execute("INSERT INTO t(id, x) VALUES (?1, ?2)", id, absl::StrCat("x", id));
}

class GroupCommitTest : public ::testing::Test {
 protected:
  using Function = std::function<absl::Status(UnitOfWork&)>;
  struct Work {
    RunOptions options = {};
    Function function;
  };

  void Open(GroupOptions group = {.max_time = absl::Seconds(60), .patience = absl::Seconds(60)}) {
    auto engine = Engine::Open(
        {.path = path_, .migrations = {Schema()}, .group = group, .retry = {.max_retries = 0}});
    ASSERT_OK(engine);
    engine_ = *std::move(engine);
  }

  void AwaitWaiting(std::int64_t count) {
    while (engine_->stats().waiting < count) std::this_thread::yield();
  }

  // Runs the units in this order, behind one that changes nothing; so the first of them has a
  // neighbour as well.
  std::vector<Result> RunTogether(const std::vector<Work>& works) {
    std::vector<Result> results(works.size(), absl::UnknownError(""));
    std::vector<std::jthread> threads;
    std::thread first([&] {
      EXPECT_OK(engine_->Run({}, [&](UnitOfWork&) {
        if (!threads.empty()) return absl::OkStatus();  // Run again.
        for (std::size_t i = 0; i < works.size(); ++i) {
          threads.emplace_back([&, i] {
            try {
              results[i] = engine_->Run(works[i].options, works[i].function);
            } catch (const std::runtime_error& error) {
              results[i] = absl::InternalError(error.what());
            }
          });
          AwaitWaiting(static_cast<std::int64_t>(i) + 1);
        }
        return absl::OkStatus();
      }));
    });
    first.join();
    threads.clear();
    return results;
  }

  std::string Ids() {
    auto reader = engine_->Read();
    EXPECT_OK(reader);
    auto ids = (*reader)->QueryValue<std::string>(
        "SELECT ifnull(group_concat(id), '') FROM (SELECT id FROM t ORDER BY id)");
    EXPECT_OK(ids);
    return *ids;
  }

  void TearDown() override {
    ASSERT_OK(engine_->Close(absl::InfiniteDuration()));
    ExpectAudited(path_);
  }

  test::TemporaryDirectory directory_;
  const std::string path_ = directory_.File("app.db");
  std::unique_ptr<Engine> engine_;
};

TEST_F(GroupCommitTest, UnitsThatWaitShareOneCommit) {
  Open();
  std::vector<Work> works;
  for (int id = 1; id <= 5; ++id) {
    works.push_back({.function = [id](UnitOfWork& unit) { return Insert(unit, id); }});
  }
  const std::vector<Result> results = RunTogether(works);
  for (std::size_t i = 0; i < results.size(); ++i) {
    ASSERT_OK(results[i]);
    EXPECT_EQ(results[i]->seq, static_cast<std::int64_t>(i) + 2) << "first in, first out";
    EXPECT_EQ(results[i]->writes, 1);
    EXPECT_EQ(results[i]->commit_time, results[0]->commit_time);
  }
  EXPECT_EQ(Ids(), "1,2,3,4,5");
  EXPECT_EQ(engine_->stats().batches, 1);
  EXPECT_EQ(engine_->stats().largest_batch, 6);
  EXPECT_EQ(engine_->stats().committed, 6);
}

TEST_F(GroupCommitTest, NobodyIsToldBeforeItIsStored) {
  Open();
  std::atomic<int> told = 0;
  std::vector<Work> works;
  for (int id = 1; id <= 3; ++id) {
    works.push_back({.function = [&, id](UnitOfWork& unit) {
      EXPECT_EQ(told.load(), 0);
      return Insert(unit, id);
    }});
  }
  std::vector<std::jthread> threads;
  ASSERT_OK(engine_->Run({}, [&](UnitOfWork&) {
    for (std::size_t i = 0; i < works.size(); ++i) {
      threads.emplace_back([&, i] {
        EXPECT_OK(engine_->Run({}, works[i].function));
        ++told;
        EXPECT_EQ(Ids(), "1,2,3") << "told before all of it was stored";
      });
      AwaitWaiting(static_cast<std::int64_t>(i) + 1);
    }
    return absl::OkStatus();
  }));
  threads.clear();
  EXPECT_EQ(told, 3);
}

TEST_F(GroupCommitTest, FunctionsRunOnTheirCallersThreadsUnlessTheySayOtherwise) {
  Open();
  std::thread::id own, any;
  std::thread::id ran_own, ran_any;
  std::vector<std::jthread> threads;
  ASSERT_OK(engine_->Run({}, [&](UnitOfWork&) {
    threads.emplace_back([&] {
      own = std::this_thread::get_id();
      EXPECT_OK(engine_->Run({}, [&](UnitOfWork& unit) {
        ran_own = std::this_thread::get_id();
        return Insert(unit, 1);
      }));
    });
    AwaitWaiting(1);
    threads.emplace_back([&] {
      any = std::this_thread::get_id();
      EXPECT_OK(engine_->Run({.any_thread = true}, [&](UnitOfWork& unit) {
        ran_any = std::this_thread::get_id();
        return Insert(unit, 2);
      }));
    });
    AwaitWaiting(2);
    return absl::OkStatus();
  }));
  threads.clear();
  EXPECT_EQ(ran_own, own);
  EXPECT_EQ(ran_any, own) << "the unit before it went on on the same thread";
  EXPECT_NE(any, own);
  EXPECT_EQ(engine_->stats().batches, 1);
}

// ---- Failures among neighbours --------------------------------------------------------------

TEST_F(GroupCommitTest, AFailedUnitLeavesNoTraceInItsNeighbours) {
  Open();
  std::atomic<int> calls = 0;
  const auto good = [&](int id) -> Work {
    return {.function = [&calls, id](UnitOfWork& unit) {
      ++calls;
      return Insert(unit, id);
    }};
  };
  const auto bad = [](int id) -> Work {
    return {.function = [id](UnitOfWork& unit) -> absl::Status {
      VOUCH_RETURN_IF_ERROR(Insert(unit, id));
      return Insert(unit, id);
    }};
  };
  std::vector<Result> results = RunTogether({good(1), bad(2), good(3)});
  EXPECT_OK(results[0]);
  EXPECT_THAT(results[1], StatusIs(StatusCode::kAlreadyExists));
  EXPECT_OK(results[2]);
  EXPECT_EQ(Ids(), "1,3");
  EXPECT_EQ(engine_->stats().replays, 1);
  EXPECT_EQ(calls, 3) << "who ran before the failure ran again, who ran after it did not";

  // From then on savepoints undo a failure: nobody runs twice.
  calls = 0;
  results = RunTogether({good(4), bad(5), good(6)});
  EXPECT_THAT(results[1], StatusIs(StatusCode::kAlreadyExists));
  EXPECT_EQ(Ids(), "1,3,4,6");
  EXPECT_EQ(engine_->stats().replays, 1);
  EXPECT_EQ(calls, 2);
}

TEST_F(GroupCommitTest, AFailureThatChangedNothingMakesNobodyRunAgain) {
  Open();
  const std::vector<Result> results = RunTogether(
      {{.function = [](UnitOfWork& unit) { return Insert(unit, 1); }},
       {.function = [](UnitOfWork&) { return absl::NotFoundError("no such customer"); }},
       {.function = [](UnitOfWork& unit) { return Insert(unit, 2); }}});
  EXPECT_THAT(results[1], StatusIs(StatusCode::kNotFound));
  EXPECT_EQ(Ids(), "1,2");
  EXPECT_EQ(engine_->stats().replays, 0);
  EXPECT_EQ(engine_->stats().rolled_back, 1);
}

// A failure that a neighbour caused is true only if the neighbour is stored.
TEST_F(GroupCommitTest, AFailureForANeighboursSakeIsToldWithTheNeighbour) {
  Open();
  std::atomic<bool> stored = false;
  std::vector<std::jthread> threads;
  ASSERT_OK(engine_->Run({}, [&](UnitOfWork&) {
    threads.emplace_back(
        [&] { EXPECT_OK(engine_->Run({}, [](UnitOfWork& unit) { return Insert(unit, 1); })); });
    AwaitWaiting(1);
    threads.emplace_back([&] {
      EXPECT_THAT(engine_->Run({}, [](UnitOfWork& unit) { return Insert(unit, 1); }),
                  StatusIs(StatusCode::kAlreadyExists));
      EXPECT_TRUE(stored);
    });
    AwaitWaiting(2);
    threads.emplace_back([&] {
      EXPECT_OK(engine_->Run({}, [&](UnitOfWork& unit) {
        stored = true;  // Not yet, but this is the last before COMMIT.
        return Insert(unit, 2);
      }));
    });
    AwaitWaiting(3);
    return absl::OkStatus();
  }));
  threads.clear();
  EXPECT_EQ(Ids(), "1,2");
}

TEST_F(GroupCommitTest, WhatEndsTheTransactionMakesTheOthersRunAgain) {
  Open();
  int calls = 0;
  const std::vector<Result> results =
      RunTogether({{.function = [](UnitOfWork& unit) { return Insert(unit, 1); }},
                   {.function =
                        [&](UnitOfWork& unit) {
                          ++calls;
                          return unit.Execute("INSERT OR ROLLBACK INTO t(id) VALUES (1)");
                        }},
                   {.function = [](UnitOfWork& unit) { return Insert(unit, 3); }}});
  EXPECT_OK(results[0]);
  EXPECT_THAT(results[1], StatusIs(StatusCode::kAlreadyExists));
  EXPECT_OK(results[2]);
  EXPECT_EQ(calls, 2) << "and it alone, after they were stored";
  EXPECT_EQ(Ids(), "1,3");
}

TEST_F(GroupCommitTest, AnExceptionTravelsToItsOwnCallerOnly) {
  Open();
  const std::vector<Result> results =
      RunTogether({{.function = [](UnitOfWork& unit) { return Insert(unit, 1); }},
                   {.function = [](UnitOfWork& unit) -> absl::Status {
                     EXPECT_OK(Insert(unit, 2));
                     throw std::runtime_error("its own");
                   }},
                   {.options = {.any_thread = true},
                    .function = [](UnitOfWork& unit) -> absl::Status {
                      EXPECT_OK(Insert(unit, 3));
                      throw std::runtime_error("run by another");
                    }},
                   {.function = [](UnitOfWork& unit) { return Insert(unit, 4); }}});
  EXPECT_OK(results[0]);
  EXPECT_THAT(results[1], StatusIs(StatusCode::kInternal, "its own"));
  EXPECT_THAT(results[2], StatusIs(StatusCode::kInternal, "run by another"));
  EXPECT_OK(results[3]);
  EXPECT_EQ(Ids(), "1,4");
}

TEST_F(GroupCommitTest, ADeferredForeignKeyFailsItsOwnUnit) {
  Open();
  const std::vector<Result> results =
      RunTogether({{.function = [](UnitOfWork& unit) { return Insert(unit, 1); }},
                   {.function =
                        [](UnitOfWork& unit) {
                          return unit.Execute("INSERT INTO t(id, parent) VALUES (2, 99)");
                        }},
                   // It would mend what its neighbour broke, were that still there.
                   {.function = [](UnitOfWork& unit) { return Insert(unit, 99); }}});
  EXPECT_OK(results[0]);
  EXPECT_THAT(results[1], StatusIs(StatusCode::kInvalidArgument, HasSubstr("FOREIGN KEY")));
  EXPECT_OK(results[2]);
  EXPECT_EQ(Ids(), "1,99");
}

TEST_F(GroupCommitTest, NothingThatAUnitKeepsReachesItsNeighbours) {
  Open();
  std::optional<storage::Savepoint> savepoint;
  storage::StatementPtr statement;
  const std::vector<Result> results =
      RunTogether({{.function = [&](UnitOfWork& unit) -> absl::Status {
                     VOUCH_RETURN_IF_ERROR(Insert(unit, 1));
                     VOUCH_ASSIGN_OR_RETURN(statement, unit.Prepare("SELECT id FROM t"));
                     return statement->Step().status();
                   }},
                   {.function = [&](UnitOfWork& unit) -> absl::Status {
                     VOUCH_ASSIGN_OR_RETURN(auto begun, unit.BeginSavepoint());
                     savepoint.emplace(std::move(begun));
                     return Insert(unit, 2);
                   }},
                   {.function = [&](UnitOfWork& unit) -> absl::Status {
                     EXPECT_THAT(statement->Step(), StatusIs(StatusCode::kFailedPrecondition));
                     return Insert(unit, 3);
                   }}});
  EXPECT_OK(results[0]);
  EXPECT_THAT(results[1], StatusIs(StatusCode::kFailedPrecondition, HasSubstr("savepoint")));
  EXPECT_OK(results[2]);
  savepoint.reset();
  EXPECT_EQ(Ids(), "1,3");
}

TEST_F(GroupCommitTest, TheSameIdTwiceInOneBatchRunsOnce) {
  Open();
  const std::string id = "01KAJ000000000000000000001";
  std::atomic<int> calls = 0;
  const Work work{.options = {.uow_id = id}, .function = [&](UnitOfWork& unit) {
                    ++calls;
                    return Insert(unit, 1);
                  }};
  const std::vector<Result> results = RunTogether({work, work});
  ASSERT_OK(results[0]);
  ASSERT_OK(results[1]);
  EXPECT_EQ(calls, 1);
  EXPECT_FALSE(results[0]->was_duplicate);
  EXPECT_TRUE(results[1]->was_duplicate);
  EXPECT_EQ(results[0]->hash, results[1]->hash);
}

// Rolled back is what its function wished; whatever else stops a unit is a failure, at whatever
// moment it does.
TEST_F(GroupCommitTest, OnlyTheFunctionsOwnErrorIsARollback) {
  Open();
  std::stop_source stopped;
  stopped.request_stop();
  std::optional<storage::Savepoint> savepoint;
  const std::vector<Work> works = {{.options = {.stop = stopped.get_token()},
                                    .function = [](UnitOfWork& unit) { return Insert(unit, 1); }},
                                   {.function = [&](UnitOfWork& unit) -> absl::Status {
                                     VOUCH_ASSIGN_OR_RETURN(auto begun, unit.BeginSavepoint());
                                     savepoint.emplace(std::move(begun));
                                     return Insert(unit, 2);
                                   }}};
  EXPECT_THAT(engine_->Run(works[0].options, works[0].function), StatusIs(StatusCode::kCancelled));
  EXPECT_THAT(engine_->Run({}, works[1].function), StatusIs(StatusCode::kFailedPrecondition));
  savepoint.reset();
  EXPECT_THAT(RunTogether({works[1]})[0], StatusIs(StatusCode::kFailedPrecondition));
  savepoint.reset();
  std::stop_source later;
  EXPECT_THAT(engine_->Run({.stop = later.get_token()},
                           [&](UnitOfWork& unit) {
                             later.request_stop();
                             return Insert(unit, 3);
                           }),
              StatusIs(StatusCode::kCancelled));
  EXPECT_EQ(engine_->stats().failed, 4);
  EXPECT_EQ(engine_->stats().rolled_back, 0);
  EXPECT_THAT(engine_->Run({}, [](UnitOfWork&) { return absl::CancelledError("no, after all"); }),
              StatusIs(StatusCode::kCancelled));
  EXPECT_EQ(engine_->stats().rolled_back, 1);
}

// ---- Time -----------------------------------------------------------------------------------

// The first time it would go on for ever, and the others' COMMIT waits for it.
TEST_F(GroupCommitTest, AUnitThatKeepsOthersFromTheirCommitIsRunAlone) {
  Open({.max_time = absl::Seconds(60), .patience = absl::Milliseconds(20)});
  int calls = 0;
  const std::vector<Result> results =
      RunTogether({{.function = [](UnitOfWork& unit) { return Insert(unit, 1); }},
                   {.function = [&](UnitOfWork& unit) -> absl::Status {
                     VOUCH_RETURN_IF_ERROR(Insert(unit, 2));
                     if (++calls > 1) {
                       EXPECT_EQ(Ids(), "1") << "its neighbour was stored without it";
                       return absl::OkStatus();
                     }
                     return unit.Execute(
                         "INSERT INTO t(x) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
                         " SELECT i + 1 FROM n) SELECT i FROM n");
                   }},
                   {.function = [](UnitOfWork& unit) { return Insert(unit, 3); }}});
  for (const Result& result : results) EXPECT_OK(result);
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(Ids(), "1,2,3");
  EXPECT_LT(results[1]->seq, results[2]->seq) << "it kept its place";
}

TEST_F(GroupCommitTest, WaitingEndsAtItsDeadlineAndNamesWhoHasTheTurn) {
  Open();
  ASSERT_OK(engine_->Run({}, [&](UnitOfWork&) {
    std::thread([&] {
      EXPECT_THAT(engine_->Run({.timeout = absl::Milliseconds(5)},
                               [](UnitOfWork&) -> absl::Status {
                                 ADD_FAILURE() << "ran";
                                 return absl::OkStatus();
                               }),
                  StatusIs(StatusCode::kDeadlineExceeded,
                           AllOf(HasSubstr("waiting"), HasSubstr("group_commit_test.cc"))));
    }).join();
    return absl::OkStatus();
  }));
  EXPECT_EQ(engine_->stats().failed, 1);
}

TEST_F(GroupCommitTest, WaitingEndsWhenItIsCancelled) {
  Open();
  std::stop_source stop;
  ASSERT_OK(engine_->Run({}, [&](UnitOfWork&) {
    std::thread waiter([&] {
      EXPECT_THAT(engine_->Run({.stop = stop.get_token()},
                               [](UnitOfWork&) -> absl::Status {
                                 ADD_FAILURE() << "ran";
                                 return absl::OkStatus();
                               }),
                  StatusIs(StatusCode::kCancelled));
    });
    AwaitWaiting(1);
    stop.request_stop();
    waiter.join();
    return absl::OkStatus();
  }));
}

TEST_F(GroupCommitTest, AUnitThatHasRunIsNotCancelledAnyMore) {
  Open();
  std::stop_source stop;
  const std::vector<Result> results =
      RunTogether({{.options = {.stop = stop.get_token()},
                    .function = [](UnitOfWork& unit) { return Insert(unit, 1); }},
                   {.function =
                        [&](UnitOfWork& unit) {
                          stop.request_stop();
                          return Insert(unit, 2);
                        }},
                   {.options = {.stop = stop.get_token()},
                    .function = [](UnitOfWork& unit) { return Insert(unit, 3); }}});
  EXPECT_OK(results[0]);
  EXPECT_OK(results[1]);
  EXPECT_THAT(results[2], StatusIs(StatusCode::kCancelled));
  EXPECT_EQ(Ids(), "1,2");
}

// ---- Bounds ---------------------------------------------------------------------------------

TEST_F(GroupCommitTest, ABatchIsBounded) {
  Open({.max_units = 2, .max_time = absl::Seconds(60), .patience = absl::Seconds(60)});
  std::vector<Work> works;
  for (int id = 1; id <= 5; ++id) {
    works.push_back({.function = [id](UnitOfWork& unit) { return Insert(unit, id); }});
  }
  for (const Result& result : RunTogether(works)) EXPECT_OK(result);
  EXPECT_EQ(engine_->stats().largest_batch, 2);
  EXPECT_EQ(engine_->stats().batches, 3);
  EXPECT_EQ(Ids(), "1,2,3,4,5");
}

TEST_F(GroupCommitTest, WithoutGroupingEachUnitHasItsOwnCommit) {
  Open({.enabled = false});
  std::vector<Work> works;
  for (int id = 1; id <= 3; ++id) {
    works.push_back({.function = [id](UnitOfWork& unit) { return Insert(unit, id); }});
  }
  for (const Result& result : RunTogether(works)) EXPECT_OK(result);
  EXPECT_EQ(engine_->stats().batches, 4);
}

TEST_F(GroupCommitTest, AUnitThatAsksForItIsAlone) {
  Open();
  const auto insert = [](int id, bool alone) -> Work {
    return {.options = {.alone = alone},
            .function = [id](UnitOfWork& unit) { return Insert(unit, id); }};
  };
  const std::vector<Result> results =
      RunTogether({insert(1, false), insert(2, true), insert(3, false)});
  for (const Result& result : results) EXPECT_OK(result);
  EXPECT_EQ(engine_->stats().batches, 3) << "two, one, one";
  EXPECT_LT(results[0]->seq, results[1]->seq);
  EXPECT_LT(results[1]->seq, results[2]->seq);
}

TEST_F(GroupCommitTest, OptionsAreChecked) {
  Open();
  for (const GroupOptions& group :
       {GroupOptions{.max_units = 0}, GroupOptions{.max_bytes = 0},
        GroupOptions{.max_time = -absl::Seconds(1)}, GroupOptions{.patience = -absl::Seconds(1)}}) {
    EXPECT_THAT(Engine::Open({.path = directory_.File("other.db"), .group = group}).status(),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("group.")));
  }
}

}  // namespace
}  // namespace vouch::uow
