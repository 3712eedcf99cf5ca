#include "uow/internal/json.h"

#include <set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace vouch::uow::uow_internal {
namespace {

constexpr int kMostNested = 64;

}  // namespace

absl::StatusOr<Json> ParseJson(std::string_view text, std::string_view operation) {
  const auto wrong = [&](std::string_view what) {
    return absl::InvalidArgumentError(
        absl::StrCat(std::string(operation), ": ", std::string(what)));
  };
  std::vector<std::set<std::string>> names;  // Of each object that is open.
  bool too_deep = false;
  bool twice = false;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    switch (event) {
      case Json::parse_event_t::object_start:
        names.emplace_back();
        [[fallthrough]];
      case Json::parse_event_t::array_start:
        too_deep |= depth >= kMostNested;
        break;
      case Json::parse_event_t::object_end:
        if (!names.empty()) names.pop_back();
        break;
      case Json::parse_event_t::key:
        twice |= !names.empty() && !names.back().insert(parsed.get<std::string>()).second;
        break;
      default:
        break;
    }
    return !too_deep;  // What is false here is not built.
  };
  Json value = Json::parse(text, watch, /*allow_exceptions=*/false);
  if (too_deep) return wrong(absl::StrCat("more than ", kMostNested, " values in each other"));
  if (value.is_discarded()) return wrong("not JSON");
  if (twice) return wrong("a name is twice in one object");
  return value;
}

absl::StatusOr<std::string> CanonicalText(const Json& value) {
  try {
    return value.dump(-1, ' ', /*ensure_ascii=*/true);
  } catch (const Json::exception&) {
    return absl::InvalidArgumentError("json: a text is not UTF-8");
  }
}

}  // namespace vouch::uow::uow_internal
