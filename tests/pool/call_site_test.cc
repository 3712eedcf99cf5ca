#include "pool/call_site.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vouch::pool {
namespace {

using testing::EndsWith;

CallSite Where(CallSite site = CallSite::Current()) { return site; }
CallSite Through(CallSite site = CallSite::Current()) { return Where(site); }

TEST(CallSiteTest, NamesTheCallerAsADefaultArgument) {
  const CallSite site = Where();
  EXPECT_EQ(site.line, __LINE__ - 1);
  EXPECT_THAT(site.file, EndsWith("call_site_test.cc"));
}

TEST(CallSiteTest, IsPassedOn) {
  const CallSite site = Through();
  EXPECT_EQ(site.line, __LINE__ - 1);
}

TEST(CallSiteTest, StandsForItselfWhenCalledDirectly) {
  constexpr CallSite site = CallSite::Current();
  EXPECT_EQ(site.line, __LINE__ - 1);
}

}  // namespace
}  // namespace vouch::pool
