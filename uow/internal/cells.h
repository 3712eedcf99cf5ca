// Cells: reads the cells of one row of a ledger's table, checking storage class and grammar.
//
//   Cells cells(*row);
//   const std::string_view id = cells.Text(kUowId, IsUlid, "a ULID");
//   if (!cells.ok()) Report(cells.fault());       // "uow_id is not a ULID"
//
// The first fault is kept; what is read after it is of no use. Texts are borrowed from the row.
//
// Thread safety: one thread at a time.

#ifndef VOUCH_UOW_INTERNAL_CELLS_H_
#define VOUCH_UOW_INTERNAL_CELLS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "storage/sha256.h"
#include "storage/statement.h"

namespace vouch::uow::uow_internal {

class Cells {
 public:
  explicit Cells(const storage::Statement& row) : row_(row) {}

  std::int64_t Integer(int column);
  std::int64_t Count(int column);  // An integer that is not negative.
  std::string_view Text(int column);
  std::string_view Text(int column, bool (*is)(std::string_view), const char* what);
  std::optional<std::string_view> OptionalText(int column);
  std::optional<std::string_view> OptionalText(int column, bool (*is)(std::string_view),
                                               const char* what);
  storage::Digest Digest(int column);
  std::optional<storage::Digest> OptionalDigest(int column);

  // A text that `parse` makes a value of.
  template <typename T>
  T Name(int column, std::optional<T> (*parse)(std::string_view), const char* what);
  template <typename T>
  std::optional<T> OptionalName(int column, std::optional<T> (*parse)(std::string_view),
                                const char* what);

  bool ok() const { return fault_.empty(); }
  const std::string& fault() const { return fault_; }

 private:
  bool IsNull(int column) const { return row_.column(column).is_null(); }
  void Fail(int column, std::string_view why);

  const storage::Statement& row_;
  std::string fault_;
};

template <typename T>
T Cells::Name(int column, std::optional<T> (*parse)(std::string_view), const char* what) {
  const std::string_view text = Text(column);
  if (const std::optional<T> value = parse(text)) return *value;
  Fail(column, what);
  return T{};
}

template <typename T>
std::optional<T> Cells::OptionalName(int column, std::optional<T> (*parse)(std::string_view),
                                     const char* what) {
  if (IsNull(column)) return std::nullopt;
  return Name(column, parse, what);
}

}  // namespace vouch::uow::uow_internal

#endif  // VOUCH_UOW_INTERNAL_CELLS_H_
