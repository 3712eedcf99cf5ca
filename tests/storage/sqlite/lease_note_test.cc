// A wish to stop hits one use of a connection, never the next.

#include "storage/sqlite/lease_note.h"

#include <atomic>
#include <thread>

#include "gtest/gtest.h"

namespace vouch::storage {
namespace {

TEST(LeaseNoteTest, TellsWhoHoldsAndWhetherAnybodyDoes) {
  LeaseNote note;
  EXPECT_FALSE(note.Look().leased());
  note.Begin({"a.cc", 7}, "report");
  const LeaseNote::View view = note.Look();
  EXPECT_TRUE(view.leased());
  EXPECT_STREQ(view.site.file, "a.cc");
  EXPECT_EQ(view.site.line, 7);
  EXPECT_STREQ(view.label, "report");
  EXPECT_FALSE(view.snapshot);
  note.SetSnapshot(true);
  EXPECT_TRUE(note.Look().snapshot);
  note.End();
  EXPECT_FALSE(note.Look().leased());
  note.Begin({"b.cc", 8}, nullptr);
  EXPECT_FALSE(note.Look().snapshot) << "of the one before";
  EXPECT_EQ(note.Look().label, nullptr);
}

TEST(LeaseNoteTest, AWishIsForOneUse) {
  LeaseNote note;
  EXPECT_FALSE(note.stopped());
  note.Begin({"a.cc", 1}, nullptr);
  const std::uint64_t first = note.Look().lease;
  EXPECT_FALSE(note.stopped());
  note.Stop(first);
  EXPECT_TRUE(note.stopped());
  EXPECT_TRUE(note.IsStopped(first));
  note.End();
  EXPECT_FALSE(note.stopped());
  note.Begin({"a.cc", 1}, nullptr);
  EXPECT_FALSE(note.stopped());
  note.Stop(first);
  EXPECT_FALSE(note.stopped()) << "it came late";
}

// What is looked at belongs together, however fast uses follow each other.
TEST(LeaseNoteStressTest, AViewIsOfOneUse) {
  static const char* const kFiles[] = {"0", "1", "2", "3", "4", "5", "6", "7"};
  LeaseNote note;
  std::atomic<bool> done{false};
  std::thread looker([&] {
    while (!done) {
      const LeaseNote::View view = note.Look();
      if (!view.leased()) continue;
      const auto use = static_cast<int>((view.lease - 1) / 2);
      ASSERT_EQ(view.site.line, use);
      ASSERT_EQ(view.site.file, kFiles[use % 8]);
      ASSERT_EQ(view.label, kFiles[use % 7]);
    }
  });
  for (int use = 0; use < 200'000; ++use) {
    note.Begin({kFiles[use % 8], use}, kFiles[use % 7]);
    note.End();
  }
  done = true;
  looker.join();
}

}  // namespace
}  // namespace vouch::storage
