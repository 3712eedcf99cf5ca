// Property: a unit whose COMMIT was sent and not answered is in the ledger exactly once, as what it
//   is: committed or failed.
// Method: calls to the file system fail from the COMMIT's sync on, once or for good, until the disk
//   is good again.
// Failure: two rows of one unit, or none.

#include <memory>
#include <string>
#include <utility>

#include "storage/sqlite/connection.h"
#include "tests/support/fault_vfs.h"
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

constexpr char kFirst[] = "01KAJ000000000000000000001";

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
         .retry = {.max_retries = max_retries, .first_delay = absl::ZeroDuration()}});
    ASSERT_OK(engine);
    engine_ = *std::move(engine);
  }

  void Close() {
    EXPECT_OK(engine_->Close(absl::Seconds(10)));
    engine_.reset();
  }

  // The sync of the next COMMIT fails, and with `sticky` all after it.
  void FailSync(bool sticky) { vfs_.Arm({.at = 1, .sticky = sticky, .call = IoCall::kSync}); }

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

}  // namespace
}  // namespace vouch::uow
