// What a unit's error is called, whose it is, and what is to be done about it: pure decisions.
//
//   const FailureReason reason = ReasonOf(status);          // kDeadlock
//   switch (ActionFor(status, FailureStage::kCommit)) …     // kRetry
//
// A status says what the next line of code does (storage/error.h); the words here are those of the
// unit-of-work contract, which go into the ledger and to whoever watches it. They are derived from
// the status, so that an error has one meaning.
//
// Where a unit was when it failed:
//
//   initialization   Run or Begin was called: options, the wait for the writer
//   preparation      BEGIN, what earlier units left to be written, the look for a duplicate
//   execution        the function, and what it asked of the database
//   commit           what the unit wrote is gathered and its receipt appended; COMMIT
//   cleanup          the unit has ended; its failure is recorded, the connection given back
//
// Thread safety: pure functions.
// Errors: none; of an OK status there is no reason (REQUIRES: !status.ok()).

#ifndef VOUCH_UOW_FAILURE_H_
#define VOUCH_UOW_FAILURE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace vouch::uow {

// Each is named in the ledger by NameOf(): "timeout", "constraint_violation" …
enum class FailureReason : std::uint8_t {
  kTimeout,
  kConstraintViolation,
  kDeadlock,            // Another holds the lock, or the transaction was ended.
  kCoordinatorFailure,  // Whatever has no better name; a disk that fails.
  kNetworkPartition,    // A service that the caller's function needs does not answer.
  kResourceExhaustion,
  kCorruption,
  kAuthorizationFailure,
  kValidationFailure,
  kUserAbort,
};
const char* NameOf(FailureReason reason);
std::optional<FailureReason> ParseFailureReason(std::string_view name);

enum class FailureStage : std::uint8_t {
  kInitialization,
  kPreparation,
  kExecution,
  kCommit,
  kCleanup,
};
const char* NameOf(FailureStage stage);

enum class RecoveryAction : std::uint8_t {
  kRetry,               // retry: the whole unit, at once
  kRetryWithBackoff,    // retry_with_backoff
  kManualIntervention,  // manual_intervention: the caller has to change something first
  kEscalate,            // escalate: no caller can; tell whoever runs the database
  kIgnore,              // ignore
};
const char* NameOf(RecoveryAction action);

FailureReason ReasonOf(const absl::Status& status);

// Another has changed what a unit expected to find as it had been read (UnitOfWork::ExpectVersion):
// kAborted, and the one kAborted that running the unit again does not cure.
struct VersionConflict {
  std::int64_t expected = 0;
  std::optional<std::int64_t> found = {};  // Nothing: there is no such row, or it has no version.
};
absl::Status VersionConflictError(const VersionConflict& conflict);
std::optional<VersionConflict> VersionConflictOf(const absl::Status& status);

// What whoever called should do next. Whatever uow/retry.h would run again has one of the two
// retries, in every stage but cleanup; an unknown outcome never has.
RecoveryAction ActionFor(const absl::Status& status, FailureStage stage);

// The code by which the contract's events name the failure: STOR107 what a unit asks for is not
// valid, else STOR106 it failed before its function ran, else STOR105.
const char* EventCodeOf(const absl::Status& status, FailureStage stage);

// NameOf(ReasonOf(status)).
const char* ErrorTypeOf(const absl::Status& status);

// Whether the function that returned `status` decided so by itself, and the unit was rolled back at
// its wish: true. False: the database or the deadline stopped it, and the unit failed.
bool IsCallersDecision(const absl::Status& status);

// The table an error of the database names ("UNIQUE constraint failed: accounts.id"), if it does.
std::optional<std::string> TableOfError(const absl::Status& status);

}  // namespace vouch::uow

#endif  // VOUCH_UOW_FAILURE_H_
