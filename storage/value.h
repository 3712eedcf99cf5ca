// ValueView and Value: one SQL value, borrowed or owned.
//
//   statement->Bind(1, "Zoë");               // text
//   statement->Bind(2, 10.5);                // real
//   statement->Bind(3, std::nullopt);        // null
//   statement->Bind(4, BlobView{bytes});     // blob
//   statement->Bind(5, std::span(floats));   // blob: the bytes in this machine's order
//
// A value has one of five storage classes; its declared column type plays no part here.
// Text and blobs are bytes with a length: NUL bytes and invalid UTF-8 pass through unchanged, and a
// comparison sees all of them. SQLite's own text functions do not: length() stops at a NUL byte,
// and where bytes are not UTF-8 a "character" is whatever it takes for one.
//
// Thread safety: immutable once made; any thread may read.
// Ownership: a ValueView borrows its bytes; whoever made it says for how long they live.
// Cost: a ValueView is 24 bytes and never allocates; a Value copies text and blobs.

#ifndef VOUCH_STORAGE_VALUE_H_
#define VOUCH_STORAGE_VALUE_H_

#include <cassert>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace vouch::storage {

enum class ValueType : std::uint8_t { kNull, kInteger, kReal, kText, kBlob };

// Bytes to be stored as a blob rather than as text.
struct BlobView {
  std::string_view bytes;
};

class ValueView {
 public:
  constexpr ValueView() = default;  // Null.

  static constexpr ValueView Integer(std::int64_t v) {
    ValueView value(ValueType::kInteger);
    value.number_.integer = v;
    return value;
  }
  static constexpr ValueView Real(double v) {
    ValueView value(ValueType::kReal);
    value.number_.real = v;
    return value;
  }
  static constexpr ValueView Text(std::string_view v) { return ValueView(ValueType::kText, v); }
  static constexpr ValueView Blob(std::string_view v) { return ValueView(ValueType::kBlob, v); }

  constexpr ValueType type() const { return type_; }
  constexpr bool is_null() const { return type_ == ValueType::kNull; }

  // REQUIRES: type() says so.
  constexpr std::int64_t integer() const {
    assert(type_ == ValueType::kInteger);
    return number_.integer;
  }
  constexpr double real() const {
    assert(type_ == ValueType::kReal);
    return number_.real;
  }
  // The bytes of a text or a blob.
  constexpr std::string_view bytes() const {
    assert(type_ == ValueType::kText || type_ == ValueType::kBlob);
    return {number_.data, size_};
  }

 private:
  explicit constexpr ValueView(ValueType type) : type_(type) {}
  constexpr ValueView(ValueType type, std::string_view v) : size_(v.size()), type_(type) {
    // An empty text is not null: keep a pointer that is not null either.
    number_.data = v.data() == nullptr ? "" : v.data();
  }

  union {
    std::int64_t integer;
    double real;
    const char* data;
  } number_ = {0};
  std::size_t size_ = 0;
  ValueType type_ = ValueType::kNull;
};

// Same storage class and same bytes; reals compare by value, so NaN differs from itself.
inline bool operator==(const ValueView& a, const ValueView& b) {
  if (a.type() != b.type()) return false;
  switch (a.type()) {
    case ValueType::kNull:
      return true;
    case ValueType::kInteger:
      return a.integer() == b.integer();
    case ValueType::kReal:
      return a.real() == b.real();
    case ValueType::kText:
    case ValueType::kBlob:
      return a.bytes() == b.bytes();
  }
  return false;
}

class Value {
 public:
  Value() = default;  // Null.
  explicit Value(ValueView view) : type_(view.type()) {
    switch (type_) {
      case ValueType::kNull:
        break;
      case ValueType::kInteger:
        integer_ = view.integer();
        break;
      case ValueType::kReal:
        real_ = view.real();
        break;
      case ValueType::kText:
      case ValueType::kBlob:
        bytes_ = view.bytes();
        break;
    }
  }

  // Valid until this Value is changed or destroyed.
  ValueView view() const {
    switch (type_) {
      case ValueType::kNull:
        break;
      case ValueType::kInteger:
        return ValueView::Integer(integer_);
      case ValueType::kReal:
        return ValueView::Real(real_);
      case ValueType::kText:
        return ValueView::Text(bytes_);
      case ValueType::kBlob:
        return ValueView::Blob(bytes_);
    }
    return {};
  }
  ValueType type() const { return type_; }

  friend bool operator==(const Value& a, const Value& b) { return a.view() == b.view(); }

 private:
  ValueType type_ = ValueType::kNull;
  std::int64_t integer_ = 0;
  double real_ = 0;
  std::string bytes_;
};

// Bytes: any std::span of plain elements but char, and vectors and arrays of std::byte or
// unsigned char. Elements with padding are not plain: two equal ones could differ in their bytes.
template <typename T>
inline constexpr bool kIsPlainElement = std::has_unique_object_representations_v<T> ||
                                        std::is_same_v<T, float> || std::is_same_v<T, double>;
template <typename T>
inline constexpr bool kIsSpan = false;
template <typename T, std::size_t kSize>
inline constexpr bool kIsSpan<std::span<T, kSize>> = true;
template <typename T>
concept BlobRange = requires(const T& v) {
  { v.size() } -> std::convertible_to<std::size_t>;
  requires !std::convertible_to<decltype(v.data()), const char*>;
  requires kIsPlainElement<std::remove_cvref_t<decltype(*v.data())>>;
  requires kIsSpan<T> || std::same_as<std::remove_cvref_t<decltype(*v.data())>, std::byte> ||
      std::same_as < std::remove_cvref_t<decltype(*v.data())>,
  unsigned char > ;
};

// How a C++ value becomes an SQL value. The view borrows from its argument.
constexpr ValueView ToValueView(ValueView v) { return v; }
constexpr ValueView ToValueView(std::nullptr_t) { return {}; }
constexpr ValueView ToValueView(std::nullopt_t) { return {}; }
constexpr ValueView ToValueView(BlobView v) { return ValueView::Blob(v.bytes); }
inline ValueView ToValueView(const Value& v) { return v.view(); }
constexpr ValueView ToValueView(const char* v) { return ValueView::Text(v); }
template <std::integral T>
constexpr ValueView ToValueView(T v) {
  static_assert(sizeof(T) < 8 || std::is_signed_v<T>,
                "SQL integers are signed 64-bit: cast an unsigned one where its range is known");
  return ValueView::Integer(static_cast<std::int64_t>(v));
}
template <typename T>
requires std::is_enum_v<T>
constexpr ValueView ToValueView(T v) {
  return ToValueView(static_cast<std::underlying_type_t<T>>(v));
}
template <std::floating_point T>
constexpr ValueView ToValueView(T v) {
  return ValueView::Real(static_cast<double>(v));
}
// std::string, std::string_view, absl::string_view.
template <typename T>
requires requires(const T& v) {
  { v.data() } -> std::convertible_to<const char*>;
  { v.size() } -> std::convertible_to<std::size_t>;
}
constexpr ValueView ToValueView(const T& v) {
  return ValueView::Text(std::string_view(v.data(), v.size()));
}
template <BlobRange T>
ValueView ToValueView(const T& v) {
  return ValueView::Blob({reinterpret_cast<const char*>(v.data()), v.size() * sizeof(*v.data())});
}
template <typename T>
constexpr ValueView ToValueView(const std::optional<T>& v) {
  return v.has_value() ? ToValueView(*v) : ValueView();
}

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_VALUE_H_
