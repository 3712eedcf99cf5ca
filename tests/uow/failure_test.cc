#include "uow/failure.h"

#include "gtest/gtest.h"
#include "storage/error.h"

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
  EXPECT_STREQ(ErrorTypeOf(Native(StatusCode::kResourceExhausted, "")), "resource_exhaustion");
  EXPECT_STREQ(ErrorTypeOf(Native(StatusCode::kDataLoss, "")), "corruption");
  EXPECT_STREQ(ErrorTypeOf(Native(StatusCode::kPermissionDenied, "")), "authorization_failure");
  EXPECT_STREQ(ErrorTypeOf(absl::CancelledError("")), "user_abort");
  EXPECT_STREQ(ErrorTypeOf(absl::InternalError("")), "coordinator_failure");
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
