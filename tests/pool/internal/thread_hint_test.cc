#include "pool/internal/thread_hint.h"

#include <thread>

#include "gtest/gtest.h"

namespace vouch::pool::pool_internal {
namespace {

TEST(ThreadHintTest, RemembersPerPool) {
  const uint64_t a = ThreadHint::NewPoolId();
  const uint64_t b = ThreadHint::NewPoolId();
  EXPECT_NE(a, b);
  ThreadHint::Set(a, 3);
  ThreadHint::Set(b, 4);
  EXPECT_EQ(ThreadHint::Start(a, 8), 3u);
  EXPECT_EQ(ThreadHint::Start(b, 8), 4u);
}

TEST(ThreadHintTest, ANewPoolNeverSeesAnOldPoolsHint) {
  for (int i = 0; i < 100; ++i) {
    ThreadHint::Set(ThreadHint::NewPoolId(), 4095);
    EXPECT_LT(ThreadHint::Start(ThreadHint::NewPoolId(), 2), 2u);
  }
}

TEST(ThreadHintTest, IsPerThread) {
  const uint64_t pool = ThreadHint::NewPoolId();
  ThreadHint::Set(pool, 7);
  std::thread([pool] { EXPECT_LT(ThreadHint::Start(pool, 2), 2u); }).join();
  EXPECT_EQ(ThreadHint::Start(pool, 8), 7u);
}

TEST(ThreadHintTest, IsForgottenWhereTheFastWayIsClosed) {
  const uint64_t a = ThreadHint::NewPoolId();
  const uint64_t b = ThreadHint::NewPoolId();
  EXPECT_EQ(ThreadHint::Find(a), ThreadHint::kNone);
  ThreadHint::Set(a, 1);
  ThreadHint::Set(b, 2);
  ThreadHint::Forget(a);
  EXPECT_EQ(ThreadHint::Find(a), ThreadHint::kNone);
  EXPECT_EQ(ThreadHint::Find(b), 2u);
  ThreadHint::ForgetAll();
  EXPECT_EQ(ThreadHint::Find(b), ThreadHint::kNone);
}

TEST(ThreadHintTest, NumbersTheThreads) {
  const uint32_t mine = ThreadHint::Self();
  EXPECT_NE(mine, 0u);
  EXPECT_EQ(ThreadHint::Self(), mine);
  EXPECT_EQ(ThreadHint::KnownSelf(), mine);
  std::thread([mine] { EXPECT_NE(ThreadHint::Self(), mine); }).join();
}

}  // namespace
}  // namespace vouch::pool::pool_internal
