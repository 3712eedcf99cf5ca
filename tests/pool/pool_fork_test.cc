// A pool in a forked child: it is refused, and nothing of the parent's is touched.

#include <atomic>
#include <stop_token>
#include <string>
#include <thread>

#include "tests/pool/executors.h"
#include "tests/pool/forked_child.h"
#include "tests/pool/stress.h"
#include "tests/pool/widget.h"
#include "tests/support/status_matchers.h"

namespace vouch::pool {
namespace {

std::string Expect(bool right, const std::string& otherwise) {
  return right ? "" : otherwise + "\n";
}

// With a keeper, and with a hint for this thread.
std::unique_ptr<Pool<Widget>> MakeUsedPool(WidgetFactory* factory) {
  auto pool = MakePool(Untimed(2, 3), factory);
  EXPECT_OK(pool->Acquire());
  return pool;
}

TEST(PoolForkTest, TheChildIsRefused) {
  VOUCH_TEST_SKIP_UNLESS_FORKS();
  WidgetFactory factory;
  const auto pool = MakeUsedPool(&factory);
  EXPECT_EQ(InForkedChild([&] {
              Answer<Pool<Widget>> answer;
              pool->AcquireAsync(RunAtOnce, answer.done());
              return ExpectForked(pool->Acquire().status(), "acquire widgets") +
                     ExpectForked(pool->Acquire(absl::ZeroDuration()).status(), "acquire widgets") +
                     ExpectForked(pool->Acquire({.label = "child"}).status(), "acquire widgets") +
                     ExpectForked(pool->TryAcquire().status(), "acquire widgets") +
                     ExpectForked(answer->status(), "acquire widgets") +
                     ExpectForked(pool->Resize(1, 1), "resize widgets") +
                     ExpectForked(pool->Suspend(), "suspend widgets") +
                     ExpectForked(pool->Resume(), "resume widgets") +
                     ExpectForked(pool->Close(absl::ZeroDuration()), "close widgets") +
                     Expect(factory.live == 2, "a resource was closed");
            }),
            "");
  EXPECT_OK(pool->Acquire(absl::ZeroDuration()));
  ExpectComplete(*pool);
}

TEST(PoolForkTest, AnInheritedLeaseIsReleasedWithoutHarm) {
  VOUCH_TEST_SKIP_UNLESS_FORKS();
  WidgetFactory factory;
  const auto pool = MakeUsedPool(&factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  ASSERT_OK_AND_ASSIGN(auto broken, pool->Acquire());
  EXPECT_EQ(InForkedChild([&] {
              lease.Release();
              broken.MarkBroken();
              broken.Release();
              return Expect(factory.live == 2, "a resource was closed");
            }),
            "");
  EXPECT_TRUE(lease);
  EXPECT_EQ(pool->stats().leased, 2);
  EXPECT_EQ(pool->stats().closed.broken, 0u);
}

TEST(PoolForkTest, TheChildMayDestroyThePool) {
  VOUCH_TEST_SKIP_UNLESS_FORKS();
  WidgetFactory factory;
  auto pool = MakeUsedPool(&factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());  // which the child does not wait for
  EXPECT_EQ(InForkedChild([&] {
              pool.reset();
              return Expect(factory.live == 2, "a resource was closed");
            }),
            "");
  lease.Release();
  ExpectComplete(*pool);
  EXPECT_EQ(factory.live, 3);
}

// What the factory captured may be the parent's as well: a server, say, that its destructor stops.
TEST(PoolForkTest, TheChildDoesNotDestroyTheFactory) {
  VOUCH_TEST_SKIP_UNLESS_FORKS();
  const auto server = std::make_shared<int>();
  auto created = Pool<Widget>::Create(
      Untimed(1, 1), [server, made = 0]() mutable -> absl::StatusOr<std::unique_ptr<Widget>> {
        return std::make_unique<Widget>(++made);
      });
  ASSERT_OK(created);
  auto pool = *std::move(created);
  EXPECT_EQ(server.use_count(), 2);
  EXPECT_EQ(InForkedChild([&] {
              pool.reset();
              return Expect(server.use_count() == 2, "the factory was destroyed");
            }),
            "");
  pool.reset();
  EXPECT_EQ(server.use_count(), 1);
}

// While other threads are in the middle of something, which nobody finishes in the child: a hang, in
// one of some hundred tries, if it asks for a lock.
TEST(PoolForkTest, TheChildMayDestroyThePoolAtAnyMoment) {
  VOUCH_TEST_SKIP_UNLESS_FORKS();
  WidgetFactory factory;
  auto pool = MakePool(Untimed(1, 2), &factory);
  std::atomic<bool> over{false};
  std::thread other([&] {
    while (!over) {
      Answer<Pool<Widget>> answer;
      auto lease = pool->Acquire();
      lease->MarkBroken();
      pool->AcquireAsync(RunAtOnce, answer.done(), {.timeout = absl::Seconds(100)});
      lease->Release();
      AwaitThat([&] { return answer.calls() == 1; });
    }
  });
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(InForkedChild([&] {
                const int live = factory.live;
                pool.reset();
                return Expect(factory.live == live, "a resource was closed");
              }),
              "");
  }
  over = true;
  other.join();
  ExpectComplete(*pool);
}

// What the executor has not run yet, of an acquire that the parent made.
TEST(PoolForkTest, TheChildIsNotLentWhatIsOnItsWay) {
  VOUCH_TEST_SKIP_UNLESS_FORKS();
  WidgetFactory factory;
  const auto pool = MakeUsedPool(&factory);
  ClosureQueue queue;
  Answer<Pool<Widget>> answer;
  pool->AcquireAsync(queue.executor(), answer.done());
  EXPECT_EQ(InForkedChild([&] {
              queue.RunAll();
              return ExpectForked(answer->status(), "acquire widgets");
            }),
            "");
  queue.RunAll();
  ASSERT_EQ(answer.calls(), 1);
  EXPECT_OK(*answer);
}

TEST(PoolForkTest, TheChildMayDropWhatIsOnItsWay) {
  VOUCH_TEST_SKIP_UNLESS_FORKS();
  WidgetFactory factory;
  const auto pool = MakeUsedPool(&factory);
  ClosureQueue queue;
  Answer<Pool<Widget>> answer;
  pool->AcquireAsync(queue.executor(), answer.done());
  EXPECT_THAT(pool->Close(absl::ZeroDuration()),
              test::StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_EQ(factory.live, 1);
  EXPECT_EQ(InForkedChild([&] {
              queue.DropOne();
              return Expect(factory.live == 1, "a resource was closed");
            }),
            "");
  queue.DropOne();
  EXPECT_EQ(factory.live, 0);
}

TEST(PoolForkTest, WhatWaitsIsTheParents) {
  VOUCH_TEST_SKIP_UNLESS_FORKS();
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(1, 1), &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  std::stop_source stop;
  Answer<Pool<Widget>> answer;
  pool->AcquireAsync(RunAtOnce, answer.done(),
                     {.timeout = absl::InfiniteDuration(), .stop = stop.get_token()});
  EXPECT_EQ(InForkedChild([&] {
              stop.request_stop();
              return Expect(answer.calls() == 0, "the wait was ended");
            }),
            "");
  lease.Release();
  ASSERT_EQ(answer.calls(), 1);
  EXPECT_OK(*answer);
}

TEST(PoolForkTest, TheChildMayMakeAnother) {
  VOUCH_TEST_SKIP_UNLESS_FORKS();
  WidgetFactory factory;
  const auto pool = MakeUsedPool(&factory);
  EXPECT_EQ(InForkedChild([&] {
              WidgetFactory own_factory;
              auto own = MakePool(Untimed(1, 2), &own_factory);
              std::string wrong = Expect(own->Acquire().ok(), "the first acquire") +
                                  Expect(own->Acquire().ok(), "the second acquire");
              auto broken = own->Acquire();
              broken->MarkBroken();
              broken->Release();
              AwaitThat([&] { return own->stats().size == 1; });  // it has a keeper of its own
              own.reset();
              return wrong + Expect(own_factory.live == 0, "its resources were not closed");
            }),
            "");
}

// Waiters and the keeper exist in the parent only.
TEST(PoolForkTest, TheParentGoesOn) {
  VOUCH_TEST_SKIP_UNLESS_FORKS();
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(1, 1), &factory);
  ASSERT_OK_AND_ASSIGN(auto lease, pool->Acquire());
  std::thread waiter([&] { EXPECT_OK(pool->Acquire(absl::InfiniteDuration())); });
  AwaitWaiting(*pool, 1);
  EXPECT_EQ(InForkedChild([&] {
              lease.Release();
              return ExpectForked(pool->TryAcquire().status(), "acquire widgets");
            }),
            "");
  lease.MarkBroken();
  lease.Release();
  waiter.join();
  ExpectComplete(*pool);
}

}  // namespace
}  // namespace vouch::pool
