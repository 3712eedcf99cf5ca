#include "uow/ulid.h"

#include <openssl/rand.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "absl/time/time.h"

namespace vouch::uow {
namespace {

constexpr char kAlphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr std::int64_t kMaxMillis = (std::int64_t{1} << 48) - 1;
constexpr std::size_t kTimeBytes = 6;

using Bits = std::array<std::uint8_t, 16>;

Bits Draw(std::int64_t millis) {
  Bits bits;
  for (std::size_t i = 0; i < kTimeBytes; ++i) {
    bits[i] = static_cast<std::uint8_t>(millis >> (8 * (kTimeBytes - 1 - i)));
  }
  if (RAND_bytes(bits.data() + kTimeBytes, static_cast<int>(bits.size() - kTimeBytes)) != 1) {
    std::fputs("vouch: OpenSSL has no random bytes for an id\n", stderr);
    std::abort();
  }
  return bits;
}

void Increment(Bits& bits) {
  for (std::size_t i = bits.size(); i-- > 0;) {
    if (++bits[i] != 0) return;
  }
}

std::string Encode(const Bits& bits) {
  std::string text(kUlidLength, '0');
  // 26 digits of 5 bits are 130: the first holds the top 3 bits only.
  unsigned window = 0;
  int window_bits = 2;
  std::size_t next = 0;
  for (const std::uint8_t byte : bits) {
    window = (window << 8 | byte) & 0xfff;
    window_bits += 8;
    while (window_bits >= 5) {
      window_bits -= 5;
      text[next++] = kAlphabet[window >> window_bits & 31];
    }
  }
  return text;
}

}  // namespace

bool IsUlid(std::string_view text) {
  if (text.size() != kUlidLength || text[0] > '7') return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') ||
           (c >= 'A' && c <= 'Z' && c != 'I' && c != 'L' && c != 'O' && c != 'U');
  });
}

std::string UlidGenerator::Next() {
  const std::int64_t now =
      std::clamp<std::int64_t>(absl::ToUnixMillis(clock_.Now()), 0, kMaxMillis);
  const pool::MutexLock lock(&mutex_);
  if (now > last_millis_) {
    Bits fresh = Draw(now);
    last_millis_ = now;
    // Counting up may have carried the last id past the clock; then go on counting.
    if (fresh > last_) {
      last_ = fresh;
      return Encode(last_);
    }
  }
  Increment(last_);
  return Encode(last_);
}

}  // namespace vouch::uow
