#include "uow/cli/document.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "storage/status_macros.h"
#include "uow/cli/printable.h"
#include "uow/cli/walker.h"

namespace vouch::cli {
namespace {

constexpr std::size_t kBufferBytes = 256 << 10;

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

struct Extension {
  std::string_view name;
  std::string_view type;
};

// Sorted by name.
constexpr auto kExtensions = std::to_array<Extension>({
    {"bash", "text/x-shellscript"},
    {"bz2", "application/x-bzip2"},
    {"c", "text/x-c"},
    {"cc", "text/x-c++"},
    {"cmake", "text/x-cmake"},
    {"conf", "text/plain"},
    {"cpp", "text/x-c++"},
    {"css", "text/css"},
    {"csv", "text/csv"},
    {"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    {"epub", "application/epub+zip"},
    {"gif", "image/gif"},
    {"go", "text/x-go"},
    {"gz", "application/gzip"},
    {"h", "text/x-c"},
    {"hpp", "text/x-c++"},
    {"htm", "text/html"},
    {"html", "text/html"},
    {"ini", "text/plain"},
    {"java", "text/x-java"},
    {"jpeg", "image/jpeg"},
    {"jpg", "image/jpeg"},
    {"js", "text/javascript"},
    {"json", "application/json"},
    {"log", "text/plain"},
    {"markdown", "text/markdown"},
    {"md", "text/markdown"},
    {"odt", "application/vnd.oasis.opendocument.text"},
    {"pdf", "application/pdf"},
    {"png", "image/png"},
    {"pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
    {"ps", "application/postscript"},
    {"py", "text/x-python"},
    {"rs", "text/x-rust"},
    {"rst", "text/x-rst"},
    {"rtf", "application/rtf"},
    {"sh", "text/x-shellscript"},
    {"sql", "application/sql"},
    {"svg", "image/svg+xml"},
    {"tar", "application/x-tar"},
    {"tex", "text/x-tex"},
    {"toml", "application/toml"},
    {"ts", "text/x-typescript"},
    {"txt", "text/plain"},
    {"webp", "image/webp"},
    {"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
    {"xml", "application/xml"},
    {"xz", "application/x-xz"},
    {"yaml", "application/yaml"},
    {"yml", "application/yaml"},
    {"zip", "application/zip"},
});

absl::Status TooLarge() {
  return absl::OutOfRangeError(
      absl::StrCat("read: larger than ", WithCommas(kMostDocumentBytes), " bytes (1 GiB)"));
}

}  // namespace

DocumentReader::DocumentReader() : buffer_(kBufferBytes) {}

absl::StatusOr<Document> DocumentReader::Read(const std::string& path) {
  // Not blocking, in case it has become a pipe.
  const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (fd.get() < 0) return FileError(errno, "open");
  struct stat info;
  if (::fstat(fd.get(), &info) != 0) return FileError(errno, "open");
  if (!S_ISREG(info.st_mode)) return absl::FailedPreconditionError("open: not a regular file now");
  if (info.st_size > kMostDocumentBytes) return TooLarge();
  VOUCH_ASSIGN_OR_RETURN(const std::int64_t size, HashContent(fd.get()));
  return Document{.path = path,
                  .size = size,
                  .modified = absl::TimeFromTimespec(info.st_mtim),
                  .hash = hash_.Finish()};
}

absl::StatusOr<std::int64_t> DocumentReader::HashContent(int fd) {
  std::int64_t size = 0;
  for (;;) {
    const ssize_t got = ::read(fd, buffer_.data(), buffer_.size());
    if (got == 0) return size;
    if (got > 0) {
      size += got;
      hash_.Update({buffer_.data(), static_cast<std::size_t>(got)});
      if (size <= kMostDocumentBytes) continue;
    } else if (errno == EINTR) {
      continue;
    }
    const int error = errno;
    (void)hash_.Finish();  // Forgets what it has seen.
    return got > 0 ? TooLarge() : FileError(error, "read");
  }
}

std::string_view FileName(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::optional<std::string_view> MediaTypeOf(std::string_view path) {
  const std::string_view name = FileName(path);
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return std::nullopt;
  std::string extension(name.substr(dot + 1));
  absl::AsciiStrToLower(&extension);
  const auto found = std::lower_bound(
      kExtensions.begin(), kExtensions.end(), extension,
      [](const Extension& entry, const std::string& wanted) { return entry.name < wanted; });
  if (found == kExtensions.end() || found->name != extension) return std::nullopt;
  return found->type;
}

std::optional<bool> IsStillThere(const std::string& path) {
  struct stat info;
  if (::lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) return false;
    return std::nullopt;
  }
  if (!S_ISREG(info.st_mode)) return false;
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos || slash == 0) return true;
  const std::string folder = path.substr(0, slash);
  const std::unique_ptr<char, void (*)(void*)> resolved(::realpath(folder.c_str(), nullptr),
                                                        &std::free);
  if (resolved == nullptr) return std::nullopt;
  return folder == resolved.get();
}

}  // namespace vouch::cli
