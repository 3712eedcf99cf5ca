#include "storage/migrations/plan.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/storage/migrations/database.h"

namespace vouch::storage {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using vouch::test::IsOkAndHolds;
using vouch::test::StatusIs;

constexpr absl::StatusCode kFailedPrecondition = absl::StatusCode::kFailedPrecondition;
constexpr absl::StatusCode kInvalidArgument = absl::StatusCode::kInvalidArgument;

// 1 to 4; 2 cannot be reverted.
const MigrationSet& Set() {
  static const MigrationSet& set = *new MigrationSet(
      SetOf("s", {{.version = 1, .name = "a", .up = "SELECT 1", .down = "SELECT 1"},
                  {.version = 2, .name = "b", .up = "SELECT 2"},
                  {.version = 3, .name = "c", .up = "SELECT 3", .down = "SELECT 3"},
                  {.version = 4, .name = "d", .up = "SELECT 4", .down = "SELECT 4"}}));
  return set;
}

HistoryRow Row(std::int64_t version, HistoryStatus status = HistoryStatus::kApplied) {
  const Migration* const migration = Set().Find(version);
  return {.version = version,
          .name = migration == nullptr ? "later" : migration->name,
          .applied_at = "2026-11-21T00:00:00.000Z",
          .checksum = migration == nullptr ? "?" : Checksum(*migration),
          .status = status};
}

// 1 to `version` applied.
std::vector<HistoryRow> At(std::int64_t version) {
  std::vector<HistoryRow> rows;
  for (std::int64_t v = 1; v <= version; ++v) rows.push_back(Row(v));
  return rows;
}

// "+3 +4", "-4 -3", or "" for nothing.
absl::StatusOr<std::string> PlanText(const std::vector<HistoryRow>& history,
                                     MigrationTarget target) {
  const auto steps = Plan(Set(), history, target);
  if (!steps.ok()) return steps.status();
  std::string text;
  for (const PlanStep& step : *steps) {
    absl::StrAppend(&text, text.empty() ? "" : " ",
                    step.direction == MigrationDirection::kUp ? "+" : "-", step.migration->version);
  }
  return text;
}

TEST(PlanTest, Up) {
  EXPECT_THAT(PlanText({}, MigrationTarget::Latest()), IsOkAndHolds("+1 +2 +3 +4"));
  EXPECT_THAT(PlanText(At(2), MigrationTarget::Latest()), IsOkAndHolds("+3 +4"));
  EXPECT_THAT(PlanText(At(4), MigrationTarget::Latest()), IsOkAndHolds(""));
  EXPECT_THAT(PlanText({}, MigrationTarget::UpTo(2)), IsOkAndHolds("+1 +2"));
  EXPECT_THAT(PlanText(At(2), MigrationTarget::UpTo(2)), IsOkAndHolds(""));
  EXPECT_THAT(PlanText(At(3), MigrationTarget::UpTo(2)), IsOkAndHolds(""));
  EXPECT_THAT(PlanText({}, MigrationTarget::UpTo(0)), IsOkAndHolds(""));
}

TEST(PlanTest, Down) {
  EXPECT_THAT(PlanText(At(4), MigrationTarget::DownBy(1)), IsOkAndHolds("-4"));
  EXPECT_THAT(PlanText(At(4), MigrationTarget::DownBy(2)), IsOkAndHolds("-4 -3"));
  EXPECT_THAT(PlanText(At(1), MigrationTarget::DownBy(9)), IsOkAndHolds("-1"));
  EXPECT_THAT(PlanText({}, MigrationTarget::DownBy(1)), IsOkAndHolds(""));
  EXPECT_THAT(PlanText(At(4), MigrationTarget::DownTo(2)), IsOkAndHolds("-4 -3"));
  EXPECT_THAT(PlanText(At(2), MigrationTarget::DownTo(3)), IsOkAndHolds(""));
}

TEST(PlanTest, ToAVersion) {
  EXPECT_THAT(PlanText(At(2), MigrationTarget::Version(3)), IsOkAndHolds("+3"));
  EXPECT_THAT(PlanText(At(4), MigrationTarget::Version(3)), IsOkAndHolds("-4"));
  EXPECT_THAT(PlanText(At(3), MigrationTarget::Version(3)), IsOkAndHolds(""));
  EXPECT_THAT(PlanText(At(1), MigrationTarget::Version(0)), IsOkAndHolds("-1"));
}

TEST(PlanTest, OnlyAppliedCounts) {
  const std::vector<HistoryRow> history = {Row(1), Row(2, HistoryStatus::kRolledBack),
                                           Row(3, HistoryStatus::kFailed)};
  EXPECT_EQ(CurrentVersion(history), 1);
  EXPECT_THAT(PlanText(history, MigrationTarget::Latest()), IsOkAndHolds("+2 +3 +4"));
  EXPECT_THAT(PlanText(history, MigrationTarget::DownBy(1)), IsOkAndHolds("-1"));
}

TEST(PlanTest, WhatWasRolledBackMayBeEditedOrForgotten) {
  HistoryRow edited = Row(2, HistoryStatus::kRolledBack);
  edited.checksum = "another";
  EXPECT_THAT(PlanText({Row(1), edited, Row(9, HistoryStatus::kFailed)}, MigrationTarget::UpTo(2)),
              IsOkAndHolds("+2"));
}

TEST(PlanTest, TargetsThatAreNotThere) {
  for (const MigrationTarget target : {MigrationTarget::UpTo(5), MigrationTarget::UpTo(-1),
                                       MigrationTarget::Version(5), MigrationTarget::DownTo(-1)}) {
    EXPECT_THAT(PlanText(At(2), target),
                StatusIs(kInvalidArgument, HasSubstr("schema \"s\" has no version")));
  }
  for (const std::int64_t count : {0, -1}) {
    EXPECT_THAT(PlanText(At(2), MigrationTarget::DownBy(count)), StatusIs(kInvalidArgument));
  }
}

TEST(PlanTest, NoWayBackIsSaidBeforeAnythingIsDone) {
  EXPECT_THAT(PlanText(At(4), MigrationTarget::Version(1)),
              StatusIs(kFailedPrecondition, HasSubstr("s 2 (b) has no section down")));
}

TEST(PlanTest, ANewerDatabase) {
  std::vector<HistoryRow> history = At(4);
  history.push_back(Row(7));
  for (const MigrationTarget target :
       {MigrationTarget::Latest(), MigrationTarget::DownBy(1), MigrationTarget::Version(0)}) {
    EXPECT_THAT(PlanText(history, target),
                StatusIs(kFailedPrecondition,
                         "database schema \"s\" is newer (version 7) than this program knows (4)"));
  }
}

TEST(PlanTest, AGapBelowAnAppliedVersion) {
  EXPECT_THAT(PlanText({Row(1), Row(3)}, MigrationTarget::Latest()),
              StatusIs(kFailedPrecondition, HasSubstr("version 3 applied, but not version 2")));
  EXPECT_THAT(PlanText({Row(1, HistoryStatus::kFailed), Row(2)}, MigrationTarget::DownBy(1)),
              StatusIs(kFailedPrecondition, HasSubstr("version 2 applied, but not version 1")));
}

TEST(PlanTest, AnEditedMigration) {
  std::vector<HistoryRow> history = At(3);
  history[1].checksum = std::string(64, '0');
  for (const MigrationTarget target : {MigrationTarget::Latest(), MigrationTarget::DownBy(1)}) {
    EXPECT_THAT(PlanText(history, target),
                StatusIs(kFailedPrecondition,
                         AllOf(HasSubstr("s 2 (b)"), HasSubstr("2026-11-21T00:00:00.000Z"),
                               HasSubstr(Checksum(*Set().Find(2))))));
  }
}

}  // namespace
}  // namespace vouch::storage
