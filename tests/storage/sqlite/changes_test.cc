// A ChangeSink hears of every row that changes, by whatever means it does.

#include "storage/sqlite/changes.h"

#include <sqlite3.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/transaction.h"
#include "tests/storage/sqlite/support.h"
#include "tests/support/fault_malloc.h"
#include "tests/support/status_matchers.h"

namespace vouch::storage {
namespace {

using test::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using testing_support::ConnectionPtr;
using testing_support::Int;
using testing_support::OpenInMemory;

std::string Show(ValueView value) {
  switch (value.type()) {
    case ValueType::kNull:
      return "null";
    case ValueType::kInteger:
      return absl::StrCat(value.integer());
    case ValueType::kReal:
      return absl::StrCat(value.real(), "r");
    case ValueType::kText:
      return absl::StrCat("'", std::string(value.bytes()), "'");
    case ValueType::kBlob:
      return absl::StrCat("x", value.bytes().size());
  }
  return "?";
}

// Writes down what it is told: "insert t(1,'a')", "update t(1,'a')->(1,'b')", "undone".
class Recorder final : public ChangeSink {
 public:
  void OnChange(const RowChange& change) override {
    std::vector<std::string> before, after;
    for (int i = 0; i < change.column_count(); ++i) {
      if (change.kind() != ChangeKind::kInsert) before.push_back(Show(change.Old(i)));
      if (change.kind() != ChangeKind::kDelete) after.push_back(Show(change.New(i)));
    }
    const std::string table(change.table());
    EXPECT_EQ(change.database(), "main");
    switch (change.kind()) {
      case ChangeKind::kInsert:
        said_.push_back(absl::StrCat("insert ", table, "(", absl::StrJoin(after, ","), ")"));
        break;
      case ChangeKind::kDelete:
        said_.push_back(absl::StrCat("delete ", table, "(", absl::StrJoin(before, ","), ")"));
        break;
      case ChangeKind::kUpdate:
        said_.push_back(absl::StrCat("update ", table, "(", absl::StrJoin(before, ","), ")->(",
                                     absl::StrJoin(after, ","), ")"));
        break;
    }
  }
  void OnUndone() override { said_.push_back("undone"); }

  std::vector<std::string> Take() { return std::exchange(said_, {}); }

 private:
  std::vector<std::string> said_;
};

class ChangesTest : public ::testing::Test {
 protected:
  ~ChangesTest() override { connection_->SetChangeSink(nullptr); }

  void Prepare(const char* script) {
    ASSERT_OK(connection_->ExecuteScript(script));
    connection_->SetChangeSink(&recorder_);
  }
  std::vector<std::string> Run(const char* sql) {
    EXPECT_OK(connection_->Execute(sql)) << sql;
    return recorder_.Take();
  }

  Recorder recorder_;
  ConnectionPtr connection_ = OpenInMemory();
};

TEST_F(ChangesTest, InsertUpdateDelete) {
  Prepare("CREATE TABLE t(id INTEGER PRIMARY KEY, a, b)");
  EXPECT_THAT(Run("INSERT INTO t VALUES (1, 'x', 2.5), (2, x'00ff', NULL)"),
              ElementsAre("insert t(1,'x',2.5r)", "insert t(2,x2,null)"));
  EXPECT_THAT(Run("UPDATE t SET a = 'y' WHERE id = 1"),
              ElementsAre("update t(1,'x',2.5r)->(1,'y',2.5r)"));
  EXPECT_THAT(Run("DELETE FROM t WHERE id = 2"), ElementsAre("delete t(2,x2,null)"));
  EXPECT_THAT(Run("DELETE FROM t WHERE id = 99"), IsEmpty());
  EXPECT_THAT(Run("SELECT * FROM t"), IsEmpty());
}

TEST_F(ChangesTest, ARowKeepsItsIdInItsFirstColumnOnlyWhenItIsOne) {
  Prepare("CREATE TABLE t(a)");
  EXPECT_THAT(Run("INSERT INTO t VALUES ('x')"), ElementsAre("insert t('x')"));
}

TEST_F(ChangesTest, ReplaceTellsOfItsVictims) {
  Prepare(R"(CREATE TABLE t(id INTEGER PRIMARY KEY, a UNIQUE, b UNIQUE);
             INSERT INTO t VALUES (1, 'a', 'p'), (2, 'b', 'q'), (3, 'c', 'r'))");
  EXPECT_THAT(Run("REPLACE INTO t VALUES (1, 'b', 'r')"),
              UnorderedElementsAre("delete t(1,'a','p')", "delete t(2,'b','q')",
                                   "delete t(3,'c','r')", "insert t(1,'b','r')"));
  EXPECT_EQ(Int(*connection_, "SELECT count(*) FROM t"), 1);
}

TEST_F(ChangesTest, UpsertAndIgnore) {
  Prepare("CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 1)");
  EXPECT_THAT(Run("INSERT INTO t VALUES (1, 9) ON CONFLICT DO UPDATE SET a = excluded.a"),
              ElementsAre("update t(1,1)->(1,9)"));
  EXPECT_THAT(Run("INSERT OR IGNORE INTO t VALUES (1, 5)"), IsEmpty());
}

TEST_F(ChangesTest, CascadesAndTriggers) {
  Prepare(R"(CREATE TABLE p(id INTEGER PRIMARY KEY);
             CREATE TABLE c(p REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE);
             CREATE TABLE log(text);
             CREATE TRIGGER logs AFTER DELETE ON c BEGIN
               INSERT INTO log VALUES ('gone ' || old.p); END;
             INSERT INTO p VALUES (1), (2); INSERT INTO c VALUES (1), (2);)");
  EXPECT_THAT(Run("DELETE FROM p WHERE id = 1"),
              UnorderedElementsAre("delete p(1)", "delete c(1)", "insert log('gone 1')"));
  EXPECT_THAT(Run("UPDATE p SET id = 3"),
              UnorderedElementsAre("update p(2)->(3)", "update c(2)->(3)"));
}

TEST_F(ChangesTest, WithoutRowid) {
  Prepare("CREATE TABLE t(a, b, PRIMARY KEY(b, a)) WITHOUT ROWID");
  EXPECT_THAT(Run("INSERT INTO t VALUES ('x', 1)"), ElementsAre("insert t('x',1)"));
  EXPECT_THAT(Run("UPDATE t SET a = 'y'"),
              ::testing::AnyOf(ElementsAre("update t('x',1)->('y',1)"),
                               ElementsAre("delete t('x',1)", "insert t('y',1)")));
  EXPECT_THAT(Run("DELETE FROM t"), ElementsAre("delete t('y',1)"));
}

TEST_F(ChangesTest, GeneratedColumnsHaveAnImageOnlyWhenStored) {
  Prepare("CREATE TABLE t(a, v AS (a + 1) VIRTUAL, s AS (a + 2) STORED, b)");
  EXPECT_THAT(Run("INSERT INTO t(a, b) VALUES (1, 9)"), ElementsAre("insert t(1,3,9,null)"));
}

TEST_F(ChangesTest, AColumnThatIsNotThereIsNull) {
  class Beyond final : public ChangeSink {
   public:
    void OnChange(const RowChange& change) override {
      null = change.New(change.column_count()).is_null() && change.New(1000).is_null();
    }
    void OnUndone() override {}
    bool null = false;
  } beyond;
  Prepare("CREATE TABLE t(a)");
  connection_->SetChangeSink(&beyond);
  ASSERT_OK(connection_->Execute("INSERT INTO t VALUES (1)"));
  EXPECT_TRUE(beyond.null);
}

// A DELETE without WHERE drops a table's pages unseen, unless the hook was there when it was
// prepared: here it is prepared before anybody listens.
TEST_F(ChangesTest, DeletingAllByACachedStatementTellsEachRow) {
  ASSERT_OK(connection_->ExecuteScript("CREATE TABLE t(a); INSERT INTO t VALUES (1)"));
  ASSERT_OK(connection_->Execute("DELETE FROM t"));
  ASSERT_OK(connection_->Execute("INSERT INTO t VALUES (2), (3)"));
  connection_->SetChangeSink(&recorder_);
  const std::size_t misses = connection_->cache().misses();
  EXPECT_THAT(Run("DELETE FROM t"), ElementsAre("delete t(2)", "delete t(3)"));
  EXPECT_EQ(connection_->cache().misses(), misses) << "it was meant to come from the cache";
}

TEST_F(ChangesTest, AVirtualTablesShadowTablesAreSeen) {
  Prepare("CREATE VIRTUAL TABLE words USING fts5(text)");
  const auto said = Run("INSERT INTO words VALUES ('x')");
  EXPECT_THAT(said, ::testing::Contains(::testing::StartsWith("insert words_content(1,'x'")));
}

TEST_F(ChangesTest, AFailedStatementUndoesWhatItAnnounced) {
  Prepare("CREATE TABLE t(a UNIQUE); INSERT INTO t VALUES (1)");
  EXPECT_THAT(connection_->Execute("INSERT INTO t VALUES (2), (1)"),
              StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(recorder_.Take(), ElementsAre("insert t(2)", "undone"));
}

TEST_F(ChangesTest, ARollbackUndoes) {
  Prepare("CREATE TABLE t(a)");
  ASSERT_OK_AND_ASSIGN(Transaction transaction,
                       Transaction::Begin(*connection_, TransactionMode::kWrite));
  {
    ASSERT_OK_AND_ASSIGN(Savepoint savepoint, Savepoint::Begin(*connection_));
    EXPECT_THAT(Run("INSERT INTO t VALUES (1)"), ElementsAre("insert t(1)"));
  }
  EXPECT_THAT(recorder_.Take(), ElementsAre("undone"));
  {
    ASSERT_OK_AND_ASSIGN(Savepoint savepoint, Savepoint::Begin(*connection_));
    EXPECT_THAT(Run("INSERT INTO t VALUES (2)"), ElementsAre("insert t(2)"));
    ASSERT_OK(savepoint.Release());
  }
  EXPECT_THAT(recorder_.Take(), IsEmpty());
  ASSERT_OK(transaction.Rollback());
  EXPECT_THAT(recorder_.Take(), ElementsAre("undone"));
}

TEST_F(ChangesTest, WithoutASinkNobodyIsTold) {
  Prepare("CREATE TABLE t(a)");
  connection_->SetChangeSink(nullptr);
  EXPECT_THAT(Run("INSERT INTO t VALUES (1)"), IsEmpty());
}

// The handle of the connection that is opened next, which SQLite hands to its extensions.
sqlite3* opened_next = nullptr;
int TakeHandle(sqlite3* db, const char**, const void*) {
  opened_next = db;
  return SQLITE_OK;
}

// An incremental blob write is announced as a delete, and changes the row in place.
TEST_F(ChangesTest, AnIncrementalBlobWriteIsHeardOf) {
  const auto entry = reinterpret_cast<void (*)()>(&TakeHandle);
  ASSERT_EQ(sqlite3_auto_extension(entry), SQLITE_OK);
  connection_ = OpenInMemory();
  sqlite3_cancel_auto_extension(entry);
  ASSERT_NE(opened_next, nullptr);
  Prepare("CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, x'000000')");
  sqlite3_blob* blob = nullptr;
  ASSERT_EQ(sqlite3_blob_open(opened_next, "main", "t", "a", 1, 1, &blob), SQLITE_OK);
  ASSERT_EQ(sqlite3_blob_write(blob, "xyz", 3, 0), SQLITE_OK);
  ASSERT_EQ(sqlite3_blob_close(blob), SQLITE_OK);
  EXPECT_THAT(recorder_.Take(), ElementsAre("delete t(1,x3)", "undone"));
  EXPECT_EQ(testing_support::Text(*connection_, "SELECT a FROM t"), "xyz");
}

// Reads a row while the allocation with a number fails.
class ShortOfMemory final : public ChangeSink {
 public:
  explicit ShortOfMemory(test::FaultMalloc& memory) : memory_(memory) {}

  void OnChange(const RowChange& change) override {
    memory_.Arm(++at_, /*sticky=*/false);
    const std::string before = Show(change.Old(1));
    const std::string after = Show(change.New(1));
    refused_ = memory_.failed();
    memory_.Disarm();
    if (change.failed()) {
      ++failed_;
      return;
    }
    EXPECT_EQ(before, Show(ValueView::Text(std::string(300, 'a')))) << at_;
    EXPECT_EQ(after, Show(ValueView::Text(std::string(400, 'b')))) << at_;
  }
  void OnUndone() override {}

  bool refused() const { return refused_; }
  int failed() const { return failed_; }

 private:
  test::FaultMalloc& memory_;
  std::int64_t at_ = 0;
  bool refused_ = false;
  int failed_ = 0;
};

TEST(ChangesMemoryTest, AValueThereIsNoMemoryForIsNotTakenForNull) {
  test::FaultMalloc memory;
  const ConnectionPtr connection = OpenInMemory();
  ASSERT_OK(
      connection->ExecuteScript("CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT);"
                                "INSERT INTO t VALUES (1, '')"));
  ShortOfMemory sink(memory);
  do {
    connection->SetChangeSink(nullptr);
    ASSERT_OK(connection->Execute("UPDATE t SET name = ?1", std::string(300, 'a')));
    connection->SetChangeSink(&sink);
    const absl::Status status =
        connection->Execute("UPDATE t SET name = ?1", std::string(400, 'b'));
    EXPECT_TRUE(status.ok() || absl::IsResourceExhausted(status)) << status;
  } while (sink.refused());
  connection->SetChangeSink(nullptr);
  EXPECT_GT(sink.failed(), 0);
}

}  // namespace
}  // namespace vouch::storage
