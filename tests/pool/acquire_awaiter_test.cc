// Acquiring by a coroutine. Clang 14 has no <coroutine> that it can compile.

#include "pool/acquire_awaiter.h"

#include "gtest/gtest.h"

#if defined(__cpp_impl_coroutine)

#include <coroutine>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>

#include "tests/pool/executors.h"
#include "tests/pool/widget.h"
#include "tests/support/status_matchers.h"

namespace vouch::pool {
namespace {

using test::StatusIs;

// The smallest coroutine: runs at once, nobody waits for it.
struct Detached {
  struct promise_type {
    Detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

// What the coroutine came to.
struct Outcome {
  std::optional<absl::Status> status;
  int widget = 0;
  std::thread::id thread;
};

Detached AcquireOnce(FakePool& pool, std::function<void(Closure)> executor, AcquireOptions options,
                     Outcome& outcome) {
  absl::StatusOr<FakeLease> lease =
      co_await AcquireOn(pool, std::move(executor), std::move(options));
  if (lease.ok()) outcome.widget = (*lease)->id;
  outcome.thread = std::this_thread::get_id();
  outcome.status = lease.status();
}

TEST(AcquireAwaiterTest, ALeaseAtOnce) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  Outcome outcome;
  AcquireOnce(*pool, RunAtOnce, {}, outcome);
  ASSERT_TRUE(outcome.status.has_value());
  EXPECT_OK(*outcome.status);
  EXPECT_EQ(outcome.widget, 1);
  EXPECT_EQ(pool->stats().leased, 0);
}

TEST(AcquireAwaiterTest, ALeaseAfterWaiting) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  Outcome first, second;
  AcquireOnce(*pool, RunAtOnce, {}, first);
  AcquireOnce(*pool, RunAtOnce, {}, second);
  EXPECT_FALSE(first.status.has_value());
  EXPECT_EQ(pool->stats().waiting, 2);
  lease.Release();
  ASSERT_TRUE(first.status.has_value());
  ASSERT_TRUE(second.status.has_value());
  EXPECT_OK(*first.status);
  EXPECT_OK(*second.status);
  EXPECT_EQ(pool->stats().acquired, 3u);
}

Detached AcquireOften(FakePool& pool, int times, int& served) {
  for (int i = 0; i < times; ++i) {
    const absl::StatusOr<FakeLease> lease = co_await AcquireOn(pool, RunAtOnce);
    if (lease.ok()) ++served;
  }
}

// Each turn resumes the coroutine inside the one before: the stack must not grow with them.
TEST(AcquireAwaiterTest, ManyTurnsInALoopOnOneStack) {
  constexpr int kTimes = 200'000;
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  int served = 0;
  AcquireOften(*pool, kTimes, served);
  EXPECT_EQ(served, kTimes);
}

TEST(AcquireAwaiterTest, IsResumedByTheExecutor) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  ClosureQueue queue;
  Outcome outcome;
  AcquireOnce(*pool, queue.executor(), {}, outcome);
  EXPECT_FALSE(outcome.status.has_value());
  std::thread runner([&] { queue.RunAll(); });
  const std::thread::id id = runner.get_id();
  runner.join();
  ASSERT_TRUE(outcome.status.has_value());
  EXPECT_EQ(outcome.thread, id);
}

TEST(AcquireAwaiterTest, AnError) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  ASSERT_OK_AND_ASSIGN(const auto lease, pool->Acquire());
  std::stop_source stop;
  Outcome stopped, closed;
  AcquireOnce(*pool, RunAtOnce, {.stop = stop.get_token()}, stopped);
  AcquireOnce(*pool, RunAtOnce, {}, closed);
  stop.request_stop();
  ASSERT_TRUE(stopped.status.has_value());
  EXPECT_THAT(*stopped.status, StatusIs(absl::StatusCode::kCancelled));
  EXPECT_FALSE(closed.status.has_value());
  EXPECT_FALSE(pool->Close(absl::ZeroDuration()).ok());
  ASSERT_TRUE(closed.status.has_value());
  EXPECT_THAT(*closed.status, StatusIs(absl::StatusCode::kFailedPrecondition));
}

Detached AcquireHere(FakePool& pool, int& line) {
  line = __LINE__ + 1;
  const absl::StatusOr<FakeLease> lease = co_await AcquireOn(pool, RunAtOnce, {.label = "here"});
  EXPECT_EQ(pool.holders().at(0).site.line, line);
  EXPECT_EQ(pool.holders().at(0).label, "here");
}

TEST(AcquireAwaiterTest, TheCallSiteIsTheCoroutines) {
  WidgetFactory factory;
  const auto pool = MakePool<FakePool>(Untimed(1, 1), &factory);
  int line = 0;
  AcquireHere(*pool, line);
  EXPECT_NE(line, 0);
  EXPECT_EQ(pool->stats().leased, 0);
}

}  // namespace
}  // namespace vouch::pool

#else

TEST(AcquireAwaiterTest, NeedsCoroutines) { GTEST_SKIP() << "this compiler has none"; }

#endif
