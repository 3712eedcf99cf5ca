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
  const absl::CivilSecond civil = absl::ToCivilSecond(millis, absl::UTCTimeZone());
  const std::int64_t fraction = absl::ToUnixMillis(millis) % 1000;
  std::string text = "0000-00-00T00:00:00.000Z";
  // `absl::FormatTime` takes ten times as long, and every unit of work writes two times.
  const auto put = [&](std::size_t end, std::int64_t number) {
    for (; number > 0; number /= 10) text[--end] = static_cast<char>('0' + number % 10);
  };
  put(4, civil.year());
  put(7, civil.month());
  put(10, civil.day());
  put(13, civil.hour());
  put(16, civil.minute());
  put(19, civil.second());
  put(23, fraction < 0 ? fraction + 1000 : fraction);
  return text;
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
