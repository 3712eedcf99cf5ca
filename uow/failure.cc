#include "uow/failure.h"

#include "storage/error.h"

namespace vouch::uow {

const char* ErrorTypeOf(const absl::Status& status) {
  const bool native = storage::NativeCode(status).has_value();
  switch (status.code()) {
    case absl::StatusCode::kDeadlineExceeded:
      return "timeout";
    case absl::StatusCode::kAlreadyExists:
      return "constraint_violation";
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return native && std::string(status.message()).find("constraint failed") != std::string::npos
                 ? "constraint_violation"
                 : "validation_failure";
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kAborted:
      return "deadlock";
    case absl::StatusCode::kResourceExhausted:
      return "resource_exhaustion";
    case absl::StatusCode::kDataLoss:
      return "corruption";
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
      return "authorization_failure";
    case absl::StatusCode::kCancelled:
      return "user_abort";
    default:
      return "coordinator_failure";
  }
}

bool IsCallersDecision(const absl::Status& status) {
  if (storage::NativeCode(status).has_value()) return false;
  switch (status.code()) {
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kUnavailable:
      return false;
    default:
      return true;
  }
}

std::optional<std::string> TableOfError(const absl::Status& status) {
  if (!storage::NativeCode(status).has_value()) return std::nullopt;
  const std::string message(status.message());
  const std::string_view marker = "constraint failed: ";
  const std::size_t at = message.find(marker);
  if (at == std::string::npos) return std::nullopt;
  const std::size_t begin = at + marker.size();
  const std::size_t dot = message.find('.', begin);
  if (dot == std::string::npos) return std::nullopt;
  return message.substr(begin, dot - begin);
}

}  // namespace vouch::uow
