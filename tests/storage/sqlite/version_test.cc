#include "storage/sqlite/version.h"

#include <sqlite3.h>

#include "gtest/gtest.h"

namespace vouch::storage {
namespace {

TEST(VersionTest, WhichVersionsHaveTheWalResetBug) {
  const struct {
    int version;
    bool affected;
  } kCases[] = {
      {0, false},         {3'006'023, false},  // before there was a log
      {3'007'000, true},                       // the first with one
      {3'040'001, true},                       // Debian 12
      {3'043'002, true},  {3'044'000, true},  {3'044'005, true},  {3'044'006, false},
      {3'044'999, false}, {3'045'000, true},  {3'049'002, true},  {3'050'000, true},
      {3'050'006, true},  {3'050'007, false}, {3'050'999, false}, {3'051'000, true},
      {3'051'002, true},  {3'051'003, false}, {3'052'000, false}, {3'144'000, false},
      {4'000'000, false},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(HasWalResetBug(c.version), c.affected) << FormatSqliteVersion(c.version);
  }
}

TEST(VersionTest, VersionsAreWrittenAsSqliteDoes) {
  EXPECT_EQ(FormatSqliteVersion(3'007'000), "3.7.0");
  EXPECT_EQ(FormatSqliteVersion(3'051'003), "3.51.3");
  EXPECT_EQ(FormatSqliteVersion(SqliteVersion()), sqlite3_libversion());
}

}  // namespace
}  // namespace vouch::storage
