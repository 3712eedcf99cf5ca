// What a unit's error is called in the ledger, and whose it is: pure decisions.
//
// Thread safety: pure functions.

#ifndef VOUCH_UOW_FAILURE_H_
#define VOUCH_UOW_FAILURE_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace vouch::uow {

// The failure reasons of the unit-of-work contract: timeout, constraint_violation, deadlock,
// coordinator_failure, resource_exhaustion, corruption, authorization_failure, validation_failure,
// user_abort.
const char* ErrorTypeOf(const absl::Status& status);

// Whether the function that returned `status` decided so by itself, and the unit was rolled back at
// its wish: true. False: the database or the deadline stopped it, and the unit failed.
bool IsCallersDecision(const absl::Status& status);

// The table an error of the database names ("UNIQUE constraint failed: accounts.id"), if it does.
std::optional<std::string> TableOfError(const absl::Status& status);

}  // namespace vouch::uow

#endif  // VOUCH_UOW_FAILURE_H_
