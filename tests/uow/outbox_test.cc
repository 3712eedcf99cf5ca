// The outbox: what is delivered, in which order, how often, and what happens when it is not.
// What a killed dispatcher leaves is in outbox_crash_test.cc.

#include "uow/outbox.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/fake_clock.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"
#include "uow/audit.h"
#include "uow/internal/outbox_table.h"
#include "uow/receipt.h"

namespace vouch::uow {
namespace {

using test::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using uow_internal::Judge;
using uow_internal::Settlement;

const RetryOptions kThreeAttempts{.max_retries = 2,
                                  .first_delay = absl::Seconds(1),
                                  .max_delay = absl::Seconds(90),
                                  .jitter = 0.0};

TEST(OutboxJudgeTest, AMessageIsDeliveredTriedAgainOrDead) {
  const absl::Time now = absl::FromUnixSeconds(1'790'000'000);
  OutboxDelivery message{.id = 7};
  EXPECT_EQ(Judge(message, absl::OkStatus(), kThreeAttempts, now, 0).kind,
            Settlement::Kind::kDelivered);
  const absl::Status error = absl::InvalidArgumentError("broken");
  for (const auto& [attempt, delay] : std::map<int, int>{{1, 1}, {2, 2}}) {
    message.attempt = attempt;
    const Settlement again = Judge(message, error, kThreeAttempts, now, 0);
    EXPECT_EQ(again.kind, Settlement::Kind::kRetry);
    EXPECT_EQ(again.id, 7);
    EXPECT_EQ(again.retry_at, now + absl::Seconds(delay));
    EXPECT_THAT(again.error, HasSubstr("broken"));
  }
  message.attempt = 3;
  EXPECT_EQ(Judge(message, error, kThreeAttempts, now, 0).kind, Settlement::Kind::kDead);
}

class OutboxTest : public ::testing::Test {
 protected:
  OutboxTest() {
    engine_ = Open();
    outbox_ = std::make_unique<Outbox>(*engine_, Options());
  }

  std::unique_ptr<Engine> Open() {
    auto set = storage::MigrationSet::FromSql(
        "app", {{.version = 1, .name = "t", .up = "CREATE TABLE t(id INTEGER PRIMARY KEY)"}});
    auto engine = Engine::Open({.path = path_, .migrations = {*set}, .wall_clock = &wall_});
    EXPECT_OK(engine);
    return *std::move(engine);
  }

  static OutboxOptions Options() {
    return {.batch = 4, .lease = absl::Seconds(60), .retry = kThreeAttempts};
  }

  Receipt Enqueue(std::vector<OutboxMessage> messages) {
    auto receipt = engine_->Run({}, [&](UnitOfWork& unit) -> absl::Status {
      for (const OutboxMessage& message : messages) {
        VOUCH_RETURN_IF_ERROR(Outbox::Enqueue(unit, message));
      }
      return absl::OkStatus();
    });
    EXPECT_OK(receipt);
    return receipt.ok() ? *receipt : Receipt();
  }
  void Enqueue(const std::string& topic, const std::string& payload) {
    Enqueue({{.topic = topic, .payload = payload}});
  }

  OutboxResult Dispatch(absl::FunctionRef<absl::Status(const OutboxDelivery&)> handler) {
    auto result = outbox_->DispatchOnce(handler);
    EXPECT_OK(result);
    return result.value_or(OutboxResult());
  }
  // The payloads that come until nothing is due.
  std::vector<std::string> Drain() {
    std::vector<std::string> payloads;
    while (Dispatch([&](const OutboxDelivery& message) {
             payloads.push_back(message.payload);
             return absl::OkStatus();
           }).delivered > 0) {
    }
    return payloads;
  }
  // Past what vouch forbids.
  void ExecuteBehind(const std::string& sql) {
    auto other = storage::SqliteConnection::Open({.path = path_});
    ASSERT_OK(other);
    ASSERT_OK((*other)->Execute(sql));
  }

  const test::TemporaryDirectory directory_;
  const std::string path_ = directory_.File("a.db");
  test::FakeWallClock wall_{absl::FromUnixMillis(1'790'000'000'123)};
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Outbox> outbox_;
};

TEST_F(OutboxTest, ACommittedMessageComesWithItsReceipt) {
  const std::string bytes("\0\xff", 2);
  const Receipt receipt = Enqueue({{.topic = "a", .key = "k", .payload = bytes},
                                   {.topic = "b", .payload = "", .headers = {{"h", "é\n"}}}});
  std::vector<OutboxDelivery> messages;
  const OutboxResult result = Dispatch([&](const OutboxDelivery& message) {
    messages.push_back(message);
    return absl::OkStatus();
  });
  EXPECT_EQ(result.delivered, 2);
  ASSERT_THAT(messages, SizeIs(2));
  EXPECT_EQ(messages[0].topic, "a");
  EXPECT_EQ(messages[0].key, "k");
  EXPECT_EQ(messages[0].payload, bytes);
  EXPECT_EQ(messages[0].uow_id, receipt.uow_id);
  EXPECT_EQ(messages[0].seq, receipt.seq);
  EXPECT_EQ(messages[0].receipt_hash, receipt.hash);
  EXPECT_EQ(messages[0].DeduplicationKey(), storage::HexOf(receipt.hash) + "/0");
  EXPECT_EQ(messages[1].headers, (std::map<std::string, std::string>{{"h", "é\n"}}));
  EXPECT_EQ(messages[1].DeduplicationKey(), storage::HexOf(receipt.hash) + "/1");
  EXPECT_THAT(Drain(), IsEmpty());
  ASSERT_OK_AND_ASSIGN(const Outbox::Backlog backlog, outbox_->CountBacklog());
  EXPECT_EQ(backlog.waiting, 0);
}

TEST_F(OutboxTest, WhatIsNotCommittedIsNotDelivered) {
  EXPECT_FALSE(engine_
                   ->Run({},
                         [](UnitOfWork& unit) -> absl::Status {
                           VOUCH_RETURN_IF_ERROR(
                               Outbox::Enqueue(unit, {.topic = "t", .payload = "no"}));
                           return absl::NotFoundError("changed its mind");
                         })
                   .ok());
  ASSERT_OK(engine_->Run({}, [](UnitOfWork& unit) -> absl::Status {
    VOUCH_RETURN_IF_ERROR(Outbox::Enqueue(unit, {.topic = "t", .payload = "1"}));
    {
      VOUCH_ASSIGN_OR_RETURN(storage::Savepoint savepoint, unit.BeginSavepoint());
      VOUCH_RETURN_IF_ERROR(Outbox::Enqueue(unit, {.topic = "t", .payload = "undone"}));
      VOUCH_RETURN_IF_ERROR(savepoint.Rollback());
    }
    return Outbox::Enqueue(unit, {.topic = "t", .payload = "2"});
  }));
  {
    ASSERT_OK_AND_ASSIGN(InteractiveUnit open, engine_->Begin({}));
    ASSERT_OK(Outbox::Enqueue(*open, {.topic = "t", .payload = "open"}));
  }
  EXPECT_THAT(Drain(), ElementsAre("1", "2"));
}

TEST_F(OutboxTest, AStreamIsInOrderAndStreamsTakeTurns) {
  for (int i = 0; i < 6; ++i) Enqueue("a", absl::StrCat("a", i));
  for (int i = 0; i < 2; ++i)
    Enqueue({{.topic = "b", .key = "1", .payload = absl::StrCat("b", i)}});
  Enqueue("c", "c0");
  // Batches of four.
  EXPECT_THAT(Drain(), ElementsAre("a0", "a1", "a2", "a3", "b0", "b1", "c0", "a4", "a5"));
}

TEST_F(OutboxTest, AFailedMessageHoldsUpItsStreamOnly) {
  Enqueue("a", "a0");
  Enqueue("a", "a1");
  Enqueue("b", "b0");
  std::vector<std::string> tried;
  const auto refuse_a0 = [&](const OutboxDelivery& message) {
    tried.push_back(absl::StrCat(message.payload, " ", message.attempt));
    return message.payload == "a0" ? absl::UnavailableError("later") : absl::OkStatus();
  };
  OutboxResult result = Dispatch(refuse_a0);
  EXPECT_THAT(tried, ElementsAre("a0 1", "b0 1"));
  EXPECT_EQ(result.failed, 1);
  EXPECT_EQ(result.released, 1);
  EXPECT_EQ(result.delivered, 1);
  tried.clear();
  wall_.Advance(absl::Milliseconds(999));
  Dispatch(refuse_a0);
  EXPECT_THAT(tried, IsEmpty());
  wall_.Advance(absl::Milliseconds(1));
  Dispatch(refuse_a0);
  EXPECT_THAT(tried, ElementsAre("a0 2"));
  tried.clear();
  wall_.Advance(absl::Seconds(2));
  result = Dispatch(refuse_a0);
  EXPECT_EQ(result.died, 1);
  // A dead one holds nothing up, and what waited behind it has lost no attempt.
  EXPECT_THAT(tried, ElementsAre("a0 3", "a1 1"));
}

TEST_F(OutboxTest, DeadMessagesAreListedQueuedAgainAndDiscarded) {
  Enqueue(
      {{.topic = "a", .payload = "x", .headers = {{"h", "1"}}}, {.topic = "a", .payload = "y"}});
  const auto fail = [](const OutboxDelivery&) -> absl::Status {
    throw std::runtime_error("no broker");
  };
  for (int attempt = 0; attempt < 6; ++attempt) {
    Dispatch(fail);
    wall_.Advance(absl::Hours(1));
  }
  ASSERT_OK_AND_ASSIGN(const std::vector<DeadLetter> dead, outbox_->ListDead(10));
  ASSERT_THAT(dead, SizeIs(2));
  EXPECT_EQ(dead[0].message.payload, "x");
  EXPECT_EQ(dead[0].message.headers.at("h"), "1");
  EXPECT_EQ(dead[0].message.attempt, 3);
  EXPECT_THAT(dead[0].last_error, HasSubstr("no broker"));
  EXPECT_THAT(dead[0].since, HasSubstr("T"));
  EXPECT_THAT(*outbox_->ListDead(1), SizeIs(1));
  EXPECT_EQ(outbox_->ListDead(10, dead[0].message.id)->at(0).message.payload, "y");
  EXPECT_EQ(outbox_->CountBacklog()->dead, 2);

  ASSERT_OK(outbox_->Requeue(dead[0].message.id));
  ASSERT_OK(outbox_->Discard(dead[1].message.id));
  EXPECT_THAT(outbox_->Requeue(dead[0].message.id), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(outbox_->Discard(dead[0].message.id), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Drain(), ElementsAre("x"));
}

TEST_F(OutboxTest, WhatOneDispatcherHasClaimedAnotherLeavesAlone) {
  Outbox second(*engine_, Options());
  Enqueue("a", "a0");
  Enqueue("a", "a1");
  for (int i = 0; i < 5; ++i) Enqueue("b", absl::StrCat("b", i));
  std::vector<std::string> theirs;
  const auto collect = [&](const OutboxDelivery& message) {
    theirs.push_back(message.payload);
    return absl::OkStatus();
  };
  // A claim of four: a0, a1, b0, b1.
  const OutboxResult result = Dispatch([&](const OutboxDelivery& message) {
    if (message.payload == "a0") {
      EXPECT_OK(second.DispatchOnce(collect));
      EXPECT_THAT(theirs, IsEmpty()) << "b2 came before b0";
    }
    return absl::OkStatus();
  });
  EXPECT_EQ(result.delivered, 4);
  EXPECT_OK(second.DispatchOnce(collect));
  EXPECT_THAT(theirs, ElementsAre("b2", "b3", "b4"));
}

TEST_F(OutboxTest, AClaimRunsOutAndIsNobodysAfterwards) {
  Outbox second(*engine_, Options());
  Enqueue("a", "a0");
  Enqueue("a", "a1");
  std::vector<std::string> theirs;
  const OutboxResult late = Dispatch([&](const OutboxDelivery& message) {
    EXPECT_EQ(message.payload, "a0") << "handed over after its claim had run out";
    wall_.Advance(absl::Seconds(60));
    EXPECT_OK(second.DispatchOnce([&](const OutboxDelivery& again) {
      theirs.push_back(absl::StrCat(again.payload, " ", again.attempt));
      return absl::UnavailableError("not now");
    }));
    return absl::OkStatus();
  });
  // Claimed alone, because its dispatcher may have died of it. The second's failure stands.
  EXPECT_THAT(theirs, ElementsAre("a0 2"));
  EXPECT_EQ(late.overtaken, 1);
  EXPECT_EQ(late.delivered, 0);
  EXPECT_EQ(late.released, 1);
  wall_.Advance(absl::Seconds(2));
  EXPECT_THAT(Drain(), ElementsAre("a0", "a1"));
}

TEST_F(OutboxTest, AMessageThatEndsItsDispatchersIsDeadInTheEnd) {
  for (int i = 0; i < 3; ++i) Enqueue(absl::StrCat("topic", i), absl::StrCat("m", i));
  // Claims as a dispatcher that is killed does: without anything after.
  const auto claim_and_die = [&](int number) {
    auto connection = storage::SqliteConnection::Open({.path = path_});
    EXPECT_OK(connection);
    auto transaction = storage::Transaction::Begin(**connection, storage::TransactionMode::kWrite);
    EXPECT_OK(transaction);
    uow_internal::Stream last;
    auto claim = uow_internal::ClaimDue(**connection,
                                        {.now = wall_.Now(),
                                         .until = wall_.Now() + absl::Seconds(60),
                                         .token = absl::StrCat("dead", number),
                                         .batch = 4,
                                         .max_attempts = 3},
                                        last);
    EXPECT_OK(claim);
    EXPECT_OK(transaction->Commit());
    std::vector<std::string> payloads;
    for (const OutboxDelivery& message : claim->deliveries) payloads.push_back(message.payload);
    wall_.Advance(absl::Seconds(60));
    return payloads;
  };
  EXPECT_THAT(claim_and_die(1), ElementsAre("m0", "m1", "m2"));
  // From now on each alone: m0, which kills, uses up its own attempts.
  EXPECT_THAT(claim_and_die(2), ElementsAre("m0"));
  EXPECT_THAT(claim_and_die(3), ElementsAre("m0"));
  EXPECT_THAT(Drain(), ElementsAre("m1", "m2"));
  EXPECT_THAT(outbox_->ListDead(10)->at(0).last_error, HasSubstr("did not end"));
}

TEST_F(OutboxTest, AMessageWithoutACommittedUnitIsDead) {
  Enqueue("a", "a0");
  ExecuteBehind(
      "INSERT INTO uow_outbox(uow_id, ordinal, topic, payload) VALUES"
      " ('01KAJ000000000000000000001', 0, 'a', x'00')");
  ExecuteBehind(
      "INSERT INTO uow_outbox(uow_id, ordinal, topic, payload, headers) SELECT uow_id, 9, 'b',"
      " x'00', '[]' FROM unit_of_work");
  EXPECT_THAT(Drain(), ElementsAre("a0"));
  ASSERT_OK_AND_ASSIGN(const std::vector<DeadLetter> dead, outbox_->ListDead(10));
  ASSERT_THAT(dead, SizeIs(2));
  EXPECT_THAT(dead[0].last_error, HasSubstr("no committed unit"));
  EXPECT_THAT(dead[1].last_error, HasSubstr("headers"));
}

TEST_F(OutboxTest, TheTableIsVouchsOwnAndInNoReceipt) {
  const Receipt receipt = Enqueue({{.topic = "a", .payload = "x"}});
  EXPECT_EQ(receipt.writes, 0);
  EXPECT_THAT(
      engine_->Run({}, [](UnitOfWork& unit) { return unit.Execute("DELETE FROM uow_outbox"); }),
      StatusIs(absl::StatusCode::kPermissionDenied));
  ASSERT_OK_AND_ASSIGN(auto reader, engine_->Read());
  ASSERT_OK_AND_ASSIGN(const AuditReport report, Audit(*reader, {}));
  EXPECT_TRUE(report.verified);
}

TEST_F(OutboxTest, AHandlerMayRunUnitsAndEnqueue) {
  Enqueue("a", "2");
  int calls = 0;
  while (Dispatch([&](const OutboxDelivery& message) {
           ++calls;
           const int left = std::stoi(message.payload) - 1;
           return left < 0 ? absl::OkStatus()
                           : engine_
                                 ->Run({},
                                       [&](UnitOfWork& unit) -> absl::Status {
                                         VOUCH_RETURN_IF_ERROR(
                                             unit.Execute("INSERT INTO t DEFAULT VALUES"));
                                         return Outbox::Enqueue(
                                             unit, {.topic = "b", .payload = absl::StrCat(left)});
                                       })
                                 .status();
         }).delivered > 0) {
  }
  EXPECT_EQ(calls, 3);
}

TEST_F(OutboxTest, WrongMessagesAndOptionsAreRefused) {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  ASSERT_OK_AND_ASSIGN(InteractiveUnit unit, engine_->Begin({}));
  EXPECT_THAT(Outbox::Enqueue(*unit, {.payload = "x"}), StatusIs(kInvalid));
  EXPECT_THAT(Outbox::Enqueue(*unit, {.topic = "t", .headers = {{"h", "\xff"}}}),
              StatusIs(kInvalid));
  EXPECT_THAT(OutboxOptions{.batch = 0}.Validate(), StatusIs(kInvalid));
  EXPECT_THAT(OutboxOptions{.lease = absl::ZeroDuration()}.Validate(), StatusIs(kInvalid));
  EXPECT_THAT(OutboxOptions{.poll_interval = absl::ZeroDuration()}.Validate(), StatusIs(kInvalid));
  EXPECT_THAT(OutboxOptions{.retry = {.max_retries = -1}}.Validate(), StatusIs(kInvalid));
  EXPECT_OK(OutboxOptions().Validate());
}

TEST_F(OutboxTest, TheThreadDeliversWhenItIsWokenAndStopsWhenItIsTold) {
  OutboxOptions options = Options();
  options.poll_interval = absl::Hours(1);
  Outbox outbox(*engine_, options);
  Enqueue("a", "before");
  std::promise<void> first;
  std::promise<void> second;
  ASSERT_OK(outbox.Start([&](const OutboxDelivery& message) {
    (message.payload == "before" ? first : second).set_value();
    return absl::OkStatus();
  }));
  EXPECT_THAT(outbox.Start([](const OutboxDelivery&) { return absl::OkStatus(); }),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  first.get_future().wait();
  Enqueue("a", "after");
  outbox.Wake();
  second.get_future().wait();
  outbox.Stop();
  outbox.Stop();
  Enqueue("a", "stopped");
  EXPECT_THAT(Drain(), ElementsAre("stopped"));
}

TEST_F(OutboxTest, StoppingReleasesWhatIsClaimed) {
  for (int i = 0; i < 4; ++i) Enqueue("a", absl::StrCat(i));
  std::stop_source source;
  const auto result = outbox_->DispatchOnce(
      [&](const OutboxDelivery&) {
        source.request_stop();
        return absl::OkStatus();
      },
      source.get_token());
  ASSERT_OK(result);
  EXPECT_EQ(result->delivered, 1);
  EXPECT_EQ(result->released, 3);
  EXPECT_THAT(Drain(), ElementsAre("1", "2", "3"));
}

TEST_F(OutboxTest, WhatIsDueIsFoundByTheIndex) {
  ASSERT_OK_AND_ASSIGN(auto connection, storage::SqliteConnection::Open({.path = path_}));
  ASSERT_OK_AND_ASSIGN(
      auto plan,
      connection->Prepare("EXPLAIN QUERY PLAN SELECT topic, ordering_key, not_before IS NULL OR"
                          " not_before <= ?3 FROM uow_outbox WHERE dead_since IS NULL"
                          " AND (topic, ordering_key) > (?1, ?2)"
                          " ORDER BY topic, ordering_key, id LIMIT 1"));
  std::string lines;
  ASSERT_OK(plan->ForEach([&](const storage::Row& row) { lines += row.Get<std::string>(3); }));
  EXPECT_THAT(lines, testing::StartsWith("SEARCH uow_outbox USING INDEX idx_uow_outbox_stream"));
  EXPECT_THAT(lines, testing::Not(HasSubstr("TEMP B-TREE")));
}

// Property: with any number of dispatchers and handlers that fail now and then, every message is
//   accepted, once, and those of one stream in the order of their units.
// Method: threads that enqueue, threads that dispatch, the system's clock and a lease that does not
//   run out.
// Failure: a message that is missing, came twice, or before one that was committed earlier.
class OutboxStressTest : public ::testing::Test {};

TEST_F(OutboxStressTest, DispatchersShareTheStreams) {
  constexpr int kProducers = 3;
  constexpr int kDispatchers = 3;
  constexpr int kUnits = 60;
  constexpr int kStreams = 5;
  test::Random random;
  const test::TemporaryDirectory directory;
  ASSERT_OK_AND_ASSIGN(auto engine, Engine::Open({.path = directory.File("a.db")}));

  std::mutex mutex;
  std::map<std::string, std::vector<std::int64_t>> accepted;  // By stream: the units' numbers.
  std::map<std::string, int> keys;
  std::atomic<int> left = kProducers * kUnits;
  std::vector<std::jthread> threads;
  for (int i = 0; i < kProducers; ++i) {
    threads.emplace_back([&, seed = random.Next()] {
      test::Random own(seed);
      for (int unit = 0; unit < kUnits; ++unit) {
        const std::string stream = absl::StrCat(own.Uniform(0, kStreams - 1));
        EXPECT_OK(engine->Run({.timeout = absl::InfiniteDuration()}, [&](UnitOfWork& work) {
          return Outbox::Enqueue(work, {.topic = "t", .key = stream, .payload = "x"});
        }));
      }
    });
  }
  for (int i = 0; i < kDispatchers; ++i) {
    threads.emplace_back([&, seed = random.Next()] {
      test::Random own(seed);
      Outbox outbox(*engine, {.batch = own.Uniform(1, 8),
                              .lease = absl::Hours(1),
                              .retry = {.max_retries = 1000,
                                        .first_delay = absl::Milliseconds(1),
                                        .max_delay = absl::Milliseconds(2)}});
      while (left > 0) {
        const auto result = outbox.DispatchOnce([&](const OutboxDelivery& message) {
          if (own.OneIn(5)) return absl::UnavailableError("now and then");
          const std::scoped_lock lock(mutex);
          accepted[message.key].push_back(message.seq);
          ++keys[message.DeduplicationKey()];
          --left;
          return absl::OkStatus();
        });
        EXPECT_OK(result);
        if (!result.ok()) return;
        EXPECT_EQ(result->overtaken, 0);
      }
    });
  }
  threads.clear();
  EXPECT_EQ(keys.size(), static_cast<std::size_t>(kProducers * kUnits));
  for (const auto& [key, times] : keys) EXPECT_EQ(times, 1) << key;
  for (const auto& [stream, units] : accepted) {
    EXPECT_TRUE(std::is_sorted(units.begin(), units.end())) << "stream " << stream;
  }
}

}  // namespace
}  // namespace vouch::uow
