#include "uow/internal/late_records.h"

#include <atomic>
#include <latch>
#include <string>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "tests/pool/forked_child.h"

namespace vouch::uow {
namespace {

constexpr absl::Duration kSoon = absl::Milliseconds(1);

TEST(LateRecordsTest, WhatIsExpectedIsWritten) {
  std::latch written(1);
  std::atomic<int> writes{0};
  LateRecords records(kSoon, [&] {
    if (++writes == 1) written.count_down();
    return absl::OkStatus();
  });
  records.Expect();
  written.wait();
}

TEST(LateRecordsTest, WhatIsExpectedDuringAWriteIsWrittenByTheNext) {
  std::latch begun(1), go_on(1), again(1);
  std::atomic<int> writes{0};
  LateRecords records(kSoon, [&] {
    const int nth = ++writes;
    if (nth == 1) {
      begun.count_down();
      go_on.wait();
    } else if (nth == 2) {
      again.count_down();
    }
    return absl::OkStatus();
  });
  records.Expect();
  begun.wait();
  records.Expect();
  go_on.count_down();
  again.wait();
}

TEST(LateRecordsTest, WhatCannotBeWrittenIsTriedAgain) {
  std::latch written(3);
  std::atomic<int> writes{0};
  LateRecords records(kSoon, [&]() -> absl::Status {
    const int nth = ++writes;
    if (nth <= 3) written.count_down();
    return nth < 3 ? absl::UnavailableError("locked") : absl::OkStatus();
  });
  records.Expect();
  written.wait();
}

TEST(LateRecordsTest, StopDoesNotWaitForTheTime) {
  std::atomic<int> writes{0};
  LateRecords records(absl::Hours(1), [&] {
    ++writes;
    return absl::OkStatus();
  });
  records.Expect();
  records.Stop();
  records.Expect();
  records.Stop();
  EXPECT_EQ(writes, 0);
}

// The child has no such thread to wait for.
TEST(LateRecordsTest, AForkedChildMayEnd) {
  VOUCH_TEST_SKIP_UNLESS_FORKS();
  LateRecords records(absl::Hours(1), [] { return absl::OkStatus(); });
  records.Expect();
  EXPECT_EQ(pool::InForkedChild([&] {
              records.Stop();
              return std::string();
            }),
            "");
}

}  // namespace
}  // namespace vouch::uow
