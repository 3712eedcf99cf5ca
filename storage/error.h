// What a database error means to the caller.
//
// An engine's error becomes an absl::Status whose code says what to do next:
//
//   kUnavailable        retry the call: another process holds the lock; a passing I/O error
//   kAborted            retry the whole unit of work: its transaction has ended
//   kAlreadyExists      a unique or primary key is taken: decide
//   kInvalidArgument    fix the input: a CHECK, NOT NULL or foreign key, or the SQL itself
//   kPermissionDenied   use the right lease: a write on a read lease, a PRAGMA that sets
//   kResourceExhausted  free something: the disk or the memory is full
//   kDeadlineExceeded   the deadline passed; kCancelled: the caller's own stop
//   kFailedPrecondition repair first: not a database, wrong settings
//   kNotFound           the file or its folder does not exist
//   kDataLoss           stop: the file is damaged
//   kUnknown            a commit was sent and its answer lost: look before doing anything
//
// Messages begin with the operation and hold the engine's own words, its code and the shortened
// SQL. The native code travels along as a payload, and so does the place in the SQL, where the
// engine knows it.
//
// Thread safety: pure functions.

#ifndef VOUCH_STORAGE_ERROR_H_
#define VOUCH_STORAGE_ERROR_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace vouch::storage {

// `status` with the engine's own error code attached, and the code read back.
absl::Status WithNativeCode(absl::Status status, int code);
std::optional<int> NativeCode(const absl::Status& status);

// `status` with the byte of the SQL at which the error is, from 0, and the byte read back. In a
// script it counts from the start of the statement.
absl::Status WithSqlOffset(absl::Status status, int offset);
std::optional<int> SqlOffset(const absl::Status& status);

// `status` with `prefix` put before its message; code and payloads stay.
absl::Status Annotate(const absl::Status& status, std::string_view prefix);

// `sql` on one line, at most `limit` bytes, cut at a character's end, for a message.
std::string ShortSql(std::string_view sql, std::size_t limit = 120);
// The same from some way before byte `offset` on, when that is beyond what ShortSql() would show.
std::string ShortSqlAround(std::string_view sql, int offset, std::size_t limit = 120);

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_ERROR_H_
