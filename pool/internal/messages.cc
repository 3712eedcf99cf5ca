#include "pool/internal/messages.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

namespace vouch::pool::pool_internal {
namespace {

constexpr size_t kMostSites = 8;

std::string Name(CallSite site) {
  const char* const slash = std::strrchr(site.file, '/');
  return absl::StrCat(slash == nullptr ? site.file : slash + 1, ":", site.line);
}

// A length as people read it: three digits at most.
std::string Rounded(absl::Duration length) {
  absl::Duration unit = absl::Nanoseconds(1);
  while (length >= 1000 * unit && unit < absl::Seconds(1)) unit *= 10;
  return absl::FormatDuration(absl::Floor(length, unit));
}

// The leases of one call site.
struct Place {
  std::string name;
  int count = 0;
  absl::Duration age = absl::ZeroDuration();  // of the oldest
};

std::vector<Place> PlacesByAge(const std::vector<Holder>& holders) {
  std::map<std::string, Place> places;
  for (const Holder& holder : holders) {
    std::string name = Name(holder.site);
    if (!holder.label.empty()) absl::StrAppend(&name, " '", holder.label, "'");
    Place& place = places[name];
    place.name = name;
    ++place.count;
    place.age = std::max(place.age, holder.age);
  }
  std::vector<Place> by_age;
  for (auto& [name, place] : places) by_age.push_back(std::move(place));
  std::stable_sort(by_age.begin(), by_age.end(),
                   [](const Place& a, const Place& b) { return a.age > b.age; });
  return by_age;
}

// "; held at a.cc:12 (3 times, for 2s), b.cc:7"; empty if nobody is known to hold anything.
std::string HeldAt(const std::vector<Holder>& holders) {
  const std::vector<Place> places = PlacesByAge(holders);
  std::string text;
  for (size_t i = 0; i < places.size() && i < kMostSites; ++i) {
    const Place& place = places[i];
    absl::StrAppend(&text, i == 0 ? "; held at " : ", ", place.name);
    std::string note;
    if (place.count > 1) absl::StrAppend(&note, place.count, " times");
    if (place.age > absl::ZeroDuration()) {
      absl::StrAppend(&note, note.empty() ? "" : ", ", "for ", Rounded(place.age));
    }
    if (!note.empty()) absl::StrAppend(&text, " (", note, ")");
  }
  if (places.size() > kMostSites) {
    absl::StrAppend(&text, ", and ", places.size() - kMostSites, " more places");
  }
  return text;
}

std::string Numbers(const Situation& situation) {
  std::string text = absl::StrCat(" (capacity ", situation.capacity, ", leased ", situation.leased,
                                  ", waiting ", situation.waiting);
  if (situation.opening > 0) absl::StrAppend(&text, ", opening ", situation.opening);
  absl::StrAppend(&text, ")", HeldAt(situation.holders));
  if (!situation.last_open_error.empty()) {
    absl::StrAppend(&text, "; last open error: ", situation.last_open_error);
  }
  return text;
}

absl::Duration OldestAge(const Situation& situation) {
  absl::Duration oldest = absl::ZeroDuration();
  for (const Holder& holder : situation.holders) oldest = std::max(oldest, holder.age);
  return oldest;
}

}  // namespace

std::string LikelyCause(const Situation& situation, absl::Duration waited) {
  if (situation.suspended) return "the pool is suspended, until Resume()";
  if (!situation.last_open_error.empty()) return "resources cannot be opened";
  if (situation.leased > 0 && situation.opening >= situation.leased) {
    return "opening a resource takes too long";
  }
  const absl::Duration oldest = OldestAge(situation);
  if (oldest >= 10 * waited && oldest >= absl::Seconds(10)) {
    return absl::StrCat("a lease was not released, or its work hangs, for ", Rounded(oldest));
  }
  if (oldest >= waited && waited > absl::ZeroDuration())
    return "leases are held longer than this acquire may wait";
  return "more is asked for than the pool's resources can do";
}

absl::Status TimeoutError(const Situation& situation, absl::Duration timeout) {
  return absl::DeadlineExceededError(
      absl::StrCat("acquire ", situation.name, ": deadline exceeded after ",
                   absl::FormatDuration(std::max(timeout, absl::ZeroDuration())),
                   Numbers(situation), "; likely cause: ", LikelyCause(situation, timeout)));
}

absl::Status StoppedError(const Situation& situation) {
  return absl::CancelledError(
      absl::StrCat("acquire ", situation.name, ": stopped by the caller", Numbers(situation)));
}

absl::Status LineFullError(const Situation& situation, int max_waiters) {
  return absl::ResourceExhaustedError(absl::StrCat("acquire ", situation.name,
                                                   ": the line is full, max_waiters is ",
                                                   max_waiters, Numbers(situation)));
}

absl::Status HopelessError(const Situation& situation, absl::Duration predicted,
                           absl::Duration timeout) {
  return absl::ResourceExhaustedError(absl::StrCat(
      "acquire ", situation.name, ": would wait about ", Rounded(predicted), ", longer than the ",
      absl::FormatDuration(timeout), " it may", Numbers(situation)));
}

absl::Status NoneAvailableError(const Situation& situation) {
  return absl::ResourceExhaustedError(absl::StrCat(
      "acquire ", situation.name,
      situation.suspended ? ": the pool is suspended" : ": none available", Numbers(situation)));
}

absl::Status DeadlockError(const Situation& situation, CallSite site) {
  return absl::FailedPreconditionError(
      absl::StrCat("acquire ", situation.name, " at ", Name(site),
                   ": would wait for ever: this thread holds a lease, and every lease is held by a "
                   "thread that waits for another; release before acquiring, or take one lease for "
                   "both",
                   Numbers(situation)));
}

absl::Status ClosedError(absl::string_view name) {
  return absl::FailedPreconditionError(absl::StrCat("acquire ", name, ": the pool is closed"));
}

absl::Status InsideHookError(absl::string_view operation, absl::string_view name,
                             absl::string_view hook, CallSite site) {
  const bool acquires = operation == "acquire";
  return absl::FailedPreconditionError(absl::StrCat(
      operation, " ", name, acquires ? " at " : "", acquires ? Name(site) : "", ": called from ",
      hook, " of the same pool", acquires ? "; use the resource that it was called with" : ""));
}

absl::Status ForkedError(absl::string_view operation, absl::string_view name) {
  return absl::FailedPreconditionError(
      absl::StrCat(operation, " ", name,
                   ": the process has forked since the pool was made; make another in the child"));
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

void AbortDestruction(const absl::Status& drain_error) {
  std::fprintf(stderr, "vouch: a pool is being destroyed while it is in use: %s\n",
               std::string(drain_error.message()).c_str());
  std::abort();
}

absl::Duration PredictWait(int waiting, int capacity, absl::Duration mean_hold) {
  return mean_hold * (static_cast<double>(waiting + 1) / std::max(capacity, 1));
}

int64_t NanosOf(absl::Duration length) { return absl::ToInt64Nanoseconds(length); }

}  // namespace vouch::pool::pool_internal
