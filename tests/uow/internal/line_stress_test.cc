// Property: one thread at a time has the turn, nobody is forgotten, and everybody who parked is told
// exactly once, whatever mixture of deadlines, cancellations, hand-offs, take-overs and put-backs.
//
// Method: threads go round; who has the turn writes to plain memory (a race is ThreadSanitizer's to
// find) and decides by chance what to do next, as an engine's batches would. A batch is a vector
// that only who has the turn touches.
//
// Failure looks like a hang, a race, or a count that is off by one.

#include <atomic>
#include <latch>
#include <stop_token>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/random.h"
#include "uow/internal/line.h"

namespace vouch::uow {
namespace {

constexpr int kThreads = 8;
constexpr int kRounds = 2000;

struct Seat : Line::Place {
  int runs = 0;  // Of who has the turn.
};

struct Table {
  Line line;
  // Of who has the turn.
  std::vector<Line::Place*> batch;
  std::int64_t told = 0;
  std::int64_t turns = 0;
};

// The turn of `seat`; true: it is out.
bool UseTurn(Table& table, Seat& seat, test::Random& random) {
  ++table.turns;
  ++seat.runs;
  table.batch.push_back(&seat);
  if (random.OneIn(2)) std::this_thread::yield();  // Others come to wait meanwhile.
  while (table.batch.size() < 16) {
    Line::Place* const next = table.line.TakeNext();
    if (next == nullptr) break;
    if (random.OneIn(3)) {  // Run by this thread.
      ++table.turns;
      ++static_cast<Seat*>(next)->runs;
      table.batch.push_back(next);
      continue;
    }
    table.line.HandTo(seat, *next);
    return false;
  }
  if (random.OneIn(8) && seat.runs < 3) {  // The batch is undone.
    table.line.PutBack(table.batch);
    table.batch.clear();
    table.line.HandOn(seat);
    return false;
  }
  for (Line::Place* const place : table.batch) {
    ++table.told;
    if (place != &seat) table.line.Tell(*place);
  }
  table.batch.clear();
  table.line.HandOn(seat);
  return true;
}

TEST(LineStressTest, EverybodyIsServedOnce) {
  test::Random seeds;
  Table table;
  std::atomic<std::int64_t> served = 0;
  std::atomic<std::int64_t> gave_up = 0;
  {
    std::latch all(kThreads);
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, seed = seeds.Next()] {
        test::Random random(seed);
        all.arrive_and_wait();
        for (int round = 0; round < kRounds; ++round) {
          Seat seat;
          std::stop_source stop;
          if (random.OneIn(20)) stop.request_stop();
          const auto deadline =
              random.OneIn(10) ? std::chrono::steady_clock::now() + std::chrono::microseconds(50)
                               : Line::TimePoint::max();
          Line::Event event = table.line.Enter(seat, deadline, stop.get_token());
          if (event == Line::Event::kDeadline || event == Line::Event::kCancelled) {
            ++gave_up;
            continue;
          }
          while (event != Line::Event::kTold) {
            if (event == Line::Event::kTurn && UseTurn(table, seat, random)) break;
            event = table.line.Await(seat, Line::TimePoint::max());
          }
          ++served;
        }
      });
    }
  }
  EXPECT_EQ(served + gave_up, kThreads * kRounds);
  EXPECT_EQ(table.told, served);
  EXPECT_GE(table.turns, table.told);
  EXPECT_EQ(table.line.waiting(), 0u);
}

}  // namespace
}  // namespace vouch::uow
