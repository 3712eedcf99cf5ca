#include "uow/cli/console.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "storage/error.h"
#include "uow/cli/printable.h"

namespace vouch::cli {
namespace {

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

int Console::Fail(const absl::Status& status, ExitCode code) {
  const std::string message(status.message());
  Error(message);
  if (json_ && !printed_) {
    Result({{"error", {{"code", absl::StatusCodeToString(status.code())}, {"message", message}}}},
           "");
  }
  return code;
}

bool Console::shows_progress() const { return !quiet_ && ::isatty(STDERR_FILENO) == 1; }

int Console::Finish(int code) const {
  errno = 0;
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
  Error(absl::StrCat("the output could not be written: ", std::strerror(errno)));
  return code == kDone ? kFailed : code;
}

std::string ToText(const nlohmann::ordered_json& object) {
  return object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
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
