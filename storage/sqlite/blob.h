// BlobReader and BlobWriter: the bytes of one value, piece by piece, without holding all of them.
//
//   VOUCH_ASSIGN_OR_RETURN(ReadLease reader, database.Read());
//   VOUCH_ASSIGN_OR_RETURN(BlobReader blob, BlobReader::Open(reader, {"files", "content", id}));
//   std::array<std::byte, 65536> piece;
//   for (std::int64_t at = 0; at < blob.size();) {
//     VOUCH_ASSIGN_OR_RETURN(const std::size_t count, blob.Read(at, piece));
//     Use(std::span(piece).first(count));
//     at += static_cast<std::int64_t>(count);
//   }
//
// A value is found by its row id; a text's bytes are read as they are. What is read is one state: a
// reader that is open holds a snapshot, like a statement that has not come to its end, and a log
// cannot be emptied meanwhile. A writer changes bytes in place: it makes a value no longer and no
// shorter, so make room with zeroblob() first. Bytes that it writes are seen by a change sink as an
// update of the row.
//
// Thread safety: the connection's: one thread at a time.
// Ownership: destroy it before its lease. One that is kept longer is cut off and fails with
//   kFailedPrecondition. Destroy a writer before its transaction is committed; SQLite refuses the
//   COMMIT otherwise.
// Errors: kNotFound: no such row. kInvalidArgument: no such table or column, a value that is no text
//   or blob, a table WITHOUT ROWID or a view; writing: an indexed column or a foreign key; an offset
//   beyond the end. kAborted: the row has been changed or deleted since by this connection: open it
//   anew. kPermissionDenied: writing on a read lease, or what a unit of work may not change.
//   kFailedPrecondition: writing outside a transaction.
// Cost: opening, as a statement that finds a row. Reading at an offset follows the value's pages
//   from its start the first time; SQLite keeps a list of them afterwards.

#ifndef VOUCH_STORAGE_SQLITE_BLOB_H_
#define VOUCH_STORAGE_SQLITE_BLOB_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/sqlite/internal/blob_handle.h"

namespace vouch::storage {

class ReadLease;
class SqliteConnection;

struct BlobAddress {
  std::string table = {};
  std::string column = {};
  std::int64_t row_id = 0;
};

class BlobReader {
 public:
  static absl::StatusOr<BlobReader> Open(ReadLease& lease, const BlobAddress& address);
  static absl::StatusOr<BlobReader> Open(SqliteConnection& connection, const BlobAddress& address);

  std::int64_t size() const { return handle_->size(); }

  // Fills `out` from `offset` on, as far as there are bytes, and says how many: 0 only at the end.
  absl::StatusOr<std::size_t> Read(std::int64_t offset, std::span<std::byte> out) {
    return handle_->Read(offset, out);
  }

  // Goes to another row of the same table and column, which is faster than opening. After an error
  // the size is 0 and reading fails.
  absl::Status MoveTo(std::int64_t row_id) { return handle_->MoveTo(row_id); }

 private:
  explicit BlobReader(std::unique_ptr<storage_internal::BlobHandle> handle)
      : handle_(std::move(handle)) {}

  std::unique_ptr<storage_internal::BlobHandle> handle_;
};

class BlobWriter {
 public:
  // REQUIRES: nothing else of the transaction is being read from this value's row.
  static absl::StatusOr<BlobWriter> Open(SqliteConnection& connection, const BlobAddress& address);

  std::int64_t size() const { return handle_->size(); }
  absl::StatusOr<std::size_t> Read(std::int64_t offset, std::span<std::byte> out) {
    return handle_->Read(offset, out);
  }
  // All of `bytes` or, with an error, none.
  absl::Status Write(std::int64_t offset, std::span<const std::byte> bytes) {
    return handle_->Write(offset, bytes);
  }
  absl::Status MoveTo(std::int64_t row_id) { return handle_->MoveTo(row_id); }

 private:
  explicit BlobWriter(std::unique_ptr<storage_internal::BlobHandle> handle)
      : handle_(std::move(handle)) {}

  std::unique_ptr<storage_internal::BlobHandle> handle_;
};

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_SQLITE_BLOB_H_
