// SHA-256 of bytes, over OpenSSL.
//
//   Digest digest = Sha256::Of("abc");
//   std::string text = HexOf(digest);    // "ba7816bf…"
//
// Thread safety: Of() any thread; a Sha256 object one thread at a time.
// Errors: none; SHA-256 cannot fail but for want of memory, which terminates.
// Cost: an object holds one OpenSSL context and is meant to be reused: Finish() makes it ready for
//   the next message. About 0.5 µs for 64 bytes without SHA instructions.

#ifndef VOUCH_STORAGE_SHA256_H_
#define VOUCH_STORAGE_SHA256_H_

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace vouch::storage {

using Digest = std::array<std::uint8_t, 32>;

class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  ~Sha256();

  Sha256& Update(std::string_view bytes);
  // The digest of everything since the construction or the last Finish().
  Digest Finish();

  // The digest of one message, with a context of this thread's.
  static Digest Of(std::string_view bytes);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// 64 lower-case hex digits, and back. Upper case is read as well.
std::string HexOf(const Digest& digest);
std::optional<Digest> DigestFromHex(std::string_view hex);

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_SHA256_H_
