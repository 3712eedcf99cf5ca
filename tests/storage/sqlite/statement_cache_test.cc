// The statement cache, seen through a connection: what is reused, what is not, and what is let go.

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/sqlite/database.h"
#include "storage/sqlite/statement.h"
#include "tests/storage/sqlite/support.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace vouch::storage {
namespace {

using test::IsOkAndHolds;
using test::StatusIs;
using testing_support::ConnectionPtr;
using testing_support::Int;
using testing_support::OpenInMemory;
using testing_support::OpenOrDie;
using testing_support::Text;

// Hits and misses since the last time it was asked.
class Counter {
 public:
  explicit Counter(const SqliteConnection& connection) : cache_(connection.cache()) {
    (void)Take();
  }
  std::pair<std::size_t, std::size_t> Take() {
    const std::size_t hits = cache_.hits() - hits_;
    const std::size_t misses = cache_.misses() - misses_;
    hits_ = cache_.hits();
    misses_ = cache_.misses();
    return {hits, misses};
  }

 private:
  const StatementCache& cache_;
  std::size_t hits_ = 0;
  std::size_t misses_ = 0;
};

using HitsAndMisses = std::pair<std::size_t, std::size_t>;

TEST(StatementCacheTest, TheSameTextIsPreparedOnce) {
  const ConnectionPtr connection = OpenInMemory();
  Counter counter(*connection);
  const Statement* first = nullptr;
  {
    ASSERT_OK_AND_ASSIGN(auto statement, connection->Prepare("SELECT 1"));
    first = statement.get();
    EXPECT_EQ(connection->cache().lent(), 1u);
  }
  EXPECT_EQ(counter.Take(), HitsAndMisses(0, 1));
  ASSERT_OK_AND_ASSIGN(auto statement, connection->Prepare(std::string("SELECT") + " 1"));
  EXPECT_EQ(statement.get(), first);
  EXPECT_EQ(counter.Take(), HitsAndMisses(1, 0));
  ASSERT_OK_AND_ASSIGN(auto other, connection->Prepare("SELECT  1"));
  EXPECT_NE(other.get(), first);
  EXPECT_EQ(counter.Take(), HitsAndMisses(0, 1));
}

// What follows the statement in the text must not keep it from being found again.
TEST(StatementCacheTest, TextWithSomethingAfterTheStatementIsFoundToo) {
  const ConnectionPtr connection = OpenInMemory();
  for (const char* sql : {"SELECT 1;", "SELECT 1;\n", "\n SELECT 1 ; -- one\n ; "}) {
    ASSERT_THAT(connection->QueryValue<int>(sql), IsOkAndHolds(1));
    Counter counter(*connection);
    ASSERT_THAT(connection->QueryValue<int>(sql), IsOkAndHolds(1));
    EXPECT_EQ(counter.Take(), HitsAndMisses(1, 0)) << sql;
    ASSERT_OK_AND_ASSIGN(auto statement, connection->Prepare(sql));
    EXPECT_EQ(statement->sql(), sql);
  }
}

TEST(StatementCacheTest, TwoOfOneTextCanBeLentAtOnce) {
  const ConnectionPtr connection = OpenInMemory();
  {
    ASSERT_OK_AND_ASSIGN(auto a, connection->Prepare("VALUES (1), (2)"));
    ASSERT_THAT(a->Step(), IsOkAndHolds(true));
    ASSERT_OK_AND_ASSIGN(auto b, connection->Prepare("VALUES (1), (2)"));
    ASSERT_NE(a.get(), b.get());
    ASSERT_THAT(b->Step(), IsOkAndHolds(true));
    ASSERT_THAT(b->Step(), IsOkAndHolds(true));
    EXPECT_EQ(a->Get<int>(0), 1);
    EXPECT_EQ(b->Get<int>(0), 2);
    EXPECT_EQ(connection->cache().lent(), 2u);
  }
  EXPECT_EQ(connection->cache().lent(), 0u);
  Counter counter(*connection);
  {
    ASSERT_OK_AND_ASSIGN(auto a, connection->Prepare("VALUES (1), (2)"));
    ASSERT_THAT(a->Step(), IsOkAndHolds(true));
    EXPECT_EQ(a->Get<int>(0), 1) << "the one that was kept starts at its beginning";
    ASSERT_OK_AND_ASSIGN(auto b, connection->Prepare("VALUES (1), (2)"));
  }
  EXPECT_EQ(counter.Take(), HitsAndMisses(1, 1)) << "one of the two is kept";
}

// As a walk over a tree asks for them: while one is lent, the next of its text is kept all the same.
TEST(StatementCacheTest, AQueryWithinItsOwnRowsIsPreparedOnce) {
  const ConnectionPtr connection = OpenInMemory();
  Counter counter(*connection);
  {
    ASSERT_OK_AND_ASSIGN(auto outer, connection->Prepare("VALUES (1), (2)"));
    for (int i = 0; i < 3; ++i) {
      ASSERT_OK_AND_ASSIGN(auto inner, connection->Prepare("VALUES (1), (2)"));
      ASSERT_THAT(inner->Step(), IsOkAndHolds(true));
      EXPECT_EQ(inner->Get<int>(0), 1);
    }
    EXPECT_EQ(counter.Take(), HitsAndMisses(2, 2)) << "the outer one and the first inner one";
  }
  ASSERT_OK_AND_ASSIGN(auto kept, connection->Prepare("VALUES (1), (2)"));
  EXPECT_EQ(counter.Take(), HitsAndMisses(1, 0));
}

TEST(StatementCacheTest, TheLeastRecentlyUsedGoesFirst) {
  // Room for some statements of this kind, not for all; by SQLite's own account of each.
  const ConnectionPtr connection =
      OpenOrDie({.path = SqliteConnection::InMemoryPath(), .statement_cache_bytes = 20'000});
  const auto sql = [](int i) { return "SELECT 1 AS column_" + std::to_string(100 + i); };
  const auto use = [&](int i) { EXPECT_OK(connection->Prepare(sql(i))); };
  use(0);
  for (int i = 1; i < 100; ++i) {
    use(0);  // Stays in use all the time.
    use(i);
  }
  Counter counter(*connection);
  use(0);
  EXPECT_EQ(counter.Take(), HitsAndMisses(1, 0));
  use(99);
  EXPECT_EQ(counter.Take(), HitsAndMisses(1, 0));
  use(1);
  EXPECT_EQ(counter.Take(), HitsAndMisses(0, 1)) << "a hundred statements fit in 20 kB?";
}

TEST(StatementCacheTest, ACacheWithoutRoomKeepsNothingAndStillWorks) {
  const ConnectionPtr connection =
      OpenOrDie({.path = SqliteConnection::InMemoryPath(), .statement_cache_bytes = 0});
  Counter counter(*connection);
  for (int i = 0; i < 3; ++i) EXPECT_THAT(connection->QueryValue<int>("SELECT 1"), IsOkAndHolds(1));
  EXPECT_EQ(counter.Take(), HitsAndMisses(0, 3));
  EXPECT_EQ(connection->cache().lent(), 0u);
}

TEST(StatementCacheTest, ASchemaChangeIsNoticedByWhatIsCached) {
  const ConnectionPtr connection = OpenInMemory();
  ASSERT_OK(connection->ExecuteScript("CREATE TABLE t(a); INSERT INTO t VALUES (1)"));
  const auto columns = [&] {
    auto statement = connection->Prepare("SELECT * FROM t");
    EXPECT_OK(statement);
    EXPECT_THAT((*statement)->Step(), IsOkAndHolds(true));
    return (*statement)->column_count();
  };
  EXPECT_EQ(columns(), 1);
  ASSERT_OK(connection->Execute("ALTER TABLE t ADD COLUMN b DEFAULT 2"));
  Counter counter(*connection);
  EXPECT_EQ(columns(), 2);
  EXPECT_EQ(counter.Take(), HitsAndMisses(1, 0));
  ASSERT_OK(connection->Execute("DROP TABLE t"));
  EXPECT_THAT(connection->QueryValue<int>("SELECT * FROM t"),
              StatusIs(absl::StatusCode::kInvalidArgument));
  ASSERT_OK(connection->ExecuteScript("CREATE TABLE t(x, y, z); INSERT INTO t VALUES (1, 2, 3)"));
  EXPECT_EQ(columns(), 3);
}

// A reader's cached statement, and another connection that changes the schema under it.
TEST(StatementCacheTest, AnothersSchemaChangeIsNoticedByWhatIsCached) {
  const test::TemporaryDirectory directory;
  ASSERT_OK_AND_ASSIGN(auto database, Database::Open({.path = directory.File("t.db")}));
  const auto write = [&](std::string_view script) {
    ASSERT_OK_AND_ASSIGN(WriteLease writer, database->Write());
    ASSERT_OK(writer->ExecuteScript(script));
  };
  const auto row = [&] {
    std::string text;
    auto reader = database->Read();
    EXPECT_OK(reader);
    auto statement = (*reader)->Prepare("SELECT * FROM t");
    EXPECT_OK(statement);
    EXPECT_OK((*statement)->ForEach([&](const Row& one) {
      for (int i = 0; i < one.column_count(); ++i) {
        text += std::string(one.column_name(i)) + "=" + one.Get<std::string>(i) + " ";
      }
    }));
    return text;
  };
  write("CREATE TABLE t(a); INSERT INTO t VALUES ('1')");
  EXPECT_EQ(row(), "a=1 ");
  write("ALTER TABLE t ADD COLUMN b DEFAULT '2'");
  EXPECT_EQ(row(), "a=1 b=2 ");
  write("ALTER TABLE t DROP COLUMN a");
  EXPECT_EQ(row(), "b=2 ");
  write("DROP TABLE t; CREATE TABLE t(x, y, z); INSERT INTO t VALUES ('7', '8', '9')");
  EXPECT_EQ(row(), "x=7 y=8 z=9 ");
  EXPECT_EQ(database->stats().statements.hits, 3u) << "it was not the cached one that noticed";
}

// The sum over all connections, read while they are lent and used, and after some were closed.
TEST(StatementCacheTest, TheDatabaseAddsUpHitsAndMisses) {
  const test::TemporaryDirectory directory;
  ASSERT_OK_AND_ASSIGN(auto database,
                       Database::Open({.path = directory.File("t.db"), .max_readers = 4}));
  const CacheStats before = database->stats().statements;
  EXPECT_EQ(CacheStats().hit_ratio(), 0);
  constexpr int kThreads = 4;
  constexpr int kQueries = 200;
  {
    std::atomic<bool> done{false};
    std::thread watcher([&] {
      CacheStats last;
      while (!done.load()) {
        const CacheStats now = database->stats().statements;
        EXPECT_GE(now.hits, last.hits);
        EXPECT_GE(now.misses, last.misses);
        last = now;
      }
    });
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        for (int j = 0; j < kQueries; ++j) {
          auto reader = database->Read();
          ASSERT_OK(reader);
          EXPECT_THAT((*reader)->QueryValue<int>("SELECT 1"), IsOkAndHolds(1));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    done.store(true);
    watcher.join();
  }
  const auto sum = [](const CacheStats& stats) { return stats.hits + stats.misses; };
  const CacheStats after = database->stats().statements;
  EXPECT_EQ(sum(after) - sum(before), std::uint64_t{kThreads * kQueries});
  EXPECT_LE(after.misses - before.misses, 4u);
  EXPECT_GT(after.hit_ratio(), 0.9);
  ASSERT_OK(database->Close(absl::Seconds(10)));
  EXPECT_EQ(sum(database->stats().statements), sum(after)) << "closed connections are forgotten";
}

TEST(StatementCacheTest, AStatementThatOutlivesItsLeaseFailsAndHarmsNobody) {
  const test::TemporaryDirectory directory;
  ASSERT_OK_AND_ASSIGN(auto database,
                       Database::Open({.path = directory.File("t.db"), .max_readers = 1}));
  {
    ASSERT_OK_AND_ASSIGN(WriteLease writer, database->Write());
    ASSERT_OK(writer->ExecuteScript("CREATE TABLE t(a); INSERT INTO t VALUES (1), (2)"));
  }
  StatementPtr kept;
  StatementPtr insert;
  {
    ASSERT_OK_AND_ASSIGN(ReadLease reader, database->Read());
    ASSERT_OK_AND_ASSIGN(kept, reader->Prepare("SELECT a FROM t"));
    ASSERT_THAT(kept->Step(), IsOkAndHolds(true));
    ASSERT_OK_AND_ASSIGN(WriteLease writer, database->Write());
    ASSERT_OK_AND_ASSIGN(insert, writer->Prepare("INSERT INTO t VALUES (3)"));
  }
  EXPECT_THAT(kept->Step(), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(insert->Run(), StatusIs(absl::StatusCode::kFailedPrecondition));
  // The row that was being read holds no snapshot any more, nor does the next holder see anything.
  {
    ASSERT_OK_AND_ASSIGN(WriteLease writer, database->Write());
    ASSERT_OK(writer->Execute("INSERT INTO t VALUES (4)"));
    ASSERT_OK_AND_ASSIGN(const auto checkpoint, writer->Checkpoint(absl::Milliseconds(100)));
    EXPECT_TRUE(checkpoint.done);
  }
  ASSERT_OK_AND_ASSIGN(ReadLease reader, database->Read());
  EXPECT_EQ(Int(*reader, "SELECT count(*) FROM t"), 3);
  kept.reset();
  insert.reset();
  EXPECT_EQ(Int(*reader, "SELECT a FROM t"), 1)
      << "the cache knows nothing of the other of its text";
  EXPECT_EQ(Int(*reader, "SELECT max(a) FROM t"), 4);
}

TEST(StatementCacheTest, AFailedPrepareIsNotRemembered) {
  const ConnectionPtr connection = OpenInMemory();
  EXPECT_FALSE(connection->Prepare("SELECT a FROM t").ok());
  ASSERT_OK(connection->Execute("CREATE TABLE t(a)"));
  EXPECT_OK(connection->Prepare("SELECT a FROM t"));
  EXPECT_EQ(connection->cache().lent(), 0u);
}

TEST(StatementCacheTest, AnAbandonedRowDoesNotHoldTheDatabase) {
  const ConnectionPtr connection = OpenInMemory();
  ASSERT_OK(connection->ExecuteScript("CREATE TABLE t(a); INSERT INTO t VALUES (1), (2)"));
  {
    ASSERT_OK_AND_ASSIGN(auto statement, connection->Prepare("SELECT a FROM t"));
    ASSERT_THAT(statement->Step(), IsOkAndHolds(true));
    EXPECT_FALSE(connection->Execute("DROP TABLE t").ok()) << "a row is being read";
  }
  EXPECT_OK(connection->Execute("DROP TABLE t"));
}

// Nobody's text may reach a statement that was prepared without asking the policy.
// SQLite has put the answer into the program when it prepared it.
TEST(StatementCacheTest, APragmaPreparedBeforeAChangeIsNotWhatTellsAfterIt) {
  struct Case {
    const char* pragma;
    const char* change;
  };
  for (const Case& each :
       std::vector<Case>{{"PRAGMA foreign_keys", "PRAGMA foreign_keys = 0"},
                         {"PRAGMA synchronous", "PRAGMA synchronous = 0"},
                         {"PRAGMA cache_size", "PRAGMA cache_size = 77"},
                         {"PRAGMA auto_vacuum", "PRAGMA auto_vacuum = 1; VACUUM"},
                         {"PRAGMA user_version", "PRAGMA user_version = 7"},
                         {"PRAGMA page_count", "CREATE TABLE big AS SELECT zeroblob(100000)"},
                         {" /* blank */ ; pragma Table_Info(t)", "DROP TABLE t; CREATE TABLE t(x)"},
                         {"PRAGMA index_list(t)", "CREATE INDEX t_a ON t(a)"}}) {
    test::TemporaryDirectory directory;
    const ConnectionPtr connection = OpenOrDie({.path = directory.File("t.db")});
    ASSERT_OK(connection->ExecuteScript("CREATE TABLE t(a)"));
    const auto ask = [&](const std::string& pragma) {
      std::string answer;
      auto statement = connection->Prepare(pragma);
      EXPECT_OK(statement);
      EXPECT_OK((*statement)->ForEach([&](const Row& row) {
        for (int i = 0; i < row.column_count(); ++i) {
          const ValueView value = row.column(i);
          if (value.type() == ValueType::kInteger) answer += std::to_string(value.integer());
          if (value.type() == ValueType::kText) answer += value.bytes();
          answer += ",";
        }
      }));
      return answer;
    };
    const std::string pragma = each.pragma;
    // Given back without having run, which leaves it as it was prepared.
    EXPECT_OK(connection->Prepare(pragma));
    const std::string before = ask(pragma + " -- another text");
    ASSERT_OK(connection->ExecuteScript(each.change));
    const std::string after = ask(pragma);
    EXPECT_NE(after, before) << pragma;
    EXPECT_EQ(ask(pragma), after) << pragma;
  }
}

TEST(StatementCacheTest, APragmaThatSetsDoesSoEachTime) {
  const ConnectionPtr connection = OpenInMemory();
  EXPECT_OK(connection->Prepare("PRAGMA cache_size = 77"));
  ASSERT_OK(connection->Execute("PRAGMA cache_size = 5"));
  ASSERT_OK(connection->Execute("PRAGMA cache_size = 77"));
  EXPECT_EQ(Int(*connection, "PRAGMA cache_size"), 77);
}

// What the library asks for before every unit is prepared once and sees each change all the same.
TEST(StatementCacheTest, TheLibrarysOwnPragmasAreKeptAndFresh) {
  test::TemporaryDirectory directory;
  const ConnectionPtr one = OpenOrDie({.path = directory.File("t.db")});
  const ConnectionPtr two = OpenOrDie({.path = directory.File("t.db")});
  const auto ask = [&](const char* pragma) {
    auto statement = one->PrepareTrusted(pragma);
    EXPECT_OK(statement);
    EXPECT_THAT((*statement)->Step(), IsOkAndHolds(true));
    return std::pair((*statement).get(), (*statement)->Get<std::int64_t>(0));
  };
  for (const char* pragma : {"PRAGMA data_version", "PRAGMA schema_version"}) {
    const auto [statement, before] = ask(pragma);
    EXPECT_OK(one->PrepareTrusted(pragma)) << "and not run";
    ASSERT_OK(two->ExecuteScript("DROP TABLE IF EXISTS t; CREATE TABLE t(a)"));
    const auto [again, after] = ask(pragma);
    EXPECT_EQ(again, statement) << pragma;
    EXPECT_NE(after, before) << pragma;
  }
}

TEST(StatementCacheTest, TrustedStatementsAreInACacheOfTheirOwn) {
  const ConnectionPtr connection = OpenInMemory(Policy::kUnit);
  { ASSERT_OK(connection->PrepareTrusted("CREATE TABLE t(a)")); }
  EXPECT_THAT(connection->Prepare("CREATE TABLE t(a)"),
              StatusIs(absl::StatusCode::kPermissionDenied));
  ASSERT_OK_AND_ASSIGN(auto trusted, connection->PrepareTrusted("CREATE TABLE t(a)"));
  EXPECT_OK(trusted->Run());
}

// Any order of taking and returning: each statement answers for its own text and parameters.
TEST(StatementCacheTest, RandomUse) {
  const ConnectionPtr connection =
      OpenOrDie({.path = SqliteConnection::InMemoryPath(), .statement_cache_bytes = 15'000});
  test::Random random;
  struct Lent {
    int text;
    StatementPtr statement;
  };
  std::vector<Lent> lent;
  for (int i = 0; i < 5000; ++i) {
    if (lent.size() < 12 && !random.OneIn(3)) {
      const int text = random.Uniform(0, 15);
      ASSERT_OK_AND_ASSIGN(auto statement,
                           connection->Prepare("SELECT ?1, " + std::to_string(text)));
      if (!random.OneIn(4)) {
        ASSERT_OK(statement->Bind(1, text));
      }
      lent.push_back({text, std::move(statement)});
    } else if (!lent.empty()) {
      const auto at = random.Uniform<std::size_t>(0, lent.size() - 1);
      Lent& one = lent[at];
      ASSERT_THAT(one.statement->Step(), IsOkAndHolds(true));
      ASSERT_EQ(one.statement->Get<int>(1), one.text);
      const auto bound = one.statement->Get<std::optional<int>>(0);
      ASSERT_TRUE(!bound.has_value() || *bound == one.text) << "another user's parameter";
      lent.erase(lent.begin() + static_cast<std::ptrdiff_t>(at));
    }
    ASSERT_EQ(connection->cache().lent(), lent.size());
  }
}

}  // namespace
}  // namespace vouch::storage
