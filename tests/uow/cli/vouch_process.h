#ifndef VOUCH_TESTS_UOW_CLI_VOUCH_PROCESS_H_
#define VOUCH_TESTS_UOW_CLI_VOUCH_PROCESS_H_

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace vouch::test {

struct Outcome {
  int exit_code = -1;  // -1: ended by a signal.
  int signal = 0;
  std::string out;
  std::string err;
};

// The program `vouch`, running. Its signals are as a shell would leave them; both outputs go to
// memory.
//
// Thread safety: one thread at a time. Ownership: a process that was not waited for is killed.
class VouchProcess {
 public:
  struct Options {
    std::vector<std::string> arguments;
    std::vector<std::string> environment = {};  // NAME=VALUE, added to this process's.
    int acknowledge_fd = -1;                    // Given to the program as VOUCH_ACK_FD.
    std::string folder = {};                    // Where it runs; empty: here.
  };

  explicit VouchProcess(const Options& options) : out_(NewMemory()), err_(NewMemory()) {
    std::vector<std::string> arguments = {VOUCH_PROGRAM};
    arguments.insert(arguments.end(), options.arguments.begin(), options.arguments.end());
    std::vector<std::string> environment = options.environment;
    for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out_, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, err_, STDERR_FILENO);
    if (options.acknowledge_fd >= 0) {
      posix_spawn_file_actions_adddup2(&actions, options.acknowledge_fd, kAcknowledgeFd);
      environment.insert(environment.begin(), "VOUCH_ACK_FD=" + std::to_string(kAcknowledgeFd));
    }
    if (!options.folder.empty()) {
      posix_spawn_file_actions_addchdir_np(&actions, options.folder.c_str());
    }
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t signals;
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes, &signals);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) sigaddset(&signals, number);
    posix_spawnattr_setsigdefault(&attributes, &signals);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    const int error = posix_spawn(&pid_, VOUCH_PROGRAM, &actions, &attributes,
                                  Pointers(arguments).data(), Pointers(environment).data());
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) throw std::system_error(error, std::generic_category(), VOUCH_PROGRAM);
  }

  ~VouchProcess() {
    if (pid_ > 0) {
      Signal(SIGKILL);
      (void)Wait();
    }
    ::close(out_);
    ::close(err_);
  }
  VouchProcess(const VouchProcess&) = delete;
  VouchProcess& operator=(const VouchProcess&) = delete;

  void Signal(int number) const { ::kill(pid_, number); }

  // Whether it has ended; Wait() does not wait then.
  bool HasEnded() const {
    siginfo_t info = {};
    return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == pid_;
  }

  // What it has said so far.
  std::string err() const { return ReadAll(err_); }

  Outcome Wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = 0;
    Outcome outcome{.out = ReadAll(out_), .err = ReadAll(err_)};
    if (WIFEXITED(status)) outcome.exit_code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
    return outcome;
  }

 private:
  static constexpr int kAcknowledgeFd = 9;

  static int NewMemory() {
    const int fd = ::memfd_create("output", MFD_CLOEXEC);
    if (fd < 0) throw std::system_error(errno, std::generic_category(), "memfd_create");
    return fd;
  }

  static std::vector<char*> Pointers(std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    for (std::string& text : texts) pointers.push_back(text.data());
    pointers.push_back(nullptr);
    return pointers;
  }

  static std::string ReadAll(int fd) {
    std::string text;
    char buffer[4096];
    for (;;) {
      const ssize_t got = ::pread(fd, buffer, sizeof(buffer), static_cast<off_t>(text.size()));
      if (got <= 0) return text;
      text.append(buffer, static_cast<std::size_t>(got));
    }
  }

  const int out_;
  const int err_;
  pid_t pid_ = 0;
};

inline Outcome RunVouch(std::vector<std::string> arguments,
                        std::vector<std::string> environment = {}) {
  return VouchProcess({.arguments = std::move(arguments), .environment = std::move(environment)})
      .Wait();
}

// A pipe on which the program says what it has committed.
//
// Thread safety: one thread at a time.
class AcknowledgePipe {
 public:
  // `bytes`: how much may be unread before the program has to wait, at least a page.
  explicit AcknowledgePipe(int bytes) {
    if (::pipe2(ends_, O_CLOEXEC) != 0) {
      throw std::system_error(errno, std::generic_category(), "pipe2");
    }
    ::fcntl(ends_[1], F_SETPIPE_SZ, bytes);
  }
  ~AcknowledgePipe() {
    CloseWriteEnd();
    ::close(ends_[0]);
  }
  AcknowledgePipe(const AcknowledgePipe&) = delete;
  AcknowledgePipe& operator=(const AcknowledgePipe&) = delete;

  int write_end() const { return ends_[1]; }

  // To be called once the program runs: reading then ends when the program has.
  void CloseWriteEnd() {
    if (ends_[1] >= 0) ::close(ends_[1]);
    ends_[1] = -1;
  }

  // Waits for `count` more lines, or for the end. False: the end came first.
  bool ReadLines(std::size_t count) {
    for (const std::size_t wanted = lines_.size() + count; lines_.size() < wanted;) {
      char buffer[4096];
      // No more than is asked for: what is not read holds the program back.
      const std::size_t most = std::min(sizeof(buffer), (wanted - lines_.size()) * kLineBytes);
      const ssize_t got = ::read(ends_[0], buffer, most);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;
      for (const char c : std::string_view(buffer, static_cast<std::size_t>(got))) {
        if (c == '\n') {
          lines_.push_back(std::exchange(line_, {}));
        } else {
          line_ += c;
        }
      }
    }
    return true;
  }
  void ReadToEnd() {
    while (ReadLines(1)) {
    }
  }
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  static constexpr std::size_t kLineBytes = 27;

  int ends_[2] = {-1, -1};
  std::string line_;
  std::vector<std::string> lines_;
};

}  // namespace vouch::test

#endif  // VOUCH_TESTS_UOW_CLI_VOUCH_PROCESS_H_
