// Document: what is recorded of one file, and the reader that finds it out.
//
// Thread safety: a DocumentReader one thread at a time; the functions any thread.
// Errors of Read: kNotFound: it has vanished. kPermissionDenied. kOutOfRange: too large.
//   kFailedPrecondition: no regular file any more, or it cannot be read.
// Cost: a file is read once, in pieces; a reader keeps one buffer.

#ifndef VOUCH_UOW_CLI_DOCUMENT_H_
#define VOUCH_UOW_CLI_DOCUMENT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/sha256.h"

namespace vouch::cli {

inline constexpr std::int64_t kMostDocumentBytes = std::int64_t{1} << 30;

struct Document {
  std::string path;
  std::int64_t size = 0;  // Of the bytes that were read.
  absl::Time modified;
  storage::Digest hash{};
};

class DocumentReader {
 public:
  DocumentReader();

  // Reads the regular file `path` and hashes its content.
  absl::StatusOr<Document> Read(const std::string& path);

 private:
  absl::StatusOr<std::int64_t> HashContent(int fd);

  storage::Sha256 hash_;
  std::vector<char> buffer_;
};

// The last part of a path.
std::string_view FileName(std::string_view path);

// The media type that the extension of `path` stands for; nothing when it is not known.
std::optional<std::string_view> MediaTypeOf(std::string_view path);

// Whether `path` is a regular file that Walk() would find: not behind a symbolic link.
// Nothing: that cannot be told.
std::optional<bool> IsStillThere(const std::string& path);

}  // namespace vouch::cli

#endif  // VOUCH_UOW_CLI_DOCUMENT_H_
