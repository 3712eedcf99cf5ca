// Statement: a prepared SQL statement, lent by its connection's cache.
//
//   VOUCH_ASSIGN_OR_RETURN(StatementPtr find,
//                          connection.Prepare("SELECT id, name FROM t WHERE age > ?1"));
//   VOUCH_RETURN_IF_ERROR(find->Bind(1, 42));
//   VOUCH_RETURN_IF_ERROR(find->ForEach([&](const Row& row) {
//     Use(row.Get<int>(0), row.Get<std::string_view>(1));
//   }));
//
// Parameters count from 1 (?1, ?2 …) or go by name (":id"); columns count from 0.
//
// Binding takes integers, enums (their number), bool (0 or 1), reals, texts, byte ranges (blobs),
// null, std::optional of these, and absl::Time, which becomes the text YYYY-MM-DDTHH:MM:SS.mmmZ in
// UTC (storage/clock.h: truncated to milliseconds, years 0000–9999). For a column in SQLite's own
// form bind datetime(?1). An unsigned 64-bit integer beyond 2^63-1 has no place in SQL:
// kInvalidArgument.
//
// Thread safety: the connection's: one thread at a time.
// Ownership: destroying the StatementPtr resets the statement, clears its parameters and gives it
//   back to the connection. A statement that is kept longer than its lease or its connection is cut
//   off: it may still be destroyed, and until then fails with kFailedPrecondition and has no values.
// Errors: those of the database, mapped as storage/error.h says, with the shortened SQL, the place
//   in it and the native code. After an error of Step() the statement can be reset and used again.
// Cost: binding and reading columns do not allocate, except that Bind() copies text and blobs.

#ifndef VOUCH_STORAGE_STATEMENT_H_
#define VOUCH_STORAGE_STATEMENT_H_

#include <cstdint>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/clock.h"
#include "storage/convert.h"
#include "storage/status_macros.h"
#include "storage/value.h"

namespace vouch::storage {

class Row;
class RowRange;

class Statement {
 public:
  // Whether the bytes of a bound text or blob are copied, or must live until the statement is
  // reset or destroyed.
  enum class Lifetime { kCopied, kBorrowed };

  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  // Sets parameter `index`. kInvalidArgument: no such parameter, or the value is too long or too
  // large.
  template <typename T>
  absl::Status Bind(int index, const T& value) {
    return BindOne(index, value, Lifetime::kCopied);
  }
  // Sets the parameter called `name`, prefix included: ":id".
  template <typename T>
  absl::Status Bind(std::string_view name, const T& value) {
    VOUCH_ASSIGN_OR_RETURN(const int index, ParameterIndex(name));
    return BindOne(index, value, Lifetime::kCopied);
  }
  // Sets parameters 1…n and leaves no other unset: kInvalidArgument when the statement has more or
  // fewer.
  template <typename... Args>
  absl::Status BindAll(const Args&... args) {
    return BindEach(Lifetime::kCopied, args...);
  }
  // The same without copying text and blobs: they must live until the statement is reset, has run
  // to its end, or is destroyed.
  template <typename... Args>
  absl::Status BindBorrowed(const Args&... args) {
    return BindEach(Lifetime::kBorrowed, args...);
  }

  // Advances to the next row: true when there is one, false at the end, after which the statement
  // is reset. Runs the statement when it has not started.
  virtual absl::StatusOr<bool> Step() = 0;

  // Runs the statement to its end, discarding rows.
  absl::Status Run();

  // Runs the statement from its start and calls visit(row) for each row. `visit` returns nothing,
  // or an absl::Status, which when it is an error ends the loop and is returned.
  template <typename Visit>
  absl::Status ForEach(Visit&& visit);

  // Runs the statement from its start, for a range-for. Each element is a row or, at the end, the
  // error that ended the rows; a row cannot be had without the question whether it is one:
  //
  //   for (const absl::StatusOr<Row>& row : statement->Rows()) {
  //     VOUCH_RETURN_IF_ERROR(row.status());
  //     Use(row->Get<int>(0));
  //   }
  //
  // Leaving the loop early resets the statement. The statement must outlive the range.
  RowRange Rows();

  // Back to the start; the parameters stay bound.
  virtual void Reset() = 0;

  // Of the current row. Before the first Step() of a statement from the cache it can be the number
  // that an older schema had; Step() notices that the schema has changed, and prepares anew.
  virtual int column_count() const = 0;
  virtual std::string_view column_name(int column) const = 0;

  // The value in `column` of the current row, valid until the next Step(), Reset() or destruction.
  // REQUIRES: the last Step() said true, and 0 <= column < column_count().
  virtual ValueView column(int column) const = 0;

  // column() as a C++ type: integers, enums, bool, double, std::string, std::vector<std::byte>,
  // absl::Time (any form that ParseUtc() reads), Value; std::string_view and
  // std::span<const std::byte>, borrowed like column(); or std::optional of these. Lenient: a null
  // or a value of another storage class reads as zero, the Unix epoch or empty (std::nullopt for an
  // optional null), an integer reads as a double, texts and blobs read as each other, and a number
  // too large loses its upper bits.
  template <typename T>
  T Get(int column) const {
    return storage_internal::ConvertOrZero<T>(this->column(column));
  }

  // The same, strict: kInvalidArgument, which names the column, for a null (unless T is optional),
  // for a value of another storage class (an integer is a double, though), for a number that does
  // not fit, a bool that is not 0 or 1, a text that is not a time. By name: also when there is no
  // such column; of several the first.
  template <typename T>
  absl::StatusOr<T> TryGet(int column) const {
    absl::StatusOr<T> value = storage_internal::Convert<T>(this->column(column));
    if (!value.ok()) return ColumnError(column, value.status());
    return value;
  }
  template <typename T>
  absl::StatusOr<T> TryGet(std::string_view name) const {
    VOUCH_ASSIGN_OR_RETURN(const int column, ColumnIndex(name));
    return TryGet<T>(column);
  }

  // The text this statement was prepared from.
  virtual std::string_view sql() const = 0;

 protected:
  Statement() = default;
  virtual ~Statement() = default;

 private:
  friend struct StatementReturner;

  template <typename... Args>
  absl::Status BindEach([[maybe_unused]] Lifetime lifetime, const Args&... args) {
    VOUCH_RETURN_IF_ERROR(ExpectParameters(static_cast<int>(sizeof...(Args))));
    [[maybe_unused]] int index = 0;
    absl::Status status;
    (void)((status = BindOne(++index, args, lifetime), status.ok()) && ...);
    return status;
  }
  template <typename T>
  absl::Status BindOne(int index, const T& value, Lifetime lifetime);

  absl::Status TooLarge(int index, std::uint64_t value) const;
  absl::StatusOr<int> ColumnIndex(std::string_view name) const;
  absl::Status ColumnError(int column, const absl::Status& status) const;

  virtual absl::Status BindView(int index, ValueView value, Lifetime lifetime) = 0;
  virtual absl::StatusOr<int> ParameterIndex(std::string_view name) = 0;
  virtual absl::Status ExpectParameters(int count) = 0;
  // Gives the statement back to its connection.
  virtual void Return() = 0;
};

struct StatementReturner {
  void operator()(Statement* statement) const { statement->Return(); }
};
using StatementPtr = std::unique_ptr<Statement, StatementReturner>;

// The current row of a statement: valid until the statement advances.
class Row {
 public:
  explicit Row(const Statement& statement) : statement_(&statement) {}

  int column_count() const { return statement_->column_count(); }
  std::string_view column_name(int column) const { return statement_->column_name(column); }
  ValueView column(int column) const { return statement_->column(column); }
  template <typename T>
  T Get(int column) const {
    return statement_->Get<T>(column);
  }
  template <typename T>
  absl::StatusOr<T> TryGet(int column) const {
    return statement_->TryGet<T>(column);
  }
  template <typename T>
  absl::StatusOr<T> TryGet(std::string_view name) const {
    return statement_->TryGet<T>(name);
  }

 private:
  const Statement* statement_;
};

// What Statement::Rows() returns.
class [[nodiscard]] RowRange {
 public:
  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = absl::StatusOr<Row>;
    using difference_type = std::ptrdiff_t;
    using pointer = const value_type*;
    using reference = const value_type&;

    explicit Iterator(RowRange& range) : range_(&range) {}
    reference operator*() const { return range_->row_; }
    pointer operator->() const { return &range_->row_; }
    Iterator& operator++() {
      range_->Advance();
      return *this;
    }
    void operator++(int) { range_->Advance(); }
    bool operator==(std::default_sentinel_t) const { return range_->ended_; }

   private:
    RowRange* range_;
  };

  explicit RowRange(Statement& statement) : statement_(statement), row_(Row(statement)) {}
  ~RowRange() {
    if (!ended_) statement_.Reset();
  }
  RowRange(const RowRange&) = delete;
  RowRange& operator=(const RowRange&) = delete;

  // Once: begins to run the statement.
  Iterator begin() {
    statement_.Reset();
    Advance();
    return Iterator(*this);
  }
  std::default_sentinel_t end() const { return {}; }

 private:
  void Advance();

  Statement& statement_;
  absl::StatusOr<Row> row_;
  bool ended_ = false;
};

inline RowRange Statement::Rows() { return RowRange(*this); }

template <typename Visit>
absl::Status Statement::ForEach(Visit&& visit) {
  Reset();
  while (true) {
    VOUCH_ASSIGN_OR_RETURN(const bool row, Step());
    if (!row) return absl::OkStatus();
    if constexpr (std::is_void_v<std::invoke_result_t<Visit&, Row>>) {
      visit(Row(*this));
    } else if (absl::Status status = visit(Row(*this)); !status.ok()) {
      Reset();
      return status;
    }
  }
}

template <typename T>
absl::Status Statement::BindOne(int index, const T& value, Lifetime lifetime) {
  if constexpr (storage_internal::IsOptional<T>::value) {
    return value.has_value() ? BindOne(index, *value, lifetime)
                             : BindView(index, ValueView(), lifetime);
  } else if constexpr (std::is_same_v<T, absl::Time>) {
    return BindView(index, ValueView::Text(FormatUtcMillis(value)), Lifetime::kCopied);
  } else if constexpr (std::is_integral_v<T> && std::is_unsigned_v<T> && sizeof(T) == 8) {
    constexpr auto kLargest = static_cast<T>(std::numeric_limits<std::int64_t>::max());
    if (value > kLargest) return TooLarge(index, value);
    return BindView(index, ValueView::Integer(static_cast<std::int64_t>(value)), lifetime);
  } else {
    return BindView(index, ToValueView(value), lifetime);
  }
}

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_STATEMENT_H_
