#include "uow/cli/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "uow/cli/printable.h"

namespace vouch::cli {
namespace {

constexpr absl::Duration kPeriod = absl::Milliseconds(100);
constexpr int kBarWidth = 20;
constexpr char kClearLine[] = "\r\x1b[K";

int TerminalWidth() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

std::string Bar(double fraction) {
  const int full = static_cast<int>(fraction * kBarWidth);
  return absl::StrCat("[", std::string(static_cast<std::size_t>(full), '#'),
                      std::string(static_cast<std::size_t>(kBarWidth - full), '.'), "]");
}

void Write(const std::string& text) {
  (void)std::fwrite(text.data(), 1, text.size(), stderr);
  (void)std::fflush(stderr);
}

}  // namespace

std::string RenderProgress(const Progress& progress, absl::Duration elapsed, int width) {
  const double seconds = std::max(absl::ToDoubleSeconds(elapsed), 1e-3);
  const auto rate = static_cast<std::int64_t>(static_cast<double>(progress.done) / seconds);
  std::string numbers = WithCommas(progress.done);
  std::string bar;
  if (progress.total.has_value() && *progress.total > 0) {
    const double fraction = std::clamp(
        static_cast<double>(progress.done) / static_cast<double>(*progress.total), 0.0, 1.0);
    bar = absl::StrFormat("%s %3.0f%%  ", Bar(fraction), fraction * 100);
    absl::StrAppend(&numbers, " of ", WithCommas(*progress.total));
  }
  absl::StrAppend(&numbers, "  ", WithCommas(rate), "/s");
  const std::string detail = progress.detail.empty() ? "" : "  " + progress.detail;
  const auto columns = static_cast<std::size_t>(std::max(width, 0));
  // The longest form that fits; a line that wrapped could not be erased.
  for (const std::string& line :
       {absl::StrCat(progress.verb, "  ", bar, numbers, detail),
        absl::StrCat(progress.verb, "  ", bar, numbers), absl::StrCat(bar, numbers), numbers}) {
    if (line.size() <= columns) return line;
  }
  return numbers.substr(0, columns);
}

ProgressLine::ProgressLine(bool enabled, std::function<Progress()> sample)
    : sample_(std::move(sample)) {
  if (enabled) thread_ = std::thread([this] { Draw(); });
}

ProgressLine::~ProgressLine() {
  if (!thread_.joinable()) return;
  {
    const pool::MutexLock lock(&mutex_);
    finished_ = true;
    changed_.SignalAll();
  }
  thread_.join();
  Write(kClearLine);
}

void ProgressLine::Draw() {
  const auto begin = std::chrono::steady_clock::now();
  for (;;) {
    {
      const pool::MutexLock lock(&mutex_);
      if (!finished_) changed_.WaitFor(&mutex_, kPeriod);
      if (finished_) return;
    }
    const auto elapsed = absl::FromChrono(std::chrono::steady_clock::now() - begin);
    // The last column stays empty: some terminals wrap when it is written.
    Write(absl::StrCat(kClearLine, RenderProgress(sample_(), elapsed, TerminalWidth() - 1)));
  }
}

}  // namespace vouch::cli
