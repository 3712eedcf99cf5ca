// Progress: one line on a terminal that says how far long work has come.
//
//   ProgressLine line(console.shows_progress(), [&] { return Progress{"index", done, total}; });
//   Work();                  // the line is drawn meanwhile, and gone when `line` is
//
// Thread safety: `sample` is called by the line's own thread, at most ten times a second.

#ifndef VOUCH_UOW_CLI_PROGRESS_H_
#define VOUCH_UOW_CLI_PROGRESS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "pool/mutex.h"

namespace vouch::cli {

struct Progress {
  std::string verb;
  std::int64_t done = 0;
  std::optional<std::int64_t> total = std::nullopt;  // Nothing: not known yet.
  std::string detail = {};                           // Left out where the line is short.
};

// The line, at most `width` columns of ASCII: a bar when the total is known, then the numbers and
// the rate.
std::string RenderProgress(const Progress& progress, absl::Duration elapsed, int width);

class ProgressLine {
 public:
  // Without `enabled` it does nothing at all.
  ProgressLine(bool enabled, std::function<Progress()> sample);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

 private:
  void Draw();

  const std::function<Progress()> sample_;
  pool::Mutex mutex_;
  pool::CondVar changed_;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace vouch::cli

#endif  // VOUCH_UOW_CLI_PROGRESS_H_
