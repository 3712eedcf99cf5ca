// Binding and reading: what goes in comes out, byte for byte and class for class.

#include "storage/statement.h"

#include <sys/mman.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <vector>

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

// ---- Types beyond the five storage classes ---------------------------------------------------

TEST_F(StatementTest, AnUnsignedNumberGoesAsFarAsSqlDoes) {
  ASSERT_OK_AND_ASSIGN(auto statement, connection_->Prepare("SELECT ?1"));
  const std::uint64_t largest = std::numeric_limits<std::int64_t>::max();
  ASSERT_OK(statement->Bind(1, largest));
  ASSERT_THAT(statement->Step(), IsOkAndHolds(true));
  EXPECT_THAT(statement->TryGet<std::uint64_t>(0), IsOkAndHolds(largest));
  for (const std::uint64_t number : {largest + 1, std::numeric_limits<std::uint64_t>::max()}) {
    const auto refused = StatusIs(absl::StatusCode::kInvalidArgument,
                                  HasSubstr("bind ?1: " + std::to_string(number)));
    EXPECT_THAT(statement->Bind(1, number), refused);
    EXPECT_THAT(statement->BindAll(number), refused);
    EXPECT_THAT(statement->BindBorrowed(std::optional(number)), refused);
    EXPECT_THAT(connection_->Execute("SELECT ?1", number), refused);
  }
}

// SQLite makes a real of a literal that is too large, and an error of a sum.
TEST_F(StatementTest, IntegersBeyond64BitsAreNoIntegers) {
  const auto kBad = absl::StatusCode::kInvalidArgument;
  ASSERT_OK(connection_->Execute("CREATE TABLE t(a INTEGER)"));
  ASSERT_OK(connection_->Execute("INSERT INTO t VALUES (9223372036854775807)"));
  EXPECT_THAT(connection_->QueryValue<std::int64_t>("SELECT a FROM t"),
              IsOkAndHolds(std::numeric_limits<std::int64_t>::max()));
  ASSERT_OK(connection_->Execute("INSERT INTO t VALUES (1)"));
  EXPECT_THAT(connection_->QueryValue<std::int64_t>("SELECT sum(a) FROM t"),
              StatusIs(kBad, HasSubstr("integer overflow")));
  for (const char* number :
       {"9223372036854775808", "-9223372036854775809", "1e30", "'99999999999999999999'"}) {
    ASSERT_OK(connection_->Execute("DELETE FROM t"));
    ASSERT_OK(connection_->Execute(std::string("INSERT INTO t VALUES (") + number + ")"));
    ASSERT_OK_AND_ASSIGN(auto row, connection_->Prepare("SELECT a FROM t"));
    ASSERT_THAT(row->Step(), IsOkAndHolds(true));
    EXPECT_THAT(row->TryGet<std::int64_t>(0), StatusIs(kBad, HasSubstr("not an integer")))
        << number;
    EXPECT_EQ(row->column(0).type(), ValueType::kReal) << number;
  }
}

TEST_F(StatementTest, ATimeIsStoredAsTheProjectsText) {
  const absl::Time time = absl::FromUnixMillis(1'767'268'800'123) + absl::Microseconds(456);
  std::optional<absl::Time> none;
  ASSERT_OK_AND_ASSIGN(auto row, connection_->Prepare("SELECT ?1, datetime(?1), ?2, 'soon', 5"));
  ASSERT_OK(row->BindBorrowed(time, none));
  ASSERT_THAT(row->Step(), IsOkAndHolds(true));
  EXPECT_EQ(row->Get<std::string>(0), "2026-01-01T12:00:00.123Z");
  EXPECT_EQ(row->Get<absl::Time>(0), absl::FromUnixMillis(1'767'268'800'123));
  EXPECT_THAT(row->TryGet<absl::Time>(1), IsOkAndHolds(absl::FromUnixSeconds(1'767'268'800)));
  EXPECT_THAT(row->TryGet<std::optional<absl::Time>>(2), IsOkAndHolds(std::nullopt));
  for (const int column : {2, 3, 4}) {
    EXPECT_THAT(row->TryGet<absl::Time>(column), StatusIs(absl::StatusCode::kInvalidArgument));
    EXPECT_EQ(row->Get<absl::Time>(column), absl::UnixEpoch());
  }
}

TEST_F(StatementTest, BytesGoInAndComeOut) {
  const std::vector<std::byte> bytes = {std::byte{0}, std::byte{1}, std::byte{255}};
  const std::vector<double> numbers = {1.5, -0.25};
  ASSERT_OK_AND_ASSIGN(auto row,
                       connection_->Prepare("SELECT ?1, typeof(?1), ?2, length(?2), x'', 'text'"));
  ASSERT_OK(row->BindAll(bytes, std::span(numbers)));
  ASSERT_THAT(row->Step(), IsOkAndHolds(true));
  EXPECT_EQ(row->Get<std::vector<std::byte>>(0), bytes);
  EXPECT_EQ(row->Get<std::string>(1), "blob");
  const auto span = row->Get<std::span<const std::byte>>(2);
  ASSERT_EQ(span.size(), sizeof(double) * 2);
  EXPECT_EQ(std::memcmp(span.data(), numbers.data(), span.size()), 0);
  EXPECT_EQ(row->Get<int>(3), 16);
  EXPECT_THAT(row->TryGet<std::vector<std::byte>>(4), IsOkAndHolds(std::vector<std::byte>()));
  EXPECT_THAT(row->TryGet<std::vector<std::byte>>(5), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(row->Get<std::vector<std::byte>>(5).size(), 4u);
}

TEST_F(StatementTest, TryGetSaysWhatIsWrong) {
  enum class Level : std::uint8_t { kHigh = 2 };
  ASSERT_OK_AND_ASSIGN(auto row, connection_->Prepare("SELECT 2 AS two, 300 AS many, 1.5 AS half, "
                                                      "'text' AS t, NULL AS n, -1 AS minus"));
  ASSERT_THAT(row->Step(), IsOkAndHolds(true));
  const auto kWrong = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(row->TryGet<Level>(0), IsOkAndHolds(Level::kHigh));
  EXPECT_THAT(row->TryGet<double>(0), IsOkAndHolds(2.0));
  EXPECT_THAT(row->TryGet<bool>(0), StatusIs(kWrong, HasSubstr("column 0 (two) holds 2")));
  EXPECT_THAT(row->TryGet<std::uint8_t>(1), StatusIs(kWrong, HasSubstr("does not fit")));
  EXPECT_THAT(row->TryGet<Level>(1), StatusIs(kWrong));
  EXPECT_THAT(row->TryGet<std::int8_t>(1), StatusIs(kWrong));
  EXPECT_THAT(row->TryGet<std::int16_t>(1), IsOkAndHolds(300));
  EXPECT_THAT(row->TryGet<int>(2), StatusIs(kWrong, HasSubstr("holds a real, not an integer")));
  EXPECT_THAT(row->TryGet<std::string>("t"), IsOkAndHolds("text"));
  EXPECT_THAT(row->TryGet<int>("t"), StatusIs(kWrong, HasSubstr("(t) holds a text")));
  EXPECT_THAT(row->TryGet<int>("T"), StatusIs(kWrong, HasSubstr("no column named T")));
  EXPECT_THAT(row->TryGet<int>("n"), StatusIs(kWrong, HasSubstr("holds null")));
  EXPECT_THAT(row->TryGet<std::optional<int>>("n"), IsOkAndHolds(std::nullopt));
  EXPECT_THAT(row->TryGet<std::optional<int>>("t"), StatusIs(kWrong));
  EXPECT_THAT(row->TryGet<std::uint64_t>("minus"), StatusIs(kWrong));
  EXPECT_THAT(row->TryGet<Value>("minus"), IsOkAndHolds(Value(ValueView::Integer(-1))));
}

// What SQLite makes of bytes that are no text, as value.h says.
TEST_F(StatementTest, NulBytesAndInvalidUtf8AreKeptButNotUnderstood) {
  const std::string nul("a\0b", 3);
  const std::string invalid = "\xff\xc3";
  ASSERT_OK(connection_->Execute("CREATE TABLE t(a TEXT UNIQUE)"));
  ASSERT_OK(connection_->Execute("INSERT INTO t VALUES (?1), (?2), ('a')", nul, invalid));
  EXPECT_THAT(connection_->QueryValue<std::string>("SELECT a FROM t WHERE a = ?1", nul),
              IsOkAndHolds(nul));
  EXPECT_THAT(connection_->QueryValue<std::string>("SELECT a FROM t WHERE a = ?1", invalid),
              IsOkAndHolds(invalid));
  EXPECT_THAT(connection_->QueryValue<int>("SELECT length(?1)", nul), IsOkAndHolds(1));
  EXPECT_THAT(connection_->QueryValue<int>("SELECT length(CAST(?1 AS BLOB))", nul),
              IsOkAndHolds(3));
}

// ---- Errors ------------------------------------------------------------------------------------

TEST_F(StatementTest, AnErrorSaysWhereItIs) {
  const absl::Status status = connection_->Prepare("SELECT 1 FORM t").status();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("at byte 14 in")));
  EXPECT_EQ(SqlOffset(status), 14);
  EXPECT_EQ(NativeCode(status), SQLITE_ERROR);
  std::string wide = "SELECT ";
  for (int i = 0; i < 500; ++i) wide += std::to_string(i) + ", ";
  const absl::Status far = connection_->Prepare(wide + "missing").status();
  EXPECT_EQ(SqlOffset(far), wide.size());
  EXPECT_THAT(std::string(far.message()), HasSubstr("499, missing\"")) << "the place is not shown";
  ASSERT_OK(connection_->Execute("CREATE TABLE t(a UNIQUE)"));
  ASSERT_OK(connection_->Execute("INSERT INTO t VALUES (1)"));
  EXPECT_EQ(SqlOffset(connection_->Execute("INSERT INTO t VALUES (1)")), std::nullopt);
}

TEST_F(StatementTest, WhatFollowsAStatementIsRefused) {
  const auto kBad = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(connection_->Prepare("SELECT 1; garbage"), StatusIs(kBad));
  EXPECT_THAT(connection_->Prepare("SELECT 1; SELECT 2"), StatusIs(kBad));
  EXPECT_THAT(connection_->Prepare("SELECT 1 )"), StatusIs(kBad));
  EXPECT_THAT(connection_->Prepare(std::string_view("SELECT 1\0", 9)), StatusIs(kBad));
  EXPECT_OK(connection_->Prepare("SELECT 1; -- done"));
}

TEST_F(StatementTest, TooManyParametersAreRefused) {
  const auto kBad = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(connection_->Prepare("SELECT ?999999999"),
              StatusIs(kBad, HasSubstr("variable number")));
  // The limit is a choice of whoever compiled SQLite: 32,766 by default, 250,000 on Debian.
  std::string many = "SELECT max(?";
  for (int i = 0; i < 400'000; ++i) many += ",?";
  EXPECT_THAT(connection_->Prepare(many + ")"), StatusIs(kBad));
}

TEST_F(StatementTest, ABlobBeyondTheLimitIsRefused) {
  EXPECT_THAT(connection_->QueryValue<int>("SELECT length(zeroblob(1000000001))"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("too big")));
}

// ---- Rows --------------------------------------------------------------------------------------

// Three rows, and then an error: SQLite finds the overflow when it comes to the fourth.
constexpr char kThreeRowsAndAnError[] =
    "SELECT abs(column1) FROM (VALUES (1), (2), (3), (-9223372036854775808), (5))";

TEST_F(StatementTest, RowsComeOneByOneAndTheErrorLast) {
  ASSERT_OK_AND_ASSIGN(auto statement, connection_->Prepare(kThreeRowsAndAnError));
  for (int round = 0; round < 2; ++round) {
    std::vector<int> seen;
    absl::Status error;
    for (const absl::StatusOr<Row>& row : statement->Rows()) {
      EXPECT_OK(error) << "something came after the error";
      if (row.ok()) {
        seen.push_back(row->Get<int>(0));
      } else {
        error = row.status();
      }
    }
    EXPECT_THAT(seen, ::testing::ElementsAre(1, 2, 3));
    EXPECT_THAT(error, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("overflow")));
  }
}

TEST_F(StatementTest, RowsOfNothingAreNone) {
  ASSERT_OK_AND_ASSIGN(auto statement, connection_->Prepare("SELECT 1 WHERE 0"));
  for ([[maybe_unused]] const auto& row : statement->Rows()) ADD_FAILURE();
  EXPECT_OK(statement->ForEach([](const Row&) { ADD_FAILURE(); }));
}

TEST_F(StatementTest, RowsLeftEarlyHoldNothing) {
  ASSERT_OK(connection_->ExecuteScript("CREATE TABLE t(a); INSERT INTO t VALUES (1), (2)"));
  ASSERT_OK_AND_ASSIGN(auto statement, connection_->Prepare("SELECT a FROM t"));
  for (const auto& row : statement->Rows()) {
    ASSERT_OK(row);
    break;
  }
  EXPECT_OK(connection_->Execute("DROP TABLE t")) << "the row is still being read";
}

TEST_F(StatementTest, ForEachEndsWithTheFirstError) {
  ASSERT_OK_AND_ASSIGN(auto statement, connection_->Prepare(kThreeRowsAndAnError));
  int sum = 0;
  EXPECT_THAT(statement->ForEach([&](const Row& row) { sum += row.Get<int>(0); }),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(sum, 6);
  sum = 0;
  const auto stop_at_two = [&](const Row& row) -> absl::Status {
    sum += row.Get<int>(0);
    if (row.Get<int>(0) == 2) return absl::AbortedError("enough");
    return absl::OkStatus();
  };
  EXPECT_THAT(statement->ForEach(stop_at_two), StatusIs(absl::StatusCode::kAborted, "enough"));
  EXPECT_EQ(sum, 3);
}

}  // namespace
}  // namespace vouch::storage
