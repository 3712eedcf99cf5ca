// Life: a small database's whole life, and an account of what it was told.
//
// It is opened and made, written to in transactions that spread over several tables and pages,
// read, checkpointed, closed, opened again. Whatever fails on the way, the account says of each
// transaction whether it is stored, and the contents of the database can be held against it: that
// is how the sweeps over points of failure (fault_crash_test.cc, power_loss_crash_test.cc) know
// right from wrong.

#ifndef VOUCH_TESTS_STORAGE_SQLITE_LIFE_H_
#define VOUCH_TESTS_STORAGE_SQLITE_LIFE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "storage/sqlite/database.h"
#include "storage/status_macros.h"
#include "storage/transaction.h"
#include "tests/support/power_loss.h"
#include "tests/support/temporary_directory.h"

namespace vouch::storage::testing_support {

// What a caller was told of a transaction.
enum class Fate { kStored, kNotStored, kUnknown };
inline Fate FateOf(const absl::Status& commit) {
  if (commit.ok()) return Fate::kStored;
  return absl::IsUnknown(commit) ? Fate::kUnknown : Fate::kNotStored;
}
using Account = std::map<int, Fate>;  // By the transaction's number; those that were begun.

// What a database holds.
struct Contents {
  std::string problem = {};  // Why it is not one that whole transactions can have left; else empty.
  std::set<int> units = {};
};

inline constexpr int kPartsOfUnit = 3;
inline constexpr int kSchemaUnit = 0;  // The transaction that makes the tables.

// Large enough that a part fills a good piece of a page, and different in every unit.
inline std::string BodyOf(int unit, int part) {
  return std::string(static_cast<std::size_t>(500 + 97 * (unit % 5) + 41 * part),
                     static_cast<char>('a' + (unit * kPartsOfUnit + part) % 26));
}
// Replaced by every unit: overflow pages come and go.
inline std::string DraftOf(int unit) {
  return std::string(static_cast<std::size_t>(9'000 + 3'000 * (unit % 3)),
                     static_cast<char>('A' + unit % 26));
}

inline absl::Status MakeTables(Connection& connection) {
  return connection.ExecuteScript(
      "CREATE TABLE units(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
      "CREATE TABLE parts(unit INTEGER NOT NULL REFERENCES units(id), part INTEGER NOT NULL,"
      " body TEXT NOT NULL, PRIMARY KEY(unit, part)) WITHOUT ROWID;"
      "CREATE TABLE total(units INTEGER, parts INTEGER, last INTEGER, draft TEXT);"
      "INSERT INTO total VALUES (0, 0, 0, '')");
}

inline absl::Status WriteUnit(Connection& connection, int unit) {
  VOUCH_RETURN_IF_ERROR(connection.Execute("INSERT INTO units(id, name) VALUES (?1, ?2)", unit,
                                           absl::StrCat("unit ", unit)));
  for (int part = 0; part < kPartsOfUnit; ++part) {
    VOUCH_RETURN_IF_ERROR(connection.Execute(
        "INSERT INTO parts(unit, part, body) VALUES (?1, ?2, ?3)", unit, part, BodyOf(unit, part)));
  }
  return connection.Execute(
      "UPDATE total SET units = units + 1, parts = parts + ?1, last = ?2, draft = ?3", kPartsOfUnit,
      unit, DraftOf(unit));
}

namespace internal {

inline absl::StatusOr<std::string> FindProblem(Connection& connection, std::set<int>* units) {
  VOUCH_ASSIGN_OR_RETURN(const int tables,
                         connection.QueryValue<int>("SELECT count(*) FROM sqlite_schema"
                                                    " WHERE type = 'table'"));
  if (tables == 0) return "";
  if (tables != 3) return absl::StrCat(tables, " tables of 3");
  units->insert(kSchemaUnit);

  int parts = 0;
  int last = 0;
  VOUCH_ASSIGN_OR_RETURN(
      const StatementPtr query,
      connection.Prepare("SELECT u.id, u.name, p.part, p.body FROM units AS u"
                         " LEFT JOIN parts AS p ON p.unit = u.id ORDER BY u.id, p.part"));
  while (true) {
    VOUCH_ASSIGN_OR_RETURN(const bool row, query->Step());
    if (!row) break;
    const int unit = query->Get<int>(0);
    const int part = parts % kPartsOfUnit;
    if (units->insert(unit).second != (part == 0) || query->Get<int>(2) != part ||
        query->Get<std::string>(1) != absl::StrCat("unit ", unit) ||
        query->Get<std::string>(3) != BodyOf(unit, part)) {
      return absl::StrCat("part ", part, " of unit ", unit, " is not what was written");
    }
    ++parts;
    last = unit;
  }
  VOUCH_ASSIGN_OR_RETURN(const StatementPtr total,
                         connection.Prepare("SELECT units, parts, last, draft,"
                                            " (SELECT count(*) FROM parts) FROM total"));
  VOUCH_ASSIGN_OR_RETURN(const bool row, total->Step());
  if (!row) return "no total";
  if (total->Get<int>(0) != static_cast<int>(units->size()) - 1 || total->Get<int>(1) != parts ||
      total->Get<int>(4) != parts || total->Get<int>(2) != last ||
      total->Get<std::string>(3) != (last == 0 ? "" : DraftOf(last))) {
    return absl::StrCat("the total does not fit ", units->size() - 1, " units, the last ", last);
  }
  return "";
}

}  // namespace internal

// Reads the whole database, and checks the file.
inline Contents ReadContents(Connection& connection) {
  Contents contents;
  const auto integrity = connection.QueryValue<std::string>("PRAGMA integrity_check");
  if (!integrity.ok()) return {.problem = std::string(integrity.status().message())};
  if (*integrity != "ok") return {.problem = *integrity};
  auto problem = internal::FindProblem(connection, &contents.units);
  contents.problem = problem.ok() ? *std::move(problem) : std::string(problem.status().message());
  return contents;
}

// Why `contents` is not what the caller was told, or empty.
inline std::string Contradiction(const Account& account, const Contents& contents) {
  if (!contents.problem.empty()) return contents.problem;
  for (const auto& [unit, fate] : account) {
    const bool present = contents.units.contains(unit);
    if (fate == Fate::kStored && !present)
      return absl::StrCat("unit ", unit, " was stored and is lost");
    if (fate == Fate::kNotStored && present) {
      return absl::StrCat("unit ", unit, " was not stored and is there");
    }
  }
  for (const int unit : contents.units) {
    if (!account.contains(unit)) return absl::StrCat("unit ", unit, " was never begun");
  }
  return "";
}

// Why a database that opens `files`, of which one is called app.db, is not what the caller was
// told, or empty. The files are put into `folder`, and stay there.
inline std::string ContradictionIn(const test::Disk::Files& files,
                                   const test::TemporaryDirectory& folder, const Profile& profile,
                                   const Account& account) {
  test::WriteFolder(folder.path(), files);
  if (!files.contains("app.db")) return Contradiction(account, {});
  const auto connection = SqliteConnection::Open(
      {.path = folder.File("app.db"), .access = Access::kReadWrite, .profile = profile});
  if (!connection.ok()) return std::string(connection.status().message());
  return Contradiction(account, ReadContents(**connection));
}

class Life {
 public:
  struct Failure {
    std::string step;
    absl::Status status;
  };
  // Called after each step.
  using Observer = std::function<void(const std::string& step, const absl::Status& status)>;

  explicit Life(DatabaseOptions options, Observer observer = {})
      : options_(std::move(options)), observer_(std::move(observer)) {}

  void Live() {
    Open();
    Write(kSchemaUnit);
    for (int unit = 1; unit <= 4; ++unit) Write(unit);
    Read();
    GiveUp(5);
    Close();
    Open();
    Write(6);
    Read();
    Write(7);
    Checkpoint();
    Write(8);
    Close();
  }

  // What nothing stands in the way of any more: opening, should it not be open, a write and a read.
  absl::Status Prove(int unit) {
    const std::size_t failures = failures_.size();
    Open();
    // Whether there are tables may be unknown: look.
    if (database_ != nullptr && !HasTables()) {
      VOUCH_ASSIGN_OR_RETURN(const Contents contents, Look());
      account_[kSchemaUnit] = Fate::kStored;
      if (!contents.units.contains(kSchemaUnit)) Write(kSchemaUnit);
    }
    Write(unit);
    Read();
    return failures_.size() == failures ? absl::OkStatus() : failures_[failures].status;
  }

  void Close() {
    if (database_ == nullptr) return;
    Note("close", database_->Close(absl::Seconds(5)));
    database_.reset();
  }

  const Account& account() const { return account_; }
  const std::vector<Failure>& failures() const { return failures_; }
  // Reads that said OK and gave something else than what is there; must be empty.
  const std::vector<std::string>& lies() const { return lies_; }

 private:
  bool HasTables() const {
    const auto found = account_.find(kSchemaUnit);
    return found != account_.end() && found->second == Fate::kStored;
  }

  bool Note(const std::string& step, const absl::Status& status) {
    if (!status.ok()) failures_.push_back({.step = step, .status = status});
    if (observer_) observer_(step, status);
    return status.ok();
  }

  void Open() {
    if (database_ != nullptr) return;
    auto database = Database::Open(options_);
    if (Note("open", database.status())) database_ = *std::move(database);
  }

  void Write(int unit) {
    if (database_ == nullptr) return;
    if (unit != kSchemaUnit && !HasTables()) return;
    // Should this be cut short without an answer, as by a loss of power.
    account_[unit] = Fate::kUnknown;
    const absl::Status status = TryWrite(unit);
    account_[unit] = FateOf(status);
    Note(absl::StrCat("write ", unit), status);
  }

  absl::Status TryWrite(int unit) {
    VOUCH_ASSIGN_OR_RETURN(WriteLease writer, database_->Write());
    VOUCH_ASSIGN_OR_RETURN(Transaction transaction,
                           Transaction::Begin(*writer, TransactionMode::kWrite));
    VOUCH_RETURN_IF_ERROR(unit == kSchemaUnit ? MakeTables(*writer) : WriteUnit(*writer, unit));
    return transaction.Commit();
  }

  // A transaction whose owner thinks better of it.
  void GiveUp(int unit) {
    if (database_ == nullptr || !HasTables()) return;
    account_[unit] = Fate::kNotStored;
    Note("give up", [&]() -> absl::Status {
      VOUCH_ASSIGN_OR_RETURN(WriteLease writer, database_->Write());
      VOUCH_ASSIGN_OR_RETURN(Transaction transaction,
                             Transaction::Begin(*writer, TransactionMode::kWrite));
      VOUCH_RETURN_IF_ERROR(WriteUnit(*writer, unit));
      return transaction.Rollback();
    }());
  }

  absl::StatusOr<Contents> Look() {
    VOUCH_ASSIGN_OR_RETURN(ReadLease reader, database_->Read());
    VOUCH_RETURN_IF_ERROR(reader.BeginSnapshot());
    Contents contents;
    VOUCH_ASSIGN_OR_RETURN(contents.problem, internal::FindProblem(*reader, &contents.units));
    return contents;
  }

  void Read() {
    if (database_ == nullptr) return;
    const auto contents = Look();
    if (!Note("read", contents.status())) return;
    const std::string lie = Contradiction(account_, *contents);
    if (!lie.empty()) lies_.push_back(lie);
  }

  void Checkpoint() {
    if (database_ == nullptr) return;
    Note("checkpoint", [&]() -> absl::Status {
      VOUCH_ASSIGN_OR_RETURN(WriteLease writer, database_->Write());
      return writer->Checkpoint(absl::Milliseconds(10)).status();
    }());
  }

  const DatabaseOptions options_;
  const Observer observer_;
  std::unique_ptr<Database> database_;
  Account account_;
  std::vector<Failure> failures_;
  std::vector<std::string> lies_;
};

// Options for a life at `path`, small enough that a cache overflows and a checkpoint comes by.
inline DatabaseOptions OptionsOfLife(std::string path, JournalMode journal_mode,
                                     Synchronous synchronous) {
  DatabaseOptions options{.path = std::move(path),
                          .min_readers = 1,
                          .max_readers = 1,
                          .acquire_timeout = absl::Seconds(5),
                          .idle_timeout = absl::InfiniteDuration(),
                          .busy_timeout = absl::Milliseconds(5),
                          .governor = {.checkpoint_pages = 12, .patience = absl::Milliseconds(5)}};
  options.profile.journal_mode = journal_mode;
  options.profile.synchronous = synchronous;
  options.profile.cache_size = 8;
  return options;
}

}  // namespace vouch::storage::testing_support

#endif  // VOUCH_TESTS_STORAGE_SQLITE_LIFE_H_
