#include "storage/bulk.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/storage/sqlite/support.h"
#include "tests/support/status_matchers.h"

namespace vouch::storage {
namespace {

using test::StatusIs;
using ::testing::HasSubstr;
using testing_support::ConnectionPtr;
using testing_support::Int;
using testing_support::OpenInMemory;
using testing_support::Text;

class BulkInsertTest : public ::testing::Test {
 protected:
  BulkInsertTest() {
    EXPECT_OK(connection_->Execute("CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT NOT NULL)"));
  }
  static BulkOptions Into(std::int64_t batch_rows, OnConflict on_conflict = OnConflict::kFail) {
    return {.table = "t",
            .columns = {"id", "name"},
            .on_conflict = on_conflict,
            .batch_rows = batch_rows};
  }
  std::int64_t Count() { return Int(*connection_, "SELECT count(*) FROM t"); }

  ConnectionPtr connection_ = OpenInMemory();
};

TEST_F(BulkInsertTest, AllRowsArriveWhateverTheBatch) {
  for (const std::int64_t batch : {1, 2, 7, 99, 100, 101, 1000}) {
    ASSERT_OK(connection_->Execute("DELETE FROM t"));
    ASSERT_OK_AND_ASSIGN(BulkInsert insert, BulkInsert::Begin(*connection_, Into(batch)));
    for (int i = 1; i <= 100; ++i) {
      ASSERT_OK(insert.Add(i, std::to_string(i)));
      EXPECT_EQ(insert.result().committed, i / batch * batch);
    }
    ASSERT_OK_AND_ASSIGN(const BulkResult result, insert.Finish());
    EXPECT_EQ(result.added, 100);
    EXPECT_EQ(result.inserted, 100);
    EXPECT_EQ(result.committed, 100);
    EXPECT_FALSE(connection_->in_transaction());
    EXPECT_EQ(Int(*connection_, "SELECT count(*) FROM t WHERE name = CAST(id AS TEXT)"), 100);
  }
}

TEST_F(BulkInsertTest, NoRowsAreNoTransaction) {
  ASSERT_OK_AND_ASSIGN(BulkInsert insert, BulkInsert::Begin(*connection_, Into(10)));
  ASSERT_OK_AND_ASSIGN(const BulkResult result, insert.Finish());
  EXPECT_EQ(result.added, 0);
  EXPECT_THAT(insert.Add(1, "a"), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(insert.Finish(), StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(BulkInsertTest, ABadRowEndsItAndUndoesItsBatch) {
  ASSERT_OK_AND_ASSIGN(BulkInsert insert, BulkInsert::Begin(*connection_, Into(10)));
  for (int i = 1; i <= 15; ++i) ASSERT_OK(insert.Add(i, "a"));
  EXPECT_THAT(insert.Add(3, "again"),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("bulk insert: row 16: ")));
  EXPECT_FALSE(connection_->in_transaction());
  EXPECT_EQ(Count(), 10);
  EXPECT_EQ(insert.result().committed, 10);
  EXPECT_EQ(insert.result().inserted, 10);
  EXPECT_EQ(insert.result().added, 15);
  EXPECT_THAT(insert.Add(100, "a"), StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(BulkInsertTest, TheWrongNumberOfValuesIsABadRow) {
  ASSERT_OK_AND_ASSIGN(BulkInsert insert, BulkInsert::Begin(*connection_, Into(10)));
  EXPECT_THAT(insert.Add(1), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("row 1")));
  EXPECT_EQ(Count(), 0);
}

TEST_F(BulkInsertTest, InACallersTransactionItCommitsNothing) {
  {
    ASSERT_OK_AND_ASSIGN(Transaction transaction,
                         Transaction::Begin(*connection_, TransactionMode::kWrite));
    ASSERT_OK_AND_ASSIGN(BulkInsert insert, BulkInsert::Begin(*connection_, Into(2)));
    for (int i = 1; i <= 5; ++i) ASSERT_OK(insert.Add(i, "a"));
    ASSERT_OK_AND_ASSIGN(const BulkResult result, insert.Finish());
    EXPECT_EQ(result.inserted, 5);
    EXPECT_EQ(result.committed, 0);
    EXPECT_TRUE(connection_->in_transaction());
  }
  EXPECT_EQ(Count(), 0) << "committed behind its caller's back";
  {
    ASSERT_OK_AND_ASSIGN(Transaction transaction,
                         Transaction::Begin(*connection_, TransactionMode::kWrite));
    ASSERT_OK_AND_ASSIGN(BulkInsert insert, BulkInsert::Begin(*connection_, Into(2)));
    ASSERT_OK(insert.Add(1, "a"));
    EXPECT_FALSE(insert.Add(1, "b").ok());
    EXPECT_TRUE(connection_->in_transaction()) << "that is its caller's to end";
    ASSERT_OK(transaction.Commit());
  }
  EXPECT_EQ(Count(), 1);
}

TEST_F(BulkInsertTest, AbandonedItRollsTheBatchBack) {
  {
    ASSERT_OK_AND_ASSIGN(BulkInsert insert, BulkInsert::Begin(*connection_, Into(3)));
    for (int i = 1; i <= 4; ++i) ASSERT_OK(insert.Add(i, "a"));
  }
  EXPECT_FALSE(connection_->in_transaction());
  EXPECT_EQ(Count(), 3);
}

TEST_F(BulkInsertTest, ConflictsAreSkippedOrReplaced) {
  ASSERT_OK(connection_->Execute("INSERT INTO t VALUES (2, 'old')"));
  const auto run = [&](OnConflict on_conflict) {
    auto insert = BulkInsert::Begin(*connection_, Into(10, on_conflict));
    EXPECT_OK(insert);
    for (int i = 1; i <= 3; ++i) EXPECT_OK(insert->Add(i, "new"));
    auto result = insert->Finish();
    EXPECT_OK(result);
    return result->inserted;
  };
  EXPECT_EQ(run(OnConflict::kSkip), 2);
  EXPECT_EQ(Text(*connection_, "SELECT name FROM t WHERE id = 2"), "old");
  EXPECT_EQ(run(OnConflict::kReplace), 3);
  EXPECT_EQ(Text(*connection_, "SELECT name FROM t WHERE id = 2"), "new");
  EXPECT_EQ(Count(), 3);
}

TEST_F(BulkInsertTest, NamesAreQuoted) {
  ASSERT_OK(connection_->Execute(R"(CREATE TABLE "a ""b""; --"("select" INTEGER, "x,y" TEXT))"));
  ASSERT_OK_AND_ASSIGN(
      BulkInsert insert,
      BulkInsert::Begin(*connection_, {.table = "a \"b\"; --", .columns = {"select", "x,y"}}));
  ASSERT_OK(insert.Add(1, "2"));
  ASSERT_OK(insert.Finish());
  EXPECT_EQ(Text(*connection_, R"(SELECT "x,y" FROM "a ""b""; --")"), "2");
}

TEST_F(BulkInsertTest, BadOptionsAreRefused) {
  const auto kBad = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(BulkInsert::Begin(*connection_, {.table = "t"}), StatusIs(kBad));
  EXPECT_THAT(BulkInsert::Begin(*connection_, {.table = "no", .columns = {"a"}}), StatusIs(kBad));
  EXPECT_THAT(BulkInsert::Begin(*connection_, {.table = "t", .columns = {"no"}}), StatusIs(kBad));
  EXPECT_THAT(BulkInsert::Begin(*connection_, Into(0)), StatusIs(kBad));
}

}  // namespace
}  // namespace vouch::storage
