#include "uow/failure.h"

#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/error.h"
#include "uow/retry.h"

namespace vouch::uow {
namespace {

absl::Status Native(absl::StatusCode code, const char* message) {
  return storage::WithNativeCode(absl::Status(code, message), 1);
}

TEST(FailureTest, ErrorsHaveTheContractsNames) {
  using absl::StatusCode;
  EXPECT_STREQ(ErrorTypeOf(absl::DeadlineExceededError("")), "timeout");
  EXPECT_STREQ(ErrorTypeOf(Native(StatusCode::kAlreadyExists, "")), "constraint_violation");
  EXPECT_STREQ(ErrorTypeOf(Native(StatusCode::kInvalidArgument, "CHECK constraint failed: x")),
               "constraint_violation");
  EXPECT_STREQ(ErrorTypeOf(Native(StatusCode::kInvalidArgument, "no such column: x")),
               "validation_failure");
  EXPECT_STREQ(ErrorTypeOf(Native(StatusCode::kUnavailable, "")), "deadlock");
  EXPECT_STREQ(ErrorTypeOf(absl::UnavailableError("")), "network_partition");
  EXPECT_STREQ(ErrorTypeOf(Native(StatusCode::kResourceExhausted, "")), "resource_exhaustion");
  EXPECT_STREQ(ErrorTypeOf(Native(StatusCode::kDataLoss, "")), "corruption");
  EXPECT_STREQ(ErrorTypeOf(Native(StatusCode::kPermissionDenied, "")), "authorization_failure");
  EXPECT_STREQ(ErrorTypeOf(absl::CancelledError("")), "user_abort");
  EXPECT_STREQ(ErrorTypeOf(absl::InternalError("")), "coordinator_failure");
}

constexpr FailureStage kStages[] = {FailureStage::kInitialization, FailureStage::kPreparation,
                                    FailureStage::kExecution, FailureStage::kCommit,
                                    FailureStage::kCleanup};

// One of each that the library or a caller's function can return.
std::vector<absl::Status> Statuses() {
  std::vector<absl::Status> statuses;
  for (int code = 1; code <= 16; ++code) {
    statuses.emplace_back(static_cast<absl::StatusCode>(code), "");
    for (const int native : {5, 6, 10, 13, 19, 266}) {
      statuses.push_back(storage::WithNativeCode(statuses.back(), native));
    }
  }
  return statuses;
}

TEST(FailureTest, EveryReasonHasANameThatIsReadBack) {
  std::set<std::string> names;
  for (int i = 0; i < 10; ++i) {
    const auto reason = static_cast<FailureReason>(i);
    EXPECT_TRUE(names.insert(NameOf(reason)).second) << NameOf(reason);
    EXPECT_EQ(ParseFailureReason(NameOf(reason)), reason);
  }
  EXPECT_THAT(names, testing::UnorderedElementsAre(
                         "timeout", "constraint_violation", "deadlock", "coordinator_failure",
                         "network_partition", "resource_exhaustion", "corruption",
                         "authorization_failure", "validation_failure", "user_abort"));
  EXPECT_EQ(ParseFailureReason("bad luck"), std::nullopt);
  std::set<std::string> reached;
  for (const absl::Status& status : Statuses()) reached.insert(ErrorTypeOf(status));
  reached.insert(ErrorTypeOf(Native(absl::StatusCode::kInvalidArgument, "constraint failed")));
  EXPECT_EQ(reached, names) << "a reason that no status has";
}

TEST(FailureTest, WhatToDoDependsOnTheErrorAndTheStage) {
  using enum RecoveryAction;
  constexpr auto kExecution = FailureStage::kExecution;
  constexpr auto kCleanup = FailureStage::kCleanup;
  const auto native = [](absl::StatusCode code, int number) {
    return storage::WithNativeCode(absl::Status(code, ""), number);
  };
  using absl::StatusCode;
  const struct {
    absl::Status status;
    FailureStage stage;
    const char* reason;
    RecoveryAction action;
    const char* code;
  } kCases[] = {
      {absl::DeadlineExceededError(""), FailureStage::kInitialization, "timeout", kRetryWithBackoff,
       "STOR106"},
      {native(StatusCode::kUnavailable, 5), FailureStage::kPreparation, "deadlock",
       kRetryWithBackoff, "STOR106"},
      {native(StatusCode::kUnavailable, 5), FailureStage::kCommit, "deadlock", kRetryWithBackoff,
       "STOR105"},
      {native(StatusCode::kUnavailable, 10), FailureStage::kCommit, "coordinator_failure",
       kRetryWithBackoff, "STOR105"},
      {absl::UnavailableError("mail server"), kExecution, "network_partition", kRetryWithBackoff,
       "STOR105"},
      {absl::AbortedError(""), kExecution, "deadlock", kRetry, "STOR105"},
      {native(StatusCode::kAlreadyExists, 2067), kExecution, "constraint_violation",
       kManualIntervention, "STOR105"},
      {absl::InvalidArgumentError("amount"), kExecution, "validation_failure", kManualIntervention,
       "STOR107"},
      {absl::InvalidArgumentError("uow_id"), FailureStage::kInitialization, "validation_failure",
       kManualIntervention, "STOR107"},
      {absl::PermissionDeniedError(""), kExecution, "authorization_failure", kManualIntervention,
       "STOR105"},
      {absl::ResourceExhaustedError("pool"), FailureStage::kInitialization, "resource_exhaustion",
       kRetryWithBackoff, "STOR106"},
      {native(StatusCode::kResourceExhausted, 13), FailureStage::kCommit, "resource_exhaustion",
       kEscalate, "STOR105"},
      {native(StatusCode::kDataLoss, 11), kExecution, "corruption", kEscalate, "STOR105"},
      {native(StatusCode::kDataLoss, 11), kCleanup, "corruption", kEscalate, "STOR105"},
      {absl::CancelledError(""), kExecution, "user_abort", kIgnore, "STOR105"},
      {absl::UnknownError("commit"), FailureStage::kCommit, "coordinator_failure",
       kManualIntervention, "STOR105"},
      {absl::InternalError(""), kExecution, "coordinator_failure", kEscalate, "STOR105"},
      {native(StatusCode::kUnavailable, 5), kCleanup, "deadlock", kIgnore, "STOR105"},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.status.ToString() + " in " + NameOf(c.stage));
    EXPECT_STREQ(ErrorTypeOf(c.status), c.reason);
    EXPECT_STREQ(NameOf(ActionFor(c.status, c.stage)), NameOf(c.action));
    EXPECT_STREQ(EventCodeOf(c.status, c.stage), c.code);
  }
}

// The engine retries by uow/retry.h; what is advised must not say otherwise.
TEST(FailureTest, AdviceAgreesWithTheRetriesThatAreMade) {
  for (const absl::Status& status : Statuses()) {
    for (const FailureStage stage : kStages) {
      const RecoveryAction action = ActionFor(status, stage);
      const bool retry =
          action == RecoveryAction::kRetry || action == RecoveryAction::kRetryWithBackoff;
      if (stage == FailureStage::kCleanup) {
        EXPECT_FALSE(retry) << status;
      } else if (IsRetryable(status)) {
        EXPECT_TRUE(retry) << status << " in " << NameOf(stage);
      }
      EXPECT_FALSE(retry && status.code() == absl::StatusCode::kUnknown) << status;
    }
  }
}

TEST(FailureTest, TheCallersOwnErrorIsItsDecision) {
  EXPECT_TRUE(IsCallersDecision(absl::NotFoundError("no such customer")));
  EXPECT_TRUE(IsCallersDecision(absl::InvalidArgumentError("amount is negative")));
  EXPECT_FALSE(IsCallersDecision(Native(absl::StatusCode::kInvalidArgument, "CHECK")));
  EXPECT_FALSE(IsCallersDecision(absl::DeadlineExceededError("")));
  EXPECT_FALSE(IsCallersDecision(absl::AbortedError("")));
}

TEST(FailureTest, TheTableIsReadFromTheDatabasesOwnWordsOnly) {
  const char* words = "execute: UNIQUE constraint failed: accounts.name (SQLite 2067)";
  EXPECT_EQ(TableOfError(Native(absl::StatusCode::kAlreadyExists, words)), "accounts");
  EXPECT_EQ(TableOfError(absl::AlreadyExistsError(words)), std::nullopt);
  EXPECT_EQ(TableOfError(Native(absl::StatusCode::kInvalidArgument,
                                "FOREIGN KEY constraint failed (SQLite 787)")),
            std::nullopt);
}

}  // namespace
}  // namespace vouch::uow
