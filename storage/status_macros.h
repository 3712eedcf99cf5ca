// Two macros that return early on an error status. Abseil ships them only in later releases than
// distributions carry, hence these.
//
//   VOUCH_RETURN_IF_ERROR(connection.Execute("DELETE FROM t"));
//   VOUCH_ASSIGN_OR_RETURN(StatementPtr statement, connection.Prepare("SELECT 1"));
//
// VOUCH_ASSIGN_OR_RETURN declares a helper variable: use it as a statement of its own, never as
// the body of an `if` without braces.

#ifndef VOUCH_STORAGE_STATUS_MACROS_H_
#define VOUCH_STORAGE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define VOUCH_RETURN_IF_ERROR(expression)                                                    \
  do {                                                                                       \
    if (::absl::Status vouch_status = (expression); !vouch_status.ok()) return vouch_status; \
  } while (false)

#define VOUCH_ASSIGN_OR_RETURN(target, expression) \
  VOUCH_ASSIGN_OR_RETURN_(VOUCH_CONCAT_(vouch_result_, __LINE__), target, expression)

#define VOUCH_CONCAT_INNER_(a, b) a##b
#define VOUCH_CONCAT_(a, b) VOUCH_CONCAT_INNER_(a, b)
#define VOUCH_ASSIGN_OR_RETURN_(result, target, expression) \
  auto result = (expression);                               \
  if (!result.ok()) return std::move(result).status();      \
  target = *std::move(result)

#endif  // VOUCH_STORAGE_STATUS_MACROS_H_
