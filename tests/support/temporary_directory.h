#ifndef VOUCH_TESTS_SUPPORT_TEMPORARY_DIRECTORY_H_
#define VOUCH_TESTS_SUPPORT_TEMPORARY_DIRECTORY_H_

#include <stdlib.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

namespace vouch::test {

// A fresh directory, readable by its owner only, removed with all it contains on destruction.
// It stands below TMPDIR, else /tmp. Its path is absolute and free of symbolic links.
class TemporaryDirectory {
 public:
  TemporaryDirectory() : TemporaryDirectory(std::filesystem::temp_directory_path()) {}
  explicit TemporaryDirectory(const std::filesystem::path& parent) {
    std::string name = (std::filesystem::canonical(parent) / "vouch_test_XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) {
      throw std::system_error(errno, std::generic_category(), "mkdtemp " + name);
    }
    path_ = name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }

  // The path of `name` inside the directory; nothing is created.
  std::string File(std::string_view name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

// Where files are kept in memory, for tests that make very many of them; else as above.
inline std::filesystem::path FastParent() {
  const std::filesystem::path memory = "/dev/shm";
  std::error_code ignored;
  return std::filesystem::is_directory(memory, ignored) ? memory
                                                        : std::filesystem::temp_directory_path();
}

}  // namespace vouch::test

#endif  // VOUCH_TESTS_SUPPORT_TEMPORARY_DIRECTORY_H_
