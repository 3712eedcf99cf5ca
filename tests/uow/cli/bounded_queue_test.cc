#include "uow/cli/bounded_queue.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vouch::cli {
namespace {

TEST(BoundedQueueTest, IsFirstInFirstOut) {
  BoundedQueue<int> queue(3);
  for (const int item : {1, 2, 3}) EXPECT_TRUE(queue.Push(item));
  queue.Close();
  EXPECT_FALSE(queue.Push(4));
  for (const int item : {1, 2, 3}) EXPECT_EQ(queue.Pop(), item);
  EXPECT_EQ(queue.Pop(), std::nullopt);
}

TEST(BoundedQueueTest, AbortDropsWhatIsInsideAndFreesWhoWaits) {
  BoundedQueue<int> queue(1);
  EXPECT_TRUE(queue.Push(1));
  std::thread producer([&] { EXPECT_FALSE(queue.Push(2)); });
  queue.Abort();
  producer.join();
  EXPECT_EQ(queue.Pop(), std::nullopt);
}

TEST(BoundedQueueStressTest, EveryItemIsPoppedOnce) {
  constexpr int kItems = 20'000;
  BoundedQueue<int> queue(4);
  std::vector<std::vector<int>> popped(4);
  std::vector<std::thread> threads;
  for (auto& mine : popped) {
    threads.emplace_back([&] {
      while (const auto item = queue.Pop()) mine.push_back(*item);
    });
  }
  std::vector<std::thread> producers;
  for (int p = 0; p < 2; ++p) {
    producers.emplace_back([&, p] {
      for (int i = p; i < kItems; i += 2) EXPECT_TRUE(queue.Push(i));
    });
  }
  for (auto& producer : producers) producer.join();
  queue.Close();
  for (auto& thread : threads) thread.join();
  std::vector<int> all;
  for (const auto& mine : popped) all.insert(all.end(), mine.begin(), mine.end());
  std::sort(all.begin(), all.end());
  std::vector<int> expected(kItems);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(all, expected);
}

}  // namespace
}  // namespace vouch::cli
