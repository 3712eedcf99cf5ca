#include "uow/cli/walker.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace vouch::cli {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct Recorder final : FileVisitor {
  bool OnFile(std::string path) override {
    files.push_back(std::move(path));
    return files.size() != stop_after;
  }
  bool OnUnreadable(const std::string& folder, const absl::Status&) override {
    unreadable.push_back(folder);
    return true;
  }

  std::vector<std::string> files;
  std::vector<std::string> unreadable;
  std::size_t stop_after = 0;
};

class WalkerTest : public testing::Test {
 protected:
  void Touch(const std::string& name) const {
    std::filesystem::create_directories(std::filesystem::path(At(name)).parent_path());
    std::ofstream file(At(name));
  }
  std::string At(const std::string& name) const { return directory_.File(name); }
  std::string root() const { return directory_.path().string(); }

 private:
  test::TemporaryDirectory directory_;
};

TEST_F(WalkerTest, FindsRegularFilesInTheOrderOfTheirNames) {
  for (const char* name : {"b", "a/z", "a/.hidden", "a/b/c", ".top", "c/\xff\n"}) Touch(name);
  std::filesystem::create_directory(At("empty"));
  Recorder recorder;
  EXPECT_TRUE(Walk(root(), recorder));
  EXPECT_THAT(recorder.files, ElementsAre(At(".top"), At("b"), At("a/.hidden"), At("a/z"),
                                          At("a/b/c"), At("c/\xff\n")));
  EXPECT_THAT(recorder.unreadable, IsEmpty());
}

TEST_F(WalkerTest, FollowsNoLinkAndOpensNoPipe) {
  Touch("a/file");
  std::filesystem::create_directory_symlink("..", At("a/up"));
  std::filesystem::create_symlink("file", At("a/link"));
  ASSERT_EQ(mkfifo(At("a/pipe").c_str(), 0600), 0);
  Recorder recorder;
  EXPECT_TRUE(Walk(root(), recorder));
  EXPECT_THAT(recorder.files, ElementsAre(At("a/file")));
}

TEST_F(WalkerTest, EndsWhenTheVisitorSaysSo) {
  for (const char* name : {"a", "b", "c"}) Touch(name);
  Recorder recorder;
  recorder.stop_after = 2;
  EXPECT_FALSE(Walk(root(), recorder));
  EXPECT_THAT(recorder.files, ElementsAre(At("a"), At("b")));
}

TEST_F(WalkerTest, TellsOfAFolderThatIsGone) {
  Recorder recorder;
  EXPECT_TRUE(Walk(At("missing"), recorder));
  EXPECT_THAT(recorder.unreadable, ElementsAre(At("missing")));
}

TEST_F(WalkerTest, FoldersAreResolvedAndNestedOnesLeftOut) {
  Touch("a/b/file");
  Touch("ab/file");
  std::filesystem::create_directory_symlink("a", At("link"));
  EXPECT_THAT(ResolveFolders({At("a/b"), At("ab"), At("a"), At("link"), At("a/../a/")}),
              test::IsOkAndHolds(ElementsAre(At("ab"), At("a"))));
  EXPECT_THAT(ResolveFolders({At("a"), "/"}), test::IsOkAndHolds(ElementsAre("/")));
  EXPECT_THAT(ResolveFolders({At("missing")}), test::StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(ResolveFolders({At("a/b/file")}),
              test::StatusIs(absl::StatusCode::kFailedPrecondition));
}

}  // namespace
}  // namespace vouch::cli
