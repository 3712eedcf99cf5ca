#include "uow/summary.h"

#include <stdexcept>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vouch::uow {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

UnitRecord Committed() {
  return {.uow_id = "01KAJ000000000000000000001",
          .created = "2026-11-21T00:00:00.123Z",
          .envelope_id = "e",
          .parts = {{"a", {.writes = 1, .bytes = 3}}, {"b", {.writes = 2, .bytes = 30}}},
          .retries = 2,
          .execution_time = absl::Milliseconds(40)};
}

constexpr UnitTimings kTimings{.lock_wait = absl::Milliseconds(7),
                               .begin = absl::Milliseconds(1),
                               .commit = absl::Milliseconds(20)};

UnitRecord Failed() {
  UnitRecord record = Committed();
  record.status = UnitStatus::kFailed;
  record.parts.clear();
  record.error_type = "constraint_violation";
  record.error_message = "UNIQUE";
  record.failed_store = "a";
  return record;
}

TEST(SummaryTest, CountsWritesByStoreAndSharesTheTransactionsTimes) {
  const TransactionSummary summary = Summarize(Committed(), "2026-11-21T00:00:00.163Z", kTimings);
  EXPECT_EQ(summary.uow_id, "01KAJ000000000000000000001");
  EXPECT_EQ(summary.committed, "2026-11-21T00:00:00.163Z");
  EXPECT_EQ(summary.total_duration, absl::Milliseconds(60));
  EXPECT_EQ(summary.writes_count, 3);
  EXPECT_EQ(summary.total_bytes, 33);
  EXPECT_EQ(summary.stores_count(), 2);
  const StoreMetrics expected{.store = "b",
                              .units = 1,
                              .write_count = 2,
                              .size_bytes = 30,
                              .retries = 2,
                              .lock_wait = absl::Milliseconds(7),
                              .begin_time = absl::Milliseconds(1),
                              .commit_time = absl::Milliseconds(20),
                              .total_time = absl::Milliseconds(60)};
  ASSERT_THAT(summary.stores, SizeIs(2));
  EXPECT_EQ(summary.stores[0].store, "a");
  EXPECT_EQ(summary.stores[1], expected);
  EXPECT_EQ(summary.stores[1].AverageTimePerWrite(), absl::Milliseconds(30));
  EXPECT_THAT(summary.validation_errors, IsEmpty());
}

TEST(SummaryTest, AFailureIsItsStores) {
  const TransactionSummary summary = Summarize(Failed(), "", {.rollback = absl::Milliseconds(2)});
  EXPECT_EQ(summary.status, UnitStatus::kFailed);
  EXPECT_EQ(summary.committed, std::nullopt);
  EXPECT_EQ(summary.total_duration, absl::Milliseconds(42));
  EXPECT_EQ(summary.last_error, "UNIQUE");
  EXPECT_THAT(summary.validation_errors, IsEmpty());
  ASSERT_THAT(summary.stores, SizeIs(1));
  EXPECT_EQ(summary.stores[0].store, "a");
  EXPECT_EQ(summary.stores[0].error_count, 1);
  EXPECT_EQ(summary.stores[0].last_error, "UNIQUE");
  EXPECT_EQ(summary.stores[0].rollback_time, absl::Milliseconds(2));
  EXPECT_EQ(summary.stores[0].AverageTimePerWrite(), absl::ZeroDuration());

  UnitRecord invalid = Failed();
  invalid.error_type = "validation_failure";
  invalid.failed_store.clear();
  const TransactionSummary without = Summarize(invalid, "", {});
  EXPECT_THAT(without.validation_errors, ElementsAre("UNIQUE"));
  EXPECT_THAT(without.stores, IsEmpty());
}

TEST(SummaryTest, EventsTellHowAUnitEnded) {
  const absl::Time now = absl::FromUnixMillis(1'790'000'000'123);
  const UnitEvent committed = EventOf(Summarize(Committed(), "t", kTimings), now);
  EXPECT_STREQ(NameOf(committed.type), "committed");
  EXPECT_EQ(committed.envelope_id, "e");
  EXPECT_EQ(committed.duration, absl::Milliseconds(60));
  EXPECT_THAT(committed.stores, ElementsAre("a", "b"));
  EXPECT_EQ(committed.writes_count, 3);
  EXPECT_EQ(committed.timestamp, now);

  const UnitEvent failed = EventOf(Summarize(Failed(), "", {}), now);
  EXPECT_STREQ(NameOf(failed.type), "rolled_back");
  EXPECT_EQ(failed.status, UnitStatus::kFailed);
}

TEST(SummaryTest, WhatACallbackThrowsIsSwallowed) {
  int calls = 0;
  EXPECT_TRUE(Announce({}, {}));
  EXPECT_TRUE(Announce([&](const UnitEvent&) { ++calls; }, {}));
  EXPECT_FALSE(Announce([&](const UnitEvent&) { throw std::runtime_error("no"); }, {}));
  EXPECT_FALSE(Announce([&](const UnitEvent&) { throw 7; }, {}));
  EXPECT_EQ(calls, 1);
}

TEST(SummaryTest, TotalsAddUpUnitsFromAnyThread) {
  StoreTotals totals;
  const TransactionSummary committed = Summarize(Committed(), "t", kTimings);
  const TransactionSummary failed = Summarize(Failed(), "", {});
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int unit = 0; unit < 100; ++unit) totals.Add(unit % 4 == 0 ? failed : committed);
      });
    }
  }
  const std::vector<StoreMetrics> all = totals.Snapshot();
  ASSERT_THAT(all, SizeIs(2));
  EXPECT_EQ(all[0].store, "a");
  EXPECT_EQ(all[0].units, 400);
  EXPECT_EQ(all[0].write_count, 300);
  EXPECT_EQ(all[0].error_count, 100);
  EXPECT_EQ(all[0].last_error, "UNIQUE");
  EXPECT_EQ(all[1].units, 300);
  EXPECT_EQ(all[1].size_bytes, 300 * 30);
  EXPECT_EQ(all[1].commit_time, 300 * absl::Milliseconds(20));
}

}  // namespace
}  // namespace vouch::uow
