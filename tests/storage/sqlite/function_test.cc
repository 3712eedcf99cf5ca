// A program's own functions and collations: every connection has them, and their failures become
// statuses without passing through SQLite.

#include "storage/sqlite/function.h"

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/sqlite/database.h"
#include "storage/transaction.h"
#include "tests/storage/sqlite/support.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace vouch::storage {
namespace {

using test::IsOkAndHolds;
using test::StatusIs;
using test::TemporaryDirectory;
using ::testing::HasSubstr;
using testing_support::ConnectionPtr;
using testing_support::Int;
using testing_support::OpenOrDie;
using testing_support::Text;

using Arguments = std::span<const ValueView>;

SqlFunction Doubled() {
  return {.name = "doubled",
          .argument_count = 1,
          .deterministic = true,
          .call = [](Arguments arguments) -> absl::StatusOr<Value> {
            if (arguments[0].is_null()) return Value();
            return Value(ValueView::Integer(2 * arguments[0].integer()));
          }};
}

SqlFunction Failing(std::function<absl::StatusOr<Value>()> fail) {
  return {.name = "failing", .call = [fail = std::move(fail)](Arguments) { return fail(); }};
}

// By length, then by bytes.
SqlCollation ByLength() {
  return {.name = "by_length", .compare = [](std::string_view a, std::string_view b) {
            if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
            return a.compare(b);
          }};
}

ConnectionPtr OpenWith(std::vector<SqlFunction> functions,
                       std::vector<SqlCollation> collations = {}) {
  return OpenOrDie({.path = SqliteConnection::InMemoryPath(),
                    .functions = std::move(functions),
                    .collations = std::move(collations)});
}

TEST(FunctionTest, ValuesGoInAndComeOut) {
  const ConnectionPtr connection = OpenWith(
      {{.name = "same",
        .argument_count = 1,
        .call = [](Arguments arguments) -> absl::StatusOr<Value> { return Value(arguments[0]); }},
       {.name = "counted", .call = [](Arguments arguments) -> absl::StatusOr<Value> {
          return Value(ValueView::Integer(static_cast<std::int64_t>(arguments.size())));
        }}});
  for (const ValueView value :
       {ValueView(), ValueView::Integer(-5), ValueView::Real(0.5), ValueView::Text("Zoë"),
        ValueView::Text(""), ValueView::Text(std::string_view("a\0b", 3)), ValueView::Blob(""),
        ValueView::Blob(std::string_view("\0\xff", 2))}) {
    EXPECT_THAT(connection->QueryValue<int>("SELECT same(?1) IS ?1 AND typeof(same(?1)) = "
                                            "typeof(?1)",
                                            value),
                IsOkAndHolds(1));
  }
  EXPECT_EQ(Int(*connection, "SELECT counted()"), 0);
  EXPECT_EQ(Int(*connection, "SELECT counted(1, 'b', NULL)"), 3);
  EXPECT_FALSE(connection->Prepare("SELECT same()").ok()) << "one argument was said";
}

TEST(FunctionTest, TheStatusOfAFunctionIsTheStatements) {
  const ConnectionPtr connection = OpenWith({Failing(
      []() -> absl::StatusOr<Value> { return absl::NotFoundError("there is no such thing"); })});
  const absl::Status status = connection->QueryValue<int>("SELECT failing()").status();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kNotFound,
                               HasSubstr("function failing: there is no such thing; in \"SELECT")));
  EXPECT_THAT(connection->QueryValue<int>("SELECT 1"), IsOkAndHolds(1));
  EXPECT_THAT(connection->QueryValue<int>("SELECT no"),
              StatusIs(absl::StatusCode::kInvalidArgument))
      << "the failure was kept";
}

TEST(FunctionTest, AnExceptionIsAStatus) {
  const ConnectionPtr connection = OpenWith(
      {Failing([]() -> absl::StatusOr<Value> { throw std::runtime_error("out of cheese"); }),
       {.name = "odd", .call = [](Arguments) -> absl::StatusOr<Value> { throw 7; }}});
  EXPECT_THAT(connection->QueryValue<int>("SELECT failing()"),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("threw: out of cheese")));
  EXPECT_THAT(connection->QueryValue<int>("SELECT odd()"), StatusIs(absl::StatusCode::kInternal));
}

// The statement is undone as after any other error, its transaction is not.
TEST(FunctionTest, AFailureUndoesItsStatementOnly) {
  std::atomic<int> calls{0};
  const ConnectionPtr connection = OpenWith({Failing([&]() -> absl::StatusOr<Value> {
    if (++calls == 3) throw std::runtime_error("third");
    return Value(ValueView::Integer(1));
  })});
  ASSERT_OK(connection->ExecuteScript("CREATE TABLE t(a); INSERT INTO t VALUES (0), (0), (0)"));
  ASSERT_OK_AND_ASSIGN(Transaction transaction,
                       Transaction::Begin(*connection, TransactionMode::kWrite));
  ASSERT_OK(connection->Execute("INSERT INTO t VALUES (5)"));
  EXPECT_FALSE(connection->Execute("UPDATE t SET a = failing()").ok());
  EXPECT_EQ(Int(*connection, "SELECT sum(a) FROM t"), 5);
  ASSERT_OK(transaction.Commit());
  EXPECT_EQ(Int(*connection, "SELECT sum(a) FROM t"), 5);
}

TEST(FunctionTest, DeterministicAndDirectOnlyAreKept) {
  SqlFunction loose = Doubled();
  loose.name = "loose";
  loose.deterministic = false;
  SqlFunction direct = Doubled();
  direct.name = "direct";
  direct.direct_only = true;
  const ConnectionPtr connection = OpenWith({Doubled(), loose, direct});
  ASSERT_OK(connection->ExecuteScript("CREATE TABLE t(a); INSERT INTO t VALUES (4)"));
  EXPECT_OK(connection->Execute("CREATE INDEX twice ON t(doubled(a))"));
  EXPECT_THAT(connection->Execute("CREATE INDEX bad ON t(loose(a))"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("non-deterministic")));
  EXPECT_EQ(Int(*connection, "SELECT direct(a) FROM t"), 8);
  ASSERT_OK(connection->Execute("CREATE VIEW v AS SELECT direct(a) FROM t"));
  EXPECT_THAT(connection->QueryValue<int>("SELECT * FROM v"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("unsafe")));
}

TEST(FunctionTest, BadOnesAreRefusedAtOnce) {
  const auto open = [](SqlFunction function) {
    return SqliteConnection::Open(
        {.path = SqliteConnection::InMemoryPath(), .functions = {std::move(function)}});
  };
  const auto with = [](std::string name, int count) {
    SqlFunction function = Doubled();
    function.name = std::move(name);
    function.argument_count = count;
    return function;
  };
  const auto kBad = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(open(with("", 1)), StatusIs(kBad));
  EXPECT_THAT(open(with(std::string(256, 'a'), 1)), StatusIs(kBad));
  EXPECT_OK(open(with(std::string(255, 'a'), 1)));
  EXPECT_THAT(open(with(std::string("a\0b", 3), 1)), StatusIs(kBad));
  EXPECT_THAT(open(with("f", -2)), StatusIs(kBad));
  EXPECT_THAT(open(with("f", 101)), StatusIs(kBad));
  EXPECT_OK(open(with("f", 100)));
  EXPECT_THAT(open(with("LENGTH", 1)), StatusIs(kBad, HasSubstr("SQLite has one")));
  EXPECT_THAT(open({.name = "f"}), StatusIs(kBad, HasSubstr("nothing to call")));
  for (const char* name : {"nocase", "BINARY", ""}) {
    SqlCollation collation = ByLength();
    collation.name = name;
    EXPECT_THAT(SqliteConnection::Open(
                    {.path = SqliteConnection::InMemoryPath(), .collations = {collation}}),
                StatusIs(kBad))
        << name;
  }
}

TEST(CollationTest, ItOrdersAndIndexes) {
  const ConnectionPtr connection = OpenWith({}, {ByLength()});
  ASSERT_OK(connection->ExecuteScript(
      "CREATE TABLE t(a TEXT COLLATE by_length UNIQUE);"
      "INSERT INTO t VALUES ('ccc'), ('a'), ('bb'), ('aaaa'), ('b'), ('')"));
  EXPECT_EQ(Text(*connection, "SELECT group_concat(a) FROM (SELECT a FROM t ORDER BY a)"),
            ",a,b,bb,ccc,aaaa");
  EXPECT_EQ(Text(*connection, "PRAGMA integrity_check"), "ok");
}

// A collation that throws cannot be heard by SQLite: an order has to be given. What was written in
// that order must not be committed, by the statement itself or by its transaction.
class ThrowingCollationTest : public ::testing::Test {
 protected:
  ThrowingCollationTest() {
    EXPECT_OK(
        connection_->ExecuteScript("CREATE TABLE t(a TEXT COLLATE moody PRIMARY KEY);"
                                   "INSERT INTO t VALUES ('a'), ('c'), ('b')"));
  }

  std::atomic<bool> throws_{false};
  ConnectionPtr connection_ =
      OpenWith({}, {{.name = "moody", .compare = [this](std::string_view a, std::string_view b) {
                       if (throws_.load()) throw std::runtime_error("not today");
                       return a.compare(b);
                     }}});
};

TEST_F(ThrowingCollationTest, AQueryFails) {
  throws_ = true;
  EXPECT_THAT(connection_->QueryValue<int>("SELECT count(*) FROM t WHERE a = 'b'"),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("collation moody threw: not today")));
  throws_ = false;
  EXPECT_EQ(Int(*connection_, "SELECT count(*) FROM t WHERE a = 'b'"), 1);
  EXPECT_OK(connection_->Execute("INSERT INTO t VALUES ('d')")) << "a query dooms nothing";
}

TEST_F(ThrowingCollationTest, AStatementByItselfIsNotCommitted) {
  throws_ = true;
  EXPECT_THAT(connection_->Execute("INSERT INTO t VALUES ('aa')"),
              StatusIs(absl::StatusCode::kInternal));
  throws_ = false;
  EXPECT_EQ(Int(*connection_, "SELECT count(*) FROM t"), 3);
  EXPECT_OK(connection_->Execute("INSERT INTO t VALUES ('d')"));
  EXPECT_EQ(Text(*connection_, "PRAGMA integrity_check"), "ok");
}

TEST_F(ThrowingCollationTest, ATransactionIsNotCommitted) {
  {
    ASSERT_OK_AND_ASSIGN(Transaction transaction,
                         Transaction::Begin(*connection_, TransactionMode::kWrite));
    ASSERT_OK(connection_->Execute("INSERT INTO t VALUES ('d')"));
    throws_ = true;
    EXPECT_FALSE(connection_->Execute("INSERT INTO t VALUES ('aa')").ok());
    throws_ = false;
    EXPECT_OK(connection_->Execute("INSERT INTO t VALUES ('e')"));
    EXPECT_THAT(transaction.Commit(), StatusIs(absl::StatusCode::kAborted));
  }
  EXPECT_EQ(Int(*connection_, "SELECT count(*) FROM t"), 3);
  {
    ASSERT_OK_AND_ASSIGN(Transaction transaction,
                         Transaction::Begin(*connection_, TransactionMode::kWrite));
    ASSERT_OK(connection_->Execute("INSERT INTO t VALUES ('f')"));
    EXPECT_OK(transaction.Commit()) << "the next transaction pays for the last";
  }
  EXPECT_EQ(Text(*connection_, "PRAGMA integrity_check"), "ok");
}

TEST_F(ThrowingCollationTest, ARolledBackTransactionDoomsNothing) {
  {
    ASSERT_OK_AND_ASSIGN(Transaction transaction,
                         Transaction::Begin(*connection_, TransactionMode::kWrite));
    throws_ = true;
    EXPECT_FALSE(connection_->Execute("INSERT INTO t VALUES ('aa')").ok());
    throws_ = false;
  }
  EXPECT_OK(connection_->Execute("INSERT INTO t VALUES ('d')"));
  EXPECT_EQ(Int(*connection_, "SELECT count(*) FROM t"), 4);
}

// Readers, the writer, the replacement of a broken one, and those for migrations.
TEST(FunctionTest, EveryConnectionOfADatabaseHasThem) {
  const TemporaryDirectory directory;
  ASSERT_OK_AND_ASSIGN(auto database, Database::Open({.path = directory.File("t.db"),
                                                      .max_readers = 3,
                                                      .functions = {Doubled()},
                                                      .collations = {ByLength()}}));
  const auto use = [](Connection& connection) {
    EXPECT_EQ(Int(connection, "SELECT doubled(21)"), 42);
    EXPECT_EQ(Int(connection, "SELECT 'b' < 'aa' COLLATE by_length"), 1);
  };
  {
    ASSERT_OK_AND_ASSIGN(WriteLease writer, database->Write());
    use(*writer);
    ASSERT_OK(
        writer->ExecuteScript("CREATE TABLE t(a INTEGER, b COLLATE by_length);"
                              "CREATE INDEX i ON t(doubled(a)); CREATE INDEX j ON t(b);"
                              "INSERT INTO t VALUES (1, 'bb'), (2, 'a')"));
  }
  {
    ASSERT_OK_AND_ASSIGN(ReadLease one, database->Read());
    ASSERT_OK_AND_ASSIGN(ReadLease two, database->Read());
    ASSERT_OK_AND_ASSIGN(ReadLease three, database->Read());
    for (ReadLease* lease : {&one, &two, &three}) use(**lease);
  }
  ASSERT_OK_AND_ASSIGN(auto own, database->OpenUnrestricted());
  use(*own);
  ASSERT_OK_AND_ASSIGN(auto reader, database->OpenUnrestrictedReader());
  use(*reader);
  EXPECT_EQ(Text(*reader, "PRAGMA integrity_check"), "ok");
  own.reset();
  reader.reset();
  database.reset();
  // A schema that names them needs them.
  const ConnectionPtr without = OpenOrDie({.path = directory.File("t.db")});
  EXPECT_THAT(without->Execute("INSERT INTO t VALUES (3, 'c')"),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(FunctionTest, SeveralConnectionsCallAtOnce) {
  const TemporaryDirectory directory;
  std::atomic<int> calls{0};
  ASSERT_OK_AND_ASSIGN(
      auto database,
      Database::Open(
          {.path = directory.File("t.db"),
           .max_readers = 4,
           .functions = {{.name = "tick", .call = [&](Arguments) -> absl::StatusOr<Value> {
                            return Value(ValueView::Integer(++calls));
                          }}}}));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      auto reader = database->Read();
      ASSERT_OK(reader);
      for (int j = 0; j < 500; ++j) ASSERT_OK((*reader)->QueryValue<int>("SELECT tick()"));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(calls.load(), 2000);
}

}  // namespace
}  // namespace vouch::storage
