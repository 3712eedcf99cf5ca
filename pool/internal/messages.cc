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
#include "absl/strings/str_join.h"

namespace vouch::pool::pool_internal {
namespace {

constexpr size_t kMostSites = 8;
constexpr char kThePool[] = "the pool itself";

std::string Name(CallSite site) {
  const char* const slash = std::strrchr(site.file, '/');
  return absl::StrCat(slash == nullptr ? site.file : slash + 1, ":", site.line);
}

// The unit of a length as people read it: three digits at most.
absl::Duration UnitOf(absl::Duration length) {
  absl::Duration unit = absl::Nanoseconds(1);
  while (length >= 1000 * unit && unit < absl::Seconds(1)) unit *= 10;
  return unit;
}

std::string Rounded(absl::Duration length) {
  return absl::FormatDuration(absl::Floor(length, UnitOf(length)));
}

std::string RoundedUp(absl::Duration length) {
  return absl::FormatDuration(absl::Ceil(length, UnitOf(length)));
}

std::string Count(size_t number, absl::string_view noun) {
  return absl::StrCat(number, " ", noun, number == 1 ? "" : "s");
}

// What one call site has.
struct Place {
  std::string name;
  int count = 0;
  absl::Duration age = absl::ZeroDuration();  // of the oldest
};

std::vector<Place> PlacesByAge(const std::vector<Holder>& holders) {
  std::map<std::string, Place> places;
  for (const Holder& holder : holders) {
    std::string name = *holder.site.file == '\0' ? kThePool : Name(holder.site);
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

// "; held at a.cc:12 (3 times, for 2s), b.cc:7"; empty if there are none.
std::string Sites(absl::string_view what, const std::vector<Holder>& holders) {
  const std::vector<Place> places = PlacesByAge(holders);
  std::string text;
  for (size_t i = 0; i < places.size() && i < kMostSites; ++i) {
    const Place& place = places[i];
    absl::StrAppend(&text, i == 0 ? what : ", ", place.name);
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

std::string AllSites(const Situation& situation) {
  return Sites("; held at ", situation.holders) + Sites("; being opened by ", situation.openers);
}

std::string Numbers(const Situation& situation) {
  std::string text = absl::StrCat(" (capacity ", situation.capacity, ", leased ",
                                  situation.holders.size(), ", waiting ", situation.waiting);
  if (!situation.openers.empty()) absl::StrAppend(&text, ", opening ", situation.openers.size());
  if (situation.in_between > 0) absl::StrAppend(&text, ", in between ", situation.in_between);
  absl::StrAppend(&text, ")", AllSites(situation));
  if (!situation.last_open_error.empty()) {
    absl::StrAppend(&text, "; last open error");
    if (situation.last_open_error_age > absl::ZeroDuration()) {
      absl::StrAppend(&text, ", ", Rounded(situation.last_open_error_age), " ago");
    }
    absl::StrAppend(&text, ": ", situation.last_open_error);
  }
  return text;
}

absl::Duration OldestAge(const std::vector<Holder>& holders) {
  absl::Duration oldest = absl::ZeroDuration();
  for (const Holder& holder : holders) oldest = std::max(oldest, holder.age);
  return oldest;
}

// Whether the last open failed while this acquire waited, or is one that is under way and has failed
// before.
bool OpensFail(const Situation& situation, absl::Duration waited) {
  return !situation.last_open_error.empty() &&
         situation.last_open_error_age <= std::max(waited, OldestAge(situation.openers));
}

}  // namespace

std::string LikelyCause(const Situation& situation, absl::Duration waited) {
  if (situation.suspended) return "the pool is suspended, until Resume()";
  if (OpensFail(situation, waited)) return "resources cannot be opened";
  const absl::Duration oldest = OldestAge(situation.holders);
  if (oldest >= 10 * waited && oldest >= absl::Seconds(10)) {
    return absl::StrCat("a lease was not released, or its work hangs, for ", Rounded(oldest));
  }
  if (oldest >= waited && waited > absl::ZeroDuration())
    return "leases are held longer than this acquire may wait";
  // Each open that this acquire waited for may have been shorter than its wait.
  const absl::Duration opening = OldestAge(situation.openers);
  if (opening >= waited / 2 && waited > absl::ZeroDuration() && !situation.openers.empty()) {
    return "opening a resource takes too long";
  }
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

absl::Status PlacesUsedError(const Situation& situation, int max_waiters) {
  return absl::ResourceExhaustedError(absl::StrCat(
      "acquire ", situation.name,
      ": every place of the line is used, also by waiters that have given up behind one that has "
      "not; max_waiters, which is ",
      max_waiters, ", is not reached", Numbers(situation)));
}

absl::Status HopelessError(const Situation& situation, const Forecast& forecast) {
  return absl::ResourceExhaustedError(
      absl::StrCat("acquire ", situation.name, ": would wait about ", RoundedUp(forecast.wait),
                   ", longer than the ", Rounded(forecast.may_be), " it may", Numbers(situation)));
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
  std::vector<std::string> left;
  if (!situation.holders.empty()) {
    left.push_back(Count(situation.holders.size(), "lease") + " still out");
  }
  if (!situation.openers.empty()) {
    left.push_back(Count(situation.openers.size(), "resource") + " being opened");
  }
  if (situation.in_between > 0) {
    left.push_back(Count(static_cast<size_t>(situation.in_between), "resource") +
                   " being closed or on its way");
  }
  // It has come in since the deadline.
  if (left.empty()) left.push_back("not everything was in");
  return absl::DeadlineExceededError(
      absl::StrCat("close ", situation.name, ": ", absl::StrJoin(left, ", "), " after ",
                   absl::FormatDuration(drain), AllSites(situation)));
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

}  // namespace vouch::pool::pool_internal
