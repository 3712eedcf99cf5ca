#include "storage/error.h"

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace vouch::storage {
namespace {

constexpr char kNativeCodeUrl[] = "vouch.storage/native_code";
constexpr char kSqlOffsetUrl[] = "vouch.storage/sql_offset";

std::optional<int> NumberIn(const absl::Status& status, const char* url) {
  const auto payload = status.GetPayload(url);
  int number = 0;
  if (!payload.has_value() || !absl::SimpleAtoi(std::string(*payload), &number)) {
    return std::nullopt;
  }
  return number;
}

bool IsContinuationByte(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

}  // namespace

absl::Status WithNativeCode(absl::Status status, int code) {
  status.SetPayload(kNativeCodeUrl, absl::Cord(absl::StrCat(code)));
  return status;
}

std::optional<int> NativeCode(const absl::Status& status) {
  return NumberIn(status, kNativeCodeUrl);
}

absl::Status WithSqlOffset(absl::Status status, int offset) {
  status.SetPayload(kSqlOffsetUrl, absl::Cord(absl::StrCat(offset)));
  return status;
}

std::optional<int> SqlOffset(const absl::Status& status) { return NumberIn(status, kSqlOffsetUrl); }

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

std::string ShortSqlAround(std::string_view sql, int offset, std::size_t limit) {
  const auto at = static_cast<std::size_t>(offset);
  if (at + limit / 4 < limit || at > sql.size()) return ShortSql(sql, limit);
  std::size_t start = at - limit / 2;
  while (start < at && IsContinuationByte(sql[start])) ++start;
  return "…" + ShortSql(sql.substr(start), limit);
}

}  // namespace vouch::storage
