// Statement: a prepared SQL statement, lent by its connection's cache.
//
//   VOUCH_ASSIGN_OR_RETURN(StatementPtr find,
//                          connection.Prepare("SELECT name FROM t WHERE id = ?1"));
//   VOUCH_RETURN_IF_ERROR(find->Bind(1, 42));
//   VOUCH_ASSIGN_OR_RETURN(const bool found, find->Step());
//   if (found) Use(find->Get<std::string_view>(0));
//
// Parameters count from 1 (?1, ?2 …) or go by name (":id"); columns count from 0.
//
// Thread safety: the connection's: one thread at a time.
// Ownership: destroying the StatementPtr resets the statement, clears its parameters and gives it
//   back to the connection, which must outlive it.
// Errors: those of the database, mapped as storage/error.h says. After an error of Step() the
//   statement can be reset and used again.
// Cost: binding and reading columns do not allocate, except that Bind() copies text and blobs.

#ifndef VOUCH_STORAGE_STATEMENT_H_
#define VOUCH_STORAGE_STATEMENT_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/status_macros.h"
#include "storage/value.h"

namespace vouch::storage {

class Statement {
 public:
  // Whether the bytes of a bound text or blob are copied, or must live until the statement is
  // reset or destroyed.
  enum class Lifetime { kCopied, kBorrowed };

  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  // Sets parameter `index`. kInvalidArgument: no such parameter, or the value is too long.
  template <typename T>
  absl::Status Bind(int index, const T& value) {
    return BindView(index, ToValueView(value), Lifetime::kCopied);
  }
  // Sets the parameter called `name`, prefix included: ":id".
  template <typename T>
  absl::Status Bind(std::string_view name, const T& value) {
    VOUCH_ASSIGN_OR_RETURN(const int index, ParameterIndex(name));
    return BindView(index, ToValueView(value), Lifetime::kCopied);
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

  // Back to the start; the parameters stay bound.
  virtual void Reset() = 0;

  virtual int column_count() const = 0;
  virtual std::string_view column_name(int column) const = 0;

  // The value in `column` of the current row, valid until the next Step(), Reset() or destruction.
  // REQUIRES: the last Step() said true, and 0 <= column < column_count().
  virtual ValueView column(int column) const = 0;

  // column() as a C++ type: std::int64_t, int, bool, double, std::string_view (borrowed like
  // column()), std::string, or std::optional of these. A null or a value of another storage class
  // reads as zero or empty (std::nullopt for an optional null); an integer reads as a double.
  template <typename T>
  T Get(int column) const;

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
    (void)((status = BindView(++index, ToValueView(args), lifetime), status.ok()) && ...);
    return status;
  }

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

namespace storage_internal {
template <typename T>
struct IsOptional : std::false_type {};
template <typename T>
struct IsOptional<std::optional<T>> : std::true_type {};
}  // namespace storage_internal

template <typename T>
T Statement::Get(int index) const {
  const ValueView value = column(index);
  if constexpr (storage_internal::IsOptional<T>::value) {
    if (value.is_null()) return std::nullopt;
    return Get<typename T::value_type>(index);
  } else if constexpr (std::is_integral_v<T>) {
    if (value.type() != ValueType::kInteger) return T{};
    return static_cast<T>(value.integer());
  } else if constexpr (std::is_floating_point_v<T>) {
    if (value.type() == ValueType::kInteger) return static_cast<T>(value.integer());
    if (value.type() != ValueType::kReal) return T{};
    return static_cast<T>(value.real());
  } else {
    static_assert(std::is_same_v<T, std::string_view> || std::is_same_v<T, std::string>);
    if (value.type() != ValueType::kText && value.type() != ValueType::kBlob) return T{};
    return T(value.bytes());
  }
}

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_STATEMENT_H_
