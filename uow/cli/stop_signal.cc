#include "uow/cli/stop_signal.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>
#include <utility>

namespace vouch::cli {
namespace {

int OrThrow(int fd, const char* what) {
  if (fd < 0) throw std::system_error(errno, std::generic_category(), what);
  return fd;
}

}  // namespace

StopSignal::StopSignal(std::function<void()> on_first) : on_first_(std::move(on_first)) {
  sigemptyset(&watched_);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction action;
    if (::sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) continue;
    sigaddset(&watched_, number);
  }
  pthread_sigmask(SIG_BLOCK, &watched_, &before_);
  signals_ = OrThrow(::signalfd(-1, &watched_, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd");
  finish_ = OrThrow(::eventfd(0, EFD_CLOEXEC), "eventfd");
  thread_ = std::thread([this] { Watch(); });
}

StopSignal::~StopSignal() {
  const std::uint64_t one = 1;
  (void)!::write(finish_, &one, sizeof(one));
  thread_.join();
  ::close(finish_);
  ::close(signals_);
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void StopSignal::Watch() {
  while (const int number = NextSignal()) {
    if (signal() != 0) ::_exit(128 + number);
    signal_.store(number, std::memory_order_release);
    stop_.request_stop();
    if (on_first_) on_first_();
  }
}

// Waits for a signal; 0 when it is time to end.
int StopSignal::NextSignal() {
  for (;;) {
    pollfd waited[] = {{.fd = signals_, .events = POLLIN, .revents = 0},
                       {.fd = finish_, .events = POLLIN, .revents = 0}};
    if (::poll(waited, 2, -1) < 0) {
      if (errno == EINTR) continue;
      return 0;
    }
    signalfd_siginfo info;
    if (::read(signals_, &info, sizeof(info)) == sizeof(info)) {
      return static_cast<int>(info.ssi_signo);
    }
    if (waited[1].revents != 0) return 0;
  }
}

}  // namespace vouch::cli
