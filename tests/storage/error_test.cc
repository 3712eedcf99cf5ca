#include "storage/error.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"

namespace vouch::storage {
namespace {

using test::StatusIs;
using ::testing::EndsWith;

bool IsUtf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i]);
    const std::size_t size = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (i + size > text.size() || (first & 0xC0) == 0x80) return false;
    for (std::size_t k = 1; k < size; ++k) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xC0) != 0x80) return false;
    }
    i += size;
  }
  return true;
}

TEST(ErrorTest, TheNativeCodeTravelsAlong) {
  const absl::Status status = WithNativeCode(absl::AbortedError("x"), 517);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kAborted, "x"));
  EXPECT_EQ(NativeCode(status), 517);
  EXPECT_EQ(NativeCode(absl::AbortedError("x")), std::nullopt);
  EXPECT_EQ(NativeCode(absl::OkStatus()), std::nullopt);
  EXPECT_EQ(NativeCode(WithNativeCode(status, -3)), -3);
}

TEST(ErrorTest, AnnotateKeepsCodeAndPayload) {
  const absl::Status status = Annotate(WithNativeCode(absl::DataLossError("gone"), 11), "read: ");
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kDataLoss, "read: gone"));
  EXPECT_EQ(NativeCode(status), 11);
  EXPECT_OK(Annotate(absl::OkStatus(), "read: "));
}

TEST(ErrorTest, ShortSqlIsOneLine) {
  EXPECT_EQ(ShortSql("  SELECT\t1,\r\n\n   2  \n"), "SELECT 1, 2");
  EXPECT_EQ(ShortSql(""), "");
  EXPECT_EQ(ShortSql(" \n\t "), "");
}

TEST(ErrorTest, ShortSqlSaysWhereItCut) {
  EXPECT_EQ(ShortSql("123456789", 9), "123456789");
  EXPECT_EQ(ShortSql("1234567890", 9), "123456789…");
  EXPECT_EQ(ShortSql("123456789     ", 9), "123456789") << "nothing was cut but space";
}

TEST(ErrorTest, ShortSqlCutsBetweenCharacters) {
  // Two, three and four bytes; each limit inside the character leaves it out as a whole.
  EXPECT_EQ(ShortSql("aë!", 2), "a…");
  EXPECT_EQ(ShortSql("aë!", 3), "aë…");
  EXPECT_EQ(ShortSql("a€!", 2), "a…");
  EXPECT_EQ(ShortSql("a€!", 3), "a…");
  EXPECT_EQ(ShortSql("a€!", 4), "a€…");
  EXPECT_EQ(ShortSql("a😀!", 4), "a…");
  EXPECT_EQ(ShortSql("a😀!", 5), "a😀…");
}

TEST(ErrorTest, ShortSqlOfUtf8IsUtf8WithinItsLimit) {
  test::Random random;
  const std::vector<std::string> characters = {"a", " ", "\n", "ë", "€", "😀", ";", "'"};
  for (int i = 0; i < 2000; ++i) {
    std::string sql;
    const int length = random.Uniform(0, 60);
    for (int k = 0; k < length; ++k) {
      sql += characters[random.Uniform<std::size_t>(0, characters.size() - 1)];
    }
    const auto limit = random.Uniform<std::size_t>(0, 40);
    const std::string text = ShortSql(sql, limit);
    ASSERT_TRUE(IsUtf8(text)) << sql;
    ASSERT_LE(text.size(), limit + std::string_view("…").size());
    ASSERT_EQ(text.find('\n'), std::string::npos);
    if (text.size() > limit) {
      EXPECT_THAT(text, EndsWith("…"));
    }
  }
}

TEST(ErrorTest, ShortSqlSurvivesWhatIsNotUtf8) {
  EXPECT_EQ(ShortSql(std::string(50, '\x80'), 10), "…");
  EXPECT_EQ(ShortSql("SELECT '\xff'", 120), "SELECT '\xff'");
}

TEST(ErrorTest, TheOffsetTravelsBesideTheCode) {
  const absl::Status status = WithSqlOffset(WithNativeCode(absl::InvalidArgumentError("x"), 1), 42);
  EXPECT_EQ(SqlOffset(status), 42);
  EXPECT_EQ(NativeCode(status), 1);
  EXPECT_EQ(SqlOffset(absl::InvalidArgumentError("x")), std::nullopt);
  EXPECT_EQ(SqlOffset(Annotate(status, "y: ")), 42);
}

TEST(ErrorTest, TheTextAroundAnOffsetShowsIt) {
  EXPECT_EQ(ShortSqlAround("SELECT 1", 3), ShortSql("SELECT 1"));
  EXPECT_EQ(ShortSqlAround("", 0), "");
  std::string sql;
  for (int i = 0; i < 100; ++i) sql += "ëë" + std::to_string(i) + ", ";
  for (int offset = 0; offset <= static_cast<int>(sql.size()); ++offset) {
    const std::string shown = ShortSqlAround(sql, offset);
    EXPECT_LE(shown.size(), 130u);
    EXPECT_NE(static_cast<unsigned char>(shown[0]) & 0xC0, 0x80) << "begins inside a character";
  }
  const std::size_t at = sql.find("ëë77");
  EXPECT_THAT(ShortSqlAround(sql, static_cast<int>(at)), ::testing::HasSubstr("ëë77"));
}

}  // namespace
}  // namespace vouch::storage
