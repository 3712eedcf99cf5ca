// A connection in a forked child: every use is refused, and the child closes nothing, which shows in
// its file descriptors and in what the parent goes on to do.

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <optional>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/sqlite/database.h"
#include "storage/transaction.h"
#include "tests/storage/sqlite/support.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace vouch::storage {
namespace {

using test::StatusIs;
using test::TemporaryDirectory;
using ::testing::HasSubstr;
using testing_support::ConnectionPtr;
using testing_support::Int;
using testing_support::OpenOrDie;
using testing_support::PlainDatabase;

// Runs `body` in a forked child, whose failures become this process's.
void InChild(const std::function<void()>& body) {
  std::cout.flush();
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    body();
    std::_Exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "the child's failures are above";
}

// Descriptors of this process that are open on files below `folder`.
int OpenFilesBelow(const std::filesystem::path& folder) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const auto target = std::filesystem::read_symlink(entry.path(), gone);
    if (!gone && target.string().rfind(folder.string(), 0) == 0) ++count;
  }
  return count;
}

class SqliteForkTest : public ::testing::Test {
 protected:
  SqliteForkTest() {
    PlainDatabase plain(path_);
    plain.Run("CREATE TABLE t(a); INSERT INTO t VALUES (1), (2), (3)");
  }

  TemporaryDirectory directory_;
  const std::string path_ = directory_.File("t.db");
};

TEST_F(SqliteForkTest, EveryUseIsRefused) {
  const ConnectionPtr connection = OpenOrDie({.path = path_});
  ASSERT_OK_AND_ASSIGN(auto lent, connection->Prepare("SELECT a FROM t WHERE a > ?1"));
  ASSERT_OK(lent->Bind(1, 0));
  ASSERT_OK(lent->Step());
  ASSERT_OK(connection->Execute("INSERT INTO t VALUES (4)"));  // Idle in the cache now.
  InChild([&] {
    const auto is_refused = StatusIs(absl::StatusCode::kFailedPrecondition,
                                     HasSubstr("before this process was forked"));
    EXPECT_TRUE(connection->forked());
    EXPECT_THAT(connection->Prepare("SELECT 1"), is_refused);
    EXPECT_THAT(connection->Prepare("INSERT INTO t VALUES (4)"), is_refused) << "from the cache";
    EXPECT_THAT(connection->PrepareTrusted("SELECT 1"), is_refused);
    EXPECT_THAT(connection->ExecuteScript("SELECT 1"), is_refused);
    EXPECT_THAT(lent->Step(), is_refused);
    EXPECT_THAT(lent->Bind(1, 2), is_refused);
    EXPECT_THAT(Transaction::Begin(*connection, TransactionMode::kRead), is_refused);
    EXPECT_THAT(Transaction::Begin(*connection, TransactionMode::kWrite), is_refused);
    EXPECT_THAT(connection->BeginSnapshot(), is_refused);
    EXPECT_THAT(connection->Checkpoint(absl::ZeroDuration()), is_refused);
    EXPECT_FALSE(connection->MakeReusable());
  });
  EXPECT_FALSE(connection->forked());
  ASSERT_OK(lent->Step());
  EXPECT_EQ(lent->Get<int>(0), 2) << "the parent's statement goes on";
}

TEST_F(SqliteForkTest, NothingIsClosedInTheChild) {
  ConnectionPtr connection = OpenOrDie({.path = path_});
  ASSERT_OK_AND_ASSIGN(StatementPtr lent, connection->Prepare("SELECT a FROM t"));
  ASSERT_OK(lent->Step());
  ASSERT_OK(connection->Execute("INSERT INTO t VALUES (4)"));
  const int open = OpenFilesBelow(directory_.path());
  ASSERT_GE(open, 2);  // The file and its log.
  InChild([&] {
    lent->Reset();
    lent.reset();
    connection.reset();
    EXPECT_EQ(OpenFilesBelow(directory_.path()), open);
  });
  lent.reset();
  connection.reset();
  EXPECT_EQ(OpenFilesBelow(directory_.path()), 0) << "what the child did not, the parent does";
}

TEST_F(SqliteForkTest, AnOpenTransactionStaysTheParents) {
  const ConnectionPtr connection = OpenOrDie({.path = path_});
  ASSERT_OK_AND_ASSIGN(Transaction begun, Transaction::Begin(*connection, TransactionMode::kWrite));
  std::optional<Transaction> transaction(std::move(begun));
  ASSERT_OK(connection->Execute("INSERT INTO t VALUES (4)"));
  InChild([&] {
    EXPECT_THAT(transaction->Commit(), StatusIs(absl::StatusCode::kFailedPrecondition));
    EXPECT_THAT(transaction->Rollback(), StatusIs(absl::StatusCode::kFailedPrecondition));
    transaction.reset();
  });
  InChild([&] {
    EXPECT_EQ(PlainDatabase(path_).Run("BEGIN IMMEDIATE"), SQLITE_BUSY) << "the lock is lost";
  });
  ASSERT_OK(transaction->Commit());
  EXPECT_EQ(Int(*connection, "SELECT count(*) FROM t"), 4);
  EXPECT_EQ(testing_support::Text(*connection, "PRAGMA integrity_check"), "ok");
}

TEST_F(SqliteForkTest, TheChildMayOpenItsOwn) {
  const ConnectionPtr connection = OpenOrDie({.path = path_});
  ASSERT_OK(connection->Execute("INSERT INTO t VALUES (4)"));
  InChild([&] {
    const ConnectionPtr own = OpenOrDie({.path = path_});
    EXPECT_FALSE(own->forked());
    EXPECT_OK(own->Execute("INSERT INTO t VALUES (5)"));
  });
  EXPECT_EQ(Int(*connection, "SELECT count(*) FROM t"), 5);
}

TEST_F(SqliteForkTest, LeasesOfADatabase) {
  ASSERT_OK_AND_ASSIGN(auto database, Database::Open({.path = path_}));
  ASSERT_OK_AND_ASSIGN(WriteLease lease, database->Write());
  std::optional<WriteLease> writer(std::move(lease));
  const int open = OpenFilesBelow(directory_.path());
  InChild([&] {
    EXPECT_THAT((*writer)->Execute("INSERT INTO t VALUES (4)"),
                StatusIs(absl::StatusCode::kFailedPrecondition));
    writer.reset();
    EXPECT_THAT(database->Read(), StatusIs(absl::StatusCode::kFailedPrecondition));
    EXPECT_EQ(OpenFilesBelow(directory_.path()), open);
  });
  EXPECT_OK((*writer)->Execute("INSERT INTO t VALUES (4)"));
}

}  // namespace
}  // namespace vouch::storage
