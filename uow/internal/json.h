// JSON of the library: documents that come in, and the one text that a document is hashed as.
//
// nlohmann-json stays behind this header, which is included by sources only: who uses the library
// needs it to build vouch, not to include it.
//
// Thread safety: pure functions.

#ifndef VOUCH_UOW_INTERNAL_JSON_H_
#define VOUCH_UOW_INTERNAL_JSON_H_

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace vouch::uow::uow_internal {

// An object's names are in the order of their bytes.
using Json = nlohmann::json;

// kInvalidArgument, which begins with `operation`: not one JSON value in UTF-8, a name that is twice
// in one object, or more than 64 values within each other.
absl::StatusOr<Json> ParseJson(std::string_view text, std::string_view operation);

// Without white space, names sorted, everything but ASCII as \uXXXX: the text does not depend on who
// writes it. kInvalidArgument: a text in it is not UTF-8.
absl::StatusOr<std::string> CanonicalText(const Json& value);

}  // namespace vouch::uow::uow_internal

#endif  // VOUCH_UOW_INTERNAL_JSON_H_
