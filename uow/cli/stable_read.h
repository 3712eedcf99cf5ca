// StableRead: reads a database without leaving anything beside it.
//
// A connection that only reads still makes the files of a write-ahead log (-wal, -shm) when they
// are not there, and cannot remove them. So a database without a log is read as immutable, which
// touches nothing, and the file is compared with what it was before; if somebody wrote meanwhile,
// what was read is thrown away and read again as a normal reader beside that writer. A database
// with a log must be read that way at once.
//
//   no log ──> immutable ──┬─ unchanged ──> done
//                          └─ changed ────> read-only ──> done
//   log ─────────────────────────────────> read-only ──> done
//
// Thread safety: any thread. REQUIRES: this process has the database open nowhere else.
// Errors: those of opening and of `read`. A log in a folder that cannot be written: the message
//   says what to do.

#ifndef VOUCH_UOW_CLI_STABLE_READ_H_
#define VOUCH_UOW_CLI_STABLE_READ_H_

#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "storage/connection.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/file.h"

namespace vouch::cli {

// How to read a database that is in this state.
storage::Access AccessFor(const storage::FileState& state);

// Whether what was read so cannot be relied on.
bool MustReadAgain(storage::Access used, const storage::FileState& before,
                   const storage::FileState& after);

// Calls `read` once or twice with a connection; only what the last call found is to be used.
// `path` is absolute.
absl::Status StableRead(const std::string& path, absl::Duration busy_timeout,
                        absl::FunctionRef<absl::Status(storage::Connection&)> read);

// Removes, when it ends, what readers have made beside a database that had no log when it began.
//
// Thread safety: one thread at a time. REQUIRES: when it ends, as above; `path` is absolute.
class LogLeftovers {
 public:
  explicit LogLeftovers(const std::string& path);
  ~LogLeftovers();
  LogLeftovers(const LogLeftovers&) = delete;
  LogLeftovers& operator=(const LogLeftovers&) = delete;

 private:
  const std::string path_;
  const std::vector<std::string> were_missing_;
};

}  // namespace vouch::cli

#endif  // VOUCH_UOW_CLI_STABLE_READ_H_
