#include "pool/internal/wait_queue.h"

#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "pool/internal/platform.h"

namespace vouch::pool::pool_internal {
namespace {

using Queue = WaitQueue<SystemPlatform>;
using Event = Queue::Event;

// A waiter driven by hand.
Queue::Ticket Enter(Queue& queue, int64_t now = 0) {
  Queue::Ticket ticket = 0;
  EXPECT_TRUE(queue.Enqueue(&ticket));
  EXPECT_TRUE(queue.Publish(ticket, {.since = now, .thread = 0, .listener = nullptr}));
  return ticket;
}

bool Grant(Queue& queue, uint32_t grant) {
  const Queue::Oldest oldest = queue.Look();
  return oldest.any && queue.Grant(oldest, grant);
}

TEST(WaitQueueTest, BeginsEmpty) {
  Queue queue(4);
  EXPECT_FALSE(queue.Look().any);
}

TEST(WaitQueueTest, ServesInOrder) {
  Queue queue(64);
  const auto a = Enter(queue, 5), b = Enter(queue, 6);
  EXPECT_EQ(queue.Look().since, 5);
  EXPECT_TRUE(Grant(queue, 11));
  EXPECT_EQ(queue.Look().since, 6);
  EXPECT_TRUE(Grant(queue, 12));
  EXPECT_FALSE(queue.Look().any);
  EXPECT_EQ(queue.Await(b, kForever), Event::kGranted);
  EXPECT_EQ(queue.TakeGrant(b), 12u);
  EXPECT_EQ(queue.Await(a, kForever), Event::kGranted);
  EXPECT_EQ(queue.TakeGrant(a), 11u);
}

TEST(WaitQueueTest, GrantsToAWaiterThatHasItsTicketOnly) {
  Queue queue(64);
  Queue::Ticket ticket = 0;
  ASSERT_TRUE(queue.Enqueue(&ticket));
  EXPECT_TRUE(queue.Look().any);
  EXPECT_FALSE(queue.Look().published);
  EXPECT_TRUE(Grant(queue, 3));
  EXPECT_FALSE(queue.Publish(ticket, {}));
  EXPECT_EQ(queue.TakeGrant(ticket), 3u);
}

TEST(WaitQueueTest, TimesOutAndLeaves) {
  Queue queue(64);
  const auto ticket = Enter(queue);
  EXPECT_EQ(queue.Await(ticket, SystemPlatform::Now()), Event::kTimedOut);
  EXPECT_TRUE(queue.Cancel(ticket));
  EXPECT_FALSE(queue.Look().any);
}

TEST(WaitQueueTest, AGrantBeatsALateCancel) {
  Queue queue(64);
  const auto ticket = Enter(queue);
  EXPECT_TRUE(Grant(queue, 7));
  EXPECT_FALSE(queue.Cancel(ticket));
  EXPECT_EQ(queue.TakeGrant(ticket), 7u);
}

TEST(WaitQueueTest, ACancelBeatsALateGrant) {
  Queue queue(64);
  const auto ticket = Enter(queue);
  const Queue::Oldest oldest = queue.Look();
  EXPECT_TRUE(queue.Cancel(ticket));
  EXPECT_FALSE(queue.Grant(oldest, 7));
  EXPECT_FALSE(queue.Wake(oldest));
}

TEST(WaitQueueTest, WakesAndRests) {
  Queue queue(64);
  const auto ticket = Enter(queue);
  const Queue::Oldest asleep = queue.Look();
  EXPECT_FALSE(asleep.woken);
  EXPECT_TRUE(queue.Wake(asleep));
  EXPECT_TRUE(queue.Look().woken);
  EXPECT_EQ(queue.Await(ticket, kForever), Event::kWoken);
  EXPECT_TRUE(queue.Rest(ticket));
  EXPECT_FALSE(queue.Look().woken);
  EXPECT_TRUE(queue.Wake(queue.Look()));
  EXPECT_TRUE(Grant(queue, 1));  // a woken waiter may be granted
  EXPECT_FALSE(queue.Rest(ticket));
  EXPECT_EQ(queue.TakeGrant(ticket), 1u);
}

TEST(WaitQueueTest, PassesOverWhoHasLeft) {
  Queue queue(64);
  const auto a = Enter(queue, 1), b = Enter(queue, 2), c = Enter(queue, 3);
  EXPECT_TRUE(queue.Cancel(b));
  EXPECT_EQ(queue.Look().ticket, a);
  EXPECT_TRUE(queue.Cancel(a));
  EXPECT_EQ(queue.Look().ticket, c);
}

// A place is free again for the next round as soon as its waiter and everybody before it is gone.
TEST(WaitQueueTest, PlacesAreUsedAgain) {
  Queue queue(64);
  ASSERT_EQ(queue.capacity(), 64u);
  for (int round = 0; round < 5; ++round) {
    std::vector<Queue::Ticket> tickets;
    for (uint32_t i = 0; i < 64; ++i) tickets.push_back(Enter(queue));
    Queue::Ticket refused = 0;
    EXPECT_FALSE(queue.Enqueue(&refused));
    for (uint32_t i = 0; i < 64; ++i) {
      if (i % 3 == 0) {
        EXPECT_TRUE(queue.Cancel(tickets[i]));
      } else {
        EXPECT_TRUE(Grant(queue, i));
        EXPECT_EQ(queue.TakeGrant(tickets[i]), i);
      }
    }
    EXPECT_FALSE(queue.Look().any);
  }
}

TEST(WaitQueueTest, AGrantNotTakenYetKeepsItsCell) {
  Queue queue(64);
  const auto slow = Enter(queue);
  EXPECT_TRUE(Grant(queue, 9));
  for (int i = 0; i < 63; ++i) {
    const auto ticket = Enter(queue);
    EXPECT_TRUE(queue.Cancel(ticket));
  }
  Queue::Ticket refused = 0;
  EXPECT_FALSE(queue.Enqueue(&refused));  // its cell would be the slow one's
  EXPECT_EQ(queue.TakeGrant(slow), 9u);
  EXPECT_TRUE(queue.Enqueue(&refused));
}

TEST(WaitQueueTest, TenThousandWaiters) {
  constexpr uint32_t kWaiters = 10'000;
  Queue queue(kWaiters);
  std::vector<Queue::Ticket> tickets;
  for (uint32_t i = 0; i < kWaiters; ++i) tickets.push_back(Enter(queue, i));
  // Every other one leaves, from the back so that nobody can be passed early.
  for (uint32_t i = kWaiters; i-- > 0;) {
    if (i % 2 == 1) {
      EXPECT_TRUE(queue.Cancel(tickets[i]));
    }
  }
  for (uint32_t i = 0; i < kWaiters; i += 2) {
    ASSERT_EQ(queue.Look().since, i);
    ASSERT_TRUE(Grant(queue, i % 4096));
    ASSERT_EQ(queue.TakeGrant(tickets[i]), i % 4096);
  }
  EXPECT_FALSE(queue.Look().any);
}

TEST(WaitQueueTest, WakesASleepingThread) {
  Queue queue(4);
  Queue::Ticket ticket = Enter(queue);
  std::thread waiter([&] {
    EXPECT_EQ(queue.Await(ticket, kForever), Event::kGranted);
    EXPECT_EQ(queue.TakeGrant(ticket), 2u);
  });
  EXPECT_TRUE(Grant(queue, 2));
  waiter.join();
}

}  // namespace
}  // namespace vouch::pool::pool_internal
