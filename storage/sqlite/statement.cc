#include "storage/sqlite/statement.h"

#include <sqlite3.h>

#include <cassert>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/error.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/error.h"

namespace vouch::storage {
namespace {

absl::Status Orphaned(std::string_view operation, std::string_view sql) {
  return absl::FailedPreconditionError(absl::StrCat(
      std::string(operation), ": the connection was given back before this statement, \"",
      ShortSql(sql), "\""));
}

}  // namespace

SqliteStatement::SqliteStatement(SqliteConnection& connection, sqlite3_stmt* handle,
                                 std::string sql, bool trusted)
    : connection_(&connection),
      handle_(handle),
      sql_(std::move(sql)),
      bytes_(static_cast<std::size_t>(sqlite3_stmt_status(handle, SQLITE_STMTSTATUS_MEMUSED, 0)) +
             sql_.size()),
      trusted_(trusted),
      read_only_(sqlite3_stmt_readonly(handle) != 0) {}

SqliteStatement::~SqliteStatement() {
  if (connection_ != nullptr) Orphan();
}

absl::StatusOr<bool> SqliteStatement::Step() {
  if (connection_ == nullptr) return Orphaned("execute", sql_);
  VOUCH_RETURN_IF_ERROR(connection_->MayUse("execute"));
  const storage_internal::OneUserScope use(connection_->user_);
  VOUCH_RETURN_IF_ERROR(connection_->MayStep(*this));
  const SqliteConnection::TrustScope trust(*connection_, trusted_);
  connection_->routines_.BeginRun();
  const int code = sqlite3_step(handle_);
  const bool wrote = !read_only_ && connection_->in_transaction();
  if (!connection_->routines_.EndRun(wrote)) {
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) {
      sqlite3_reset(handle_);
      return false;
    }
  }
  absl::Status status = connection_->Failed(code, "execute", sql_);
  if (connection_->sink_ != nullptr) connection_->sink_->OnUndone();
  sqlite3_reset(handle_);
  return status;
}

void SqliteStatement::Reset() {
  if (connection_ != nullptr && !connection_->forked()) sqlite3_reset(handle_);
}

int SqliteStatement::column_count() const { return sqlite3_column_count(handle_); }

std::string_view SqliteStatement::column_name(int column) const {
  const char* name = handle_ == nullptr ? nullptr : sqlite3_column_name(handle_, column);
  return name == nullptr ? std::string_view() : std::string_view(name);
}

ValueView SqliteStatement::column(int column) const {
  if (handle_ == nullptr) return {};
  assert(column >= 0 && column < sqlite3_data_count(handle_));
  switch (sqlite3_column_type(handle_, column)) {
    case SQLITE_INTEGER:
      return ValueView::Integer(sqlite3_column_int64(handle_, column));
    case SQLITE_FLOAT:
      return ValueView::Real(sqlite3_column_double(handle_, column));
    case SQLITE_TEXT: {
      // As a blob: as text it would have to end with a NUL byte, and without memory for that SQLite
      // would say that it is empty.
      const auto* text = static_cast<const char*>(sqlite3_column_blob(handle_, column));
      if (text == nullptr) return ValueView::Text("");
      return ValueView::Text(
          {text, static_cast<std::size_t>(sqlite3_column_bytes(handle_, column))});
    }
    case SQLITE_BLOB: {
      const auto* blob = static_cast<const char*>(sqlite3_column_blob(handle_, column));
      if (blob == nullptr) return ValueView::Blob({});
      return ValueView::Blob(
          {blob, static_cast<std::size_t>(sqlite3_column_bytes(handle_, column))});
    }
    default:
      return {};
  }
}

absl::Status SqliteStatement::BindView(int index, ValueView value, Lifetime lifetime) {
  if (handle_ == nullptr) return Orphaned("bind", sql_);
  VOUCH_RETURN_IF_ERROR(connection_->MayUse("bind"));
  // Binding to a statement that has begun is refused by SQLite; a fresh start is what is meant.
  if (sqlite3_stmt_busy(handle_)) sqlite3_reset(handle_);
  const auto destructor = lifetime == Lifetime::kBorrowed ? SQLITE_STATIC : SQLITE_TRANSIENT;
  int code = SQLITE_OK;
  switch (value.type()) {
    case ValueType::kNull:
      code = sqlite3_bind_null(handle_, index);
      break;
    case ValueType::kInteger:
      code = sqlite3_bind_int64(handle_, index, value.integer());
      break;
    case ValueType::kReal:
      code = sqlite3_bind_double(handle_, index, value.real());
      break;
    case ValueType::kText:
      code = sqlite3_bind_text64(handle_, index, value.bytes().data(), value.bytes().size(),
                                 destructor, SQLITE_UTF8);
      break;
    case ValueType::kBlob:
      code = sqlite3_bind_blob64(handle_, index, value.bytes().data(), value.bytes().size(),
                                 destructor);
      break;
  }
  if (code == SQLITE_OK) return absl::OkStatus();
  return SqliteError(sqlite3_db_handle(handle_), code, absl::StrCat("bind ?", index), sql_);
}

absl::StatusOr<int> SqliteStatement::ParameterIndex(std::string_view name) {
  if (handle_ == nullptr) return Orphaned("bind", sql_);
  const int index = sqlite3_bind_parameter_index(handle_, std::string(name).c_str());
  if (index != 0) return index;
  return absl::InvalidArgumentError(
      absl::StrCat("bind: no parameter named ", std::string(name), " in \"", ShortSql(sql_), "\""));
}

absl::Status SqliteStatement::ExpectParameters(int count) {
  if (handle_ == nullptr) return Orphaned("bind", sql_);
  const int expected = sqlite3_bind_parameter_count(handle_);
  if (count == expected) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("bind: ", count, " values for ", expected,
                                                 " parameters in \"", ShortSql(sql_), "\""));
}

void SqliteStatement::Return() {
  if (connection_ != nullptr) return connection_->TakeBack(*this);
  delete this;  // Orphaned: nobody else knows of it.
}

void SqliteStatement::Orphan() {
  // In a forked child it is the parent's, and leaked.
  if (!connection_->forked()) sqlite3_finalize(handle_);
  handle_ = nullptr;
  connection_ = nullptr;
}

SqliteStatement* StatementCache::Take(std::string_view sql) {
  const auto found = by_sql_.find(sql);
  if (found == by_sql_.end() || found->second->lent_) {
    counters_.CountMiss();
    return nullptr;
  }
  counters_.CountHit();
  SqliteStatement* statement = found->second;
  idle_bytes_ -= statement->bytes();
  lent_.splice(lent_.begin(), idle_, statement->position_);
  statement->lent_ = true;
  return statement;
}

SqliteStatement* StatementCache::Adopt(std::unique_ptr<SqliteStatement> statement, bool keep) {
  statement->keep_ = keep;
  statement->known_ = keep && by_sql_.emplace(statement->sql(), statement.get()).second;
  lent_.push_front(std::move(statement));
  lent_.front()->position_ = lent_.begin();
  return lent_.front().get();
}

void StatementCache::Return(SqliteStatement& statement) {
  // Keep one statement for a text: a second one, lent meanwhile, goes.
  if (!statement.keep_ || (!statement.known_ && !MakeKnown(statement))) {
    lent_.erase(statement.position_);
    return;
  }
  sqlite3_reset(statement.handle_);
  sqlite3_clear_bindings(statement.handle_);
  idle_.splice(idle_.begin(), lent_, statement.position_);
  statement.lent_ = false;
  idle_bytes_ += statement.bytes();
  EvictTo(max_bytes_);
}

// In the place of one that is lent: a loop inside another's rows finds its statement each time. False
// when one is idle.
bool StatementCache::MakeKnown(SqliteStatement& statement) {
  if (const auto found = by_sql_.find(statement.sql()); found != by_sql_.end()) {
    if (!found->second->lent_) return false;
    found->second->known_ = false;
    by_sql_.erase(found);
  }
  by_sql_.emplace(statement.sql(), &statement);
  statement.known_ = true;
  return true;
}

// Its text is about to go, which by_sql_ has for a key.
void StatementCache::Forget(const SqliteStatement& statement) {
  if (statement.known_) by_sql_.erase(statement.sql());
}

void StatementCache::EvictTo(std::size_t bytes) {
  while (idle_bytes_ > bytes) {
    const SqliteStatement& oldest = *idle_.back();
    idle_bytes_ -= oldest.bytes();
    Forget(oldest);
    idle_.pop_back();
  }
}

void StatementCache::OrphanLent() {
  for (std::unique_ptr<SqliteStatement>& statement : lent_) {
    Forget(*statement);
    statement.release()->Orphan();
  }
  lent_.clear();
}

void StatementCache::Clear() {
  Orphan();
  EvictTo(0);
}

}  // namespace vouch::storage
