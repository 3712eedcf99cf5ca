#include "storage/convert.h"

#include "absl/strings/str_cat.h"

namespace vouch::storage::storage_internal {
namespace {

const char* NameOf(ValueType type) {
  switch (type) {
    case ValueType::kNull:
      return "null";
    case ValueType::kInteger:
      return "an integer";
    case ValueType::kReal:
      return "a real";
    case ValueType::kText:
      return "a text";
    case ValueType::kBlob:
      return "a blob";
  }
  return "nothing known";
}

}  // namespace

absl::Status WrongClass(ValueView value, std::string_view wanted) {
  return absl::InvalidArgumentError(
      absl::StrCat("holds ", NameOf(value.type()), ", not ", std::string(wanted)));
}

absl::Status DoesNotFit(std::int64_t value) {
  return absl::InvalidArgumentError(absl::StrCat("holds ", value, ", which does not fit"));
}

}  // namespace vouch::storage::storage_internal
