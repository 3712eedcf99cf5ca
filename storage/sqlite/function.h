// SqlFunction and SqlCollation: a program's own functions and orders, for SQL to use.
//
//   DatabaseOptions options{.path = "/srv/app.db"};
//   options.functions.push_back(
//       {.name = "reversed", .argument_count = 1, .deterministic = true,
//        .call = [](std::span<const ValueView> arguments) -> absl::StatusOr<Value> {
//          if (arguments[0].type() != ValueType::kText) return Value();
//          std::string text(arguments[0].bytes());
//          std::reverse(text.begin(), text.end());
//          return Value(ValueView::Text(text));
//        }});
//   …
//   reader->QueryValue<std::string>("SELECT reversed(name) FROM t WHERE id = ?1", 7);
//
// Every connection of a database has them: readers, the writer, those opened later in their place,
// and those for migrations. A schema that uses one in an index, a CHECK or a generated column can
// be used only by programs that bring the same, and its order or result must never change: what is
// stored would be wrong. Restoring a backup of it needs them too (storage/sqlite/backup.h).
//
// Thread safety: called by the thread that steps the statement, within the step. Several connections
//   call at once, each its own copy of the std::function: what the copies share must bear that.
// Ownership: arguments are valid during the call. A call must not use its own connection.
// Errors: an error from a function ends the statement, whose status has the same code and names the
//   function; an exception is kInternal. Neither passes through SQLite. A collation cannot fail:
//   one that throws makes the statement fail with kInternal, and, if it may have changed rows in a
//   wrong order, its whole transaction: COMMIT is kAborted.
//   Open: kInvalidArgument: a name that is empty, too long (255 bytes) or SQLite's own, an argument
//   count beyond -1…100, nothing to call.
// Cost: a call takes some 100 ns besides what it does. A deadline does not stop it from outside.

#ifndef VOUCH_STORAGE_SQLITE_FUNCTION_H_
#define VOUCH_STORAGE_SQLITE_FUNCTION_H_

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/value.h"

struct sqlite3;

namespace vouch::storage {

struct SqlFunction {
  std::string name = {};    // Compared without regard to case. One name may have several counts.
  int argument_count = -1;  // -1: any number.
  // Same arguments, same result, always: may then be used in indexes, and called once for many rows.
  bool deterministic = false;
  // Only in a statement's own text: not in views, triggers, CHECKs, which another may have written.
  bool direct_only = false;
  std::function<absl::StatusOr<Value>(std::span<const ValueView> arguments)> call = {};
};

struct SqlCollation {
  std::string name = {};  // COLLATE name.
  // Negative, zero or positive as `a` goes before, with or after `b`; a total order over all bytes.
  std::function<int(std::string_view a, std::string_view b)> compare = {};
};

// The functions and collations of one connection. For SqliteConnection.
class SqlRoutines {
 public:
  SqlRoutines();
  ~SqlRoutines();
  SqlRoutines(const SqlRoutines&) = delete;
  SqlRoutines& operator=(const SqlRoutines&) = delete;

  // Registers both lists with `db`, which must be closed before this is destroyed.
  absl::Status Install(sqlite3* db, const std::vector<SqlFunction>& functions,
                       const std::vector<SqlCollation>& collations);

  // Around each time SQLite is let run: BeginRun() forgets what failed before; EndRun() says whether
  // a routine failed since, even if SQLite did not notice. `wrote`: what ran was more than a query
  // and is in a transaction, which after a failed collation must not be committed.
  void BeginRun() {
    if (failed_) Forget();
  }
  bool EndRun(bool wrote) {
    if (collation_failed_ && wrote) doomed_ = true;
    return failed_;
  }
  // What the routine said that failed, once.
  std::optional<absl::Status> TakeFailure();

 private:
  struct Function;
  struct Collation;

  void Fail(absl::Status status, bool collation);
  void Forget();

  std::vector<std::unique_ptr<Function>> functions_;
  std::vector<std::unique_ptr<Collation>> collations_;
  std::optional<absl::Status> failure_;
  bool failed_ = false;  // Since BeginRun().
  bool collation_failed_ = false;
  bool doomed_ = false;  // The transaction now open must not be committed.
};

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_SQLITE_FUNCTION_H_
