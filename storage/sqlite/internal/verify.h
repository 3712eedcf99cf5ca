// Verifying a database file that nobody has open: is it whole, and which bytes is it?
//
// Thread safety: any thread.
// Cost: reads the file once for each.

#ifndef VOUCH_STORAGE_SQLITE_INTERNAL_VERIFY_H_
#define VOUCH_STORAGE_SQLITE_INTERNAL_VERIFY_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/sha256.h"
#include "storage/sqlite/function.h"
#include "storage/sqlite/internal/bounds.h"

namespace vouch::storage::storage_internal {

struct VerifyOptions {
  const std::vector<SqlFunction>& functions;
  const std::vector<SqlCollation>& collations;
  bool foreign_keys = true;
};

struct FileFacts {
  std::int64_t pages = 0;
  std::int64_t page_size_bytes = 0;
};

// Checks the structure, every constraint and index, the foreign keys and the length of `path`.
// kDataLoss: damaged. kFailedPrecondition: only foreign keys are violated.
absl::StatusOr<FileFacts> VerifyFile(const std::string& path, const VerifyOptions& options,
                                     const Bounds& bounds);

// Calls visit(piece) for all bytes of `path` in order. REQUIRES: no connection of this process has
// it open.
absl::Status ReadPieces(const std::string& path, const Bounds& bounds,
                        const std::function<absl::Status(std::string_view)>& visit);
absl::StatusOr<Digest> DigestOfFile(const std::string& path, const Bounds& bounds);

}  // namespace vouch::storage::storage_internal

#endif  // VOUCH_STORAGE_SQLITE_INTERNAL_VERIFY_H_
