#include "pool/fork_guard.h"

#include "gtest/gtest.h"
#include "tests/pool/forked_child.h"

namespace vouch::pool {
namespace {

TEST(ForkGuardTest, IsNotForkedInItsOwnProcess) { EXPECT_FALSE(ForkGuard().forked()); }

TEST(ForkGuardTest, IsForkedInAChild) {
  const ForkGuard guard;
  EXPECT_EQ(InForkedChild([&] { return guard.forked() ? "" : "not forked"; }), "");
  EXPECT_FALSE(guard.forked());
}

TEST(ForkGuardTest, OneMadeInTheChildIsTheChilds) {
  const ForkGuard guard;
  EXPECT_EQ(InForkedChild([&]() -> std::string {
              const ForkGuard mine;
              if (mine.forked()) return "the child's own guard is forked";
              return InForkedChild([&]() -> std::string {
                return mine.forked() && guard.forked() ? "" : "not forked in the grandchild";
              });
            }),
            "");
}

}  // namespace
}  // namespace vouch::pool
