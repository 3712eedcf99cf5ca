// ConfigureProcess: settings of SQLite that hold for the whole process.
//
//   int main() {
//     if (const absl::Status status = storage::ConfigureProcess(); !status.ok()) …
//
// SQLite counts the memory it holds under one mutex, which every allocation of every connection
// takes: with two threads a small query takes twice as long for it. This switches the counting off.
// A library does not change a process behind its user's back, so nothing in vouch calls this: the
// program's main() does, and everything else in the process that uses SQLite lives with it.
//
// What stops working without the counting: sqlite3_memory_used() and the other memory numbers of
// sqlite3_status() read 0, and so sqlite3_soft_heap_limit64() and sqlite3_hard_heap_limit64(), which
// compare them with the limit, have no effect, in silence. Who wants a heap limit keeps the counting
// and asks for the limit here.
//
// Thread safety: before the process has a second thread that uses SQLite, and before anything has
// used it: opening a connection, even asking for a VFS, initialises it.
// Errors: kFailedPrecondition: SQLite is initialised already, or this was called before with other
//   settings. kInvalidArgument: a heap limit without statistics, or a negative one.
//   kResourceExhausted: there was no memory to initialise with.

#ifndef VOUCH_STORAGE_SQLITE_PROCESS_H_
#define VOUCH_STORAGE_SQLITE_PROCESS_H_

#include <cstdint>

#include "absl/status/status.h"

namespace vouch::storage {

struct ProcessSettings {
  bool memory_statistics = false;
  // Bytes SQLite may hold in all; an allocation beyond it fails with kResourceExhausted. 0: as many
  // as there are. Needs memory_statistics.
  std::int64_t hard_heap_limit_bytes = 0;

  absl::Status Validate() const;

  friend bool operator==(const ProcessSettings&, const ProcessSettings&) = default;
};

// Applies `settings` and initialises SQLite with them. Again with the same settings: nothing.
absl::Status ConfigureProcess(const ProcessSettings& settings = {});

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_SQLITE_PROCESS_H_
