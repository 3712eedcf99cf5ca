// Property: what is read back is what a map would have kept, in the order in which each key was first
// put by; and the memory taken does not grow with the entries.

#include "storage/sqlite/spill.h"

#include <sqlite3.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"

namespace vouch::storage {
namespace {

using Entry = std::pair<std::string, std::string>;  // First and last.

std::vector<std::pair<std::string, Entry>> Contents(Spill& spill) {
  std::vector<std::pair<std::string, Entry>> contents;
  EXPECT_OK(spill.ForEach([&](std::string_view key, std::string_view first, std::string_view last) {
    contents.emplace_back(key, Entry(first, last));
    return absl::OkStatus();
  }));
  return contents;
}

TEST(SpillTest, KeepsTheSmallestFirstAndTheGreatestLastOfEachKey) {
  ASSERT_OK_AND_ASSIGN(const auto spill, Spill::Open());
  EXPECT_TRUE(Contents(*spill).empty());
  test::Random random;
  std::map<std::string, Entry> model;
  // Every byte may be in a key, and a key may be empty.
  const auto bytes = [&](int most) {
    std::string text(static_cast<std::size_t>(random.Uniform(0, most)), '\0');
    for (char& c : text) c = static_cast<char>(random.Uniform(0, 255));
    return text;
  };
  for (int i = 0; i < 3'000; ++i) {
    const std::string key = bytes(2);
    const std::string number = {static_cast<char>(i >> 8), static_cast<char>(i)};
    const std::string first = number + bytes(3);
    const std::string last = number + bytes(3);
    ASSERT_OK(spill->Add(key, first, last));
    const auto [found, is_new] = model.try_emplace(key, first, last);
    if (!is_new) found->second.second = last;
  }
  ASSERT_LT(model.size(), 3'000u);
  std::map<std::string, std::string> by_first;
  for (const auto& [key, entry] : model) by_first[entry.first] = key;
  const auto contents = Contents(*spill);
  ASSERT_EQ(contents.size(), model.size());
  auto expected = by_first.begin();
  for (const auto& [key, entry] : contents) {
    ASSERT_EQ(key, expected->second);
    ASSERT_EQ(entry, model.at(key));
    ++expected;
  }
}

TEST(SpillTest, AnErrorOfTheVisitorEndsTheVisit) {
  ASSERT_OK_AND_ASSIGN(const auto spill, Spill::Open());
  ASSERT_OK(spill->Add("a", "1", "1"));
  ASSERT_OK(spill->Add("b", "2", "2"));
  int visits = 0;
  const absl::Status status = spill->ForEach([&](std::string_view, std::string_view, auto) {
    ++visits;
    return absl::CancelledError("enough");
  });
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_EQ(visits, 1);
}

// 150,000 entries of 150 bytes are 22 MiB.
TEST(SpillTest, TakesAsMuchMemoryForManyEntriesAsForFew) {
  ASSERT_OK_AND_ASSIGN(const auto spill, Spill::Open());
  const std::int64_t before = sqlite3_memory_used();
  ASSERT_GT(before, 0) << "SQLite has to count its memory";
  sqlite3_memory_highwater(/*resetFlag=*/1);
  const std::string state(60, 'x');
  constexpr int kEntries = 150'000;
  for (int i = 0; i < kEntries; ++i) {
    const std::string number = absl::StrCat(absl::Dec(i, absl::kZeroPad10));
    ASSERT_OK(
        spill->Add(absl::StrCat("table/", i * 7919 % kEntries), number + state, number + state));
  }
  int visits = 0;
  ASSERT_OK(spill->ForEach([&](std::string_view, std::string_view, std::string_view) {
    ++visits;
    return absl::OkStatus();
  }));
  EXPECT_EQ(visits, kEntries);
  EXPECT_LT(sqlite3_memory_highwater(0) - before, 8 << 20);
}

}  // namespace
}  // namespace vouch::storage
