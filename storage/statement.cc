#include "storage/statement.h"

#include "absl/strings/str_cat.h"
#include "storage/error.h"

namespace vouch::storage {

absl::Status Statement::Run() {
  while (true) {
    VOUCH_ASSIGN_OR_RETURN(const bool row, Step());
    if (!row) return absl::OkStatus();
  }
}

absl::Status Statement::TooLarge(int index, std::uint64_t value) const {
  return absl::InvalidArgumentError(absl::StrCat("bind ?", index, ": ", value,
                                                 " is more than a signed 64-bit integer holds; in ",
                                                 "\"", ShortSql(sql()), "\""));
}

absl::StatusOr<int> Statement::ColumnIndex(std::string_view name) const {
  for (int i = 0; i < column_count(); ++i) {
    if (column_name(i) == name) return i;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("read: no column named ", std::string(name), " in \"", ShortSql(sql()), "\""));
}

absl::Status Statement::ColumnError(int column, const absl::Status& status) const {
  return Annotate(
      status, absl::StrCat("read: column ", column, " (", std::string(column_name(column)), ") "));
}

void RowRange::Advance() {
  if (!row_.ok()) {
    ended_ = true;  // The error has been shown.
    return;
  }
  const absl::StatusOr<bool> more = statement_.Step();
  if (!more.ok()) {
    row_ = more.status();
  } else if (!*more) {
    ended_ = true;
  }
}

}  // namespace vouch::storage
