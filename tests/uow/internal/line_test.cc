#include "uow/internal/line.h"

#include <stop_token>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vouch::uow {
namespace {

using Event = Line::Event;
constexpr Line::TimePoint kNever = Line::TimePoint::max();

// Waits until `count` places are in line.
void AwaitWaiting(const Line& line, std::size_t count) {
  while (line.waiting() != count) std::this_thread::yield();
}

TEST(LineTest, TheFirstHasTheTurnAtOnce) {
  Line line;
  Line::Place place;
  EXPECT_EQ(line.Enter(place, kNever, {}), Event::kTurn);
  EXPECT_EQ(line.TakeNext(), nullptr);
  line.HandOn(place);
  EXPECT_EQ(line.Enter(place, kNever, {}), Event::kTurn) << "it was given back";
  line.HandOn(place);
}

TEST(LineTest, TheTurnGoesRoundInOrder) {
  Line line;
  Line::Place first;
  ASSERT_EQ(line.Enter(first, kNever, {}), Event::kTurn);
  std::vector<int> order;  // Written by who has the turn.
  std::vector<std::jthread> threads;
  for (int i = 0; i < 5; ++i) {
    threads.emplace_back([&, i] {
      Line::Place place;
      ASSERT_EQ(line.Enter(place, kNever, {}), Event::kTurn);
      order.push_back(i);
      line.HandOn(place);
    });
    AwaitWaiting(line, static_cast<std::size_t>(i) + 1);
  }
  line.HandOn(first);
  threads.clear();
  EXPECT_THAT(order, testing::ElementsAre(0, 1, 2, 3, 4));
}

TEST(LineTest, WhoHasHandedOnIsTold) {
  Line line;
  Line::Place first;
  ASSERT_EQ(line.Enter(first, kNever, {}), Event::kTurn);
  std::thread second([&] {
    Line::Place place;
    ASSERT_EQ(line.Enter(place, kNever, {}), Event::kTurn);
    line.Tell(first);
    line.HandOn(place);
  });
  AwaitWaiting(line, 1);
  line.HandTo(first, *line.TakeNext());
  EXPECT_EQ(line.Await(first, kNever), Event::kTold);
  second.join();
}

TEST(LineTest, OneTakenOutOfTheLineIsToldThere) {
  Line line;
  Line::Place first;
  ASSERT_EQ(line.Enter(first, kNever, {}), Event::kTurn);
  std::stop_source stop;
  std::thread second([&] {
    Line::Place place;
    // Neither its token nor a deadline ends its waiting once it is taken.
    EXPECT_EQ(line.Enter(place, kNever, stop.get_token()), Event::kTold);
  });
  AwaitWaiting(line, 1);
  Line::Place* const taken = line.TakeNext();
  stop.request_stop();
  line.Tell(*taken);
  second.join();
  line.HandOn(first);
}

TEST(LineTest, ThosePutBackComeFirstInTheirOrder) {
  Line line;
  std::vector<int> order;
  Line::Place first;
  ASSERT_EQ(line.Enter(first, kNever, {}), Event::kTurn);
  std::vector<Line::Place*> parked;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      Line::Place place;
      ASSERT_EQ(line.Enter(place, kNever, {}), Event::kTurn);
      order.push_back(i);
      line.HandOn(place);
    });
    AwaitWaiting(line, static_cast<std::size_t>(i) + 1);
  }
  parked = {line.TakeNext(), line.TakeNext()};
  line.PutBack(parked);
  EXPECT_EQ(line.waiting(), 4u);
  parked = {&first};
  line.PutBack(parked);
  line.HandOn(first);
  EXPECT_EQ(line.Await(first, kNever), Event::kTurn) << "it was put back in front";
  line.HandOn(first);
  threads.clear();
  EXPECT_THAT(order, testing::ElementsAre(0, 1, 2, 3));
}

TEST(LineTest, WaitingEndsAtTheDeadline) {
  Line line;
  Line::Place first;
  ASSERT_EQ(line.Enter(first, kNever, {}), Event::kTurn);
  Line::Place second;
  EXPECT_EQ(line.Enter(second, std::chrono::steady_clock::now() + std::chrono::milliseconds(2), {}),
            Event::kDeadline);
  EXPECT_EQ(line.waiting(), 0u);
  line.HandOn(first);
  EXPECT_EQ(line.Enter(second, kNever, {}), Event::kTurn) << "a place may be used again";
  line.HandOn(second);
}

TEST(LineTest, WaitingEndsWhenItIsCancelled) {
  Line line;
  Line::Place first;
  ASSERT_EQ(line.Enter(first, kNever, {}), Event::kTurn);
  std::stop_source stop;
  std::thread second([&] {
    Line::Place place;
    EXPECT_EQ(line.Enter(place, kNever, stop.get_token()), Event::kCancelled);
  });
  AwaitWaiting(line, 1);
  stop.request_stop();
  second.join();
  EXPECT_EQ(line.waiting(), 0u);
  Line::Place third;
  EXPECT_EQ(line.Enter(third, kNever, stop.get_token()), Event::kCancelled) << "requested before";
  line.HandOn(first);
}

// One that has run waits for its neighbours, whatever its token says.
TEST(LineTest, OnePutBackStaysWhenItIsCancelled) {
  Line line;
  Line::Place first;
  ASSERT_EQ(line.Enter(first, kNever, {}), Event::kTurn);
  std::stop_source stop;
  std::thread second([&] {
    Line::Place place;
    EXPECT_EQ(line.Enter(place, kNever, stop.get_token()), Event::kTurn);
    line.HandOn(place);
  });
  AwaitWaiting(line, 1);
  std::vector<Line::Place*> taken = {line.TakeNext()};
  line.PutBack(taken);
  stop.request_stop();
  EXPECT_EQ(line.waiting(), 1u);
  line.HandOn(first);
  second.join();
}

}  // namespace
}  // namespace vouch::uow
