// An SQL value as a C++ value: leniently, as a default, or strictly, with a reason why not.
//
//   storage_internal::ConvertOrZero<int>(view)             // 0 for a text
//   storage_internal::Convert<int>(view)                   // kInvalidArgument for a text
//
// Statement::Get() and Statement::TryGet() are these two; the rules are written there.
//
// Thread safety: pure functions.
// Ownership: std::string_view, std::span and ValueView borrow the view's bytes.

#ifndef VOUCH_STORAGE_CONVERT_H_
#define VOUCH_STORAGE_CONVERT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/clock.h"
#include "storage/value.h"

namespace vouch::storage::storage_internal {

template <typename T>
struct IsOptional : std::false_type {};
template <typename T>
struct IsOptional<std::optional<T>> : std::true_type {};

template <typename T>
inline constexpr bool kIsText =
    std::is_same_v<T, std::string_view> || std::is_same_v<T, std::string>;
template <typename T>
inline constexpr bool kIsBlob =
    std::is_same_v<T, std::span<const std::byte>> || std::is_same_v<T, std::vector<std::byte>>;

inline bool IsBytes(ValueView value) {
  return value.type() == ValueType::kText || value.type() == ValueType::kBlob;
}

template <typename T>
T BytesAs(ValueView value) {
  const std::string_view bytes = value.bytes();
  if constexpr (kIsText<T>) {
    return T(bytes);
  } else {
    const std::span<const std::byte> span = std::as_bytes(std::span(bytes.data(), bytes.size()));
    return T(span.begin(), span.end());
  }
}

template <typename T>
T ConvertOrZero(ValueView value) {
  if constexpr (IsOptional<T>::value) {
    if (value.is_null()) return std::nullopt;
    return ConvertOrZero<typename T::value_type>(value);
  } else if constexpr (std::is_enum_v<T>) {
    return static_cast<T>(ConvertOrZero<std::underlying_type_t<T>>(value));
  } else if constexpr (std::is_integral_v<T>) {
    return value.type() == ValueType::kInteger ? static_cast<T>(value.integer()) : T{};
  } else if constexpr (std::is_floating_point_v<T>) {
    if (value.type() == ValueType::kInteger) return static_cast<T>(value.integer());
    return value.type() == ValueType::kReal ? static_cast<T>(value.real()) : T{};
  } else if constexpr (std::is_same_v<T, absl::Time>) {
    if (value.type() != ValueType::kText) return absl::UnixEpoch();
    return ParseUtc(value.bytes()).value_or(absl::UnixEpoch());
  } else if constexpr (std::is_same_v<T, Value> || std::is_same_v<T, ValueView>) {
    return T(value);
  } else {
    static_assert(kIsText<T> || kIsBlob<T>);
    return IsBytes(value) ? BytesAs<T>(value) : T{};
  }
}

// "holds a text, not an integer"; "holds 300, which does not fit".
absl::Status WrongClass(ValueView value, std::string_view wanted);
absl::Status DoesNotFit(std::int64_t value);

template <typename T>
absl::StatusOr<T> ConvertInteger(ValueView value) {
  if (value.type() != ValueType::kInteger) return WrongClass(value, "an integer");
  const std::int64_t integer = value.integer();
  if constexpr (std::is_same_v<T, bool>) {
    if (integer != 0 && integer != 1) return DoesNotFit(integer);
  } else if constexpr (std::is_unsigned_v<T>) {
    if (integer < 0 || static_cast<std::uint64_t>(integer) > std::uint64_t{static_cast<T>(-1)}) {
      return DoesNotFit(integer);
    }
  } else if (static_cast<std::int64_t>(static_cast<T>(integer)) != integer) {
    return DoesNotFit(integer);
  }
  return static_cast<T>(integer);
}

template <typename T>
absl::StatusOr<T> Convert(ValueView value) {
  if constexpr (IsOptional<T>::value) {
    if (value.is_null()) return T(std::nullopt);
    auto inner = Convert<typename T::value_type>(value);
    if (!inner.ok()) return std::move(inner).status();
    return T(*std::move(inner));
  } else if constexpr (std::is_enum_v<T>) {
    const auto number = ConvertInteger<std::underlying_type_t<T>>(value);
    if (!number.ok()) return number.status();
    return static_cast<T>(*number);
  } else if constexpr (std::is_integral_v<T>) {
    return ConvertInteger<T>(value);
  } else if constexpr (std::is_floating_point_v<T>) {
    if (value.type() != ValueType::kReal && value.type() != ValueType::kInteger) {
      return WrongClass(value, "a number");
    }
    return ConvertOrZero<T>(value);
  } else if constexpr (std::is_same_v<T, absl::Time>) {
    if (value.type() != ValueType::kText) return WrongClass(value, "a time");
    const std::optional<absl::Time> time = ParseUtc(value.bytes());
    if (!time.has_value()) return WrongClass(value, "a time as YYYY-MM-DDTHH:MM:SS.mmmZ");
    return *time;
  } else if constexpr (std::is_same_v<T, Value> || std::is_same_v<T, ValueView>) {
    return T(value);
  } else if constexpr (kIsText<T>) {
    if (value.type() != ValueType::kText) return WrongClass(value, "a text");
    return BytesAs<T>(value);
  } else {
    static_assert(kIsBlob<T>);
    if (value.type() != ValueType::kBlob) return WrongClass(value, "a blob");
    return BytesAs<T>(value);
  }
}

}  // namespace vouch::storage::storage_internal

#endif  // VOUCH_STORAGE_CONVERT_H_
