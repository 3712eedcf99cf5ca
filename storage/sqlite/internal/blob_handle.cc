#include "storage/sqlite/internal/blob_handle.h"

#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "storage/error.h"
#include "storage/sqlite/blob.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/error.h"
#include "storage/sqlite/policy.h"

namespace vouch::storage::storage_internal {

BlobHandle::BlobHandle(SqliteConnection& connection, std::string name, bool writes)
    : connection_(&connection), name_(std::move(name)), writes_(writes) {
  connection_->blobs_.push_back(this);
}

BlobHandle::~BlobHandle() { Close(); }

void BlobHandle::Close() {
  if (connection_ == nullptr) return;
  std::erase(connection_->blobs_, this);
  // In a forked child it is the parent's, and leaked.
  if (!connection_->forked()) sqlite3_blob_close(blob_);
  blob_ = nullptr;
  connection_ = nullptr;
}

void BlobHandle::OrphanAll(std::vector<BlobHandle*>& handles) {
  while (!handles.empty()) handles.back()->Close();
}

namespace {

// The table's name as the schema spells it, which is how a policy knows it. The schema itself is not
// in the schema, and so is refused.
absl::StatusOr<std::string> SpelledName(SqliteConnection& connection, const std::string& table) {
  VOUCH_ASSIGN_OR_RETURN(
      StatementPtr find,
      connection.PrepareTrusted(
          "SELECT name FROM main.sqlite_schema WHERE type IN ('table', 'view') AND name = "
          "?1 COLLATE NOCASE"));
  VOUCH_RETURN_IF_ERROR(find->Bind(1, table));
  VOUCH_ASSIGN_OR_RETURN(const bool found, find->Step());
  if (found) return find->Get<std::string>(0);
  return absl::InvalidArgumentError(absl::StrCat("open blob: no table ", table));
}

}  // namespace

// SQLite does not ask the authorizer about blobs.
absl::Status BlobHandle::MayOpen(SqliteConnection& connection, const BlobAddress& address,
                                 bool writes) {
  if (address.table.find('\0') != std::string::npos ||
      address.column.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError("open blob: a name holds a NUL byte");
  }
  if (!writes) return absl::OkStatus();
  VOUCH_ASSIGN_OR_RETURN(const std::string table, SpelledName(connection, address.table));
  const auto& options = connection.options_;
  const char* why = connection.trusted_ ? nullptr
                                        : WhyDenied(options.policy, SQLITE_UPDATE, table,
                                                    address.column, "main", options.is_protected);
  if (why == nullptr && !connection.MayWrite()) why = "this connection is for reading";
  if (why == nullptr && connection.reads_only_) why = "this transaction only reads";
  if (why != nullptr) {
    return absl::PermissionDeniedError(
        absl::StrCat("open blob: not allowed here: ", why, "; in ", address.table));
  }
  if (!connection.in_transaction()) {
    return absl::FailedPreconditionError("open blob: writing needs a transaction");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<BlobHandle>> BlobHandle::Open(SqliteConnection& connection,
                                                             const BlobAddress& address,
                                                             bool writes) {
  auto handle = std::unique_ptr<BlobHandle>(new BlobHandle(
      connection, absl::StrCat(address.table, ".", address.column, " of row ", address.row_id),
      writes));
  VOUCH_RETURN_IF_ERROR(handle->MayUse("open blob"));
  VOUCH_RETURN_IF_ERROR(MayOpen(connection, address, writes));
  int code = handle->OpenNative(address);
  if ((code & 0xFF) == SQLITE_ERROR) {
    // Unlike a statement, SQLite looks for a blob's table in the schema that it knows, which may be
    // older than the database. A statement brings that up to date.
    VOUCH_RETURN_IF_ERROR(SpelledName(connection, address.table).status());
    code = handle->OpenNative(address);
  }
  if (code != SQLITE_OK) return handle->Failed(code, "open blob");
  handle->size_ = sqlite3_blob_bytes(handle->blob_);
  return handle;
}

int BlobHandle::OpenNative(const BlobAddress& address) {
  return sqlite3_blob_open(connection_->db_, "main", address.table.c_str(), address.column.c_str(),
                           address.row_id, writes_ ? 1 : 0, &blob_);
}

absl::Status BlobHandle::MayUse(const char* operation) const {
  if (connection_ == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat(operation, ": closed, or its connection was given back: ", name_));
  }
  VOUCH_RETURN_IF_ERROR(connection_->MayUse(operation));
  if (connection_->has_transaction_ && !connection_->in_transaction()) {
    return absl::AbortedError(
        absl::StrCat(operation, ": the transaction was ended by an earlier error: ", name_));
  }
  if (connection_->deadline_.has_value() &&
      std::chrono::steady_clock::now() >= *connection_->deadline_) {
    return absl::DeadlineExceededError(absl::StrCat(operation, ": the deadline passed: ", name_));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::size_t> BlobHandle::Read(std::int64_t offset, std::span<std::byte> out) {
  VOUCH_RETURN_IF_ERROR(MayUse("read blob"));
  if (offset < 0 || offset > size_) {
    return absl::InvalidArgumentError(
        absl::StrCat("read blob: offset ", offset, " of ", size_, " bytes: ", name_));
  }
  const auto count = std::min(out.size(), static_cast<std::size_t>(size_ - offset));
  // Asked for also when there is nothing to read: the row may have changed.
  const int code =
      sqlite3_blob_read(blob_, out.data(), static_cast<int>(count), static_cast<int>(offset));
  if (code != SQLITE_OK) return Failed(code, "read blob");
  return count;
}

absl::Status BlobHandle::Write(std::int64_t offset, std::span<const std::byte> bytes) {
  VOUCH_RETURN_IF_ERROR(MayUse("write blob"));
  if (offset < 0 || offset > size_ || bytes.size() > static_cast<std::size_t>(size_ - offset)) {
    return absl::InvalidArgumentError(absl::StrCat("write blob: ", bytes.size(), " bytes at ",
                                                   offset, " of ", size_,
                                                   ", and a blob does not grow: ", name_));
  }
  const int code = sqlite3_blob_write(blob_, bytes.data(), static_cast<int>(bytes.size()),
                                      static_cast<int>(offset));
  return code == SQLITE_OK ? absl::OkStatus() : Failed(code, "write blob");
}

absl::Status BlobHandle::MoveTo(std::int64_t row_id) {
  VOUCH_RETURN_IF_ERROR(MayUse("open blob"));
  const int code = sqlite3_blob_reopen(blob_, row_id);
  size_ = sqlite3_blob_bytes(blob_);  // 0 after a failure.
  return code == SQLITE_OK
             ? absl::OkStatus()
             : Annotate(Failed(code, "open blob"), absl::StrCat("row ", row_id, ": "));
}

absl::Status BlobHandle::Failed(int code, const char* operation) const {
  const absl::Status status =
      SqliteError(connection_->db_, code, absl::StrCat(operation, " ", name_));
  if (absl::StartsWith(sqlite3_errmsg(connection_->db_), "no such rowid")) {
    return WithNativeCode(absl::NotFoundError(status.message()), code);
  }
  return status;
}

}  // namespace vouch::storage::storage_internal
