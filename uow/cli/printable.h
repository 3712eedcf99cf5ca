// Printable: bytes of unknown origin, made safe to show.
//
// File names may hold line breaks, escape sequences that drive a terminal, and bytes that are no
// text at all.
//
// Thread safety: pure functions.

#ifndef VOUCH_UOW_CLI_PRINTABLE_H_
#define VOUCH_UOW_CLI_PRINTABLE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace vouch::cli {

// `bytes` on one line of valid UTF-8: control characters and bytes that are not UTF-8 become \n,
// \t, \r or \xNN; everything else is itself.
std::string Printable(std::string_view bytes);

// "1,234,567".
std::string WithCommas(std::int64_t number);

// Three significant digits and a unit: "850ns", "12.3µs", "1.23ms", "45.6s".
std::string ShortDuration(absl::Duration duration);

}  // namespace vouch::cli

#endif  // VOUCH_UOW_CLI_PRINTABLE_H_
