// Hooks are called once the outcome is durable, and only those of the attempt that counted. A hook
// called too early would see the writer taken or the row not there; one of a discarded attempt would
// be counted twice.

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"
#include "uow/engine.h"

namespace vouch::uow {
namespace {

using test::StatusIs;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class HooksTest : public ::testing::Test {
 protected:
  std::unique_ptr<Engine> Open() {
    auto engine =
        Engine::Open({.path = directory_.File("app.db"),
                      .migrations = {*storage::MigrationSet::FromSql(
                          "t", {{.version = 1,
                                 .name = "t",
                                 .up = "CREATE TABLE t(id INTEGER PRIMARY KEY, x UNIQUE)",
                                 .down = "DROP TABLE t"}})},
                      // However slow the machine, who waits gets into the batch.
                      .group = {.max_time = absl::Seconds(60), .patience = absl::Seconds(60)},
                      .retry = {.first_delay = absl::Milliseconds(1)},
                      .log = [this](LogLevel, std::string_view line) { log_.emplace_back(line); }});
    EXPECT_OK(engine);
    return *std::move(engine);
  }

  std::function<void()> Note(const std::string& what) {
    return [this, what] { calls_.push_back(what); };
  }
  void RegisterBoth(UnitOfWork& unit) {
    unit.OnCommit(Note("committed"));
    unit.OnRollback(Note("rolled back"));
  }

  test::TemporaryDirectory directory_;
  std::vector<std::string> calls_;
  std::vector<std::string> log_;
};

absl::Status Insert(UnitOfWork& unit, int x) {
  return unit.Execute("INSERT INTO t(x) VALUES (?1)", x);
}

TEST_F(HooksTest, AreCalledInOrderOnTheCallersThreadOnceTheUnitIsStored) {
  auto engine = Open();
  const auto here = std::this_thread::get_id();
  for (const bool any_thread : {false, true}) {
    calls_.clear();
    ASSERT_OK(engine->Run({.any_thread = any_thread}, [&](UnitOfWork& unit) {
      unit.OnCommit([&] {
        EXPECT_EQ(std::this_thread::get_id(), here);
        auto reader = engine->Read();
        ASSERT_OK(reader);
        EXPECT_THAT((*reader)->QueryValue<int>("SELECT count(*) FROM t WHERE x = ?1", any_thread),
                    test::IsOkAndHolds(1));
        calls_.push_back("first");
      });
      unit.OnRollback(Note("rolled back"));
      unit.OnCommit(Note("second"));
      return Insert(unit, any_thread);
    }));
    EXPECT_THAT(calls_, ElementsAre("first", "second"));
  }
}

TEST_F(HooksTest, ARolledBackAndAThrowingUnitCallTheOthers) {
  auto engine = Open();
  EXPECT_THAT(engine->Run({},
                          [&](UnitOfWork& unit) {
                            RegisterBoth(unit);
                            return absl::CancelledError("no");
                          }),
              StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT(calls_, ElementsAre("rolled back"));
  EXPECT_THROW((void)engine->Run({},
                                 [&](UnitOfWork& unit) -> absl::Status {
                                   RegisterBoth(unit);
                                   throw std::runtime_error("no");
                                 }),
               std::runtime_error);
  EXPECT_THAT(calls_, ElementsAre("rolled back", "rolled back"));
}

TEST_F(HooksTest, MayBeginUnitsAndTheirExceptionsOnlyReachTheLog) {
  auto engine = Open();
  const auto nested = [&](int x) {
    return [&, x] {
      EXPECT_OK(engine->Run({}, [&](UnitOfWork& unit) { return Insert(unit, x); }));
      throw std::runtime_error("hook trouble");
    };
  };
  ASSERT_OK(engine->Run({}, [&](UnitOfWork& unit) {
    unit.OnCommit(nested(2));
    unit.OnCommit(Note("the next"));
    // Within the unit it is still refused.
    EXPECT_THAT(engine->Run({}, [](UnitOfWork&) { return absl::OkStatus(); }),
                StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("called within unit")));
    return Insert(unit, 1);
  }));
  EXPECT_FALSE(engine
                   ->Run({},
                         [&](UnitOfWork& unit) {
                           unit.OnRollback(nested(3));
                           return Insert(unit, 1);
                         })
                   .ok());
  EXPECT_THAT(calls_, ElementsAre("the next"));
  EXPECT_THAT(log_, Contains(HasSubstr("threw: hook trouble")).Times(2));
  EXPECT_EQ(engine->stats().committed, 3);
}

TEST_F(HooksTest, ARetryDiscardsThoseOfTheAttemptBefore) {
  auto engine = Open();
  ASSERT_OK(engine->Run({}, [&](UnitOfWork& unit) -> absl::Status {
    RegisterBoth(unit);
    return unit.retries() < 2 ? absl::AbortedError("again") : Insert(unit, 1);
  }));
  EXPECT_THAT(calls_, ElementsAre("committed"));
}

// A batch is opened by a unit that waits until its neighbour is in line; the neighbour's failure has
// both run again.
TEST_F(HooksTest, AReplayDiscardsThoseOfTheAttemptBefore) {
  auto engine = Open();
  ASSERT_OK(engine->Run({}, [](UnitOfWork& unit) { return Insert(unit, 7); }));
  std::atomic<bool> inside = false;
  std::vector<std::string> others;
  std::jthread neighbour([&] {
    inside.wait(false);
    EXPECT_THAT(engine->Run({},
                            [&](UnitOfWork& unit) -> absl::Status {
                              unit.OnCommit([&] { others.emplace_back("committed"); });
                              unit.OnRollback([&] { others.emplace_back("rolled back"); });
                              VOUCH_RETURN_IF_ERROR(Insert(unit, 2));
                              return Insert(unit, 7);
                            }),
                StatusIs(absl::StatusCode::kAlreadyExists));
  });
  int runs = 0;
  ASSERT_OK(engine->Run({}, [&](UnitOfWork& unit) {
    ++runs;
    RegisterBoth(unit);
    inside = true;
    inside.notify_all();
    while (runs == 1 && engine->stats().waiting == 0) std::this_thread::yield();
    return Insert(unit, 1);
  }));
  neighbour.join();
  EXPECT_EQ(runs, 2);
  EXPECT_THAT(calls_, ElementsAre("committed"));
  EXPECT_THAT(others, ElementsAre("rolled back"));
}

TEST_F(HooksTest, ADuplicateCallsNone) {
  auto engine = Open();
  const RunOptions options{.uow_id = "01KAJ000000000000000000001"};
  const auto function = [&](UnitOfWork& unit) {
    RegisterBoth(unit);
    return Insert(unit, 1);
  };
  ASSERT_OK(engine->Run(options, function));
  ASSERT_OK_AND_ASSIGN(const Receipt again, engine->Run(options, function));
  EXPECT_TRUE(again.was_duplicate);
  EXPECT_THAT(calls_, ElementsAre("committed"));
}

TEST_F(HooksTest, InteractiveUnitsCallThemHoweverTheyEnd) {
  auto engine = Open();
  const auto begin = [&]() {
    auto unit = engine->Begin({});
    EXPECT_OK(unit);
    RegisterBoth(**unit);
    return *std::move(unit);
  };
  {
    InteractiveUnit unit = begin();
    // The writer is free by then.
    unit->OnCommit(
        [&] { EXPECT_OK(engine->Run({}, [](UnitOfWork& inner) { return Insert(inner, 1); })); });
    ASSERT_OK(unit.Commit());
    EXPECT_THAT(calls_, ElementsAre("committed"));
    EXPECT_THAT(unit.Commit(), StatusIs(absl::StatusCode::kFailedPrecondition));
    EXPECT_THAT(calls_, ElementsAre("committed"));
  }
  calls_.clear();
  {
    InteractiveUnit unit = begin();
    ASSERT_OK(unit.Rollback());
  }
  EXPECT_THAT(calls_, ElementsAre("rolled back"));
  { InteractiveUnit unit = begin(); }
  EXPECT_THAT(calls_, ElementsAre("rolled back", "rolled back"));
  EXPECT_THAT(log_, Not(Contains(HasSubstr("threw"))));
}

}  // namespace
}  // namespace vouch::uow
