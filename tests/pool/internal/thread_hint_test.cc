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
  EXPECT_EQ(ThreadHint::Get(a, 8), 3u);
  EXPECT_EQ(ThreadHint::Get(b, 8), 4u);
}

TEST(ThreadHintTest, ANewPoolNeverSeesAnOldPoolsHint) {
  for (int i = 0; i < 100; ++i) {
    ThreadHint::Set(ThreadHint::NewPoolId(), 4095);
    EXPECT_LT(ThreadHint::Get(ThreadHint::NewPoolId(), 2), 2u);
  }
}

TEST(ThreadHintTest, IsPerThread) {
  const uint64_t pool = ThreadHint::NewPoolId();
  ThreadHint::Set(pool, 7);
  std::thread([pool] { EXPECT_LT(ThreadHint::Get(pool, 2), 2u); }).join();
  EXPECT_EQ(ThreadHint::Get(pool, 8), 7u);
}

}  // namespace
}  // namespace vouch::pool::pool_internal
