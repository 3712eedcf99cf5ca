#include "storage/sqlite/blob.h"

#include "storage/sqlite/database.h"
#include "storage/status_macros.h"

namespace vouch::storage {

using storage_internal::BlobHandle;

absl::StatusOr<BlobReader> BlobReader::Open(ReadLease& lease, const BlobAddress& address) {
  return Open(*lease.lease_, address);
}

absl::StatusOr<BlobReader> BlobReader::Open(SqliteConnection& connection,
                                            const BlobAddress& address) {
  VOUCH_ASSIGN_OR_RETURN(auto handle, BlobHandle::Open(connection, address, /*writes=*/false));
  return BlobReader(std::move(handle));
}

absl::StatusOr<BlobWriter> BlobWriter::Open(SqliteConnection& connection,
                                            const BlobAddress& address) {
  VOUCH_ASSIGN_OR_RETURN(auto handle, BlobHandle::Open(connection, address, /*writes=*/true));
  return BlobWriter(std::move(handle));
}

}  // namespace vouch::storage
