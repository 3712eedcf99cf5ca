// Property: whatever moment a process is killed at, a message is delivered if and only if its unit
//   is committed: at least once, and the first time in the order of the units of its stream. A
//   message that was handed over and not yet acknowledged comes again, with the same key.
// Method: children that run units with messages and dispatch, and are killed: by their own handler
//   between delivery and acknowledgement, or by a thread at a random moment. What they deliver they
//   write to a file before the handler returns. Each lives an hour later than the one before, so
//   that every claim has run out. In the end the rows of the units and the deliveries must be the
//   same numbers.
// Failure: a number whose row is there and that was never delivered (lost), or the other way round.
//
// VOUCH_TEST_KILLS overrides how many are killed, VOUCH_TEST_SEED repeats a run.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/pool/forked_child.h"
#include "tests/support/fake_clock.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"
#include "uow/audit.h"
#include "uow/outbox.h"

namespace vouch::uow {
namespace {

using pool::InForkedChild;

constexpr int kStreams = 3;

struct Delivered {
  int number;
  std::string stream;
  std::string key;
};

class OutboxCrashTest : public ::testing::Test {
 protected:
  static int Kills() {
    const char* given = std::getenv("VOUCH_TEST_KILLS");
    return given != nullptr ? std::atoi(given) : 30;
  }

  absl::StatusOr<std::unique_ptr<Engine>> Open(test::FakeWallClock& wall) const {
    VOUCH_ASSIGN_OR_RETURN(
        auto set,
        storage::MigrationSet::FromSql(
            "app", {{.version = 1, .name = "t", .up = "CREATE TABLE t(id INTEGER PRIMARY KEY)"}}));
    return Engine::Open({.path = path_, .migrations = {set}, .wall_clock = &wall});
  }

  // A unit that stores `number` and leaves a message that says so.
  static absl::Status Store(Engine& engine, int number) {
    return engine
        .Run({},
             [&](UnitOfWork& unit) -> absl::Status {
               VOUCH_RETURN_IF_ERROR(unit.Execute("INSERT INTO t(id) VALUES (?1)", number));
               return Outbox::Enqueue(unit, {.topic = "t",
                                             .key = absl::StrCat(number % kStreams),
                                             .payload = absl::StrCat(number)});
             })
        .status();
  }

  // What a handler does: it cannot be undone.
  absl::Status Deliver(const OutboxDelivery& message) const {
    const int file = open(deliveries_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    const std::string line =
        absl::StrCat(message.payload, " ", message.key, " ", message.DeduplicationKey(), "\n");
    const bool written = write(file, line.data(), line.size()) == static_cast<ssize_t>(line.size());
    close(file);
    return written ? absl::OkStatus() : absl::InternalError("cannot deliver");
  }

  std::vector<Delivered> Deliveries() const {
    std::ifstream file(deliveries_);
    std::vector<Delivered> all;
    for (Delivered one; file >> one.number >> one.stream >> one.key;) all.push_back(one);
    return all;
  }

  static OutboxOptions Options() { return {.batch = 3, .retry = {.max_retries = 1'000'000}}; }

  test::FakeWallClock wall_{absl::FromUnixMillis(1'790'000'000'123)};
  const test::TemporaryDirectory directory_{test::FastParent()};
  const std::string path_ = directory_.File("a.db");
  const std::string deliveries_ = directory_.File("deliveries");
};

TEST_F(OutboxCrashTest, KilledBeforeTheAcknowledgementItComesAgain) {
  VOUCH_TEST_SKIP_UNLESS_FORKS();
  const std::string died = InForkedChild([&]() -> std::string {
    auto engine = Open(wall_);
    if (!engine.ok()) return engine.status().ToString();
    for (int number = 0; number < 6; number += kStreams) {
      if (const auto stored = Store(**engine, number); !stored.ok()) return stored.ToString();
    }
    (void)Outbox(**engine, Options()).DispatchOnce([&](const OutboxDelivery& message) {
      (void)Deliver(message);
      if (message.payload == "3") (void)raise(SIGKILL);
      return absl::OkStatus();
    });
    return "it lives";
  });
  ASSERT_EQ(died, "the child died of signal 9");
  ASSERT_EQ(Deliveries().size(), 2u);

  ASSERT_OK_AND_ASSIGN(auto engine, Open(wall_));
  Outbox outbox(*engine, Options());
  std::vector<std::string> again;
  const auto deliver = [&](const OutboxDelivery& message) {
    again.push_back(message.DeduplicationKey());
    return absl::OkStatus();
  };
  // Still claimed by the dead.
  ASSERT_OK(outbox.DispatchOnce(deliver));
  EXPECT_TRUE(again.empty());
  wall_.Advance(Options().lease);
  ASSERT_OK(outbox.DispatchOnce(deliver));
  ASSERT_OK(outbox.DispatchOnce(deliver));
  // Both, for neither was acknowledged, with the keys that they had.
  ASSERT_EQ(again.size(), 2u);
  EXPECT_EQ(again[0], Deliveries()[0].key);
  EXPECT_EQ(again[1], Deliveries()[1].key);
}

TEST_F(OutboxCrashTest, DeliversWhatIsCommittedWhateverIsKilled) {
  VOUCH_TEST_SKIP_UNLESS_FORKS();
  test::Random random;
  {
    ASSERT_OK_AND_ASSIGN(auto engine, Open(wall_));  // Makes the schema.
  }
  for (int kill = 0; kill < Kills(); ++kill) {
    SCOPED_TRACE(absl::StrCat("kill ", kill));
    wall_.Advance(absl::Hours(1));
    const std::uint64_t seed = random.Next();
    const std::string died = InForkedChild([&]() -> std::string {
      test::Random own(seed);
      const bool by_handler = own.OneIn(2);
      auto killer = by_handler ? std::jthread() : std::jthread([delay = own.Uniform(0, 60'000)] {
        std::this_thread::sleep_for(std::chrono::microseconds(delay));
        (void)::kill(getpid(), SIGKILL);
      });
      auto engine = Open(wall_);
      if (!engine.ok()) return engine.status().ToString();
      Outbox outbox(**engine, Options());
      for (int number = kill * 1'000;; ++number) {
        if (const auto stored = Store(**engine, number); !stored.ok()) return stored.ToString();
        if (!own.OneIn(3)) continue;
        const auto result = outbox.DispatchOnce([&](const OutboxDelivery& message) {
          const absl::Status delivered = Deliver(message);
          if (by_handler && own.OneIn(12)) (void)raise(SIGKILL);
          return delivered;
        });
        if (!result.ok()) return result.status().ToString();
      }
    });
    ASSERT_EQ(died, "the child died of signal 9");
  }

  wall_.Advance(absl::Hours(1));
  ASSERT_OK_AND_ASSIGN(auto engine, Open(wall_));
  Outbox outbox(*engine, Options());
  while (true) {
    ASSERT_OK_AND_ASSIGN(const OutboxResult result, outbox.DispatchOnce([&](const auto& message) {
      return Deliver(message);
    }));
    if (result.delivered + result.died == 0) break;
  }
  ASSERT_OK_AND_ASSIGN(const Outbox::Backlog backlog, outbox.CountBacklog());
  EXPECT_EQ(backlog.waiting, 0);
  EXPECT_EQ(backlog.dead, 0);

  std::set<int> stored;
  ASSERT_OK_AND_ASSIGN(auto reader, engine->Read());
  ASSERT_OK_AND_ASSIGN(auto query, reader->Prepare("SELECT id FROM t"));
  ASSERT_OK(query->ForEach([&](const storage::Row& row) { stored.insert(row.Get<int>(0)); }));
  std::map<int, std::string> keys;
  std::map<std::string, std::vector<int>> order;  // Of first deliveries, by stream.
  std::size_t repeated = 0;
  for (const Delivered& one : Deliveries()) {
    EXPECT_TRUE(stored.contains(one.number)) << one.number << " was delivered and never committed";
    if (keys.emplace(one.number, one.key).second) {
      order[one.stream].push_back(one.number);
    } else {
      ++repeated;
      EXPECT_EQ(keys[one.number], one.key) << one.number << " came again with another key";
    }
  }
  for (const int number : stored) {
    EXPECT_TRUE(keys.contains(number)) << number << " was committed and is lost";
  }
  for (const auto& [stream, numbers] : order) {
    EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end())) << "stream " << stream;
  }
  EXPECT_GT(stored.size(), 0u);
  RecordProperty("stored", static_cast<int>(stored.size()));
  RecordProperty("repeated", static_cast<int>(repeated));
  std::cout << stored.size() << " stored, " << repeated << " delivered more than once" << std::endl;

  ASSERT_OK_AND_ASSIGN(const AuditReport report, Audit(*reader, {}));
  EXPECT_TRUE(report.verified);
}

}  // namespace
}  // namespace vouch::uow
