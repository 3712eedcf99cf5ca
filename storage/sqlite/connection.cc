#define SQLITE_ENABLE_PREUPDATE_HOOK 1

#include "storage/sqlite/connection.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "storage/error.h"
#include "storage/sqlite/environment.h"
#include "storage/sqlite/error.h"
#include "storage/sqlite/file.h"
#include "storage/sqlite/hardening.h"
#include "storage/sqlite/internal/blob_handle.h"
#include "storage/sqlite/internal/log_tail.h"
#include "storage/sqlite/internal/open_files.h"
#include "storage/sqlite/internal/value.h"

namespace vouch::storage {
namespace {

using storage_internal::ViewOf;

constexpr std::string_view kMemoryPrefix = "file:/vouch-memory-";
constexpr std::string_view kMemorySuffix = "?vfs=memdb";
constexpr int kProgressSteps = 2000;  // Of SQLite's virtual machine: 20–100 µs.
// Between two looks at a lock that another process holds. Short and constant: with SQLite's own
// handler, which waits ever longer, a newcomer looks more often than who has waited long.
constexpr auto kBusyPoll = std::chrono::milliseconds(1);

using Clock = std::chrono::steady_clock;
using storage_internal::OneUserScope;

Clock::duration ToChrono(absl::Duration duration) {
  return duration == absl::InfiniteDuration()
             ? std::chrono::hours(24 * 365)
             : std::chrono::duration_cast<Clock::duration>(absl::ToChronoNanoseconds(duration));
}

int OpenFlags(Access access, bool in_memory) {
  const int common = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  if (in_memory) {
    return common | SQLITE_OPEN_URI |
           (access == Access::kReadOnly ? SQLITE_OPEN_READONLY
                                        : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  }
  switch (access) {
    case Access::kCreate:  // The file has been made by then.
    case Access::kReadWrite:
      return common | SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW;
    case Access::kReadOnly:
      return common | SQLITE_OPEN_READONLY | SQLITE_OPEN_NOFOLLOW;
    case Access::kImmutable:
      return common | SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOFOLLOW;
  }
  return common;
}

// `sql` without what SQLite's tokenizer skips before a statement: space, to which a byte order mark
// belongs, comments and semicolons.
std::string_view SkipBlank(std::string_view sql) {
  while (true) {
    sql.remove_prefix(std::min(sql.find_first_not_of(" \t\r\n\f;"), sql.size()));
    if (sql.substr(0, 2) == "--") {
      sql.remove_prefix(std::min(sql.find('\n'), sql.size()));
    } else if (sql.substr(0, 2) == "/*") {
      const std::size_t end = sql.find("*/", 2);
      sql.remove_prefix(end == std::string_view::npos ? sql.size() : end + 2);
    } else if (sql.substr(0, 3) == "\xEF\xBB\xBF") {
      sql.remove_prefix(3);
    } else {
      return sql;
    }
  }
}

bool BeginsWith(std::string_view sql, absl::string_view keyword) {
  sql = SkipBlank(sql);
  return absl::StartsWithIgnoreCase(absl::string_view(sql.data(), sql.size()), keyword);
}

// SQLite takes a NUL byte for the end of the text; what follows it would be lost in silence.
absl::Status CheckText(std::string_view sql) {
  if (sql.find('\0') == std::string_view::npos) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("prepare: the text holds a NUL byte at ", sql.find('\0')));
}

// Another process is in the way; not an I/O error, which has the same status code.
bool IsBusy(const absl::Status& status) {
  return (NativeCode(status).value_or(0) & 0xFF) == SQLITE_BUSY;
}

std::string_view OrEmpty(const char* text) { return text == nullptr ? "" : text; }

// Keeps no text and an empty text apart.
std::string_view OrNone(const char* text) {
  return text == nullptr ? std::string_view() : std::string_view(text);
}

}  // namespace

int RowChange::column_count() const { return sqlite3_preupdate_count(db_); }

ValueView RowChange::Old(int column) const {
  sqlite3_value* value = nullptr;
  const int code = sqlite3_preupdate_old(db_, column, &value);
  return Read(code, value);
}

ValueView RowChange::New(int column) const {
  sqlite3_value* value = nullptr;
  const int code = sqlite3_preupdate_new(db_, column, &value);
  return Read(code, value);
}

ValueView RowChange::Read(int code, sqlite3_value* value) const {
  if (code == SQLITE_RANGE) return {};  // Beyond the last column.
  const auto view = code == SQLITE_OK && value != nullptr ? ViewOf(value) : std::nullopt;
  if (!view.has_value()) failed_ = true;
  return view.value_or(ValueView());
}

std::string SqliteConnection::InMemoryPath() {
  static std::atomic<int> count{0};
  return absl::StrCat(std::string(kMemoryPrefix), count.fetch_add(1, std::memory_order_relaxed),
                      std::string(kMemorySuffix));
}

bool SqliteConnection::IsInMemory(std::string_view path) {
  if (path.substr(0, kMemoryPrefix.size()) != kMemoryPrefix) return false;
  path.remove_prefix(kMemoryPrefix.size());
  const std::size_t digits = std::min(path.find_first_not_of("0123456789"), path.size());
  return digits > 0 && path.substr(digits) == kMemorySuffix;
}

SqliteConnection::SqliteConnection(const SqliteOptions& options)
    : options_(options),
      cache_(options.statement_cache_bytes),
      trusted_cache_(options.statement_cache_bytes) {}

absl::StatusOr<std::unique_ptr<SqliteConnection>> SqliteConnection::Open(
    const SqliteOptions& options) {
  VOUCH_RETURN_IF_ERROR(CheckSqliteVersion(sqlite3_libversion_number()));
  if (!options.trusted && options.access != Access::kReadOnly &&
      options.access != Access::kImmutable) {
    return absl::InvalidArgumentError(
        absl::StrCat("open ", options.path, ": a file that is not trusted is for reading only"));
  }
  const bool in_memory = IsInMemory(options.path);
  std::string name = options.path;
  bool created = in_memory && options.access == Access::kCreate;
  if (!in_memory) {
    VOUCH_ASSIGN_OR_RETURN(const DatabaseFile file,
                           PrepareDatabaseFile(options.path, options.access == Access::kCreate));
    if (options.access == Access::kCreate || options.access == Access::kReadWrite) {
      VOUCH_RETURN_IF_ERROR(CheckFolderMayBeWritten(file.path));
    }
    name = file.path;
    created = file.empty;
    if (options.access == Access::kImmutable) name = ImmutableUri(file.path);
  }
  auto connection = std::unique_ptr<SqliteConnection>(new SqliteConnection(options));
  if (!in_memory) connection->open_file_ = storage_internal::OpenFile(options.path);
  const int code = sqlite3_open_v2(name.c_str(), &connection->db_,
                                   OpenFlags(options.access, in_memory), nullptr);
  if (code != SQLITE_OK) {
    return SqliteError(connection->db_, code, absl::StrCat("open ", options.path));
  }
  // SQLite opens a file that may not be written for reading instead.
  if (connection->MayWrite() && sqlite3_db_readonly(connection->db_, "main") == 1) {
    return absl::PermissionDeniedError(
        absl::StrCat("open ", options.path, ": the file may not be written"));
  }
  const absl::Status status = connection->Initialize(created);
  if (!status.ok()) return Annotate(status, absl::StrCat("open ", options.path, ": "));
  return connection;
}

absl::Status SqliteConnection::Initialize(bool created) {
  sqlite3_busy_handler(db_, &OnBusy, this);
  sqlite3_progress_handler(db_, kProgressSteps, &OnProgress, this);
  VOUCH_RETURN_IF_ERROR(Harden(db_, {.trusted_file = options_.trusted,
                                     .unrestricted = options_.policy == Policy::kUnrestricted}));
  // Before the schema is read, which may name them.
  VOUCH_RETURN_IF_ERROR(routines_.Install(db_, options_.functions, options_.collations));
  // Before anything is written to a file that is somebody else's, as the profile's journal mode is.
  // One that cannot be read yet is asked again below; why it cannot, the profile says better.
  const absl::Status others = CheckApplication(db_, options_.application_id, /*fresh=*/false);
  if (absl::IsFailedPrecondition(others) && !NativeCode(others).has_value()) return others;
  VOUCH_RETURN_IF_ERROR(Configure(created));
  // Reads the file, if nothing has yet: this is where "not a database" comes out.
  VOUCH_ASSIGN_OR_RETURN(const std::string encoding, QueryValue<std::string>("PRAGMA encoding"));
  if (encoding != "UTF-8") {
    return absl::FailedPreconditionError(
        absl::StrCat("the database's text encoding is ", encoding, ", not UTF-8"));
  }
  VOUCH_RETURN_IF_ERROR(QueryValue<std::int64_t>("SELECT count(*) FROM sqlite_schema").status());
  if (!options_.trusted) VOUCH_RETURN_IF_ERROR(CheckUntrustedFile(db_));
  VOUCH_RETURN_IF_ERROR(CheckApplication(db_, options_.application_id, created && MayWrite()));
  InstallCallbacks();
  return absl::OkStatus();
}

absl::Status SqliteConnection::Configure(bool created) {
  const ProfileScope scope = {
      .created = created, .in_memory = IsInMemory(options_.path), .read_only = !MayWrite()};
  Profile profile = options_.profile;
  if (!options_.trusted) profile.mmap_size_bytes = 0;
  // Entering WAL mode does not wait for a process that is doing the same: SQLite calls no busy
  // handler there. So wait here.
  const Clock::time_point give_up = Clock::now() + ToChrono(options_.busy_timeout);
  absl::Status applied = ApplyProfile(db_, profile, scope);
  while (IsBusy(applied) && Clock::now() < give_up) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    applied = ApplyProfile(db_, profile, scope);
  }
  return applied;
}

void SqliteConnection::InstallCallbacks() {
  // Replaces autocheckpoint, which SQLite implements with the same hook.
  sqlite3_wal_hook(db_, &OnCommitted, this);
  sqlite3_preupdate_hook(
      db_,
      [](void* self, sqlite3* db, int operation, const char* database, const char* table,
         sqlite3_int64, sqlite3_int64) {
        ChangeSink* sink = static_cast<SqliteConnection*>(self)->sink_;
        if (sink == nullptr) return;
        const ChangeKind kind = operation == SQLITE_INSERT   ? ChangeKind::kInsert
                                : operation == SQLITE_UPDATE ? ChangeKind::kUpdate
                                                             : ChangeKind::kDelete;
        // An incremental blob write announces a delete but changes the row in place.
        const bool blob_write = sqlite3_preupdate_blobwrite(db) >= 0;
        sink->OnChange(RowChange(db, kind, database, table));
        if (blob_write) sink->OnUndone();
      },
      this);
  if (options_.policy != Policy::kUnrestricted) {
    cache_.Clear();  // What was prepared until now was not asked about.
    sqlite3_set_authorizer(db_, &OnAuthorize, this);
  }
  // From here on only users' statements are counted.
  cache_.ResetCounters();
  if (options_.cache_registry != nullptr) options_.cache_registry->Add(cache_.counters());
}

SqliteConnection::~SqliteConnection() {
  if (options_.cache_registry != nullptr) options_.cache_registry->Remove(cache_.counters());
  storage_internal::BlobHandle::OrphanAll(blobs_);
  // In a forked child the handle is leaked, and with it what belongs to it: closing is what would
  // drop the parent's file locks.
  if (forked()) {
    cache_.Orphan();
    trusted_cache_.Orphan();
    return;
  }
  const OneUserScope use(user_);
  cache_.Clear();
  trusted_cache_.Clear();
  [[maybe_unused]] const int code = sqlite3_close(db_);
  assert(code == SQLITE_OK);
}

absl::Status SqliteConnection::Forked(std::string_view operation) const {
  return absl::FailedPreconditionError(
      absl::StrCat(std::string(operation), ": ", options_.path,
                   " was opened before this process was forked; open it again here"));
}

absl::Status SqliteConnection::FileIsInPlace() const {
  int moved = 0;
  const int code = sqlite3_file_control(db_, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  if (code != SQLITE_OK || moved == 0) return absl::OkStatus();
  return WithNativeCode(
      absl::FailedPreconditionError(absl::StrCat(
          "execute: ", options_.path, " was moved, replaced or deleted while it was open")),
      SQLITE_READONLY_DBMOVED);
}

// ---- Statements -----------------------------------------------------------------------------

absl::StatusOr<sqlite3_stmt*> SqliteConnection::Compile(std::string_view* sql, bool trusted) {
  const TrustScope trust(*this, trusted);
  denied_ = nullptr;
  if (sql->size() > static_cast<std::size_t>(sqlite3_limit(db_, SQLITE_LIMIT_SQL_LENGTH, -1))) {
    return absl::InvalidArgumentError(
        absl::StrCat("prepare: statement of ", sql->size(), " bytes in \"", ShortSql(*sql), "\""));
  }
  sqlite3_stmt* handle = nullptr;
  const char* tail = nullptr;
  creating_ = BeginsWith(*sql, "create");
  changing_ = nullptr;
  // Statements of the cache live long, which SQLite wants to know. Given the NUL byte as well, it
  // does not copy the text, which for the statements of a long script would take quadratic time.
  routines_.BeginRun();
  const int code = sqlite3_prepare_v3(db_, sql->data(), static_cast<int>(sql->size()) + 1,
                                      SQLITE_PREPARE_PERSISTENT, &handle, &tail);
  creating_ = false;
  if (routines_.EndRun(/*wrote=*/false) || code != SQLITE_OK) {
    const absl::Status status = Failed(code, "prepare", *sql);
    sqlite3_finalize(handle);
    return status;
  }
  if (changing_ != nullptr && sqlite3_stmt_readonly(handle) == 0) {
    sqlite3_finalize(handle);
    denied_ = changing_;
    return Failed(SQLITE_AUTH, "prepare", *sql);
  }
  sql->remove_prefix(static_cast<std::size_t>(tail - sql->data()));
  return handle;
}

absl::StatusOr<StatementPtr> SqliteConnection::Prepare(std::string_view sql) {
  VOUCH_RETURN_IF_ERROR(MayUse("prepare"));
  const OneUserScope use(user_);
  if (SqliteStatement* cached = cache_.Take(sql)) return StatementPtr(cached);
  VOUCH_RETURN_IF_ERROR(CheckText(sql));
  std::string text(sql);
  std::string_view rest = text;
  VOUCH_ASSIGN_OR_RETURN(sqlite3_stmt* const handle, Compile(&rest, trusted_));
  if (handle == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("prepare: no statement in \"", ShortSql(sql), "\""));
  }
  // A second statement is not even prepared: some PRAGMAs take effect when they are.
  const bool more = !SkipBlank(rest).empty();
  auto statement = std::make_unique<SqliteStatement>(*this, handle, std::move(text), trusted_);
  if (more) {
    return absl::InvalidArgumentError(absl::StrCat("prepare: more than one statement in \"",
                                                   ShortSql(sql), "\": use ExecuteScript"));
  }
  // storage/sqlite/statement.h says why.
  const bool keep = !BeginsWith(sql, "pragma");
  return StatementPtr(cache_.Adopt(std::move(statement), keep));
}

absl::StatusOr<StatementPtr> SqliteConnection::PrepareTrusted(std::string_view sql) {
  VOUCH_RETURN_IF_ERROR(MayUse("prepare"));
  const OneUserScope use(user_);
  if (SqliteStatement* cached = trusted_cache_.Take(sql)) return StatementPtr(cached);
  std::string text(sql);
  std::string_view rest = text;
  VOUCH_ASSIGN_OR_RETURN(sqlite3_stmt* const handle, Compile(&rest, /*trusted=*/true));
  assert(handle != nullptr);
  return StatementPtr(trusted_cache_.Adopt(
      std::make_unique<SqliteStatement>(*this, handle, std::move(text), /*trusted=*/true)));
}

absl::Status SqliteConnection::ExecuteScript(std::string_view script) {
  VOUCH_RETURN_IF_ERROR(MayUse("execute"));
  const OneUserScope use(user_);
  VOUCH_RETURN_IF_ERROR(CheckText(script));
  const std::string text(script);
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view at = rest;
    const auto annotate = [&](const absl::Status& status) {
      // Point at the statement itself, not at the blank lines and comments before it.
      const auto lines = std::count(text.data(), SkipBlank(at).data(), '\n');
      return Annotate(status, absl::StrCat("script line ", lines + 1, ": "));
    };
    const absl::StatusOr<sqlite3_stmt*> handle = Compile(&rest, trusted_);
    if (!handle.ok()) return annotate(handle.status());
    if (*handle == nullptr) continue;  // Only space and comments.
    SqliteStatement statement(*this, *handle, std::string(at.substr(0, at.size() - rest.size())),
                              trusted_);
    const absl::Status status = statement.Run();
    if (!status.ok()) return annotate(status);
  }
  return absl::OkStatus();
}

std::int64_t SqliteConnection::changes() const { return sqlite3_changes64(db_); }

std::int64_t SqliteConnection::total_changes() const { return sqlite3_total_changes64(db_); }

std::int64_t SqliteConnection::last_insert_id() const { return sqlite3_last_insert_rowid(db_); }

bool SqliteConnection::in_transaction() const { return sqlite3_get_autocommit(db_) == 0; }

bool SqliteConnection::HasDeferredViolations() const {
  int violations = 0;
  int high = 0;
  sqlite3_db_status(db_, SQLITE_DBSTATUS_DEFERRED_FKS, &violations, &high, 0);
  return violations != 0;
}

absl::Status SqliteConnection::MayStep(const SqliteStatement& statement) {
  stopped_by_ = StopReason::kNone;
  if (note_.stopped() && !statement.trusted()) {
    EndStoppedRead();
    return Stopped(StopReason::kStopped, "execute", statement.sql());
  }
  if (has_transaction_ && !in_transaction()) {
    return absl::AbortedError(
        "execute: the transaction was ended by an earlier error; nothing of it is stored");
  }
  if (reads_only_ && !statement.read_only()) {
    return absl::PermissionDeniedError(
        absl::StrCat("execute: this transaction only reads; begin it with TransactionMode::kWrite "
                     "for \"",
                     ShortSql(statement.sql()), "\""));
  }
  if (stop_.stop_requested() && !statement.trusted()) {
    return absl::CancelledError(
        absl::StrCat("execute: cancelled before \"", ShortSql(statement.sql()), "\""));
  }
  if (deadline_.has_value() && !statement.trusted() && Clock::now() >= *deadline_) {
    return absl::DeadlineExceededError(
        absl::StrCat("execute: the deadline passed before \"", ShortSql(statement.sql()), "\""));
  }
  // What begins to write; within a transaction its beginning has been asked.
  if (!statement.read_only() && !in_transaction()) return FileIsInPlace();
  return absl::OkStatus();
}

absl::Status SqliteConnection::Failed(int code, std::string_view operation, std::string_view sql) {
  absl::Status status = SqliteError(db_, code, operation, sql);
  const int family = code & 0xFF;
  if ((family == SQLITE_IOERR || family == SQLITE_NOMEM) &&
      (options_.access == Access::kCreate || options_.access == Access::kReadWrite)) {
    suspect_ = !IsInMemory(options_.path);  // One in memory would be gone with its connection.
  }
  if (const auto failure = routines_.TakeFailure(); failure.has_value()) {
    return WithNativeCode(
        absl::Status(failure->code(), absl::StrCat(std::string(operation), ": ", failure->message(),
                                                   "; in \"", ShortSql(sql), "\"")),
        code);
  }
  if (const char* denied = std::exchange(denied_, nullptr); denied != nullptr) {
    return WithNativeCode(absl::PermissionDeniedError(absl::StrCat(std::string(operation),
                                                                   ": not allowed here: ", denied,
                                                                   "; in \"", ShortSql(sql), "\"")),
                          code);
  }
  const StopReason stopped = std::exchange(stopped_by_, StopReason::kNone);
  if (stopped == StopReason::kNone || (family != SQLITE_INTERRUPT && family != SQLITE_BUSY)) {
    return status;
  }
  if (stopped == StopReason::kStopped) EndStoppedRead();
  return WithNativeCode(Stopped(stopped, operation, sql), code);
}

SqliteConnection::StopReason SqliteConnection::WhyStop(TimePoint now) const {
  if (note_.stopped()) return StopReason::kStopped;
  if (stop_.stop_requested()) return StopReason::kCancelled;
  if (deadline_.has_value() && now >= *deadline_) return StopReason::kDeadline;
  return StopReason::kNone;
}

absl::Status SqliteConnection::Stopped(StopReason reason, std::string_view operation,
                                       std::string_view sql) {
  const std::string where = absl::StrCat(": \"", ShortSql(sql), "\"");
  switch (reason) {
    case StopReason::kDeadline:
      return absl::DeadlineExceededError(
          absl::StrCat(std::string(operation), ": stopped at its deadline", where));
    case StopReason::kCancelled:
      return absl::CancelledError(absl::StrCat(std::string(operation), ": cancelled", where));
    default:
      return absl::AbortedError(
          absl::StrCat(std::string(operation),
                       ": this read was stopped, for it has kept the write-ahead log from being "
                       "moved for too long; give the lease back and read again",
                       where));
  }
}

// What is read next would be another state, so has_transaction_ stays: see MayStep().
void SqliteConnection::EndStoppedRead() {
  if (!in_transaction()) return;
  const TrustScope trust(*this, true);
  (void)sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
  note_.SetSnapshot(false);
}

// ---- Transactions ---------------------------------------------------------------------------

absl::Status SqliteConnection::Control(std::string_view sql, std::string_view operation) {
  VOUCH_ASSIGN_OR_RETURN(StatementPtr statement, PrepareTrusted(sql));
  return Annotate(statement->Run(), absl::StrCat(std::string(operation), ": "));
}

absl::Status SqliteConnection::Begin(TransactionMode mode) {
  VOUCH_RETURN_IF_ERROR(MayUse("begin"));
  if (has_transaction_) {
    return absl::FailedPreconditionError("begin: this connection is in a transaction already");
  }
  if (mode == TransactionMode::kWrite && !MayWrite()) {
    // SQLite would begin one for reading instead.
    return absl::PermissionDeniedError("begin: this connection is for reading: use the writer");
  }
  const std::string_view sql = mode == TransactionMode::kWrite ? "BEGIN IMMEDIATE" : "BEGIN";
  const bool may_stop = deadline_.has_value() || stop_.stop_possible() || note_.stopped();
  if (const StopReason why = may_stop ? WhyStop(Clock::now()) : StopReason::kNone;
      why != StopReason::kNone) {
    return Stopped(why, "begin", sql);
  }
  if (std::exchange(must_end_, false)) VOUCH_RETURN_IF_ERROR(EndTransaction("begin"));
  const bool is_users_own = in_transaction();  // By SQL, on an unrestricted connection.
  if (absl::Status status = Control(sql, "begin"); !status.ok()) {
    // Short of memory, SQLite can begin one and not be able to say so.
    if (!is_users_own) (void)EndTransaction("begin");
    return status;
  }
  has_transaction_ = true;
  savepoints_.clear();
  note_.SetSnapshot(true);
  // SQLite would let a deferred transaction become a writing one, and fail it when it is too late.
  // A connection opened for reading is safe from that by itself.
  reads_only_ = mode == TransactionMode::kRead && MayWrite();
  return absl::OkStatus();
}

absl::Status SqliteConnection::Commit() {
  VOUCH_RETURN_IF_ERROR(MayUse("commit"));
  // After a failure the guard lives on, and until it is gone nothing may be autocommitted.
  if (!in_transaction()) {
    return absl::AbortedError("commit: the transaction was ended by an earlier error");
  }
  committing_ = true;
  absl::Status status = Control("COMMIT", "commit");
  committing_ = false;
  if (status.ok()) has_transaction_ = reads_only_ = false;
  if (status.ok() || in_transaction()) return status;
  // SQLite has given the transaction up, yet its frames may be in the log and survive a crash: it
  // writes and syncs them before it needs memory for their index; and where the disk is full for
  // the last of them, an older log's bytes can lie that happen to be the same page. The latter shows.
  const int code = NativeCode(status).value_or(0);
  const int family = code & 0xFF;
  if (family != SQLITE_IOERR && family != SQLITE_NOMEM && family != SQLITE_FULL) return status;
  if (code == SQLITE_FULL && !storage_internal::LogTailMayCommit(db_)) return status;
  return WithNativeCode(absl::UnknownError(status.message()), code);
}

absl::Status SqliteConnection::Rollback() {
  VOUCH_RETURN_IF_ERROR(MayUse("rollback"));
  has_transaction_ = reads_only_ = false;
  note_.SetSnapshot(false);
  if (!in_transaction()) return absl::OkStatus();
  if (sink_ != nullptr) sink_->OnUndone();
  return EndTransaction("rollback");
}

absl::Status SqliteConnection::EndTransaction(std::string_view operation) {
  if (!in_transaction()) return absl::OkStatus();
  const absl::Status status = Control("ROLLBACK", operation);
  must_end_ = in_transaction();  // Short of memory; the next to begin one tries again.
  return must_end_ ? status : absl::OkStatus();
}

absl::StatusOr<std::uint64_t> SqliteConnection::BeginSavepoint() {
  if (!has_transaction_ && !in_transaction()) {
    return absl::FailedPreconditionError("savepoint: there is no transaction to be a part of");
  }
  VOUCH_RETURN_IF_ERROR(
      Control(absl::StrCat("SAVEPOINT vouch_", savepoints_.size() + 1), "savepoint"));
  return savepoints_.emplace_back(++last_savepoint_);
}

std::size_t SqliteConnection::DepthOf(std::uint64_t savepoint) const {
  const auto found = std::find(savepoints_.begin(), savepoints_.end(), savepoint);
  return found == savepoints_.end() ? 0 : static_cast<std::size_t>(found - savepoints_.begin()) + 1;
}

absl::Status SqliteConnection::ReleaseSavepoint(std::uint64_t savepoint) {
  const std::size_t depth = DepthOf(savepoint);
  if (depth == 0) {
    return absl::FailedPreconditionError("release savepoint: it ended with what encloses it");
  }
  VOUCH_RETURN_IF_ERROR(Control(absl::StrCat("RELEASE vouch_", depth), "release savepoint"));
  savepoints_.resize(depth - 1);
  return absl::OkStatus();
}

absl::Status SqliteConnection::RollbackSavepoint(std::uint64_t savepoint) {
  VOUCH_RETURN_IF_ERROR(MayUse("rollback savepoint"));
  const std::size_t depth = DepthOf(savepoint);
  if (!in_transaction() || depth == 0) return absl::OkStatus();  // Gone with what encloses it.
  if (sink_ != nullptr) sink_->OnUndone();
  VOUCH_RETURN_IF_ERROR(Control(absl::StrCat("ROLLBACK TO vouch_", depth), "rollback savepoint"));
  return ReleaseSavepoint(savepoint);
}

void SqliteConnection::CutOffLent() {
  storage_internal::BlobHandle::OrphanAll(blobs_);
  cache_.Orphan();
}

bool SqliteConnection::MakeReusable() {
  if (forked()) return false;
  sink_ = nullptr;
  deadline_.reset();
  stop_ = {};
  CutOffLent();
  trusted_cache_.Orphan();
  if (has_transaction_ || in_transaction()) (void)Rollback();
  return !in_transaction() && !suspect_;
}

// ---- Checkpoint -----------------------------------------------------------------------------

absl::StatusOr<SqliteConnection::CheckpointResult> SqliteConnection::Checkpoint(
    absl::Duration patience, CheckpointMode mode) {
  VOUCH_RETURN_IF_ERROR(MayUse("checkpoint"));
  const OneUserScope use(user_);
  assert(!in_transaction());
  // Both modes take the write lock first. When another process holds it past our patience SQLite
  // would go on without it, beside that process's write; OnBusy() interrupts the checkpoint instead.
  checkpointing_ = true;
  busy_until_ = Clock::now() + ToChrono(patience);
  CheckpointResult result;
  const int code = sqlite3_wal_checkpoint_v2(
      db_, "main",
      mode == CheckpointMode::kFull ? SQLITE_CHECKPOINT_FULL : SQLITE_CHECKPOINT_RESTART,
      &result.log_pages, &result.moved_pages);
  checkpointing_ = false;
  if ((code & 0xFF) == SQLITE_BUSY || (code & 0xFF) == SQLITE_INTERRUPT) return result;
  if (code != SQLITE_OK) return SqliteError(db_, code, "checkpoint");
  result.done = true;
  log_pages_ = std::max(0, result.log_pages - result.moved_pages);
  return result;
}

// ---- Callbacks ------------------------------------------------------------------------------

int SqliteConnection::OnBusy(void* self, int count) {
  auto& connection = *static_cast<SqliteConnection*>(self);
  const Clock::time_point now = Clock::now();
  const bool bounded = !connection.checkpointing_ && !connection.committing_;
  if (count == 0 && !connection.checkpointing_) {
    connection.busy_until_ = now + ToChrono(connection.options_.busy_timeout);
  }
  connection.stopped_by_ = bounded ? connection.WhyStop(now) : StopReason::kNone;
  if (connection.stopped_by_ != StopReason::kNone || now >= connection.busy_until_) {
    if (connection.checkpointing_) sqlite3_interrupt(connection.db_);
    return 0;
  }
  Clock::time_point until = std::min(now + kBusyPoll, connection.busy_until_);
  if (bounded && connection.deadline_.has_value()) until = std::min(until, *connection.deadline_);
  std::this_thread::sleep_until(until);
  return 1;
}

int SqliteConnection::OnProgress(void* self) {
  auto& connection = *static_cast<SqliteConnection*>(self);
  if (connection.trusted_) return 0;
  const bool timed = connection.deadline_.has_value();
  connection.stopped_by_ = connection.WhyStop(timed ? Clock::now() : TimePoint());
  return connection.stopped_by_ == StopReason::kNone ? 0 : 1;
}

int SqliteConnection::OnAuthorize(void* self, int action, const char* first, const char* second,
                                  const char* database, const char* /*trigger*/) {
  auto& connection = *static_cast<SqliteConnection*>(self);
  if (connection.trusted_) return SQLITE_OK;
  // A virtual table, PRAGMA functions included, tells SQLite its columns by a CREATE TABLE of its
  // own, in the middle of preparing the first statement that uses it. (A user's change of
  // sqlite_master itself is refused by the DEFENSIVE setting.)
  const bool declares =
      action == SQLITE_CREATE_TABLE ||
      ((action == SQLITE_INSERT || action == SQLITE_UPDATE) && OrEmpty(first) == "sqlite_master");
  if (declares && !connection.creating_) return SQLITE_OK;
  const char* why = WhyDenied(connection.options_.policy, action, OrEmpty(first), OrNone(second),
                              OrEmpty(database), connection.options_.is_protected);
  if (why == nullptr) return SQLITE_OK;
  // Some virtual tables, R-Tree among them, prepare their own writes when they are first read. On a
  // connection opened for reading nobody can run them; a user's are refused by Compile().
  const bool changes_rows =
      action == SQLITE_INSERT || action == SQLITE_UPDATE || action == SQLITE_DELETE;
  if (changes_rows && connection.options_.policy == Policy::kReader && !connection.MayWrite()) {
    connection.changing_ = why;
    return SQLITE_OK;
  }
  connection.denied_ = why;
  return SQLITE_DENY;
}

int SqliteConnection::OnCommitted(void* self, sqlite3* /*db*/, const char* /*database*/,
                                  int pages) {
  static_cast<SqliteConnection*>(self)->log_pages_ = pages;
  return SQLITE_OK;
}

}  // namespace vouch::storage
