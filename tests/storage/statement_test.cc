// Binding and reading: what goes in comes out, byte for byte and class for class.

#include "storage/statement.h"

#include <sys/mman.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/error.h"
#include "tests/storage/sqlite/support.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"

namespace vouch::storage {
namespace {

using test::IsOkAndHolds;
using test::StatusIs;
using ::testing::HasSubstr;
using testing_support::ConnectionPtr;
using testing_support::Int;
using testing_support::OpenInMemory;
using testing_support::Text;

class StatementTest : public ::testing::Test {
 protected:
  // What SQLite gives back for `value`, and what it says its type is.
  std::pair<Value, std::string> Echo(ValueView value) {
    auto statement = connection_->Prepare("SELECT ?1, typeof(?1)");
    EXPECT_OK(statement);
    EXPECT_OK((*statement)->Bind(1, value));
    EXPECT_THAT((*statement)->Step(), IsOkAndHolds(true));
    return {Value((*statement)->column(0)), (*statement)->Get<std::string>(1)};
  }

  ConnectionPtr connection_ = OpenInMemory();
};

TEST_F(StatementTest, EveryStorageClassComesBack) {
  const std::pair<ValueView, std::string> cases[] = {
      {ValueView(), "null"},
      {ValueView::Integer(0), "integer"},
      {ValueView::Integer(std::numeric_limits<std::int64_t>::min()), "integer"},
      {ValueView::Integer(std::numeric_limits<std::int64_t>::max()), "integer"},
      {ValueView::Real(-0.1), "real"},
      {ValueView::Real(std::numeric_limits<double>::max()), "real"},
      {ValueView::Real(std::numeric_limits<double>::denorm_min()), "real"},
      {ValueView::Real(std::numeric_limits<double>::infinity()), "real"},
      {ValueView::Text(""), "text"},
      {ValueView::Text(std::string_view()), "text"},
      {ValueView::Text("Zoë 😀"), "text"},
      {ValueView::Text(std::string_view("a\0b\0", 4)), "text"},
      {ValueView::Text("\xff\xfe not UTF-8 \xc3"), "text"},
      {ValueView::Blob(""), "blob"},
      {ValueView::Blob(std::string_view()), "blob"},
      {ValueView::Blob(std::string_view("\0\xff\0", 3)), "blob"},
  };
  for (const auto& [value, type] : cases) {
    const auto [back, told] = Echo(value);
    EXPECT_EQ(back.view(), value) << type;
    EXPECT_EQ(told, type);
  }
}

TEST_F(StatementTest, RandomBytesAndNumbersSurviveATable) {
  ASSERT_OK(connection_->Execute("CREATE TABLE t(id INTEGER PRIMARY KEY, value)"));
  test::Random random;
  for (int i = 0; i < 300; ++i) {
    const std::string bytes = random.Bytes(random.Uniform<std::size_t>(0, 80));
    ValueView value = ValueView::Text(bytes);
    if (random.OneIn(2)) value = ValueView::Blob(bytes);
    if (random.OneIn(4)) value = ValueView::Integer(static_cast<std::int64_t>(random.Next()));
    ASSERT_OK(connection_->Execute("INSERT OR REPLACE INTO t VALUES (?1, ?2)", i, value));
    ASSERT_OK_AND_ASSIGN(auto find, connection_->Prepare("SELECT value FROM t WHERE id = ?1"));
    ASSERT_OK(find->Bind(1, i));
    ASSERT_THAT(find->Step(), IsOkAndHolds(true));
    ASSERT_EQ(find->column(0), value) << "row " << i;
  }
}

// SQLite has no NaN: what is bound as one is stored as null.
TEST_F(StatementTest, NanIsStoredAsNull) {
  EXPECT_TRUE(Echo(ValueView::Real(std::nan(""))).first.view().is_null());
}

TEST_F(StatementTest, GetConvertsAsTheHeaderSays) {
  ASSERT_OK_AND_ASSIGN(auto row, connection_->Prepare("SELECT 7, 1.5, 'text', x'00ff', NULL"));
  ASSERT_THAT(row->Step(), IsOkAndHolds(true));
  EXPECT_EQ(row->Get<int>(0), 7);
  EXPECT_EQ(row->Get<bool>(0), true);
  EXPECT_EQ(row->Get<double>(0), 7.0);
  EXPECT_EQ(row->Get<std::string>(0), "");
  EXPECT_EQ(row->Get<double>(1), 1.5);
  EXPECT_EQ(row->Get<std::int64_t>(1), 0);
  EXPECT_EQ(row->Get<std::string_view>(2), "text");
  EXPECT_EQ(row->Get<double>(2), 0.0);
  EXPECT_EQ(row->Get<std::string>(3), std::string("\0\xff", 2));
  EXPECT_EQ(row->Get<std::int64_t>(4), 0);
  EXPECT_EQ(row->Get<std::string>(4), "");
  EXPECT_EQ(row->Get<std::optional<std::string>>(4), std::nullopt);
  EXPECT_EQ(row->Get<std::optional<std::string>>(2), "text");
  EXPECT_EQ(row->Get<std::optional<int>>(0), 7);
}

TEST_F(StatementTest, ColumnsHaveNames) {
  ASSERT_OK_AND_ASSIGN(auto row, connection_->Prepare("SELECT 1 AS one, 2 AS \"zwei ë\""));
  EXPECT_EQ(row->column_count(), 2);
  EXPECT_EQ(row->column_name(0), "one");
  EXPECT_EQ(row->column_name(1), "zwei ë");
  EXPECT_EQ(row->column_name(2), "");
}

TEST_F(StatementTest, ParametersGoByNumberAndByName) {
  ASSERT_OK_AND_ASSIGN(auto statement, connection_->Prepare("SELECT :a || @b || $c || ?4"));
  ASSERT_OK(statement->Bind(":a", "1"));
  ASSERT_OK(statement->Bind("@b", "2"));
  ASSERT_OK(statement->Bind("$c", "3"));
  ASSERT_OK(statement->Bind(4, "4"));
  ASSERT_THAT(statement->Step(), IsOkAndHolds(true));
  EXPECT_EQ(statement->Get<std::string>(0), "1234");
}

TEST_F(StatementTest, WrongParametersAreRefused) {
  ASSERT_OK_AND_ASSIGN(auto statement, connection_->Prepare("SELECT ?1, :name"));
  const auto kBad = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(statement->Bind(0, 1), StatusIs(kBad));
  EXPECT_THAT(statement->Bind(3, 1), StatusIs(kBad, HasSubstr("bind ?3")));
  EXPECT_THAT(statement->Bind(-1, 1), StatusIs(kBad));
  EXPECT_THAT(statement->Bind("name", 1), StatusIs(kBad, HasSubstr("no parameter named name")));
  EXPECT_THAT(statement->Bind(":other", 1), StatusIs(kBad, HasSubstr(":other")));
  EXPECT_THAT(statement->BindAll(1), StatusIs(kBad, HasSubstr("1 values for 2 parameters")));
  EXPECT_THAT(statement->BindAll(1, 2, 3), StatusIs(kBad, HasSubstr("3 values for 2 parameters")));
  EXPECT_OK(statement->BindAll(1, 2));
  EXPECT_THAT(connection_->Execute("SELECT ?1"), StatusIs(kBad, HasSubstr("0 values for 1")));
}

TEST_F(StatementTest, ATooLongTextIsRefusedUnread) {
  // 1.5 GB of address space that nobody touches.
  const std::size_t size = 1'500'000'000;
  void* bytes = mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(bytes, MAP_FAILED);
  const std::string_view text(static_cast<const char*>(bytes), size);
  {
    ASSERT_OK_AND_ASSIGN(auto statement, connection_->Prepare("SELECT ?1"));
    const absl::Status status = statement->Bind(1, text);
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument));
    EXPECT_EQ(NativeCode(status), SQLITE_TOOBIG);
  }
  munmap(bytes, size);
}

TEST_F(StatementTest, BindCopiesAndBindBorrowedDoesNot) {
  std::string text(64, 'a');
  ASSERT_OK_AND_ASSIGN(auto copied, connection_->Prepare("SELECT ?1"));
  ASSERT_OK(copied->Bind(1, text));
  ASSERT_OK_AND_ASSIGN(auto all, connection_->Prepare("SELECT ?1, 0"));
  ASSERT_OK(all->BindAll(text));
  ASSERT_OK_AND_ASSIGN(auto borrowed, connection_->Prepare("SELECT ?1, 1"));
  ASSERT_OK(borrowed->BindBorrowed(text));
  std::memset(text.data(), 'b', text.size());
  ASSERT_THAT(copied->Step(), IsOkAndHolds(true));
  ASSERT_THAT(all->Step(), IsOkAndHolds(true));
  ASSERT_THAT(borrowed->Step(), IsOkAndHolds(true));
  EXPECT_EQ(copied->Get<std::string>(0), std::string(64, 'a'));
  EXPECT_EQ(all->Get<std::string>(0), std::string(64, 'a'));
  EXPECT_EQ(borrowed->Get<std::string>(0), std::string(64, 'b'));
}

TEST_F(StatementTest, ResetKeepsTheParametersAndReturningClearsThem) {
  {
    ASSERT_OK_AND_ASSIGN(auto statement, connection_->Prepare("SELECT ?1"));
    ASSERT_OK(statement->Bind(1, 5));
    ASSERT_THAT(statement->Step(), IsOkAndHolds(true));
    statement->Reset();
    ASSERT_THAT(statement->Step(), IsOkAndHolds(true));
    EXPECT_EQ(statement->Get<int>(0), 5);
  }
  ASSERT_OK_AND_ASSIGN(auto again, connection_->Prepare("SELECT ?1"));
  ASSERT_THAT(again->Step(), IsOkAndHolds(true));
  EXPECT_TRUE(again->column(0).is_null()) << "a parameter of the last user was left";
}

TEST_F(StatementTest, BindingStartsARunningStatementAfresh) {
  ASSERT_OK_AND_ASSIGN(auto statement, connection_->Prepare("VALUES (?1), (?1 + 1)"));
  ASSERT_OK(statement->Bind(1, 10));
  ASSERT_THAT(statement->Step(), IsOkAndHolds(true));
  ASSERT_OK(statement->Bind(1, 20));
  ASSERT_THAT(statement->Step(), IsOkAndHolds(true));
  EXPECT_EQ(statement->Get<int>(0), 20);
}

TEST_F(StatementTest, AtTheEndItCanBeRunAgain) {
  ASSERT_OK_AND_ASSIGN(auto statement, connection_->Prepare("VALUES (1), (2)"));
  for (int round = 0; round < 2; ++round) {
    EXPECT_THAT(statement->Step(), IsOkAndHolds(true));
    EXPECT_THAT(statement->Step(), IsOkAndHolds(true));
    EXPECT_THAT(statement->Step(), IsOkAndHolds(false));
  }
}

TEST_F(StatementTest, AfterAnErrorItCanBeUsedAgain) {
  ASSERT_OK(connection_->Execute("CREATE TABLE t(a INTEGER NOT NULL)"));
  ASSERT_OK_AND_ASSIGN(auto insert, connection_->Prepare("INSERT INTO t VALUES (?1)"));
  ASSERT_OK(insert->Bind(1, nullptr));
  EXPECT_THAT(insert->Run(), StatusIs(absl::StatusCode::kInvalidArgument));
  ASSERT_OK(insert->Bind(1, 1));
  EXPECT_OK(insert->Run());
  EXPECT_EQ(Int(*connection_, "SELECT count(*) FROM t"), 1);
}

TEST_F(StatementTest, RunGoesToTheEnd) {
  ASSERT_OK(connection_->Execute("CREATE TABLE t(a)"));
  ASSERT_OK(connection_->Execute("INSERT INTO t VALUES (1), (2), (3) RETURNING a"));
  EXPECT_EQ(connection_->changes(), 3);
  EXPECT_EQ(connection_->last_insert_id(), 3);
}

}  // namespace
}  // namespace vouch::storage
