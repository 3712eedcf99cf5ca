// Property: a unit whose COMMIT was sent and not answered is in the ledger exactly once, as what it
//   is: committed or failed.
// Method: calls to the file system fail from the COMMIT's sync on, once or for good, until the disk
//   is good again. What a crash would bring back of the log is brought back by spoiling the index of
//   it, for which SQLite reads it anew.
// Failure: two rows of one unit, or none.

#include <fstream>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/sqlite/connection.h"
#include "tests/support/fault_vfs.h"
#include "tests/support/power_loss.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"
#include "tests/uow/audited.h"
#include "uow/engine.h"

namespace vouch::uow {
namespace {

using absl::StatusCode;
using test::FaultVfs;
using test::IoCall;
using test::StatusIs;
using ::testing::HasSubstr;

constexpr char kFirst[] = "01KAJ000000000000000000001";
constexpr char kSecond[] = "01KAJ000000000000000000002";

absl::Status Insert(UnitOfWork& unit, int id) {
  return unit.Execute("INSERT INTO t(id) VALUES (?1)", id);
}

class LostCommitTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(); }

  void Open(int max_retries = 0) {
    auto engine = Engine::Open(
        {.path = path_,
         .migrations = {*storage::MigrationSet::FromSql(
             "t", {{.version = 1, .name = "t", .up = "CREATE TABLE t(id INTEGER PRIMARY KEY)"}})},
         .record_failures_within = absl::ZeroDuration(),  // No thread that comes in between.
         .retry = {.max_retries = max_retries, .first_delay = absl::ZeroDuration()}});
    ASSERT_OK(engine);
    engine_ = *std::move(engine);
  }

  void Close() {
    EXPECT_OK(engine_->Close(absl::Seconds(10)));
    engine_.reset();
  }

  // The sync of the next COMMIT fails, and with `sticky` all after it. With `spreads` all other calls
  // as well, so that what was written is not overwritten.
  void FailSync(bool sticky, bool spreads = false) {
    vfs_.Arm({.at = 1, .sticky = sticky, .call = IoCall::kSync, .spreads = spreads});
  }

  // Leaves a unit in doubt, and the disk good again.
  void Doubt(bool spreads) {
    FailSync(/*sticky=*/true, spreads);
    EXPECT_THAT(Run(kFirst, 1), StatusIs(StatusCode::kUnknown));
    EXPECT_EQ(engine_->stats().in_doubt, 1);
    vfs_.Disarm();
  }

  // As the first to open the file after a crash would have it: what is whole in the log is there.
  void ReadLogAnew() {
    std::fstream index(path_ + "-shm", std::ios::in | std::ios::out | std::ios::binary);
    index << std::string(96, '\0');  // Both copies of its header.
    ASSERT_TRUE(index.flush().good());
  }

  absl::Status Run(const std::string& id, int row) {
    return engine_->Run({.uow_id = id}, [&](UnitOfWork& unit) { return Insert(unit, row); })
        .status();
  }

  // What the ledger says of a unit, in order, and the table's rows.
  std::string StatusesOf(const std::string& id) {
    return Query(
        "SELECT ifnull(group_concat(status), '')"
        " FROM (SELECT status FROM unit_of_work WHERE uow_id = '" +
        id + "' ORDER BY seq)");
  }
  std::string Rows() {
    return Query("SELECT ifnull(group_concat(id), '') FROM (SELECT id FROM t ORDER BY id)");
  }
  std::string Query(const std::string& sql) {
    auto reader = storage::SqliteConnection::Open({.path = path_});
    EXPECT_OK(reader);
    auto text = (*reader)->QueryValue<std::string>(sql);
    EXPECT_OK(text);
    return text.value_or("");
  }

  void TearDown() override {
    vfs_.Disarm();
    if (engine_ != nullptr) Close();
    ExpectAudited(path_);
  }

  FaultVfs vfs_;
  test::TemporaryDirectory directory_;
  const std::string path_ = directory_.File("app.db");
  std::unique_ptr<Engine> engine_;
};

// ---- Settled at once ------------------------------------------------------------------------

TEST_F(LostCommitTest, AUnitThatIsSettledIsRecordedOnce) {
  FailSync(/*sticky=*/false);
  EXPECT_THAT(Run(kFirst, 1), StatusIs(StatusCode::kAborted));
  EXPECT_EQ(engine_->stats().failed, 1);
  EXPECT_EQ(engine_->stats().unrecorded, 0);
  Close();
  EXPECT_EQ(StatusesOf(kFirst), "failed");
  EXPECT_EQ(Rows(), "");
}

TEST_F(LostCommitTest, SoIsAnInteractiveOne) {
  ASSERT_OK_AND_ASSIGN(InteractiveUnit unit, engine_->Begin({.uow_id = kFirst}));
  ASSERT_OK(Insert(*unit, 1));
  FailSync(/*sticky=*/false);
  EXPECT_THAT(unit.Commit(), StatusIs(StatusCode::kAborted));
  Close();
  EXPECT_EQ(StatusesOf(kFirst), "failed");
  EXPECT_EQ(Rows(), "");
}

// The failure was the first attempt's; the second has a row of its own.
TEST_F(LostCommitTest, OneThatIsTriedAgainIsStored) {
  Close();
  Open(/*max_retries=*/1);
  FailSync(/*sticky=*/false);
  EXPECT_OK(Run(kFirst, 1));
  Close();
  EXPECT_EQ(StatusesOf(kFirst), "failed,committed");
  EXPECT_EQ(Rows(), "1");
}

// ---- In doubt -------------------------------------------------------------------------------

TEST_F(LostCommitTest, NothingRunsUntilTheDiskIsGoodAgain) {
  FailSync(/*sticky=*/true);
  EXPECT_THAT(Run(kFirst, 1), StatusIs(StatusCode::kUnknown));
  EXPECT_EQ(engine_->stats().unrecorded, 0);
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(engine_->Run({},
                             [](UnitOfWork&) -> absl::Status {
                               ADD_FAILURE() << "ran";
                               return absl::OkStatus();
                             }),
                StatusIs(StatusCode::kFailedPrecondition, HasSubstr("unknown")));
    EXPECT_THAT(engine_->Begin({}).status(), StatusIs(StatusCode::kFailedPrecondition));
  }
  EXPECT_EQ(engine_->stats().in_doubt, 1);
  vfs_.Disarm();
  EXPECT_OK(Run(kSecond, 2));
  EXPECT_EQ(engine_->stats().in_doubt, 0);
  EXPECT_EQ(engine_->stats().unrecorded, 0);
  EXPECT_EQ(StatusesOf(kFirst), "failed");
  EXPECT_EQ(StatusesOf(kSecond), "committed");
  EXPECT_EQ(Rows(), "2");
}

TEST_F(LostCommitTest, AnInteractiveUnitEndsTheDoubtAsWell) {
  Doubt(/*spreads=*/true);
  {
    ASSERT_OK_AND_ASSIGN(InteractiveUnit unit, engine_->Begin({.uow_id = kSecond}));
    EXPECT_EQ(StatusesOf(kFirst), "failed") << "before anything else";
    ASSERT_OK(Insert(*unit, 2));
    EXPECT_OK(unit.Commit());
  }
  EXPECT_EQ(Rows(), "2");
}

TEST_F(LostCommitTest, SoDoesClosing) {
  Doubt(/*spreads=*/true);
  Close();
  EXPECT_EQ(StatusesOf(kFirst), "failed");
  EXPECT_EQ(Rows(), "");
}

TEST_F(LostCommitTest, TheSameIdMayRunAgain) {
  Doubt(/*spreads=*/true);
  EXPECT_OK(Run(kFirst, 1));
  EXPECT_EQ(StatusesOf(kFirst), "failed,committed");
  EXPECT_EQ(Rows(), "1");
}

TEST_F(LostCommitTest, WhatCameBackIsKept) {
  Doubt(/*spreads=*/true);
  ReadLogAnew();
  EXPECT_OK(Run(kSecond, 2));
  EXPECT_EQ(engine_->stats().in_doubt, 0);
  EXPECT_EQ(StatusesOf(kFirst), "committed");
  ASSERT_OK_AND_ASSIGN(const Receipt again, engine_->Run({.uow_id = kFirst}, [](UnitOfWork&) {
    ADD_FAILURE() << "ran";
    return absl::OkStatus();
  }));
  EXPECT_TRUE(again.was_duplicate);
  EXPECT_EQ(Rows(), "1,2");
}

// There is nothing to record then, and yet it has to be made certain.
TEST_F(LostCommitTest, WhatCameBackIsSyncedBeforeItIsTold) {
  Doubt(/*spreads=*/true);
  ReadLogAnew();
  FailSync(/*sticky=*/true);
  EXPECT_THAT(Run(kFirst, 1), StatusIs(StatusCode::kFailedPrecondition));
  vfs_.Disarm();
  EXPECT_OK(Run(kFirst, 1));
  EXPECT_EQ(Rows(), "1");
}

// The COMMIT of the failures is lost as well, and comes back.
TEST_F(LostCommitTest, AFailureThatCameBackIsNotRecordedAgain) {
  Doubt(/*spreads=*/false);
  ReadLogAnew();
  EXPECT_OK(Run(kSecond, 2));
  EXPECT_EQ(StatusesOf(kFirst), "failed");
  EXPECT_EQ(Rows(), "2");
}

TEST_F(LostCommitTest, AfterACrashTheLogDecides) {
  Doubt(/*spreads=*/true);
  const test::Disk::Files files = test::ReadFolder(directory_.path());
  Close();
  test::WriteFolder(directory_.path(), files);
  Open();
  EXPECT_EQ(StatusesOf(kFirst), "committed");
  EXPECT_OK(Run(kFirst, 1));
  EXPECT_EQ(StatusesOf(kFirst), "committed");
  EXPECT_EQ(Rows(), "1");
}

// ---- A full disk ----------------------------------------------------------------------------

// What did not find room cannot come back, so there is nothing to doubt.
TEST_F(LostCommitTest, AUnitThatTheDiskHasNoRoomForIsNotCommitted) {
  ASSERT_OK(Run(kSecond, 100));
  for (int at = 1;; ++at) {
    SCOPED_TRACE(absl::StrCat("write ", at));
    vfs_.Arm({.at = at, .sticky = true, .fault = test::IoFault::kFull});
    const absl::Status status =
        engine_->Run({}, [&](UnitOfWork& unit) { return Insert(unit, at); }).status();
    const bool hit = !vfs_.failed().empty();
    vfs_.Disarm();
    if (!hit) {
      EXPECT_OK(status);
      EXPECT_GT(at, 4) << "a COMMIT writes more";
      EXPECT_EQ(Rows(), absl::StrCat(at, ",100"));
      break;
    }
    EXPECT_THAT(status, StatusIs(StatusCode::kResourceExhausted));
    EXPECT_EQ(engine_->stats().in_doubt, 0);
    ReadLogAnew();
    EXPECT_EQ(Rows(), "100");
  }
}

TEST(LostCommitWithoutReceiptsTest, NothingTellsUntilOpenedAgain) {
  FaultVfs vfs;
  test::TemporaryDirectory directory;
  const auto nothing = [](UnitOfWork&) { return absl::OkStatus(); };
  for (const bool again : {false, true}) {
    ASSERT_OK_AND_ASSIGN(
        auto engine,
        Engine::Open({.path = directory.File("app.db"),
                      .receipts = false,
                      .migrations = {*storage::MigrationSet::FromSql(
                          "t", {{.version = 1, .name = "t", .up = "CREATE TABLE t(id)"}})}}));
    if (again) {
      EXPECT_OK(engine->Run({}, nothing));
      break;
    }
    vfs.Arm({.at = 1, .call = IoCall::kSync});
    EXPECT_THAT(engine->Run({}, [](UnitOfWork& unit) { return Insert(unit, 1); }),
                StatusIs(StatusCode::kUnknown));
    vfs.Disarm();
    EXPECT_THAT(engine->Run({}, nothing),
                StatusIs(StatusCode::kFailedPrecondition, HasSubstr("open the engine again")));
  }
}

}  // namespace
}  // namespace vouch::uow
