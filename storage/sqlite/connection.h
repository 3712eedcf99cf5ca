// SqliteConnection: a Connection to an SQLite database file.
//
//   VOUCH_ASSIGN_OR_RETURN(auto connection, SqliteConnection::Open({.path = "/srv/app.db"}));
//   VOUCH_RETURN_IF_ERROR(connection->ExecuteScript("CREATE TABLE t(id INTEGER PRIMARY KEY)"));
//
// Applications get theirs from a Database (storage/sqlite/database.h), which pools them and sees
// to checkpoints. Opened alone, as above, a connection never checkpoints by itself.
//
// Thread safety: one thread at a time; may be handed to another thread. Builds with assertions end
//   the process when two threads are found in one connection.
// Fork: a connection belongs to the process that opened it. In a forked child every use is refused
//   with kFailedPrecondition, and destroying it closes nothing: that would take the parent's locks.
// Ownership: see Connection. Statements that are lent when the connection is destroyed or made
//   reusable are cut off (storage/statement.h), and so are open blobs (storage/sqlite/blob.h).
// Errors: Open: kNotFound (no such file or folder), kPermissionDenied (the mode of the file, or of
//   the folder, in which SQLite keeps its log), and kFailedPrecondition (not a database; another
//   application's; a setting of the profile that did not take; a folder that others may write; a
//   text encoding other than UTF-8; an SQLite library that is too old); kInvalidArgument (a function
//   or collation).
//   A write to a file that was moved, replaced or deleted since it was opened would go where nobody
//   finds it again; it is refused with kFailedPrecondition. Reads go on from the old file.
// Cost: opening takes about 0.1 ms; a Prepare() from the cache about 50 ns.

#ifndef VOUCH_STORAGE_SQLITE_CONNECTION_H_
#define VOUCH_STORAGE_SQLITE_CONNECTION_H_

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "pool/fork_guard.h"
#include "storage/connection.h"
#include "storage/sqlite/cache_stats.h"
#include "storage/sqlite/changes.h"
#include "storage/sqlite/function.h"
#include "storage/sqlite/internal/one_user.h"
#include "storage/sqlite/internal/open_files.h"
#include "storage/sqlite/lease_note.h"
#include "storage/sqlite/policy.h"
#include "storage/sqlite/profile.h"
#include "storage/sqlite/statement.h"

struct sqlite3;

namespace vouch::storage {

namespace storage_internal {
class BlobHandle;
struct Native;
}  // namespace storage_internal

enum class Access {
  kCreate,     // Read and write; the file is made when it is not there.
  kReadWrite,  // Read and write an existing file.
  kReadOnly,   // Read an existing file.
  kImmutable,  // Read a file that nobody changes meanwhile, without locks and without any file
               // beside it being made. The caller answers for "nobody".
};

struct SqliteOptions {
  // A file, or a name that InMemoryPath() made.
  std::string path = {};
  Access access = Access::kCreate;
  Profile profile = Profile::Balanced();
  Policy policy = Policy::kUnrestricted;
  // Tables that Policy::kUnit does not change, by name as the schema spells it.
  std::function<bool(std::string_view)> is_protected = {};
  // False: somebody else made the file, and may have made it to harm its reader. It is checked
  // whole when it is opened, and restricted as storage/sqlite/hardening.h says. Reading only.
  bool trusted = true;
  // Marks a new file as this application's; refuses a file marked as another's. 0: any.
  std::int32_t application_id = 0;
  // How long a statement waits for a lock of another connection.
  absl::Duration busy_timeout = absl::Seconds(5);
  std::size_t statement_cache_bytes = 4 << 20;
  std::vector<SqlFunction> functions = {};
  std::vector<SqlCollation> collations = {};
  // Where the statement cache's hits and misses are added up, or null.
  std::shared_ptr<CacheRegistry> cache_registry = nullptr;
};

class SqliteConnection final : public Connection {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  static absl::StatusOr<std::unique_ptr<SqliteConnection>> Open(const SqliteOptions& options);

  // A name for a new database in memory. Connections opened with the same name see the same
  // database; it lives as long as one of them.
  static std::string InMemoryPath();
  static bool IsInMemory(std::string_view path);

  ~SqliteConnection() override;

  absl::StatusOr<StatementPtr> Prepare(std::string_view sql) override;
  absl::Status ExecuteScript(std::string_view script) override;
  std::int64_t changes() const override;
  std::int64_t last_insert_id() const override;
  bool in_transaction() const override;

  // Lends a statement of the library's own: the policy is not asked, and no user's Prepare() of the
  // same text gets it.
  absl::StatusOr<StatementPtr> PrepareTrusted(std::string_view sql);

  // Statements begun later than `deadline` fail, and those running then are stopped, with
  // kDeadlineExceeded; waiting for locks ends as well. COMMIT is never stopped, and its result is
  // told even if late.
  void SetDeadline(std::optional<TimePoint> deadline) { deadline_ = deadline; }

  // The same from the moment the token is requested on, with kCancelled.
  void SetStop(std::stop_token stop) { stop_ = std::move(stop); }

  // Who uses this connection. A use that somebody wishes to end is ended: its statement is stopped,
  // its read transaction rolled back at its next call at the latest, and everything after fails with
  // kAborted until the use is over.
  LeaseNote& note() { return note_; }
  const LeaseNote& note() const { return note_; }

  // Who is told of changed rows, or null. The hook itself is installed when the connection is
  // opened: SQLite prepares `DELETE FROM t` differently once it is there.
  void SetChangeSink(ChangeSink* sink) { sink_ = sink; }

  // Rows changed since the connection was opened, by triggers and cascades as well. A statement
  // that failed may have moved it; one that changed anything has.
  std::int64_t total_changes() const;

  // Savepoints that have not ended.
  std::size_t open_savepoints() const { return in_transaction() ? savepoints_.size() : 0; }

  // Cuts off users' statements and blobs that are still lent: what is left to their holders fails.
  void CutOffLent();

  // Foreign keys that are violated now and must not be at COMMIT.
  bool HasDeferredViolations() const;

  // Frames in the write-ahead log after the last commit of this connection.
  int log_pages() const { return log_pages_; }

  // kFull: waits for readers of older states. kRestart: then also for those that still use the log,
  // so that the next write begins it anew.
  enum class CheckpointMode { kFull, kRestart };
  struct CheckpointResult {
    bool done = false;    // False: another connection was in the way.
    int log_pages = 0;    // In the log, and
    int moved_pages = 0;  // of these, now in the database file.
  };
  // Moves the log into the database file while holding the write lock, so that no write anywhere
  // overlaps it. Gives up after `patience` when another process writes or a reader is in the way:
  // then nothing was moved, or, with kRestart, everything, but the log goes on. The file may have
  // grown by empty pages all the same, for SQLite makes room before it moves any.
  // REQUIRES: not in a transaction.
  absl::StatusOr<CheckpointResult> Checkpoint(absl::Duration patience,
                                              CheckpointMode mode = CheckpointMode::kFull);

  // Begins a read transaction without a guard; it ends with MakeReusable().
  absl::Status BeginSnapshot() { return Begin(TransactionMode::kRead); }

  // Ends whatever a holder left behind: a transaction, a deadline, a sink; cuts off statements and
  // blobs that are still lent. False when it cannot or the connection is suspect: it must not be lent
  // again.
  bool MakeReusable();

  // Whether an I/O error or a lack of memory has failed a statement, and this connection can write to
  // a file. SQLite goes on after that, but what a virtual table keeps in memory may be wrong, and be
  // written by the next transaction (seen of FTS5's totals, 3.40.1).
  bool is_suspect() const { return suspect_; }

  // No other connection of this process has or had it. What is kept of a connection's PRAGMA
  // data_version means nothing for another's.
  std::uint64_t serial() const { return serial_; }

  // Whether this is a child of the process that opened it.
  bool forked() const { return fork_guard_.forked(); }

  // Hits and misses of the statement cache.
  const StatementCache& cache() const { return cache_; }

 private:
  friend class SqliteStatement;
  friend class storage_internal::BlobHandle;
  friend struct storage_internal::Native;

  // While alive, statements are prepared without asking the policy.
  class TrustScope {
   public:
    TrustScope(SqliteConnection& connection, bool trusted)
        : connection_(connection), before_(connection.trusted_) {
      connection_.trusted_ = before_ || trusted;
    }
    ~TrustScope() { connection_.trusted_ = before_; }
    TrustScope(const TrustScope&) = delete;
    TrustScope& operator=(const TrustScope&) = delete;

   private:
    SqliteConnection& connection_;
    const bool before_;
  };

  explicit SqliteConnection(const SqliteOptions& options);

  absl::Status Initialize(bool created);
  void InstallCallbacks();
  absl::Status Configure(bool created);
  // Prepares the first statement of `sql` and takes its text off; null when there was none.
  // REQUIRES: a NUL byte follows the text.
  absl::StatusOr<sqlite3_stmt*> Compile(std::string_view* sql, bool trusted);

  absl::Status Begin(TransactionMode mode) override;
  absl::Status Commit() override;
  absl::Status Rollback() override;
  absl::StatusOr<std::uint64_t> BeginSavepoint() override;
  absl::Status ReleaseSavepoint(std::uint64_t savepoint) override;
  absl::Status RollbackSavepoint(std::uint64_t savepoint) override;
  // How deep `savepoint` is, from 1; 0: it has ended.
  std::size_t DepthOf(std::uint64_t savepoint) const;
  absl::Status Control(std::string_view sql, std::string_view operation);
  absl::Status EndTransaction(std::string_view operation);

  bool MayWrite() const {
    return options_.access == Access::kCreate || options_.access == Access::kReadWrite;
  }

  // Refuses a forked child.
  absl::Status MayUse(std::string_view operation) const {
    return forked() ? Forked(operation) : absl::OkStatus();
  }
  absl::Status Forked(std::string_view operation) const;
  // Refuses a file that is no longer where it was opened.
  absl::Status FileIsInPlace() const;
  // Why a wait or a statement is ended before its time.
  enum class StopReason { kNone, kDeadline, kCancelled, kStopped };
  StopReason WhyStop(TimePoint now) const;
  absl::Status Stopped(StopReason reason, std::string_view operation, std::string_view sql);
  // A use that is to end gives back the state it reads.
  void EndStoppedRead();

  // For SqliteStatement.
  absl::Status MayStep(const SqliteStatement& statement);
  absl::Status Failed(int code, std::string_view operation, std::string_view sql);
  void TakeBack(SqliteStatement& statement) {
    if (forked()) return;  // Left as it is, with its connection.
    (statement.trusted() ? trusted_cache_ : cache_).Return(statement);
  }

  static int OnBusy(void* self, int count);
  static int OnProgress(void* self);
  static int OnAuthorize(void* self, int action, const char* first, const char* second,
                         const char* database, const char* trigger);
  static int OnCommitted(void* self, sqlite3* db, const char* database, int pages);

  // Constant after Open().
  const SqliteOptions options_;
  storage_internal::OpenFile open_file_;
  const pool::ForkGuard fork_guard_;
  sqlite3* db_ = nullptr;

  // Checked in builds with assertions; always here, so that all builds agree on the layout.
  storage_internal::OneUser user_;

  SqlRoutines routines_;
  StatementCache cache_;
  StatementCache trusted_cache_;
  std::vector<storage_internal::BlobHandle*> blobs_;  // Open ones.
  std::vector<std::uint64_t> savepoints_;             // Of this transaction, outermost first.
  std::uint64_t last_savepoint_ = 0;

  ChangeSink* sink_ = nullptr;
  std::optional<TimePoint> deadline_;
  std::stop_token stop_;
  LeaseNote note_;
  // When the lock now waited for is given up; set at the first call of a wait.
  TimePoint busy_until_{};
  const char* denied_ = nullptr;    // Why the policy refused what is being prepared.
  const char* changing_ = nullptr;  // Why it will be, should it turn out to change rows.
  int log_pages_ = 0;
  bool trusted_ = false;
  bool creating_ = false;         // A CREATE statement is being prepared.
  bool has_transaction_ = false;  // A guard holds one, whatever SQLite says.
  bool must_end_ = false;         // One is over, and SQLite could not roll it back.
  bool reads_only_ = false;       // It was begun for reading, on a connection that could write.
  bool committing_ = false;
  // Why the callbacks have ended what is running, until Failed() tells it.
  StopReason stopped_by_ = StopReason::kNone;
  bool checkpointing_ = false;
  bool suspect_ = false;
  // Relaxed: it only counts.
  static inline std::atomic<std::uint64_t> connections_{0};
  const std::uint64_t serial_ = connections_.fetch_add(1, std::memory_order_relaxed);
};

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_SQLITE_CONNECTION_H_
