#include "storage/clock.h"

#include <algorithm>

#include "absl/time/clock.h"

namespace vouch::storage {
namespace {

class SystemWallClock final : public WallClock {
 public:
  absl::Time Now() override { return absl::Now(); }
};

class SystemSteadyClock final : public SteadyClock {
 public:
  TimePoint Now() override { return std::chrono::steady_clock::now(); }
};

}  // namespace

WallClock& WallClock::System() {
  static auto* clock = new SystemWallClock();
  return *clock;
}

SteadyClock& SteadyClock::System() {
  static auto* clock = new SystemSteadyClock();
  return *clock;
}

std::string FormatUtcMillis(absl::Time time) {
  static const absl::Time first = absl::FromCivil(absl::CivilYear(0), absl::UTCTimeZone());
  static const absl::Time last =
      absl::FromCivil(absl::CivilYear(10000), absl::UTCTimeZone()) - absl::Milliseconds(1);
  // Truncate towards the past, also before 1970, where integer division would round up.
  const absl::Time clamped = std::clamp(time, first, last);
  const absl::Time millis =
      absl::UnixEpoch() + absl::Floor(clamped - absl::UnixEpoch(), absl::Milliseconds(1));
  return absl::FormatTime("%E4Y-%m-%d%ET%H:%M:%E3SZ", millis, absl::UTCTimeZone());
}

std::optional<absl::Time> ParseUtc(std::string_view text) {
  constexpr const char* kForms[] = {"%E4Y-%m-%d%ET%H:%M:%E3SZ", "%E4Y-%m-%d%ET%H:%M:%SZ",
                                    "%E4Y-%m-%d %H:%M:%S"};
  const absl::string_view wanted(text.data(), text.size());
  for (const char* form : kForms) {
    absl::Time time;
    // Abseil's parser takes more than these forms (spaces, a leap second): what it understood must
    // be what was said.
    if (absl::ParseTime(form, wanted, absl::UTCTimeZone(), &time, nullptr) &&
        absl::FormatTime(form, time, absl::UTCTimeZone()) == wanted) {
      return time;
    }
  }
  return std::nullopt;
}

}  // namespace vouch::storage
