#include "uow/internal/cells.h"

#include "uow/format.h"

namespace vouch::uow::uow_internal {
namespace {

using storage::ValueType;
using storage::ValueView;

std::string_view NameOfType(ValueType type) {
  switch (type) {
    case ValueType::kNull:
      return "NULL";
    case ValueType::kInteger:
      return "an integer";
    case ValueType::kReal:
      return "a real";
    case ValueType::kText:
      return "a text";
    case ValueType::kBlob:
      return "a blob";
  }
  return "";
}

}  // namespace

std::int64_t Cells::Integer(int column) {
  const ValueView value = row_.column(column);
  if (value.type() == ValueType::kInteger) return value.integer();
  Fail(column, "an integer");
  return 0;
}

std::int64_t Cells::Count(int column) {
  const std::int64_t value = Integer(column);
  if (value < 0) Fail(column, "zero or more");
  return value;
}

std::string_view Cells::Text(int column) {
  const ValueView value = row_.column(column);
  if (value.type() == ValueType::kText) return value.bytes();
  Fail(column, "a text");
  return "";
}

std::string_view Cells::Text(int column, bool (*is)(std::string_view), const char* what) {
  const std::string_view text = Text(column);
  if (!is(text)) Fail(column, what);
  return text;
}

std::optional<std::string_view> Cells::OptionalText(int column) {
  if (IsNull(column)) return std::nullopt;
  return Text(column);
}

std::optional<std::string_view> Cells::OptionalText(int column, bool (*is)(std::string_view),
                                                    const char* what) {
  if (IsNull(column)) return std::nullopt;
  return Text(column, is, what);
}

storage::Digest Cells::Digest(int column) {
  return Name(column, ParseDigest, "64 lower-case hex digits");
}

std::optional<storage::Digest> Cells::OptionalDigest(int column) {
  return OptionalName(column, ParseDigest, "64 lower-case hex digits");
}

void Cells::Fail(int column, std::string_view wanted) {
  if (!ok()) return;
  const ValueView value = row_.column(column);
  fault_.append(row_.column_name(column)).append(" is ");
  // Where the class is right, the text or the number is wrong.
  const bool number_wanted = wanted == "an integer" || wanted == "zero or more";
  if (value.type() == (number_wanted ? ValueType::kInteger : ValueType::kText)) {
    fault_.append("not ").append(wanted);
  } else {
    fault_.append(NameOfType(value.type())).append(", not ").append(wanted);
  }
}

}  // namespace vouch::uow::uow_internal
