// BlobHandle: SQLite's handle for the bytes of one value, known to its connection.
//
// Thread safety: the connection's.
// Ownership: whoever opened it; a connection that is given back or closed first closes the handle,
//   which then fails.

#ifndef VOUCH_STORAGE_SQLITE_INTERNAL_BLOB_HANDLE_H_
#define VOUCH_STORAGE_SQLITE_INTERNAL_BLOB_HANDLE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct sqlite3_blob;

namespace vouch::storage {
class SqliteConnection;
struct BlobAddress;
}  // namespace vouch::storage

namespace vouch::storage::storage_internal {

class BlobHandle {
 public:
  static absl::StatusOr<std::unique_ptr<BlobHandle>> Open(SqliteConnection& connection,
                                                          const BlobAddress& address, bool writes);
  ~BlobHandle();
  BlobHandle(const BlobHandle&) = delete;
  BlobHandle& operator=(const BlobHandle&) = delete;

  std::int64_t size() const { return size_; }
  absl::StatusOr<std::size_t> Read(std::int64_t offset, std::span<std::byte> out);
  absl::Status Write(std::int64_t offset, std::span<const std::byte> bytes);
  absl::Status MoveTo(std::int64_t row_id);
  // Its own error, which for a writer outside a transaction would be the commit's. There is none.
  void Close();

  static void OrphanAll(std::vector<BlobHandle*>& handles);

 private:
  BlobHandle(SqliteConnection& connection, std::string name, bool writes);

  static absl::Status MayOpen(SqliteConnection& connection, const BlobAddress& address,
                              bool writes);
  // SQLite's result code.
  int OpenNative(const BlobAddress& address);
  absl::Status MayUse(const char* operation) const;
  absl::Status Failed(int code, const char* operation) const;

  SqliteConnection* connection_;  // Null once closed.
  sqlite3_blob* blob_ = nullptr;
  std::int64_t size_ = 0;
  const std::string name_;  // table.column, for messages.
  const bool writes_;
};

}  // namespace vouch::storage::storage_internal

#endif  // VOUCH_STORAGE_SQLITE_INTERNAL_BLOB_HANDLE_H_
