// An engine without receipts does everything but record: no table of the library's, no trace of a
// unit, and no way to hurt a ledger.

#include "storage/sqlite/connection.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"
#include "uow/engine.h"

namespace vouch::uow {
namespace {

using test::StatusIs;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class NoReceiptsTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<Engine>> Open(bool receipts = false, int version = 1) {
    std::vector<storage::Migration> migrations = {
        {.version = 1,
         .name = "t",
         .up = "CREATE TABLE t(id INTEGER PRIMARY KEY, x UNIQUE);"
               "CREATE TABLE c(t INTEGER REFERENCES t(id) DEFERRABLE INITIALLY DEFERRED)",
         .down = "DROP TABLE c; DROP TABLE t"}};
    if (version == 2) {
      migrations.push_back(
          {.version = 2, .name = "u", .up = "CREATE TABLE u(id INTEGER)", .down = "DROP TABLE u"});
    }
    return Engine::Open({.path = path_,
                         .receipts = receipts,
                         .migrations = {*storage::MigrationSet::FromSql("t", migrations)}});
  }

  test::TemporaryDirectory directory_;
  std::string path_ = directory_.File("app.db");
};

absl::Status Insert(UnitOfWork& unit, int x) {
  return unit.Execute("INSERT INTO t(x) VALUES (?1)", x);
}

TEST_F(NoReceiptsTest, UnitsAreStoredOrNotAndNothingElseIs) {
  ASSERT_OK_AND_ASSIGN(auto engine, Open());
  EXPECT_EQ(engine->ledger_id(), "");
  ASSERT_OK_AND_ASSIGN(const Receipt receipt,
                       engine->Run({}, [](UnitOfWork& unit) { return Insert(unit, 1); }));
  EXPECT_EQ(receipt.uow_id.size(), 26u);
  EXPECT_EQ(receipt.committed.size(), 24u);
  EXPECT_EQ(receipt.seq, 0);
  EXPECT_THAT(receipt.bytes, IsEmpty());
  EXPECT_GT(receipt.commit_time, absl::ZeroDuration());

  EXPECT_THAT(engine->Run({},
                          [](UnitOfWork& unit) {
                            VOUCH_RETURN_IF_ERROR(Insert(unit, 2));
                            return Insert(unit, 1);
                          }),
              StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(
      engine->Run({}, [](UnitOfWork& unit) { return unit.Execute("INSERT INTO c VALUES (99)"); }),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("FOREIGN KEY")));
  ASSERT_OK_AND_ASSIGN(InteractiveUnit unit, engine->Begin({}));
  ASSERT_OK(Insert(*unit, 3));
  ASSERT_OK(unit.Commit());

  const EngineStats stats = engine->stats();
  EXPECT_EQ(stats.committed, 2);
  EXPECT_EQ(stats.failed, 2);
  EXPECT_EQ(stats.unrecorded, 0);
  EXPECT_EQ(stats.lost_records, 0);
  ASSERT_OK_AND_ASSIGN(auto reader, engine->Read());
  EXPECT_THAT(reader->QueryValue<int>("SELECT sum(x) FROM t"), test::IsOkAndHolds(4));
  EXPECT_THAT(reader->QueryValue<int>("SELECT count(*) FROM sqlite_schema"
                                      " WHERE name LIKE '%uow%' OR name LIKE 'unit%'"),
              test::IsOkAndHolds(0));
}

TEST_F(NoReceiptsTest, WhatNeedsTheLedgerIsRefused) {
  ASSERT_OK_AND_ASSIGN(auto engine, Open());
  const auto nothing = [](UnitOfWork&) { return absl::OkStatus(); };
  EXPECT_THAT(engine->Run({.uow_id = "01KAJ000000000000000000001"}, nothing),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no receipts")));
  EXPECT_THAT(engine->Begin({.uow_id = "01KAJ000000000000000000001"}),
              StatusIs(absl::StatusCode::kInvalidArgument));
  ASSERT_OK(engine->Run({}, [](UnitOfWork& unit) -> absl::Status {
    EXPECT_THAT(unit.Track("x", "y", Operation::kUpsert, ""),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no receipts")));
    return absl::OkStatus();
  }));
}

TEST_F(NoReceiptsTest, AFileWithALedgerIsRefusedUntouched) {
  ASSERT_OK(Open(/*receipts=*/true).status());
  EXPECT_THAT(Open(/*receipts=*/false, /*version=*/2),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("has a ledger")));
  ASSERT_OK_AND_ASSIGN(auto connection, storage::SqliteConnection::Open({.path = path_}));
  EXPECT_THAT(connection->QueryValue<int>("SELECT count(*) FROM sqlite_schema WHERE name = 'u'"),
              test::IsOkAndHolds(0));
}

}  // namespace
}  // namespace vouch::uow
