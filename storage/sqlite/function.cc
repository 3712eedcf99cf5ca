#include "storage/sqlite/function.h"

#include <sqlite3.h>

#include <exception>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "storage/sqlite/error.h"
#include "storage/sqlite/internal/value.h"
#include "storage/status_macros.h"

namespace vouch::storage {
namespace {

constexpr std::size_t kMaxName = 255;
constexpr int kMaxArguments = 100;

absl::Status Invalid(const char* kind, const std::string& name, const std::string& why) {
  return absl::InvalidArgumentError(absl::StrCat("open: ", kind, " \"", name, "\": ", why));
}

absl::Status CheckName(const char* kind, const std::string& name) {
  if (name.empty()) return Invalid(kind, name, "the name is empty");
  if (name.size() > kMaxName) return Invalid(kind, name, "the name is longer than 255 bytes");
  if (name.find('\0') != std::string::npos) {
    return Invalid(kind, name, "the name holds a NUL byte");
  }
  return absl::OkStatus();
}

// The library's own statements use SQLite's functions and trust them to be SQLite's.
absl::StatusOr<bool> IsBuiltIn(sqlite3* db, const std::string& name) {
  constexpr std::string_view kSql =
      "SELECT 1 FROM pragma_function_list WHERE name = ?1 COLLATE NOCASE AND builtin = 1";
  sqlite3_stmt* statement = nullptr;
  int code =
      sqlite3_prepare_v2(db, kSql.data(), static_cast<int>(kSql.size()), &statement, nullptr);
  if (code == SQLITE_OK) {
    sqlite3_bind_text(statement, 1, name.data(), static_cast<int>(name.size()), SQLITE_STATIC);
    code = sqlite3_step(statement);
  }
  sqlite3_finalize(statement);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return SqliteError(db, code, "open: functions", kSql);
}

absl::Status Check(sqlite3* db, const SqlFunction& function) {
  VOUCH_RETURN_IF_ERROR(CheckName("function", function.name));
  if (!function.call) return Invalid("function", function.name, "there is nothing to call");
  if (function.argument_count < -1 || function.argument_count > kMaxArguments) {
    return Invalid("function", function.name,
                   absl::StrCat(function.argument_count, " arguments; -1 is any number, 100 most"));
  }
  VOUCH_ASSIGN_OR_RETURN(const bool built_in, IsBuiltIn(db, function.name));
  if (built_in) return Invalid("function", function.name, "SQLite has one of this name");
  return absl::OkStatus();
}

absl::Status Check(const SqlCollation& collation) {
  VOUCH_RETURN_IF_ERROR(CheckName("collation", collation.name));
  if (!collation.compare) return Invalid("collation", collation.name, "there is nothing to call");
  for (const char* own : {"binary", "nocase", "rtrim"}) {
    if (absl::EqualsIgnoreCase(collation.name, own)) {
      return Invalid("collation", collation.name, "SQLite has one of this name");
    }
  }
  return absl::OkStatus();
}

// The status of the exception that is being handled.
absl::Status StatusOfException(const std::string& routine) {
  try {
    throw;
  } catch (const std::exception& exception) {
    return absl::InternalError(absl::StrCat(routine, " threw: ", exception.what()));
  } catch (...) {
    return absl::InternalError(absl::StrCat(routine, " threw what is no std::exception"));
  }
}

}  // namespace

struct SqlRoutines::Function {
  SqlRoutines& owner;
  SqlFunction function;
  std::vector<ValueView> arguments = {};  // Reused; calls of one connection do not nest.

  static void Call(sqlite3_context* context, int count, sqlite3_value** values) noexcept {
    auto& self = *static_cast<Function*>(sqlite3_user_data(context));
    const std::string name = absl::StrCat("function ", self.function.name);
    try {
      self.arguments.clear();
      for (int i = 0; i < count; ++i) {
        const std::optional<ValueView> argument = storage_internal::ViewOf(values[i]);
        if (!argument.has_value()) return sqlite3_result_error_nomem(context);
        self.arguments.push_back(*argument);
      }
      const absl::StatusOr<Value> result = self.function.call(self.arguments);
      if (result.ok()) return storage_internal::SetResult(context, result->view());
      self.owner.Fail(
          absl::Status(result.status().code(), absl::StrCat(name, ": ", result.status().message())),
          /*collation=*/false);
    } catch (...) {
      self.owner.Fail(StatusOfException(name), /*collation=*/false);
    }
    sqlite3_result_error(context, "a function failed", -1);
  }
};

struct SqlRoutines::Collation {
  SqlRoutines& owner;
  SqlCollation collation;

  static int Compare(void* data, int a_size, const void* a, int b_size, const void* b) noexcept {
    auto& self = *static_cast<Collation*>(data);
    const std::string_view left(static_cast<const char*>(a), static_cast<std::size_t>(a_size));
    const std::string_view right(static_cast<const char*>(b), static_cast<std::size_t>(b_size));
    try {
      return self.collation.compare(left, right);
    } catch (...) {
      self.owner.Fail(StatusOfException(absl::StrCat("collation ", self.collation.name)),
                      /*collation=*/true);
      return left.compare(right);  // Some order, so that SQLite gets to an end.
    }
  }
};

SqlRoutines::SqlRoutines() = default;
SqlRoutines::~SqlRoutines() = default;

absl::Status SqlRoutines::Install(sqlite3* db, const std::vector<SqlFunction>& functions,
                                  const std::vector<SqlCollation>& collations) {
  for (const SqlFunction& function : functions) {
    VOUCH_RETURN_IF_ERROR(Check(db, function));
    functions_.push_back(std::make_unique<Function>(Function{*this, function}));
    const int flags = SQLITE_UTF8 | (function.deterministic ? SQLITE_DETERMINISTIC : 0) |
                      (function.direct_only ? SQLITE_DIRECTONLY : 0);
    const int code = sqlite3_create_function_v2(db, function.name.c_str(), function.argument_count,
                                                flags, functions_.back().get(), &Function::Call,
                                                nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return SqliteError(db, code, "open: function " + function.name);
  }
  for (const SqlCollation& collation : collations) {
    VOUCH_RETURN_IF_ERROR(Check(collation));
    collations_.push_back(std::make_unique<Collation>(Collation{*this, collation}));
    const int code =
        sqlite3_create_collation_v2(db, collation.name.c_str(), SQLITE_UTF8,
                                    collations_.back().get(), &Collation::Compare, nullptr);
    if (code != SQLITE_OK) return SqliteError(db, code, "open: collation " + collation.name);
  }
  if (collations_.empty()) return absl::OkStatus();
  // A statement can end, and commit by itself, without SQLite noticing that an order was wrong.
  sqlite3_commit_hook(
      db,
      [](void* self) {
        const auto& routines = *static_cast<SqlRoutines*>(self);
        return routines.doomed_ || (routines.failed_ && routines.collation_failed_) ? 1 : 0;
      },
      this);
  sqlite3_rollback_hook(
      db, [](void* self) { static_cast<SqlRoutines*>(self)->doomed_ = false; }, this);
  return absl::OkStatus();
}

std::optional<absl::Status> SqlRoutines::TakeFailure() {
  return std::exchange(failure_, std::nullopt);
}

void SqlRoutines::Fail(absl::Status status, bool collation) {
  if (!failed_) failure_ = std::move(status);
  failed_ = true;
  collation_failed_ |= collation;
}

void SqlRoutines::Forget() {
  failure_.reset();
  failed_ = collation_failed_ = false;
}

}  // namespace vouch::storage
