// Two threads in one connection end a program with assertions; one after another they may.

#include "storage/sqlite/internal/one_user.h"

#include <atomic>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/sqlite/changes.h"
#include "tests/storage/sqlite/support.h"
#include "tests/support/status_matchers.h"

namespace vouch::storage {
namespace {

using storage_internal::OneUser;
using testing_support::ConnectionPtr;
using testing_support::OpenInMemory;

constexpr char kMessage[] = "used by two threads at once";

TEST(OneUserDeathTest, ASecondThreadEndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        OneUser user;
        user.Enter();
        std::thread([&] { user.Enter(); }).join();
      },
      kMessage);
}

TEST(OneUserTest, TheSameThreadMayEnterAgain) {
  OneUser user;
  const auto outer = user.Enter();
  const auto inner = user.Enter();
  user.Leave(inner);
  user.Leave(outer);
  std::thread([&] { user.Leave(user.Enter()); }).join();
}

// Stops in the middle of a statement until told to go on.
class Stopper final : public ChangeSink {
 public:
  void OnChange(const RowChange&) override {
    inside = true;
    while (!go_on) std::this_thread::yield();
  }
  void OnUndone() override {}

  std::atomic<bool> inside{false};
  std::atomic<bool> go_on{false};
};

TEST(OneUserDeathTest, AConnectionInTwoThreads) {
#ifdef NDEBUG
  GTEST_SKIP() << "only in builds with assertions";
#endif
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  for (const bool script : {false, true}) {
    EXPECT_DEATH(
        {
          const ConnectionPtr connection = OpenInMemory();
          (void)connection->Execute("CREATE TABLE t(a)");
          Stopper stopper;
          connection->SetChangeSink(&stopper);
          std::thread first([&] { (void)connection->Execute("INSERT INTO t VALUES (1)"); });
          while (!stopper.inside) std::this_thread::yield();
          (void)(script ? connection->ExecuteScript("SELECT 1") : connection->Execute("SELECT 1"));
          stopper.go_on = true;  // Found or not, it ends.
          first.join();
        },
        kMessage);
  }
}

// What a callback does within a statement is the same thread's.
TEST(OneUserTest, AStatementWithinAStatement) {
  class Nested final : public ChangeSink {
   public:
    explicit Nested(SqliteConnection& connection) : connection_(connection) {}
    void OnChange(const RowChange&) override {
      EXPECT_OK(connection_.QueryValue<int>("SELECT 1"));
      ++calls;
    }
    void OnUndone() override {}
    int calls = 0;

   private:
    SqliteConnection& connection_;
  };
  const ConnectionPtr connection = OpenInMemory();
  ASSERT_OK(connection->Execute("CREATE TABLE t(a)"));
  Nested nested(*connection);
  connection->SetChangeSink(&nested);
  EXPECT_OK(connection->Execute("INSERT INTO t VALUES (1)"));
  EXPECT_EQ(nested.calls, 1);
}

TEST(OneUserTest, OneThreadAfterAnotherMayUseAConnection) {
  const ConnectionPtr connection = OpenInMemory();
  ASSERT_OK(connection->Execute("CREATE TABLE t(a)"));
  for (int i = 0; i < 4; ++i) {
    std::thread([&] { EXPECT_OK(connection->Execute("INSERT INTO t VALUES (1)")); }).join();
  }
  EXPECT_EQ(testing_support::Int(*connection, "SELECT count(*) FROM t"), 4);
}

}  // namespace
}  // namespace vouch::storage
