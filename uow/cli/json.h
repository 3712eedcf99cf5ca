// JSON as the program prints it: fields in the order in which they were put in.
//
// Thread safety: pure functions.

#ifndef VOUCH_UOW_CLI_JSON_H_
#define VOUCH_UOW_CLI_JSON_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "storage/sha256.h"

namespace vouch::cli {

using Json = nlohmann::ordered_json;

// `object` on one line; what is not UTF-8 is replaced.
inline std::string ToText(const Json& object) {
  return object.dump(-1, ' ', false, Json::error_handler_t::replace);
}

inline Json HexOrNull(const std::optional<storage::Digest>& digest) {
  return digest.has_value() ? Json(storage::HexOf(*digest)) : Json();
}

inline Json NumberOrNull(const std::optional<std::int64_t>& number) {
  return number.has_value() ? Json(*number) : Json();
}

inline Json ErrorToJson(const absl::Status& status) {
  return {{"code", absl::StatusCodeToString(status.code())},
          {"message", std::string(status.message())}};
}

}  // namespace vouch::cli

#endif  // VOUCH_UOW_CLI_JSON_H_
