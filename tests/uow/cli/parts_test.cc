// The parts of the program that are functions of their arguments.

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/error.h"
#include "uow/cli/console.h"
#include "uow/cli/document.h"
#include "uow/cli/json.h"
#include "uow/cli/path_range.h"
#include "uow/cli/printable.h"
#include "uow/cli/progress.h"
#include "uow/cli/samples.h"
#include "uow/cli/stable_read.h"
#include "uow/cli/text_table.h"

namespace vouch::cli {
namespace {

TEST(PrintableTest, TextIsItself) {
  EXPECT_EQ(Printable("plain, Zoë, 漢字, 🙂 \"quoted\" \\ "),
            "plain, Zoë, 漢字, 🙂 \"quoted\" \\ ");
}

TEST(PrintableTest, ControlCharactersAreEscaped) {
  EXPECT_EQ(Printable("a\nb\tc\rd\x1b[31m\x7f"), "a\\nb\\tc\\rd\\x1b[31m\\x7f");
  EXPECT_EQ(Printable(std::string_view("\0", 1)), "\\x00");
  EXPECT_EQ(Printable("\xc2\x9b"), "\\xc2\\x9b") << "a control character of two bytes";
}

TEST(PrintableTest, WhatIsNotUtf8IsEscaped) {
  EXPECT_EQ(Printable("\xff|\x80|\xc3"), "\\xff|\\x80|\\xc3");
  EXPECT_EQ(Printable("\xc0\xaf"), "\\xc0\\xaf") << "overlong";
  EXPECT_EQ(Printable("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "a surrogate";
  EXPECT_EQ(Printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80") << "beyond Unicode";
  EXPECT_EQ(Printable("\xe2\x82x"), "\\xe2\\x82x") << "cut short";
}

TEST(PrintableTest, Numbers) {
  EXPECT_EQ(WithCommas(0), "0");
  EXPECT_EQ(WithCommas(999), "999");
  EXPECT_EQ(WithCommas(1000), "1,000");
  EXPECT_EQ(WithCommas(-1234567), "-1,234,567");
  EXPECT_EQ(WithCommas(-123), "-123");
}

TEST(PrintableTest, Durations) {
  EXPECT_EQ(ShortDuration(absl::ZeroDuration()), "0ns");
  EXPECT_EQ(ShortDuration(absl::Nanoseconds(850)), "850ns");
  EXPECT_EQ(ShortDuration(absl::Nanoseconds(12'345)), "12.3µs");
  EXPECT_EQ(ShortDuration(absl::Microseconds(1234)), "1.23ms");
  EXPECT_EQ(ShortDuration(absl::Milliseconds(45'600)), "45.6s");
  EXPECT_EQ(ShortDuration(absl::Seconds(1234)), "1234s");
}

TEST(SamplesTest, PercentilesAreTheNearestRank) {
  Samples samples;
  EXPECT_EQ(samples.Percentile(50), absl::ZeroDuration());
  for (int i = 100; i >= 1; --i) samples.Add(absl::Milliseconds(i));
  EXPECT_EQ(samples.Percentile(50), absl::Milliseconds(50));
  EXPECT_EQ(samples.Percentile(99), absl::Milliseconds(99));
  EXPECT_EQ(samples.Percentile(99.1), absl::Milliseconds(100));
  EXPECT_EQ(samples.Percentile(100), absl::Milliseconds(100));
  EXPECT_EQ(samples.Percentile(0.001), absl::Milliseconds(1));
}

TEST(PathRangeTest, HoldsWhatIsBelowAFolder) {
  const PathRange range = FolderRange("/a_b");
  EXPECT_TRUE(range.Contains("/a_b/c"));
  EXPECT_TRUE(range.Contains("/a_b/\xff/d"));
  EXPECT_FALSE(range.Contains("/a_b"));
  EXPECT_FALSE(range.Contains("/a_bc/d"));
  EXPECT_FALSE(range.Contains("/a_b0"));
  EXPECT_FALSE(range.Contains("/axb/c")) << "no wildcard";
  EXPECT_TRUE(FolderRange("/").Contains("/x"));
  EXPECT_TRUE(FolderRange("/").Contains("/\xff"));
  EXPECT_FALSE(FolderRange("/").Contains("/"));
}

TEST(DocumentTest, TheExtensionGivesTheType) {
  EXPECT_EQ(MediaTypeOf("/a/b.md"), "text/markdown");
  EXPECT_EQ(MediaTypeOf("/a/B.TXT"), "text/plain");
  EXPECT_EQ(MediaTypeOf("/a/x.tar.gz"), "application/gzip");
  EXPECT_EQ(MediaTypeOf("/a/x.bash"), "text/x-shellscript") << "the first of the table";
  EXPECT_EQ(MediaTypeOf("/a/x.zip"), "application/zip") << "the last";
  EXPECT_EQ(MediaTypeOf("/a/.md"), std::nullopt) << "hidden, without extension";
  EXPECT_EQ(MediaTypeOf("/a.md/x"), std::nullopt);
  EXPECT_EQ(MediaTypeOf("/a/x.unheard-of"), std::nullopt);
  EXPECT_EQ(MediaTypeOf("/a/x."), std::nullopt);
  EXPECT_EQ(FileName("/a/b.md"), "b.md");
}

TEST(TextTableTest, LinesUpByCharactersNotBytes) {
  TextTable table({TextTable::Align::kLeft, TextTable::Align::kRight, TextTable::Align::kLeft});
  table.Add({"a", "1", "x"});
  table.Add({"Zoë", "1,000", ""});
  EXPECT_EQ(table.Render(),
            "a        1  x\n"
            "Zoë  1,000\n");
}

TEST(ProgressTest, ShowsNumbersUntilTheTotalIsKnownThenABar) {
  const Progress begun{.verb = "index", .done = 1500, .detail = "3 units"};
  EXPECT_EQ(RenderProgress(begun, absl::Seconds(2), 80), "index  1,500  750/s  3 units");
  Progress half = begun;
  half.total = 3000;
  EXPECT_EQ(RenderProgress(half, absl::Seconds(2), 80),
            "index  [##########..........]  50%  1,500 of 3,000  750/s  3 units");
}

TEST(ProgressTest, NeverIsWiderThanTheTerminal) {
  const Progress progress{
      .verb = "index", .done = 123'456'789, .total = 987'654'321, .detail = std::string(60, 'x')};
  for (int width = 0; width < 200; ++width) {
    EXPECT_LE(DisplayWidth(RenderProgress(progress, absl::Seconds(7), width)), width);
  }
}

TEST(ProgressTest, NeverExceedsTheWhole) {
  const Progress progress{.verb = "audit", .done = 11, .total = 10};
  EXPECT_THAT(RenderProgress(progress, absl::ZeroDuration(), 80), testing::HasSubstr("100%"));
  const Progress empty{.verb = "audit", .done = 0, .total = 0};
  EXPECT_EQ(RenderProgress(empty, absl::Seconds(1), 80), "audit  0  0/s");
}

TEST(StableReadTest, ALogDecidesHowToRead) {
  EXPECT_EQ(AccessFor({.has_log = true}), storage::Access::kReadOnly);
  EXPECT_EQ(AccessFor({.has_log = false}), storage::Access::kImmutable);
}

TEST(StableReadTest, WhatChangedMeanwhileIsReadAgain) {
  const storage::FileState before{.size = 1, .modified_ns = 2, .has_log = false};
  using storage::Access;
  EXPECT_FALSE(MustReadAgain(Access::kImmutable, before, before));
  EXPECT_TRUE(MustReadAgain(Access::kImmutable, before, {.size = 2, .modified_ns = 2}));
  EXPECT_TRUE(MustReadAgain(Access::kImmutable, before, {.size = 1, .modified_ns = 3}));
  EXPECT_TRUE(
      MustReadAgain(Access::kImmutable, before, {.size = 1, .modified_ns = 2, .has_log = true}));
  EXPECT_FALSE(MustReadAgain(Access::kReadOnly, before, {.size = 2, .modified_ns = 3}));
}

TEST(JsonTest, IsAlwaysValid) {
  const std::string text = ToText({{"path", "a\xff\n"}});
  EXPECT_EQ(text, "{\"path\":\"a\xef\xbf\xbd\\n\"}");
  EXPECT_TRUE(Json::accept(text));
}

TEST(ConsoleTest, APathThatIsWrongIsWrongUsage) {
  EXPECT_EQ(CodeForOpening(absl::NotFoundError("")), kUsage);
  EXPECT_EQ(CodeForOpening(absl::PermissionDeniedError("")), kUsage);
  EXPECT_EQ(CodeForOpening(storage::WithNativeCode(absl::FailedPreconditionError(""), 26)), kUsage);
  EXPECT_EQ(CodeForOpening(absl::FailedPreconditionError("newer")), kFailed);
  EXPECT_EQ(CodeForOpening(absl::UnavailableError("locked")), kFailed);
}

}  // namespace
}  // namespace vouch::cli
