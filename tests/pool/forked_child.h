#ifndef VOUCH_TESTS_POOL_FORKED_CHILD_H_
#define VOUCH_TESTS_POOL_FORKED_CHILD_H_

#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>

#include "absl/status/status.h"

// ThreadSanitizer does not support threads in the child of a program that has threads.
#if defined(__SANITIZE_THREAD__)
#define VOUCH_TEST_FORKS 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define VOUCH_TEST_FORKS 0
#endif
#endif
#ifndef VOUCH_TEST_FORKS
#define VOUCH_TEST_FORKS 1
#endif

#define VOUCH_TEST_SKIP_UNLESS_FORKS() \
  if (!VOUCH_TEST_FORKS) GTEST_SKIP() << "ThreadSanitizer does not follow forks of threads"

namespace vouch::pool {

// Runs `body` in a forked child, which then ends without destructors; returns what the body returned
// (what went wrong; empty if nothing did), or how the child died.
inline std::string InForkedChild(const std::function<std::string()>& body) {
  int pipe_ends[2];
  if (pipe(pipe_ends) != 0) return "no pipe";
  const pid_t child = fork();
  if (child == 0) {
    const std::string wrong = body();
    const bool written =
        write(pipe_ends[1], wrong.data(), wrong.size()) == static_cast<ssize_t>(wrong.size());
    _exit(written ? 0 : 1);
  }
  close(pipe_ends[1]);
  std::string wrong;
  char buffer[512];
  for (ssize_t size; (size = read(pipe_ends[0], buffer, sizeof(buffer))) > 0;) {
    wrong.append(buffer, static_cast<size_t>(size));
  }
  close(pipe_ends[0]);
  int status = 0;
  if (waitpid(child, &status, 0) != child) return "no child";
  if (WIFSIGNALED(status)) return "the child died of signal " + std::to_string(WTERMSIG(status));
  return wrong;
}

// Empty if the status is the refusal of an operation after a fork.
inline std::string ExpectForked(const absl::Status& status, const std::string& operation) {
  const std::string message(status.message());
  const bool right = absl::IsFailedPrecondition(status) && message.rfind(operation, 0) == 0 &&
                     message.find("the process has forked") != std::string::npos;
  return right ? "" : operation + ": " + status.ToString() + "\n";
}

}  // namespace vouch::pool

#endif  // VOUCH_TESTS_POOL_FORKED_CHILD_H_
