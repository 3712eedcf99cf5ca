#include "storage/sha256.h"

#include <utility>

#include "gtest/gtest.h"
#include "tests/support/random.h"

namespace vouch::storage {
namespace {

// FIPS 180-4 and NIST's example values.
TEST(Sha256Test, KnownAnswers) {
  EXPECT_EQ(HexOf(Sha256::Of("")),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(HexOf(Sha256::Of("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(HexOf(Sha256::Of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(HexOf(Sha256::Of(std::string(1'000'000, 'a'))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256Test, BytesAreNotText) {
  EXPECT_EQ(HexOf(Sha256::Of(std::string_view("\0", 1))),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
}

TEST(Sha256Test, HowAMessageIsCutDoesNotMatter) {
  test::Random random;
  for (int i = 0; i < 200; ++i) {
    const std::string message = random.Bytes(random.Uniform<std::size_t>(0, 300));
    Sha256 hash;
    for (std::size_t at = 0; at < message.size();) {
      const std::size_t size = random.Uniform<std::size_t>(0, message.size() - at);
      hash.Update(std::string_view(message).substr(at, size));
      at += size;
    }
    EXPECT_EQ(hash.Finish(), Sha256::Of(message));
  }
}

TEST(Sha256Test, FinishMakesReadyForTheNextMessage) {
  Sha256 hash;
  const Digest first = hash.Update("abc").Finish();
  EXPECT_EQ(hash.Finish(), Sha256::Of("")) << "something of the first message stayed";
  EXPECT_EQ(hash.Update("abc").Finish(), first);
}

TEST(Sha256Test, AMovedObjectGoesOnWhereItWas) {
  Sha256 hash;
  hash.Update("ab");
  Sha256 moved = std::move(hash);
  EXPECT_EQ(moved.Update("c").Finish(), Sha256::Of("abc"));
}

TEST(Sha256Test, ThreadsDoNotShareTheContextOfOf) {
  const std::string a(100'000, 'a');
  const std::string b(100'000, 'b');
  const Digest of_a = Sha256::Of(a);
  const Digest of_b = Sha256::Of(b);
  std::thread other([&] {
    for (int i = 0; i < 50; ++i) EXPECT_EQ(Sha256::Of(b), of_b);
  });
  for (int i = 0; i < 50; ++i) EXPECT_EQ(Sha256::Of(a), of_a);
  other.join();
}

TEST(Sha256Test, HexAndBack) {
  test::Random random;
  for (int i = 0; i < 100; ++i) {
    const Digest digest = Sha256::Of(random.Bytes(8));
    std::string hex = HexOf(digest);
    ASSERT_EQ(hex.size(), 64u);
    EXPECT_EQ(DigestFromHex(hex), digest);
    for (char& c : hex) c = static_cast<char>(std::toupper(c));
    EXPECT_EQ(DigestFromHex(hex), digest);
  }
}

TEST(Sha256Test, OnlySixtyFourHexDigitsAreADigest) {
  const std::string hex = HexOf(Sha256::Of("abc"));
  EXPECT_EQ(DigestFromHex(""), std::nullopt);
  EXPECT_EQ(DigestFromHex(hex.substr(1)), std::nullopt);
  EXPECT_EQ(DigestFromHex(hex + "0"), std::nullopt);
  for (const char wrong : {'g', 'G', ' ', '-', '/', ':', '@', '`', '\0', '\xe4'}) {
    for (const std::size_t at : {0u, 1u, 63u}) {
      std::string text = hex;
      text[at] = wrong;
      EXPECT_EQ(DigestFromHex(text), std::nullopt) << text;
    }
  }
}

}  // namespace
}  // namespace vouch::storage
