#include "storage/value.h"

#include <array>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace vouch::storage {
namespace {

TEST(ValueTest, CppValuesHaveTheStorageClassOneExpects) {
  EXPECT_EQ(ToValueView(nullptr).type(), ValueType::kNull);
  EXPECT_EQ(ToValueView(std::nullopt).type(), ValueType::kNull);
  EXPECT_EQ(ToValueView(true), ValueView::Integer(1));
  EXPECT_EQ(ToValueView(std::uint8_t{255}), ValueView::Integer(255));
  EXPECT_EQ(ToValueView(std::uint32_t{4'294'967'295}), ValueView::Integer(4'294'967'295));
  EXPECT_EQ(ToValueView(std::numeric_limits<std::int64_t>::min()).integer(),
            std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(ToValueView(1.5f), ValueView::Real(1.5));
  EXPECT_EQ(ToValueView("text"), ValueView::Text("text"));
  EXPECT_EQ(ToValueView(std::string("text")), ValueView::Text("text"));
  EXPECT_EQ(ToValueView(std::string_view("text")), ValueView::Text("text"));
  EXPECT_EQ(ToValueView(absl::string_view("text")), ValueView::Text("text"));
  EXPECT_EQ(ToValueView(BlobView{"bytes"}), ValueView::Blob("bytes"));
  EXPECT_EQ(ToValueView(ValueView::Real(2)), ValueView::Real(2));
}

TEST(ValueTest, BytesAreABlobAndCharactersAText) {
  const std::vector<std::byte> bytes = {std::byte{0}, std::byte{255}};
  EXPECT_EQ(ToValueView(bytes), ValueView::Blob(std::string_view("\0\xff", 2)));
  EXPECT_EQ(ToValueView(std::span<const std::byte>(bytes)), ToValueView(bytes));
  const std::array<unsigned char, 2> octets = {0, 255};
  EXPECT_EQ(ToValueView(octets), ToValueView(bytes));
  const std::vector<float> numbers = {1.5f, -2.0f};
  EXPECT_EQ(ToValueView(std::span(numbers)).bytes(),
            std::string_view(reinterpret_cast<const char*>(numbers.data()), 8));
  EXPECT_EQ(ToValueView(std::span<const std::byte>()), ValueView::Blob(""));
  EXPECT_EQ(ToValueView(std::optional<std::vector<std::byte>>(bytes)), ToValueView(bytes));
  EXPECT_EQ(ToValueView(std::vector<char>{'a'}), ValueView::Text("a"));
  struct Padded {
    char a;
    int b;
  };
  static_assert(BlobRange<std::span<const int>>);
  static_assert(!BlobRange<std::span<const Padded>>);
  static_assert(!BlobRange<std::vector<int>>, "a span says that bytes are meant");
  static_assert(!BlobRange<std::string>);
}

TEST(ValueTest, AnEnumIsItsNumber) {
  enum class Small : std::uint8_t { kA = 200 };
  enum Plain { kB = -3 };
  EXPECT_EQ(ToValueView(Small::kA), ValueView::Integer(200));
  EXPECT_EQ(ToValueView(kB), ValueView::Integer(-3));
}

TEST(ValueTest, OptionalIsItsValueOrNull) {
  EXPECT_EQ(ToValueView(std::optional<int>(7)), ValueView::Integer(7));
  EXPECT_EQ(ToValueView(std::optional<std::string>("x")), ValueView::Text("x"));
  EXPECT_TRUE(ToValueView(std::optional<int>()).is_null());
}

TEST(ValueTest, EmptyTextAndBlobAreNotNullAndNotEqual) {
  // A default-made view has no pointer; a null pointer is what SQLite takes for null.
  const ValueView text = ValueView::Text(std::string_view());
  const ValueView blob = ValueView::Blob(std::string_view());
  EXPECT_NE(text.bytes().data(), nullptr);
  EXPECT_NE(blob.bytes().data(), nullptr);
  EXPECT_FALSE(text.is_null());
  EXPECT_FALSE(text == ValueView());
  EXPECT_FALSE(text == blob);
}

TEST(ValueTest, EqualityIsOfClassAndContent) {
  EXPECT_EQ(ValueView(), ValueView());
  EXPECT_FALSE(ValueView::Integer(1) == ValueView::Real(1));
  EXPECT_FALSE(ValueView::Text("1") == ValueView::Integer(1));
  EXPECT_FALSE(ValueView::Text("a") == ValueView::Text(std::string_view("a\0", 2)));
  EXPECT_EQ(ValueView::Real(0.0), ValueView::Real(-0.0));
  EXPECT_FALSE(ValueView::Real(std::nan("")) == ValueView::Real(std::nan("")));
}

TEST(ValueTest, AValueKeepsItsOwnBytes) {
  std::string bytes("a\0b", 3);
  const Value value{ValueView::Blob(bytes)};
  bytes.assign("xyz");
  EXPECT_EQ(value.view(), ValueView::Blob(std::string_view("a\0b", 3)));
  const Value copy = value;
  EXPECT_EQ(copy, value);
  EXPECT_NE(copy.view().bytes().data(), value.view().bytes().data());
}

TEST(ValueTest, AValueComesBackAsItWent) {
  for (const ValueView view :
       {ValueView(), ValueView::Integer(std::numeric_limits<std::int64_t>::max()),
        ValueView::Real(-1e300), ValueView::Text(""), ValueView::Blob(""),
        ValueView::Text("Zo\xc3\xab")}) {
    EXPECT_EQ(Value(view).view(), view);
    EXPECT_EQ(Value(view).type(), view.type());
  }
}

TEST(ValueTest, AViewIsSmallAsPromised) { EXPECT_EQ(sizeof(ValueView), 24u); }

}  // namespace
}  // namespace vouch::storage
