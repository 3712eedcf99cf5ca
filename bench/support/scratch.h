// Scratch: a folder for a benchmark's databases, below TMPDIR, else /tmp, gone afterwards.

#ifndef VOUCH_BENCH_SUPPORT_SCRATCH_H_
#define VOUCH_BENCH_SUPPORT_SCRATCH_H_

#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace vouch::bench {

class Scratch {
 public:
  Scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "vouch_bench_XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) {
      std::perror("mkdtemp");
      std::abort();
    }
    path_ = std::filesystem::canonical(name);
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::string File(std::string_view name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

// A benchmark that cannot do its work has nothing to measure.
inline void Require(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "bench: %s\n", status.ToString().c_str());
  std::abort();
}
template <typename T>
T Require(T result) {
  Require(result.status());
  return result;
}

}  // namespace vouch::bench

#endif  // VOUCH_BENCH_SUPPORT_SCRATCH_H_
