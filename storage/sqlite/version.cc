#include "storage/sqlite/version.h"

#include <sqlite3.h>

#include "absl/strings/str_cat.h"

namespace vouch::storage {

int SqliteVersion() { return sqlite3_libversion_number(); }

std::string FormatSqliteVersion(int version) {
  return absl::StrCat(version / 1'000'000, ".", version / 1000 % 1000, ".", version % 1000);
}

bool HasWalResetBug(int version) {
  constexpr int kFirst = 3'007'000;
  constexpr int kFixed = 3'051'003;
  if (version < kFirst || version >= kFixed) return false;
  // The fix was also taken to two older lines.
  const int line = version / 1000;
  const int patch = version % 1000;
  if (line == 3'044) return patch < 6;
  if (line == 3'050) return patch < 7;
  return true;
}

}  // namespace vouch::storage
