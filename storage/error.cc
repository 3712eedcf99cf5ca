#include "storage/error.h"

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace vouch::storage {
namespace {

constexpr char kNativeCodeUrl[] = "vouch.storage/native_code";

bool IsContinuationByte(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

}  // namespace

absl::Status WithNativeCode(absl::Status status, int code) {
  status.SetPayload(kNativeCodeUrl, absl::Cord(absl::StrCat(code)));
  return status;
}

std::optional<int> NativeCode(const absl::Status& status) {
  const auto payload = status.GetPayload(kNativeCodeUrl);
  int code = 0;
  if (!payload.has_value() || !absl::SimpleAtoi(std::string(*payload), &code)) return std::nullopt;
  return code;
}

absl::Status Annotate(const absl::Status& status, std::string_view prefix) {
  if (status.ok()) return status;
  absl::Status annotated(status.code(), std::string(prefix) + std::string(status.message()));
  status.ForEachPayload(
      [&](auto url, const absl::Cord& payload) { annotated.SetPayload(url, payload); });
  return annotated;
}

std::string ShortSql(std::string_view sql, std::size_t limit) {
  std::string line;
  bool space = false;
  for (const char c : sql) {
    if (c == ' ' || c == '\n' || c == '\t' || c == '\r') {
      space = !line.empty();
      continue;
    }
    if (space) line.push_back(' ');
    space = false;
    line.push_back(c);
    if (line.size() > limit + 4) break;
  }
  if (line.size() <= limit) return line;
  std::size_t end = limit;
  while (end > 0 && IsContinuationByte(line[end])) --end;
  line.resize(end);
  return line + "…";
}

}  // namespace vouch::storage
