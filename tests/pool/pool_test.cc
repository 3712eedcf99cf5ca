#include "pool/pool.h"

#include <string>
#include <thread>
#include <vector>

#include "tests/pool/widget.h"
#include "tests/support/status_matchers.h"

namespace vouch::pool {
namespace {

using test::StatusIs;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

// The example at the top of pool.h.
struct Connection {
  static absl::StatusOr<std::unique_ptr<Connection>> Open(const std::string&) {
    return std::make_unique<Connection>();
  }
  void Query(const std::string&) { ++queries; }
  int queries = 0;
};

absl::Status Example() {
  PoolOptions options;
  options.name = "readers";
  absl::StatusOr<std::unique_ptr<Pool<Connection>>> pool =
      Pool<Connection>::Create(options, [] { return Connection::Open("app.db"); });
  if (!pool.ok()) return pool.status();
  absl::StatusOr<Lease<Connection>> lease = (*pool)->Acquire(absl::Milliseconds(250));
  if (!lease.ok()) return lease.status();
  (*lease)->Query("…");
  lease->Release();  // there: at the end of the scope, which here is after the pool's
  return absl::OkStatus();
}

TEST(PoolTest, TheExampleWorks) { EXPECT_OK(Example()); }

TEST(PoolTest, OpensMin) {
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(3, 5), &factory);
  EXPECT_EQ(factory.made, 3);
  const PoolStats stats = pool->stats();
  EXPECT_EQ(stats.capacity, 5);
  EXPECT_EQ(stats.size, 3);
  EXPECT_EQ(stats.idle, 3);
  EXPECT_EQ(stats.opened, 3u);
}

TEST(PoolTest, RefusesBadOptions) {
  EXPECT_THAT(Pool<Widget>::Create(Untimed(3, 2), [] { return WidgetFactory()(); }).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("min is 3")));
  EXPECT_THAT(Pool<Widget>::Create(Untimed(0, 2), nullptr).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("factory is null")));
}

TEST(PoolTest, OpensUpToMaxAndNoMore) {
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(0, 3), &factory);
  std::vector<Lease<Widget>> leases;
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK_AND_ASSIGN(Lease<Widget> lease, pool->Acquire());
    leases.push_back(std::move(lease));
  }
  EXPECT_EQ(factory.made, 3);
  EXPECT_THAT(pool->TryAcquire().status(), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(pool->stats().refused, 1u);
}

TEST(PoolTest, PrefersAnIdleResourceToOpening) {
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(0, 8), &factory);
  for (int i = 0; i < 20; ++i) {
    std::thread([&pool] { EXPECT_OK(pool->Acquire()); }).join();  // each thread has another hint
  }
  EXPECT_EQ(factory.made, 1);
}

TEST(PoolTest, AThreadGetsTheResourceItHadLast) {
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(4, 4), &factory);
  ASSERT_OK_AND_ASSIGN(Lease<Widget> lease, pool->Acquire());
  const int id = lease->id;
  lease.Release();
  for (int i = 0; i < 10; ++i) {
    ASSERT_OK_AND_ASSIGN(const Lease<Widget> again, pool->Acquire());
    EXPECT_EQ(again->id, id);
  }
}

TEST(PoolTest, CountsAcquires) {
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(1, 2), &factory);
  for (int i = 0; i < 5; ++i) EXPECT_OK(pool->Acquire());
  EXPECT_OK(pool->TryAcquire());
  EXPECT_EQ(pool->stats().acquired, 6u);
  EXPECT_EQ(pool->stats().waited, 0u);
}

TEST(PoolTest, ATimeoutTellsTheSituation) {
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(1, 1), &factory);
  ASSERT_OK_AND_ASSIGN(Lease<Widget> lease, pool->Acquire());
  const int held_at = __LINE__ - 1;
  lease.MakeTransferable();  // else this thread would be waiting for itself
  EXPECT_THAT(pool->Acquire(absl::Milliseconds(2)).status(),
              StatusIs(absl::StatusCode::kDeadlineExceeded,
                       AllOf(StartsWith("acquire widgets: deadline exceeded after 2ms (capacity 1, "
                                        "leased 1, waiting 0); held at pool_test.cc:"),
                             HasSubstr(std::to_string(held_at)))));
  EXPECT_EQ(pool->stats().timed_out, 1u);
  EXPECT_EQ(pool->stats().waiting, 0);
}

TEST(PoolTest, ZeroTimeoutDoesNotWait) {
  WidgetFactory factory;
  const auto pool = MakePool(Untimed(1, 1), &factory);
  EXPECT_OK(pool->Acquire(absl::ZeroDuration()));
  ASSERT_OK_AND_ASSIGN(const Lease<Widget> lease, pool->Acquire());
  EXPECT_THAT(pool->Acquire(absl::ZeroDuration()).status(),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_THAT(pool->Acquire(-absl::InfiniteDuration()).status(),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_EQ(pool->stats().waited, 0u);
}

TEST(PoolTest, TheOptionsTimeoutIsTheDefault) {
  WidgetFactory factory;
  PoolOptions options = Untimed(1, 1);
  options.acquire_timeout = absl::Milliseconds(3);
  const auto pool = MakePool(options, &factory);
  ASSERT_OK_AND_ASSIGN(Lease<Widget> lease, pool->Acquire());
  lease.MakeTransferable();
  EXPECT_THAT(pool->Acquire().status(),
              StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("after 3ms")));
}

TEST(PoolTest, AFullLineRefusesAtOnce) {
  WidgetFactory factory;
  PoolOptions options = Untimed(1, 1);
  options.max_waiters = 0;
  const auto pool = MakePool(options, &factory);
  ASSERT_OK_AND_ASSIGN(const Lease<Widget> lease, pool->Acquire());
  EXPECT_THAT(pool->Acquire(absl::InfiniteDuration()).status(),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       HasSubstr("the line is full, max_waiters is 0")));
  EXPECT_EQ(pool->stats().refused, 1u);
}

TEST(PoolTest, ManyPoolsAtOnceKeepTheirResourcesApart) {
  WidgetFactory factory;
  std::vector<std::unique_ptr<Pool<Widget>>> pools;
  for (int i = 0; i < 20; ++i) pools.push_back(MakePool(Untimed(1, 1), &factory));
  for (int round = 0; round < 3; ++round) {
    std::vector<Lease<Widget>> leases;
    for (const auto& pool : pools) {
      ASSERT_OK_AND_ASSIGN(Lease<Widget> lease, pool->Acquire());
      leases.push_back(std::move(lease));
    }
  }
  EXPECT_EQ(factory.made, 20);
}

}  // namespace
}  // namespace vouch::pool
