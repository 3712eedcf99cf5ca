// Walker: finds the regular files below folders.
//
// Symbolic links are never followed, so a loop of them does no harm; devices, sockets and pipes
// are passed over; hidden files are files. Names come in the order of their bytes, folder by
// folder. Paths are bytes, not text.
//
// Thread safety: any thread.
// Errors: a folder that cannot be read is told to the visitor, which decides whether to go on.
// Cost: one folder's names are in memory at a time, and the folders still to be read.

#ifndef VOUCH_UOW_CLI_WALKER_H_
#define VOUCH_UOW_CLI_WALKER_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vouch::cli {

class FileVisitor {
 public:
  virtual ~FileVisitor() = default;

  // Both return whether to go on.
  virtual bool OnFile(std::string path) = 0;
  virtual bool OnUnreadable(const std::string& folder, const absl::Status& status) = 0;
};

// Visits the files below `folder`, an absolute path without symbolic links. False: the visitor
// ended it.
bool Walk(const std::string& folder, FileVisitor& visitor);

// The absolute paths of `folders` without symbolic links, each once, and without those that lie
// below another. kNotFound, kFailedPrecondition (not a folder), kPermissionDenied.
absl::StatusOr<std::vector<std::string>> ResolveFolders(const std::vector<std::string>& folders);

// `name` in `folder`.
std::string JoinPath(const std::string& folder, const std::string& name);

// What errno says about `path`, as the database would: kNotFound, kPermissionDenied and so on.
absl::Status FileError(int error, const std::string& operation);

}  // namespace vouch::cli

#endif  // VOUCH_UOW_CLI_WALKER_H_
