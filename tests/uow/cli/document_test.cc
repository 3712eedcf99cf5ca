#include "uow/cli/document.h"

#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/sha256.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace vouch::cli {
namespace {

using test::StatusIs;

class DocumentReaderTest : public testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& content) const {
    std::ofstream(At(name), std::ios::binary) << content;
    return At(name);
  }
  std::string At(const std::string& name) const { return directory_.File(name); }
  const std::filesystem::path& root() const { return directory_.path(); }

 private:
  test::TemporaryDirectory directory_;
};

TEST_F(DocumentReaderTest, HashesFilesOfEverySize) {
  DocumentReader reader;
  for (const std::size_t size : {0u, 1u, 262'143u, 262'144u, 262'145u, 1'000'000u}) {
    const std::string content(size, 'x');
    ASSERT_OK_AND_ASSIGN(const Document document, reader.Read(Write("file", content)));
    EXPECT_EQ(document.size, static_cast<std::int64_t>(size));
    EXPECT_EQ(document.hash, storage::Sha256::Of(content));
  }
}

TEST_F(DocumentReaderTest, AFileThatSaysItIsEmptyIsReadToItsEnd) {
  DocumentReader reader;
  ASSERT_OK_AND_ASSIGN(const Document document, reader.Read("/proc/version"));
  EXPECT_GT(document.size, 0);
}

TEST_F(DocumentReaderTest, RefusesWhatIsNoFileOrTooLarge) {
  DocumentReader reader;
  EXPECT_THAT(reader.Read(At("missing")), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(reader.Read(root().string()), StatusIs(absl::StatusCode::kFailedPrecondition));
  Write("file", "x");
  std::filesystem::create_symlink("file", At("link"));
  EXPECT_THAT(reader.Read(At("link")), StatusIs(absl::StatusCode::kFailedPrecondition));
  ASSERT_EQ(mkfifo(At("pipe").c_str(), 0600), 0);
  EXPECT_THAT(reader.Read(At("pipe")), StatusIs(absl::StatusCode::kFailedPrecondition));
  std::filesystem::resize_file(Write("large", ""), (std::uintmax_t{1} << 30) + 1);
  EXPECT_THAT(reader.Read(At("large")), StatusIs(absl::StatusCode::kOutOfRange));
  // An error leaves nothing behind in the hash.
  ASSERT_OK_AND_ASSIGN(const Document document, reader.Read(Write("after", "x")));
  EXPECT_EQ(document.hash, storage::Sha256::Of("x"));
}

TEST_F(DocumentReaderTest, AFileIsThereUnlessALinkLeadsToIt) {
  std::filesystem::create_directory(At("folder"));
  Write("folder/file", "x");
  std::filesystem::create_directory_symlink("folder", At("link"));
  EXPECT_EQ(IsStillThere(At("folder/file")), true);
  EXPECT_EQ(IsStillThere(At("folder/missing")), false);
  EXPECT_EQ(IsStillThere(At("folder/file/below")), false);
  EXPECT_EQ(IsStillThere(At("folder")), false);
  EXPECT_EQ(IsStillThere(At("link")), false);
  EXPECT_EQ(IsStillThere(At("link/file")), false);
}

}  // namespace
}  // namespace vouch::cli
