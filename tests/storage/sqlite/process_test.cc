// Settings of the process, each test in a process of its own: "threadsafe" death tests start the
// program anew, and SQLite with it.

#include "storage/sqlite/process.h"

#include <sqlite3.h>

#include <cstdlib>
#include <functional>
#include <iostream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/storage/sqlite/support.h"
#include "tests/support/status_matchers.h"

namespace vouch::storage {
namespace {

using test::StatusIs;
using ::testing::HasSubstr;
using testing_support::OpenInMemory;

constexpr auto kRefused = absl::StatusCode::kFailedPrecondition;

class ProcessTest : public ::testing::Test {
 protected:
  ProcessTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

  // Ends this process: with 0 when `checks` all hold, else after saying which does not.
  [[noreturn]] static void Exit(const std::function<void()>& checks) {
    checks();
    const auto* result = ::testing::UnitTest::GetInstance()->current_test_info()->result();
    for (int i = 0; i < result->total_part_count(); ++i) {
      std::cerr << result->GetTestPartResult(i).message() << '\n';
    }
    std::_Exit(result->Failed() ? 1 : 0);
  }

  static absl::Status MakeBlob(int bytes) {
    return OpenInMemory()->QueryValue<int>("SELECT length(randomblob(?1))", bytes).status();
  }
};

#define EXPECT_IN_A_PROCESS(...) \
  EXPECT_EXIT(Exit([] { __VA_ARGS__; }), ::testing::ExitedWithCode(0), "")

TEST_F(ProcessTest, SwitchesMemoryStatisticsOff) {
  EXPECT_IN_A_PROCESS(ASSERT_OK(ConfigureProcess()); const auto connection = OpenInMemory();
                      EXPECT_EQ(sqlite3_memory_used(), 0));
}

TEST_F(ProcessTest, WithoutItMemoryIsCounted) {
  EXPECT_IN_A_PROCESS(const auto connection = OpenInMemory(); EXPECT_GT(sqlite3_memory_used(), 0));
  EXPECT_IN_A_PROCESS(ASSERT_OK(ConfigureProcess({.memory_statistics = true}));
                      const auto connection = OpenInMemory(); EXPECT_GT(sqlite3_memory_used(), 0));
}

TEST_F(ProcessTest, RefusedOnceSqliteIsInUse) {
  EXPECT_IN_A_PROCESS({ const auto connection = OpenInMemory(); } EXPECT_THAT(
                          ConfigureProcess(), StatusIs(kRefused, HasSubstr("main()")));
                      EXPECT_GT((OpenInMemory(), sqlite3_memory_used()), -1));
}

TEST_F(ProcessTest, TwiceOnlyWithTheSameSettings) {
  EXPECT_IN_A_PROCESS(ASSERT_OK(ConfigureProcess()); EXPECT_OK(ConfigureProcess());
                      EXPECT_THAT(ConfigureProcess({.memory_statistics = true}),
                                  StatusIs(kRefused, HasSubstr("other settings")));
                      const auto connection = OpenInMemory(); EXPECT_OK(ConfigureProcess()));
}

TEST_F(ProcessTest, AHeapLimitHolds) {
  EXPECT_IN_A_PROCESS(
      ASSERT_OK(ConfigureProcess({.memory_statistics = true, .hard_heap_limit_bytes = 8 << 20}));
      EXPECT_OK(MakeBlob(1 << 20));
      EXPECT_THAT(MakeBlob(64 << 20), StatusIs(absl::StatusCode::kResourceExhausted));
      EXPECT_OK(MakeBlob(1 << 20)));
}

TEST_F(ProcessTest, WithoutAHeapLimitItDoesNot) {
  EXPECT_IN_A_PROCESS(ASSERT_OK(ConfigureProcess()); EXPECT_OK(MakeBlob(64 << 20)));
}

// What the header warns of: were it to work one day, the refusal below could go.
TEST_F(ProcessTest, SqlitesOwnHeapLimitDoesNothingWithoutStatistics) {
  EXPECT_IN_A_PROCESS(ASSERT_OK(ConfigureProcess()); sqlite3_hard_heap_limit64(8 << 20);
                      EXPECT_OK(MakeBlob(64 << 20)));
}

TEST_F(ProcessTest, SettingsSayWhatIsWrong) {
  const auto kBad = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(ConfigureProcess({.hard_heap_limit_bytes = 1 << 20}),
              StatusIs(kBad, HasSubstr("memory_statistics")));
  EXPECT_THAT(ConfigureProcess({.memory_statistics = true, .hard_heap_limit_bytes = -1}),
              StatusIs(kBad, HasSubstr("-1")));
}

}  // namespace
}  // namespace vouch::storage
