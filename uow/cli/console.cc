#include "uow/cli/console.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "storage/error.h"
#include "uow/cli/json.h"
#include "uow/cli/printable.h"

namespace vouch::cli {
namespace {

// Of SQLite's result codes.
constexpr int kSqliteFull = 13;
constexpr int kSqliteNotADatabase = 26;

void Write(std::FILE* stream, std::string_view bytes) {
  (void)std::fwrite(bytes.data(), 1, bytes.size(), stream);
}

}  // namespace

void Console::Result(const nlohmann::ordered_json& object, std::string_view text) {
  printed_ = true;
  if (json_) {
    Write(stdout, ToText(object) + "\n");
  } else if (!quiet_) {
    Write(stdout, text);
  }
}

void Console::Bytes(std::string_view bytes) {
  printed_ = true;
  Write(stdout, bytes);
}

// One write a message, so that those of several threads do not mix. A progress line that is being
// drawn gives way.
void Console::Error(std::string_view message) const {
  Write(stderr,
        absl::StrCat(shows_progress() ? "\r\x1b[K" : "", "vouch: ", Printable(message), "\n"));
}

void Console::Note(std::string_view message) const {
  if (!quiet_) Error(message);
}

void Console::Explain(const absl::Status& status) const {
  Error(std::string(status.message()));
  if (absl::IsUnavailable(status)) {
    Note("another process is using the database: try again, or wait longer with --wait SECONDS");
  }
  if (storage::NativeCode(status) == kSqliteFull) Note("free some space, and run the same again");
}

int Console::Fail(const absl::Status& status, ExitCode code) {
  Explain(status);
  if (json_ && !printed_) Result({{"error", ErrorToJson(status)}}, "");
  return code;
}

bool Console::shows_progress() const { return !quiet_ && ::isatty(STDERR_FILENO) == 1; }

int Console::Finish(int code) const {
  errno = 0;
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
  Error(absl::StrCat("the output could not be written: ", std::strerror(errno)));
  return code == kDone ? kFailed : code;
}

ExitCode CodeForOpening(const absl::Status& status) {
  if (storage::NativeCode(status) == kSqliteNotADatabase) return kUsage;
  switch (status.code()) {
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kPermissionDenied:
      return kUsage;
    default:
      return kFailed;
  }
}

}  // namespace vouch::cli
