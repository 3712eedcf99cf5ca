#include "storage/migrations/source.h"

#include <string>
#include <vector>

#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace vouch::storage {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using vouch::test::StatusIs;

constexpr char kFull[] = R"(-- Copyright, and why not.
-- vouch:migration v1
-- vouch:id billing-2026-11
-- vouch:version 1.10.0
-- vouch:description Who pays; and when
-- vouch:default plans WHERE id = 'free'
-- vouch:default plans WHERE id = 'paid'

-- vouch:up

CREATE TABLE plans(id TEXT);  -- a; b
INSERT INTO plans VALUES ('free');

-- vouch:down
DROP TABLE plans;
-- vouch:verify
SELECT 1;
)";

absl::StatusOr<Migration> Parse(const std::string& text, const std::string& name = "0007_a_1.sql") {
  return ParseMigration({.name = name, .text = text});
}

TEST(SourceTest, ReadsEveryPart) {
  ASSERT_OK_AND_ASSIGN(const Migration m, Parse(kFull));
  EXPECT_EQ(m.version, 7);
  EXPECT_EQ(m.name, "a_1");
  EXPECT_EQ(m.file, "0007_a_1.sql");
  EXPECT_EQ(m.id, "billing-2026-11");
  EXPECT_EQ(m.semver, "1.10.0");
  EXPECT_EQ(m.description, "Who pays; and when");
  ASSERT_EQ(m.default_rows.size(), 2u);
  EXPECT_EQ(m.default_rows[0].table, "plans");
  EXPECT_EQ(m.default_rows[1].where, "id = 'paid'");
  EXPECT_EQ(m.up, "CREATE TABLE plans(id TEXT);  -- a; b\nINSERT INTO plans VALUES ('free');\n");
  EXPECT_EQ(m.up_line, 11);
  EXPECT_EQ(m.down, "DROP TABLE plans;\n");
  EXPECT_EQ(m.down_line, 15);
  EXPECT_EQ(m.verify, "SELECT 1;\n");
  EXPECT_EQ(m.verify_line, 17);
}

TEST(SourceTest, UpIsAllThatIsNeeded) {
  ASSERT_OK_AND_ASSIGN(const Migration m, Parse("-- vouch:migration v1\n-- vouch:up\nSELECT 1"));
  EXPECT_EQ(m.up, "SELECT 1\n");
  EXPECT_EQ(m.down, "");
  EXPECT_EQ(m.verify, "");
}

TEST(SourceTest, LineEndsAndByteOrderMarkAreNotPartOfIt) {
  ASSERT_OK_AND_ASSIGN(const Migration lf, Parse(kFull));
  for (const std::string& text :
       {"\xEF\xBB\xBF" + std::string(kFull),
        std::string(absl::StrReplaceAll(kFull, {{"\n", "\r\n"}})),
        "\xEF\xBB\xBF" + absl::StrReplaceAll(kFull, {{"\n", "\r\n"}}),
        std::string(kFull).substr(0, sizeof(kFull) - 2),  // No line end at the end.
        std::string(kFull) + "\n\n  \n"}) {
    ASSERT_OK_AND_ASSIGN(const Migration m, Parse(text));
    EXPECT_EQ(m.up, lf.up);
    EXPECT_EQ(m.down, lf.down);
    EXPECT_EQ(m.verify, lf.verify);
    EXPECT_EQ(m.up_line, lf.up_line);
    EXPECT_EQ(m.description, lf.description);
  }
}

TEST(SourceTest, SpacesInDirectivesAreForgiven) {
  ASSERT_OK_AND_ASSIGN(const Migration m,
                       Parse("--vouch:migration v1\n  --  vouch : version\t1.2.3 \n"
                             "-- vouch: up\nSELECT 1;\n--vouch:down\nSELECT 2;"));
  EXPECT_EQ(m.semver, "1.2.3");
  EXPECT_EQ(m.up, "SELECT 1;\n");
  EXPECT_EQ(m.down, "SELECT 2;\n");
}

TEST(SourceTest, OtherCommentsAreLeftAlone) {
  ASSERT_OK_AND_ASSIGN(const Migration m,
                       Parse("-- vouch:migration v1\n-- vouchsafe: no\n-- vouch\n-- vouch:up\n"
                             "-- we vouch:down here\nSELECT 1;"));
  EXPECT_EQ(m.up, "-- we vouch:down here\nSELECT 1;\n");
}

TEST(SourceTest, SaysWhatIsWrongAndWhere) {
  const std::string v1 = "-- vouch:migration v1\n";
  const std::string up = "-- vouch:up\nSELECT 1;\n";
  struct Case {
    std::string text;
    int line;
    std::string message;
  };
  for (const Case& c : std::vector<Case>{
           {"", 1, "not a migration"},
           {"\n\n-- a comment\n", 1, "not a migration"},
           {"SELECT 1;\n", 1, "not a migration"},
           {"-- vouch:up\nSELECT 1;\n", 1, "not a migration"},
           {"\n-- vouch:version 1.0.0\n" + v1 + up, 2, "not a migration"},
           {"-- vouch:migration v2\n" + up, 1, "format \"v2\" is not known"},
           {"-- vouch:migration\n" + up, 1, "format \"\" is not known"},
           {v1 + v1 + up, 2, "second -- vouch:migration"},
           {v1, 2, "section up is missing"},
           {v1 + "-- vouch:down\nSELECT 1;\n", 4, "section up is missing"},
           {v1 + "CREATE TABLE t(a);\n" + up, 2, "SQL before the first section"},
           {v1 + "-- vouch:versoin 1.0.0\n" + up, 2, "unknown header -- vouch:versoin"},
           {v1 + "-- vouch:Up\nSELECT 1;\n", 2, "unknown header -- vouch:Up"},
           {v1 + "-- Vouch:downn\n" + up, 2, "unknown header -- vouch:downn"},
           {v1 + "-- vouch:\n" + up, 2, "unknown header -- vouch:"},
           {v1 + up + "-- vouch:revert\nSELECT 2;\n", 4, "unknown header -- vouch:revert"},
           {v1 + "-- vouch:version 1.0\n" + up, 2, "three numbers"},
           {v1 + "-- vouch:version 1.0.x\n" + up, 2, "three numbers"},
           {v1 + "-- vouch:version 1.00.0\n" + up, 2, "three numbers"},
           {v1 + "-- vouch:version\n" + up, 2, "header version has no value"},
           {v1 + "-- vouch:id a b\n" + up, 2, "an id is"},
           {v1 + "-- vouch:description\n" + up, 2, "header description has no value"},
           {v1 + "-- vouch:default plans\n" + up, 2, "not: table WHERE condition"},
           {v1 + "-- vouch:default plans IF 1\n" + up, 2, "not: table WHERE condition"},
           {v1 + "-- vouch:id a\n-- vouch:id b\n" + up, 3, "a second header id"},
           {v1 + up + "-- vouch:id a\n", 4, "header id after the first section"},
           {v1 + up + "\n" + up, 5, "a second section up, after that at line 2"},
           {v1 + "-- vouch:up CREATE TABLE t(a);\n" + up, 2, "nothing may follow -- vouch:up"},
           {v1 + "-- vouch:up\n\n", 2, "the section up is empty"},
           {v1 + "-- vouch:up\n-- nothing\n;\n", 3, "the section up is empty"},
           {v1 + up + "-- vouch:down\n\n\n", 4, "the section down is empty"},
           {v1 + up + "-- vouch:down\n-- not yet\n", 5, "the section down is empty"},
           {v1 + up + "-- vouch:verify\n", 4, "the section verify is empty"},
           {v1 + up + "-- vouch:verify\nSELECT 1;\nDELETE FROM t;\n", 6, "only queries"},
           {v1 + "-- vouch:up\n\nSELECT 1;\n COMMIT;\n", 5, "COMMIT: a migration runs in"},
           {v1 + up + "-- vouch:down\nSELECT 1; begin\n;", 5, "BEGIN: a migration runs in"},
           {v1 + up + std::string("\0", 1), 1, "NUL"},
       }) {
    SCOPED_TRACE(c.text);
    EXPECT_THAT(Parse(c.text),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(StartsWith("0007_a_1.sql:" + std::to_string(c.line) + ": "),
                               HasSubstr(c.message))));
  }
}

TEST(SourceTest, FileNamesAreNumberAndName) {
  const std::string text = "-- vouch:migration v1\n-- vouch:up\nSELECT 1;\n";
  EXPECT_OK(Parse(text, "0001_a.sql"));
  EXPECT_OK(Parse(text, "9999_a_2_b.sql"));
  for (const std::string name :
       {"", ".sql", "0001.sql", "0001_.sql", "0001-a.sql", "0001_A.sql", "0001_a b.sql",
        "0001_a.txt", "001_a.sql", "00001_a.sql", "0000_a.sql", "a_0001.sql", "-001_a.sql"}) {
    EXPECT_THAT(Parse(text, name),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("NNNN_name.sql")))
        << name;
  }
}

}  // namespace
}  // namespace vouch::storage
