// The operating system's errors as absl::Status, by the table in storage/error.h.
//
// Thread safety: pure.

#ifndef VOUCH_STORAGE_SQLITE_INTERNAL_SYSTEM_ERROR_H_
#define VOUCH_STORAGE_SQLITE_INTERNAL_SYSTEM_ERROR_H_

#include <string_view>

#include "absl/status/status.h"

namespace vouch::storage::storage_internal {

// The error `error` (errno's value) that `operation` got.
absl::Status SystemError(int error, std::string_view operation);

}  // namespace vouch::storage::storage_internal

#endif  // VOUCH_STORAGE_SQLITE_INTERNAL_SYSTEM_ERROR_H_
