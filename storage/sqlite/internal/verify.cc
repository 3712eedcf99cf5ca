#include "storage/sqlite/internal/verify.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "storage/error.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/file.h"
#include "storage/sqlite/internal/integrity.h"
#include "storage/sqlite/internal/native.h"
#include "storage/sqlite/internal/system_error.h"
#include "storage/status_macros.h"

namespace vouch::storage::storage_internal {
namespace {

constexpr std::size_t kPieceBytes = 1 << 20;

// What SQLite says of a file that is no database, or not whole any more, is a loss here.
absl::Status AsDamage(const absl::Status& status) {
  switch (NativeCode(status).value_or(0) & 0xFF) {
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
    case SQLITE_ERROR:  // A schema that cannot be read.
      return absl::DataLossError(status.message());
    default:
      return status;
  }
}

absl::StatusOr<std::unique_ptr<SqliteConnection>> OpenStill(const std::string& path,
                                                            const VerifyOptions& options) {
  Profile profile;
  profile.mmap_size_bytes = 0;  // A file cut short would be a signal instead of an error.
  return SqliteConnection::Open({.path = path,
                                 .access = Access::kImmutable,
                                 .profile = profile,
                                 .functions = options.functions,
                                 .collations = options.collations});
}

absl::Status CheckForeignKeys(SqliteConnection& connection) {
  VOUCH_ASSIGN_OR_RETURN(StatementPtr check, connection.Prepare("PRAGMA foreign_key_check"));
  VOUCH_ASSIGN_OR_RETURN(const bool violated, check->Step());
  if (!violated) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("a row of ", check->Get<std::string>(0),
                                                    " refers to no row of ",
                                                    check->Get<std::string>(2)));
}

absl::StatusOr<FileFacts> CheckAll(SqliteConnection& connection, const std::string& path,
                                   bool foreign_keys) {
  VOUCH_RETURN_IF_ERROR(CheckIntegrity(Native::HandleOf(connection), "PRAGMA integrity_check(3)"));
  if (foreign_keys) VOUCH_RETURN_IF_ERROR(CheckForeignKeys(connection));
  FileFacts facts;
  VOUCH_ASSIGN_OR_RETURN(facts.pages, connection.QueryValue<std::int64_t>("PRAGMA page_count"));
  VOUCH_ASSIGN_OR_RETURN(facts.page_size_bytes,
                         connection.QueryValue<std::int64_t>("PRAGMA page_size"));
  VOUCH_ASSIGN_OR_RETURN(const FileState state, StateOfDatabaseFile(path));
  if (state.size != facts.pages * facts.page_size_bytes) {
    return absl::DataLossError(absl::StrCat("the file has ", state.size, " bytes, not ",
                                            facts.pages, " pages of ", facts.page_size_bytes));
  }
  return facts;
}

}  // namespace

absl::StatusOr<FileFacts> VerifyFile(const std::string& path, const VerifyOptions& options,
                                     const Bounds& bounds) {
  VOUCH_RETURN_IF_ERROR(bounds.Check());
  const auto connection = OpenStill(path, options);
  if (!connection.ok()) return AsDamage(connection.status());
  bounds.Apply(Native::HandleOf(**connection));
  const auto facts = CheckAll(**connection, path, options.foreign_keys);
  if (!facts.ok()) return AsDamage(facts.status());
  return facts;
}

absl::Status ReadPieces(const std::string& path, const Bounds& bounds,
                        const std::function<absl::Status(std::string_view)>& visit) {
  const std::string operation = absl::StrCat("read ", path);
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return SystemError(errno, operation);
  const auto buffer = std::make_unique<char[]>(kPieceBytes);
  absl::Status status = bounds.Check();
  while (status.ok()) {
    const ssize_t count = ::read(fd, buffer.get(), kPieceBytes);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) status = SystemError(errno, operation);
    if (count <= 0) break;
    status = visit({buffer.get(), static_cast<std::size_t>(count)});
    if (status.ok()) status = bounds.Check();
  }
  ::close(fd);
  return status;
}

absl::StatusOr<Digest> DigestOfFile(const std::string& path, const Bounds& bounds) {
  Sha256 hash;
  VOUCH_RETURN_IF_ERROR(ReadPieces(path, bounds, [&](std::string_view piece) {
    hash.Update(piece);
    return absl::OkStatus();
  }));
  return hash.Finish();
}

}  // namespace vouch::storage::storage_internal
