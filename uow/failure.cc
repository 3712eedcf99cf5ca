#include "uow/failure.h"

#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "storage/error.h"

namespace vouch::uow {

namespace {

// Of SQLite's codes, here only to tell what a retryable status cannot: a lock from a failing disk.
constexpr int kPrimaryCodeMask = 0xFF;
constexpr int kIoError = 10;

// "expected found", the second empty when nothing was found.
constexpr char kVersionConflictUrl[] = "vouch.uow/version_conflict";

bool IsIoError(const absl::Status& status) {
  const auto code = storage::NativeCode(status);
  return code.has_value() && (*code & kPrimaryCodeMask) == kIoError;
}

bool IsConstraint(const absl::Status& status) {
  return storage::NativeCode(status).has_value() &&
         std::string(status.message()).find("constraint failed") != std::string::npos;
}

}  // namespace

const char* NameOf(FailureReason reason) {
  switch (reason) {
    case FailureReason::kTimeout:
      return "timeout";
    case FailureReason::kConstraintViolation:
      return "constraint_violation";
    case FailureReason::kDeadlock:
      return "deadlock";
    case FailureReason::kCoordinatorFailure:
      return "coordinator_failure";
    case FailureReason::kNetworkPartition:
      return "network_partition";
    case FailureReason::kResourceExhaustion:
      return "resource_exhaustion";
    case FailureReason::kCorruption:
      return "corruption";
    case FailureReason::kAuthorizationFailure:
      return "authorization_failure";
    case FailureReason::kValidationFailure:
      return "validation_failure";
    case FailureReason::kUserAbort:
      return "user_abort";
  }
  return "coordinator_failure";
}

std::optional<FailureReason> ParseFailureReason(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(FailureReason::kUserAbort); ++i) {
    const auto reason = static_cast<FailureReason>(i);
    if (name == NameOf(reason)) return reason;
  }
  return std::nullopt;
}

const char* NameOf(FailureStage stage) {
  switch (stage) {
    case FailureStage::kInitialization:
      return "initialization";
    case FailureStage::kPreparation:
      return "preparation";
    case FailureStage::kExecution:
      return "execution";
    case FailureStage::kCommit:
      return "commit";
    case FailureStage::kCleanup:
      return "cleanup";
  }
  return "execution";
}

const char* NameOf(RecoveryAction action) {
  switch (action) {
    case RecoveryAction::kRetry:
      return "retry";
    case RecoveryAction::kRetryWithBackoff:
      return "retry_with_backoff";
    case RecoveryAction::kManualIntervention:
      return "manual_intervention";
    case RecoveryAction::kEscalate:
      return "escalate";
    case RecoveryAction::kIgnore:
      return "ignore";
  }
  return "escalate";
}

FailureReason ReasonOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kDeadlineExceeded:
      return FailureReason::kTimeout;
    case absl::StatusCode::kAlreadyExists:
      return FailureReason::kConstraintViolation;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return IsConstraint(status) ? FailureReason::kConstraintViolation
                                  : FailureReason::kValidationFailure;
    case absl::StatusCode::kUnavailable:
      if (!storage::NativeCode(status).has_value()) return FailureReason::kNetworkPartition;
      return IsIoError(status) ? FailureReason::kCoordinatorFailure : FailureReason::kDeadlock;
    case absl::StatusCode::kAborted:
      return VersionConflictOf(status).has_value() ? FailureReason::kConstraintViolation
                                                   : FailureReason::kDeadlock;
    case absl::StatusCode::kResourceExhausted:
      return FailureReason::kResourceExhaustion;
    case absl::StatusCode::kDataLoss:
      return FailureReason::kCorruption;
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
      return FailureReason::kAuthorizationFailure;
    case absl::StatusCode::kCancelled:
      return FailureReason::kUserAbort;
    default:
      return FailureReason::kCoordinatorFailure;
  }
}

RecoveryAction ActionFor(const absl::Status& status, FailureStage stage) {
  // COMMIT was sent and its answer lost: what is in the ledger decides, not another attempt.
  if (status.code() == absl::StatusCode::kUnknown) return RecoveryAction::kManualIntervention;
  const FailureReason reason = ReasonOf(status);
  if (reason == FailureReason::kCorruption) return RecoveryAction::kEscalate;
  // The unit's outcome stands; what could not be recorded of it is recorded with a later unit.
  if (stage == FailureStage::kCleanup) return RecoveryAction::kIgnore;
  if (absl::IsAborted(status) && reason == FailureReason::kDeadlock) return RecoveryAction::kRetry;
  switch (reason) {
    case FailureReason::kTimeout:
    case FailureReason::kDeadlock:
    case FailureReason::kNetworkPartition:
      return RecoveryAction::kRetryWithBackoff;
    case FailureReason::kCoordinatorFailure:
      // A disk's error that the database calls passing; anything else is not known to pass.
      return absl::IsUnavailable(status) ? RecoveryAction::kRetryWithBackoff
                                         : RecoveryAction::kEscalate;
    case FailureReason::kResourceExhaustion:
      // A full disk does not empty itself; a pool does.
      return storage::NativeCode(status).has_value() ? RecoveryAction::kEscalate
                                                     : RecoveryAction::kRetryWithBackoff;
    case FailureReason::kConstraintViolation:
    case FailureReason::kAuthorizationFailure:
    case FailureReason::kValidationFailure:
      return RecoveryAction::kManualIntervention;
    case FailureReason::kUserAbort:
      return RecoveryAction::kIgnore;
    case FailureReason::kCorruption:
      break;
  }
  return RecoveryAction::kEscalate;
}

absl::Status VersionConflictError(const VersionConflict& conflict) {
  const std::string found = conflict.found.has_value() ? absl::StrCat(*conflict.found) : "";
  absl::Status status = absl::AbortedError(
      absl::StrCat("expect version: expected ", conflict.expected, ", found ",
                   found.empty() ? "none" : found, "; read again before running the unit again"));
  status.SetPayload(kVersionConflictUrl, absl::Cord(absl::StrCat(conflict.expected, " ", found)));
  return status;
}

std::optional<VersionConflict> VersionConflictOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kVersionConflictUrl);
  if (!payload.has_value()) return std::nullopt;
  const std::vector<std::string> numbers = absl::StrSplit(std::string(*payload), ' ');
  VersionConflict conflict;
  if (numbers.size() != 2 || !absl::SimpleAtoi(numbers[0], &conflict.expected)) return std::nullopt;
  std::int64_t found = 0;
  if (absl::SimpleAtoi(numbers[1], &found)) conflict.found = found;
  return conflict;
}

const char* EventCodeOf(const absl::Status& status, FailureStage stage) {
  if (ReasonOf(status) == FailureReason::kValidationFailure) return "STOR107";
  const bool before = stage == FailureStage::kInitialization || stage == FailureStage::kPreparation;
  return before ? "STOR106" : "STOR105";
}

const char* ErrorTypeOf(const absl::Status& status) { return NameOf(ReasonOf(status)); }

bool IsCallersDecision(const absl::Status& status) {
  if (storage::NativeCode(status).has_value()) return false;
  switch (status.code()) {
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kUnavailable:
      return false;
    default:
      return true;
  }
}

std::optional<std::string> TableOfError(const absl::Status& status) {
  if (!storage::NativeCode(status).has_value()) return std::nullopt;
  const std::string message(status.message());
  const std::string_view marker = "constraint failed: ";
  const std::size_t at = message.find(marker);
  if (at == std::string::npos) return std::nullopt;
  const std::size_t begin = at + marker.size();
  const std::size_t dot = message.find('.', begin);
  if (dot == std::string::npos) return std::nullopt;
  return message.substr(begin, dot - begin);
}

}  // namespace vouch::uow
