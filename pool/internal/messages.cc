#include "pool/internal/messages.h"

#include <cstring>
#include <map>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

namespace vouch::pool::pool_internal {
namespace {

constexpr size_t kMostSites = 8;

const char* BaseName(const char* file) {
  const char* const slash = std::strrchr(file, '/');
  return slash == nullptr ? file : slash + 1;
}

// "; held at a.cc:12 (3 times), b.cc:7"; empty if nobody is known to hold anything.
std::string HeldAt(const std::vector<CallSite>& holders) {
  std::map<std::string, int> sites;
  for (const CallSite& site : holders) ++sites[absl::StrCat(BaseName(site.file), ":", site.line)];
  std::string text;
  size_t told = 0;
  for (const auto& [site, count] : sites) {
    if (++told > kMostSites) {
      absl::StrAppend(&text, ", and ", sites.size() - kMostSites, " more places");
      break;
    }
    absl::StrAppend(&text, text.empty() ? "; held at " : ", ", site);
    if (count > 1) absl::StrAppend(&text, " (", count, " times)");
  }
  return text;
}

std::string LastOpenError(const Situation& situation) {
  if (situation.last_open_error.empty()) return "";
  return absl::StrCat("; last open error: ", situation.last_open_error);
}

std::string Numbers(const Situation& situation) {
  return absl::StrCat(" (capacity ", situation.capacity, ", leased ", situation.leased,
                      ", waiting ", situation.waiting, ")", HeldAt(situation.holders),
                      LastOpenError(situation));
}

}  // namespace

absl::Status TimeoutError(const Situation& situation, absl::Duration timeout) {
  return absl::DeadlineExceededError(
      absl::StrCat("acquire ", situation.name, ": deadline exceeded after ",
                   absl::FormatDuration(timeout), Numbers(situation)));
}

absl::Status LineFullError(const Situation& situation, int max_waiters) {
  return absl::ResourceExhaustedError(absl::StrCat("acquire ", situation.name,
                                                   ": the line is full, max_waiters is ",
                                                   max_waiters, Numbers(situation)));
}

absl::Status NoneAvailableError(const Situation& situation) {
  return absl::ResourceExhaustedError(
      absl::StrCat("acquire ", situation.name, ": none available", Numbers(situation)));
}

absl::Status ClosedError(absl::string_view name) {
  return absl::FailedPreconditionError(absl::StrCat("acquire ", name, ": the pool is closed"));
}

absl::Status DrainError(const Situation& situation, absl::Duration drain) {
  return absl::DeadlineExceededError(absl::StrCat("close ", situation.name, ": ", situation.leased,
                                                  situation.leased == 1 ? " lease" : " leases",
                                                  " still out after ", absl::FormatDuration(drain),
                                                  HeldAt(situation.holders)));
}

absl::Status OpenError(absl::string_view operation, absl::string_view name,
                       const absl::Status& cause) {
  absl::Status error(cause.code(),
                     absl::StrCat(operation, " ", name, ": open failed: ", cause.message()));
  cause.ForEachPayload([&error](absl::string_view type, const absl::Cord& payload) {
    error.SetPayload(type, payload);
  });
  return error;
}

int64_t NanosOf(absl::Duration length) { return absl::ToInt64Nanoseconds(length); }

}  // namespace vouch::pool::pool_internal
