#include "storage/sha256.h"

#include <openssl/evp.h>

#include <cstdio>
#include <cstdlib>

namespace vouch::storage {
namespace {

// OpenSSL 3 looks an algorithm up by name at each use unless it was fetched; fetch it once.
const EVP_MD* FetchedSha256() {
  static const EVP_MD* md = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return md;
}

void Require(bool ok) {
  if (ok) return;
  std::fputs("vouch: SHA-256 is not available from OpenSSL\n", stderr);
  std::abort();
}

}  // namespace

struct Sha256::State {
  State() : context(EVP_MD_CTX_new()) {
    Require(context != nullptr && FetchedSha256() != nullptr);
    Require(EVP_DigestInit_ex2(context, FetchedSha256(), nullptr) == 1);
  }
  ~State() { EVP_MD_CTX_free(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  EVP_MD_CTX* context;
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

Sha256& Sha256::Update(std::string_view bytes) {
  Require(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1);
  return *this;
}

Digest Sha256::Finish() {
  Digest digest;
  Require(EVP_DigestFinal_ex(state_->context, digest.data(), nullptr) == 1);
  Require(EVP_DigestInit_ex2(state_->context, FetchedSha256(), nullptr) == 1);
  return digest;
}

Digest Sha256::Of(std::string_view bytes) {
  thread_local Sha256 hash;
  return hash.Update(bytes).Finish();
}

std::string HexOf(const Digest& digest) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * digest.size());
  for (const std::uint8_t byte : digest) {
    hex.push_back(kDigits[byte >> 4]);
    hex.push_back(kDigits[byte & 15]);
  }
  return hex;
}

std::optional<Digest> DigestFromHex(std::string_view hex) {
  if (hex.size() != 2 * Digest{}.size()) return std::nullopt;
  const auto nibble = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  Digest digest;
  for (std::size_t i = 0; i < digest.size(); ++i) {
    const int high = nibble(hex[2 * i]);
    const int low = nibble(hex[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    digest[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return digest;
}

}  // namespace vouch::storage
