// SqliteStatement and StatementCache: prepared statements, kept per connection.
//
// A statement is in one of two lists of its connection's cache:
//
//     prepare ──> lent ──Return()──> idle ──Take()──> lent
//                  │         └─ a second of its text, not to be kept, or evicted: finalised
//                  └─Orphan()──> finalised; its holder keeps an empty shell, which fails
//
// idle, most recently used first, is bounded in bytes of SQLite's memory; lent is not, since its
// statements are in use. Of each text one statement is known, the idle one if there is one, and at
// most one is idle. Taking from the cache hashes the text once, returning what is known does not,
// and neither allocates.
//
// A user's PRAGMA is not kept. SQLite runs most of them while it prepares them and puts what it
// found into the program as a constant (all of 3.40.1's but those that read a number of the file's
// header: application_id, user_version, schema_version, data_version, freelist_count). Once such a
// program has run it is marked as expired, and is prepared anew each time: keeping it saves nothing.
// One that was prepared and given back without having run is not marked: taken from the cache it
// would tell what was so when it was prepared, and one that sets something would set nothing.
// Those that read the header are programs like any other and see each time what is there; the
// library's own (data_version, schema_version) are kept in its cache.
//
// Thread safety: the connection's: one thread at a time.
// Ownership: the cache owns every statement; the connection owns the cache. When the connection is
//   given back or closed while a statement is lent, the cache lets go of it: it belongs to its
//   holder then, holds nothing of SQLite's, and does not touch the connection again.

#ifndef VOUCH_STORAGE_SQLITE_STATEMENT_H_
#define VOUCH_STORAGE_SQLITE_STATEMENT_H_

#include <cstddef>
#include <list>
#include <memory>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/hash/hash.h"
#include "absl/strings/string_view.h"
#include "storage/sqlite/cache_stats.h"
#include "storage/statement.h"

struct sqlite3_stmt;

namespace vouch::storage {

class SqliteConnection;
class StatementCache;

class SqliteStatement final : public Statement {
 public:
  // Takes `handle`, which is not null. `sql` is what the cache knows it by.
  SqliteStatement(SqliteConnection& connection, sqlite3_stmt* handle, std::string sql,
                  bool trusted);
  ~SqliteStatement() override;

  absl::StatusOr<bool> Step() override;
  void Reset() override;
  int column_count() const override;
  std::string_view column_name(int column) const override;
  ValueView column(int column) const override;
  std::string_view sql() const override { return sql_; }

  // Prepared for the library itself, without asking the policy; kept in a cache of its own.
  bool trusted() const { return trusted_; }
  std::size_t bytes() const { return bytes_; }
  // Changes no table.
  bool read_only() const { return read_only_; }

 private:
  friend class StatementCache;

  absl::Status BindView(int index, ValueView value, Lifetime lifetime) override;
  absl::StatusOr<int> ParameterIndex(std::string_view name) override;
  absl::Status ExpectParameters(int count) override;
  void Return() override;
  void Orphan();

  // Null once orphaned.
  SqliteConnection* connection_;
  sqlite3_stmt* handle_;
  // Constant after construction.
  const std::string sql_;
  const std::size_t bytes_;
  const bool trusted_;
  const bool read_only_;
  // The cache's: where it keeps this statement, and how.
  std::list<std::unique_ptr<SqliteStatement>>::iterator position_;
  bool keep_ = true;  // Once it is given back.
  bool lent_ = true;
  bool known_ = false;  // by_sql_ leads here; always so when idle.
};

class StatementCache {
 public:
  explicit StatementCache(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  // The idle statement for `sql`, lent from now on, or null.
  SqliteStatement* Take(std::string_view sql);
  // Takes ownership of a statement just prepared and lends it. `keep`: for the next to take.
  SqliteStatement* Adopt(std::unique_ptr<SqliteStatement> statement, bool keep = true);
  void Return(SqliteStatement& statement);
  // Finalises the statements that are lent and leaves them to their holders.
  void Orphan() {
    if (!lent_.empty()) OrphanLent();
  }
  // Finalises everything; orphans what is lent.
  void Clear();

  std::size_t lent() const { return lent_.size(); }
  std::size_t hits() const { return counters_.Read().hits; }
  std::size_t misses() const { return counters_.Read().misses; }
  const CacheCounters& counters() const { return counters_; }
  // REQUIRES: nobody reads the counters yet.
  void ResetCounters() { counters_.Reset(); }

 private:
  using List = std::list<std::unique_ptr<SqliteStatement>>;

  // That of std::string_view is several times slower where it is not Abseil's.
  struct Hash {
    std::size_t operator()(std::string_view sql) const {
      return absl::Hash<absl::string_view>()(absl::string_view(sql.data(), sql.size()));
    }
  };

  void OrphanLent();
  bool MakeKnown(SqliteStatement& statement);
  void Forget(const SqliteStatement& statement);
  void EvictTo(std::size_t bytes);

  const std::size_t max_bytes_;
  List lent_;
  List idle_;  // Most recently used first.
  absl::flat_hash_map<std::string_view, SqliteStatement*, Hash> by_sql_;  // Keys are theirs.
  std::size_t idle_bytes_ = 0;
  CacheCounters counters_;
};

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_SQLITE_STATEMENT_H_
