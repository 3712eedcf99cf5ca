// Database: one SQLite file, with a pool of readers and the one writer.
//
//   VOUCH_ASSIGN_OR_RETURN(auto database, Database::Open({.path = "/srv/app.db"}));
//   {
//     VOUCH_ASSIGN_OR_RETURN(WriteLease writer, database->Write());
//     VOUCH_ASSIGN_OR_RETURN(Transaction transaction,
//                            Transaction::Begin(*writer, TransactionMode::kWrite));
//     VOUCH_RETURN_IF_ERROR(writer->Execute("INSERT INTO t(name) VALUES (?1)", "Zoë"));
//     VOUCH_RETURN_IF_ERROR(transaction.Commit());
//   }
//   VOUCH_ASSIGN_OR_RETURN(ReadLease reader, database->Read());
//   VOUCH_ASSIGN_OR_RETURN(auto count, reader->QueryValue<int>("SELECT count(*) FROM t"));
//
// SQLite has one writer at a time. Here writers queue first in, first out for the one writing
// connection instead of polling a lock, and a read lease cannot write, so that no transaction
// ever has to upgrade from reading to writing and fail for it.
//
// One deadline and one stop token cover a lease: the wait for it, and what is done with it.
//
//   database->Write({.deadline = absl::Now() + absl::Milliseconds(250), .stop = token});
//
// Once the deadline has passed or the token is requested, a wait for a lock ends, a statement that
// is running is stopped, and the next one is refused. COMMIT is not: it is waited for, and its
// result told even if late. SQLite ends a transaction with a write that was stopped, not with a
// read; either way nothing that follows in it is committed by itself (storage/connection.h).
//
// A database in memory has no log and no snapshots: a reader in a transaction keeps the writer out,
// and the writer readers, for as long as the busy timeout; then they get kUnavailable. Give read
// leases back before writing.
//
// A database opened for reading only that has a log makes the files -wal and -shm beside it, and
// cannot remove them: when it is the last to close they stay behind, and the next writer uses them.
//
// Thread safety: any thread. A lease is used by one thread at a time.
// Ownership: the Database must outlive its leases; ~Database waits for them.
// Errors: Open as SqliteConnection::Open. Read and Write: kDeadlineExceeded with the pool's state
//   when none came free in time; kCancelled by the stop token; kFailedPrecondition after Close.
//   Write: kResourceExhausted when the log cannot be kept within bounds (storage/sqlite/governor.h).
// Cost: leases are taken and given back without a lock when one is free. Giving back the writer
//   may run a checkpoint (storage/sqlite/governor.h), during which new readers may have to wait for
//   GovernorOptions::patience, and Read() without a timeout then finds none.

#ifndef VOUCH_STORAGE_SQLITE_DATABASE_H_
#define VOUCH_STORAGE_SQLITE_DATABASE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "pool/acquire_options.h"
#include "pool/call_site.h"
#include "pool/pool.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/governor.h"

namespace vouch::storage {

struct DatabaseOptions {
  // A file, or ":memory:" for a database that lives as long as this object.
  std::string path = {};
  Access access = Access::kCreate;
  Profile profile = Profile::Balanced();
  // What user SQL may do on the writer, and which tables Policy::kUnit keeps from it.
  Policy writer_policy = Policy::kWriter;
  std::function<bool(std::string_view)> is_protected = {};
  // As in SqliteOptions: false for a file that somebody else made, and for reading only; whose file
  // it is.
  bool trusted = true;
  std::int32_t application_id = 0;
  int min_readers = 1;
  int max_readers = 8;
  absl::Duration acquire_timeout = absl::Seconds(30);
  absl::Duration idle_timeout = absl::Seconds(300);
  absl::Duration busy_timeout = absl::Seconds(5);
  GovernorOptions governor = {};
  // The program's own, on every connection (storage/sqlite/function.h).
  std::vector<SqlFunction> functions = {};
  std::vector<SqlCollation> collations = {};

  absl::Status Validate() const;
};

class Database;

// The right to read until destroyed; statements made from it belong before its end. Statements see the newest state each, or, between
// BeginSnapshot() and the lease's end, all the same one, which is also twice as fast.
class [[nodiscard]] ReadLease {
 public:
  ReadLease(ReadLease&&) noexcept = default;
  ReadLease& operator=(ReadLease&&) = delete;
  ~ReadLease();

  Connection* operator->() const { return lease_.get(); }
  Connection& operator*() const { return *lease_; }

  absl::Status BeginSnapshot();

 private:
  friend class BlobReader;
  friend class Database;
  explicit ReadLease(pool::Lease<SqliteConnection> lease) : lease_(std::move(lease)) {}

  pool::Lease<SqliteConnection> lease_;
};

// The right to write until destroyed. Nobody else in this process writes meanwhile.
class [[nodiscard]] WriteLease {
 public:
  WriteLease(WriteLease&&) noexcept = default;
  WriteLease& operator=(WriteLease&&) = delete;
  ~WriteLease();

  SqliteConnection* operator->() const { return lease_.get(); }
  SqliteConnection& operator*() const { return *lease_; }

  // It may be given back by another thread than asked for it (pool/lease.h).
  void MakeTransferable() { lease_.MakeTransferable(); }

 private:
  friend class Database;
  explicit WriteLease(pool::Lease<SqliteConnection> lease) : lease_(std::move(lease)) {}

  pool::Lease<SqliteConnection> lease_;
  Governor* governor_ = nullptr;  // Null until the write is admitted.
};

struct DatabaseStats {
  pool::PoolStats readers = {};
  pool::PoolStats writer = {};
  GovernorStats governor = {};
  // Of all connections that are or were open, without the library's own statements.
  CacheStats statements = {};
};

class Database {
 public:
  static absl::StatusOr<std::unique_ptr<Database>> Open(DatabaseOptions options);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Waits up to the options' acquire timeout, or up to `timeout`. Of AcquireOptions `timeout` is
  // about that wait only; `deadline` and `stop` are about everything until the lease is given back.
  absl::StatusOr<ReadLease> Read(pool::CallSite site = pool::CallSite::Current());
  absl::StatusOr<ReadLease> Read(absl::Duration timeout,
                                 pool::CallSite site = pool::CallSite::Current());
  absl::StatusOr<ReadLease> Read(const pool::AcquireOptions& options,
                                 pool::CallSite site = pool::CallSite::Current());
  absl::StatusOr<WriteLease> Write(pool::CallSite site = pool::CallSite::Current());
  absl::StatusOr<WriteLease> Write(absl::Duration timeout,
                                   pool::CallSite site = pool::CallSite::Current());
  absl::StatusOr<WriteLease> Write(const pool::AcquireOptions& options,
                                   pool::CallSite site = pool::CallSite::Current());

  // A connection of the caller's own with all rights, for migrations and maintenance. It counts
  // against nobody's pool, and the caller answers for what it does beside the writer.
  absl::StatusOr<std::unique_ptr<SqliteConnection>> OpenUnrestricted();
  // The same for reading only, for backups and long checks.
  absl::StatusOr<std::unique_ptr<SqliteConnection>> OpenUnrestrictedReader();

  // Refuses new leases, waits up to `drain` for those that are out, and closes the readers before
  // the writer, so that the last to close can remove the log. kDeadlineExceeded: leases are still
  // out; the message says where they were taken.
  absl::Status Close(absl::Duration drain);

  DatabaseStats stats() const;
  const std::string& path() const { return options_.path; }
  const DatabaseOptions& options() const { return options_; }
  bool in_memory() const { return SqliteConnection::IsInMemory(options_.path); }

 private:
  using Pool = pool::Pool<SqliteConnection>;

  explicit Database(DatabaseOptions options);

  absl::Status OpenPools();
  absl::Status OpenReaders();
  absl::StatusOr<WriteLease> Admit(absl::StatusOr<pool::Lease<SqliteConnection>> lease,
                                   const pool::AcquireOptions& options,
                                   std::optional<SqliteConnection::TimePoint> until);
  SqliteOptions ConnectionOptions(Access access, Policy policy) const;
  Access ReaderAccess() const {
    return options_.access == Access::kImmutable ? Access::kImmutable : Access::kReadOnly;
  }

  // Constant after Open().
  DatabaseOptions options_;
  const std::shared_ptr<CacheRegistry> cache_registry_ = std::make_shared<CacheRegistry>();

  Governor governor_;
  std::unique_ptr<Pool> writer_;  // Null when opened for reading only.
  // Destroyed before the writer, which then leaves no -wal behind.
  std::unique_ptr<Pool> readers_;
};

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_SQLITE_DATABASE_H_
