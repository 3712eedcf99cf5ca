// StopSignal: turns Ctrl-C into a request to stop, and a second Ctrl-C into the end.
//
//   StopSignal stop([] { Say("finishing what is in flight"); });
//   while (!stop.token().stop_requested()) Work();
//   if (stop.signal() != 0) return 128 + stop.signal();
//
// SIGINT, SIGTERM and SIGHUP are blocked and read by a thread of its own, so nothing ever runs in a
// signal handler. Those that were ignored when the program started stay ignored (nohup, jobs in the
// background of a script).
//
// Thread safety: any thread. REQUIRES: made before other threads are started, which inherit the
// blocked signals; one at a time.

#ifndef VOUCH_UOW_CLI_STOP_SIGNAL_H_
#define VOUCH_UOW_CLI_STOP_SIGNAL_H_

#include <atomic>
#include <csignal>
#include <functional>
#include <stop_token>
#include <thread>

namespace vouch::cli {

class StopSignal {
 public:
  // `on_first` is called by the signal thread when the first signal comes.
  explicit StopSignal(std::function<void()> on_first);
  // Signals do again what they did before.
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  // Asked to stop by the first signal.
  std::stop_token token() const { return stop_.get_token(); }
  // The first signal's number, 0 before it.
  int signal() const { return signal_.load(std::memory_order_acquire); }

 private:
  void Watch();
  int NextSignal();

  const std::function<void()> on_first_;
  sigset_t watched_;
  sigset_t before_;
  int signals_ = -1;  // Readable when a signal is there.
  int finish_ = -1;   // Readable when the thread is to end.
  std::stop_source stop_;
  // Written once by the signal thread with release, read with acquire by any; the token is asked
  // to stop after it is set, so whoever sees the request sees the number.
  std::atomic<int> signal_{0};
  std::thread thread_;
};

}  // namespace vouch::cli

#endif  // VOUCH_UOW_CLI_STOP_SIGNAL_H_
