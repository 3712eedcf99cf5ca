#include "storage/migrations/history.h"

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/storage/migrations/database.h"

namespace vouch::storage {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using vouch::test::IsOkAndHolds;
using vouch::test::StatusIs;

HistoryRow Row(std::int64_t version, HistoryStatus status) {
  return {.version = version,
          .name = "n",
          .description = "d",
          .applied_at = "2026-11-21T00:00:00.000Z",
          .applied_by = "me",
          .duration_ms = 12,
          .checksum = "c",
          .status = status};
}

TEST(HistoryTest, ADatabaseWithoutHistoryReadsEmptyAndStaysSo) {
  const auto connection = OpenDatabase();
  EXPECT_THAT(History(SetOf("s", {})).Read(*connection), IsOkAndHolds(IsEmpty()));
  EXPECT_EQ(Count(*connection, "SELECT count(*) FROM sqlite_schema"), 0);
}

TEST(HistoryTest, HasTheColumnsItPromises) {
  const auto connection = OpenDatabase();
  ASSERT_OK(History(SetOf("", {})).Create(*connection));
  ASSERT_OK(History(SetOf("", {})).Create(*connection));
  EXPECT_THAT(
      Rows(*connection,
           "SELECT name, type, \"notnull\", dflt_value, pk FROM "
           "pragma_table_info('schema_migrations')"),
      ElementsAre("version|INTEGER|0|null|1", "name|TEXT|1|null|0", "description|TEXT|0|null|0",
                  "applied_at|TEXT|1|null|0", "applied_by|TEXT|0|null|0",
                  "duration_ms|INTEGER|0|null|0", "checksum|TEXT|0|null|0", "status|TEXT|1|null|0",
                  "component|TEXT|1|''|0"));
  EXPECT_FALSE(connection
                   ->Execute("INSERT INTO schema_migrations(version, name, applied_at, status) "
                             "VALUES (1, 'a', 'b', 'pending')")
                   .ok());
}

TEST(HistoryTest, WritesAndReadsBack) {
  const auto connection = OpenDatabase();
  const History history(SetOf("s", {}));
  ASSERT_OK(history.Create(*connection));
  HistoryRow bare = Row(2, HistoryStatus::kFailed);
  bare.description = "";
  ASSERT_OK(history.Write(*connection, bare));
  ASSERT_OK(history.Write(*connection, Row(1, HistoryStatus::kApplied)));
  EXPECT_THAT(Rows(*connection, "SELECT * FROM s_schema_migrations"),
              ElementsAre("1|n|d|2026-11-21T00:00:00.000Z|me|12|c|applied|s",
                          "2|n|null|2026-11-21T00:00:00.000Z|me|12|c|failed|s"));
  ASSERT_OK_AND_ASSIGN(const std::vector<HistoryRow> rows, history.Read(*connection));
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].version, 1);
  EXPECT_EQ(rows[0].name, "n");
  EXPECT_EQ(rows[0].description, "d");
  EXPECT_EQ(rows[0].applied_by, "me");
  EXPECT_EQ(rows[0].duration_ms, 12);
  EXPECT_EQ(rows[0].checksum, "c");
  EXPECT_EQ(rows[0].status, HistoryStatus::kApplied);
  EXPECT_EQ(rows[1].description, "");
  EXPECT_EQ(rows[1].status, HistoryStatus::kFailed);
}

TEST(HistoryTest, EachStatusFollowsTheOthersAsPromised) {
  const auto connection = OpenDatabase();
  const History history(SetOf("s", {}));
  ASSERT_OK(history.Create(*connection));
  const auto status = [&] {
    return Rows(*connection, "SELECT status FROM s_schema_migrations")[0];
  };
  ASSERT_OK(history.Write(*connection, Row(1, HistoryStatus::kFailed)));
  ASSERT_OK(history.Write(*connection, Row(1, HistoryStatus::kApplied)));
  EXPECT_EQ(status(), "applied");
  // A failure that comes late does not hide that another process has succeeded.
  ASSERT_OK(history.Write(*connection, Row(1, HistoryStatus::kFailed)));
  EXPECT_EQ(status(), "applied");
  ASSERT_OK(history.MarkRolledBack(*connection, 1));
  EXPECT_EQ(status(), "rolled_back");
  ASSERT_OK(history.Write(*connection, Row(1, HistoryStatus::kFailed)));
  EXPECT_EQ(status(), "failed");
  ASSERT_OK(history.MarkRolledBack(*connection, 1));
  EXPECT_EQ(status(), "failed");
}

TEST(HistoryTest, ATableOfAnotherToolIsNotTaken) {
  const auto connection = OpenDatabase();
  ASSERT_OK(connection->ExecuteScript("CREATE TABLE schema_migrations(version TEXT)"));
  EXPECT_THAT(History(SetOf("", {})).Read(*connection),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("schema_migrations"), HasSubstr("name"))));
}

TEST(HistoryTest, RowsOfAnotherSetAreNotTaken) {
  const auto connection = OpenDatabase();
  const History history(SetOf("s", {}));
  ASSERT_OK(history.Create(*connection));
  ASSERT_OK(connection->ExecuteScript(
      "INSERT INTO s_schema_migrations(version, name, applied_at, status, component) "
      "VALUES (1, 'a', 'b', 'applied', 'other')"));
  EXPECT_THAT(history.Read(*connection),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("\"other\"")));
}

}  // namespace
}  // namespace vouch::storage
