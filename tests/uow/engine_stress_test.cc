// Property: whatever 64 threads do at once, the ledger is a chain without gaps, every unit is counted
// once as what it was, what was acknowledged is stored and nothing else is, and nobody is passed by
// one that came later.
//
// Method: threads run units against one table, alone, in company, on any thread and interactive; a
// quarter of them fail in every way a unit can. Each thread keeps its own account, and the sums are
// compared with the ledger, the table and the engine's counters at the end, and the ledger is
// audited. For the order, a unit holds the turn until all the others stand in line, one behind the
// other; who has been told comes again at once.
//
// The bound on waiting, in units: of those that Run, one that stands in line is overtaken by none,
// whatever fails; so it waits for the 63 before it, and each of those runs at most four times.
// (Interactive units queue for the writer itself, and come between batches.)
//
// Failure looks like a difference of one, a finding of the audit, or a unit out of its order.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <new>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/migrations/migration.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"
#include "uow/audit.h"
#include "uow/engine.h"

namespace vouch::uow {
namespace {

using absl::StatusCode;
using test::StatusIs;
using Function = std::function<absl::Status(UnitOfWork&)>;

constexpr int kThreads = 64;
constexpr int kSharedIds = 256;
constexpr std::int64_t kSharedRow = 1'000'000'000;
// A unit is put back at most three times for its neighbours' sake; the fourth time it is alone.
constexpr int kMostCalls = 4;

storage::MigrationSet Schema() {
  return *storage::MigrationSet::FromSql(
      "stress", {{.version = 1,
                  .name = "t",
                  .up = "CREATE TABLE t(id INTEGER PRIMARY KEY, x INTEGER,"
                        " parent INTEGER REFERENCES t(id) DEFERRABLE INITIALLY DEFERRED)"}});
}

absl::Status Insert(UnitOfWork& unit, std::int64_t row) {
  return unit.Execute("INSERT INTO t(id, x) VALUES (?1, 1)", row);
}

// The ways to fail of a unit that inserts `row`.
enum class Way { kConstraint, kOwnError, kException, kRollback, kForeignKey, kSavepoint };
constexpr int kWays = 6;

struct Failing {
  Function function;
  StatusCode code;
  bool at_its_wish = false;  // Rolled back, not failed.
};

// Room for a savepoint that a unit keeps. That is a mistake, and so would be to destroy it later, when
// another unit uses the connection: it never is.
struct KeptSavepoint {
  alignas(storage::Savepoint) std::byte room[sizeof(storage::Savepoint)];
};

Failing FailingUnit(Way way, std::int64_t row, KeptSavepoint& kept) {
  switch (way) {
    case Way::kConstraint:
      return {[row](UnitOfWork& unit) -> absl::Status {
                VOUCH_RETURN_IF_ERROR(Insert(unit, row));
                return Insert(unit, row);
              },
              StatusCode::kAlreadyExists};
    case Way::kOwnError:
      return {[row](UnitOfWork& unit) -> absl::Status {
                VOUCH_RETURN_IF_ERROR(Insert(unit, row));
                return absl::NotFoundError("changed my mind");
              },
              StatusCode::kNotFound, true};
    case Way::kException:
      return {[row](UnitOfWork& unit) -> absl::Status {
                EXPECT_OK(Insert(unit, row));
                throw std::runtime_error("");
              },
              StatusCode::kInternal, true};
    case Way::kRollback:
      return {[row](UnitOfWork& unit) -> absl::Status {
                VOUCH_RETURN_IF_ERROR(Insert(unit, row));
                return unit.Execute("INSERT OR ROLLBACK INTO t(id) VALUES (?1)", row);
              },
              StatusCode::kAlreadyExists};
    case Way::kForeignKey:
      return {[row](UnitOfWork& unit) {
                return unit.Execute("INSERT INTO t(id, parent) VALUES (?1, -1)", row);
              },
              StatusCode::kInvalidArgument};
    case Way::kSavepoint:
      return {[row, &kept](UnitOfWork& unit) -> absl::Status {
                VOUCH_ASSIGN_OR_RETURN(auto begun, unit.BeginSavepoint());
                new (kept.room) storage::Savepoint(std::move(begun));
                return Insert(unit, row);
              },
              StatusCode::kFailedPrecondition};
  }
  return {};
}

struct Account {
  int committed = 0;
  int failed = 0;
  int rolled_back = 0;
  std::vector<std::int64_t> rows;
};

class Worker {
 public:
  Worker(Engine& engine, std::uint64_t seed, const std::vector<std::string>& shared_ids, int number)
      : engine_(engine), random_(seed), shared_ids_(shared_ids), number_(number) {}

  void Run(int units) {
    for (int i = 0; i < units; ++i) {
      next_row_ = static_cast<std::int64_t>(number_) * 1'000'000 + i;
      switch (random_.Uniform(0, 39)) {
        case 0:
          Deadline();
          break;
        case 1:
          Stopped();
          break;
        case 2:
          Dropped();
          break;
        case 3:
          SwallowedRollback();
          break;
        case 10:
        case 11:
          Duplicate();
          break;
        case 12:
        case 13:
          SharedId();
          break;
        case 14:
          Kept();
          break;
        case 15:
          Read();
          break;
        case 4:
        case 5:
        case 6:
        case 7:
        case 8:
        case 9:
          Fail();
          break;
        default:
          Commit();
          break;
      }
    }
  }

  const Account& account() const { return account_; }

 private:
  RunOptions Options() { return {.alone = random_.OneIn(16), .any_thread = random_.OneIn(2)}; }
  absl::StatusOr<Receipt> RunUnit(const RunOptions& options, const Function& function) {
    int calls = 0;
    auto receipt = engine_.Run(options, [&](UnitOfWork& unit) {
      ++calls;
      return function(unit);
    });
    if (receipt.ok()) {
      EXPECT_LE(calls, kMostCalls * (receipt->retries + 1));
    }
    return receipt;
  }
  Function InsertOne() const {
    return [row = next_row_](UnitOfWork& unit) { return Insert(unit, row); };
  }
  void Committed(std::int64_t row) {
    ++account_.committed;
    account_.rows.push_back(row);
  }

  void Commit() {
    const auto receipt = RunUnit(Options(), InsertOne());
    ASSERT_OK(receipt);
    EXPECT_EQ(receipt->writes, 1);
    Committed(next_row_);
  }
  void Fail() {
    KeptSavepoint kept;
    const Failing unit =
        FailingUnit(static_cast<Way>(random_.Uniform(0, kWays - 1)), next_row_, kept);
    ++(unit.at_its_wish ? account_.rolled_back : account_.failed);
    if (unit.code == StatusCode::kInternal) {
      EXPECT_THROW((void)RunUnit(Options(), unit.function), std::runtime_error);
    } else {
      EXPECT_THAT(RunUnit(Options(), unit.function), StatusIs(unit.code));
    }
  }
  // The error that ended the transaction is not passed on: the engine notices, and tries again.
  void SwallowedRollback() {
    const auto receipt = RunUnit(Options(), [row = next_row_](UnitOfWork& unit) -> absl::Status {
      VOUCH_RETURN_IF_ERROR(Insert(unit, row));
      (void)unit.Execute("INSERT OR ROLLBACK INTO t(id) VALUES (?1)", row);
      return absl::OkStatus();
    });
    EXPECT_THAT(receipt, StatusIs(StatusCode::kAborted));
    ++account_.failed;
  }
  // Of no time at all, or of one that may end at any moment.
  void Deadline() {
    RunOptions options = Options();
    const bool at_once = random_.OneIn(2);
    options.timeout =
        at_once ? absl::ZeroDuration() : absl::Microseconds(random_.Uniform(1, 20'000));
    const auto receipt = RunUnit(options, InsertOne());
    if (receipt.ok() && !at_once) return Committed(next_row_);
    EXPECT_THAT(receipt, StatusIs(StatusCode::kDeadlineExceeded));
    ++account_.failed;
  }
  // Before it begins, by itself, or at any moment.
  void Stopped() {
    std::stop_source stop;
    RunOptions options = Options();
    options.stop = stop.get_token();
    const int when = random_.Uniform(0, 2);
    if (when == 0) stop.request_stop();
    std::jthread other;
    if (when == 1) other = std::jthread([&] { stop.request_stop(); });
    const auto receipt = RunUnit(options, [&, row = next_row_](UnitOfWork& unit) -> absl::Status {
      VOUCH_RETURN_IF_ERROR(Insert(unit, row));
      if (when == 2) stop.request_stop();
      return unit.Execute("UPDATE t SET x = x + 1 WHERE id = ?1", row);
    });
    if (receipt.ok() && when == 1) return Committed(next_row_);
    EXPECT_THAT(receipt, StatusIs(StatusCode::kCancelled));
    ++account_.failed;
  }
  void Duplicate() {
    std::string id;
    const auto first = RunUnit(Options(), [&](UnitOfWork& unit) {
      id = unit.id();
      return Insert(unit, next_row_);
    });
    ASSERT_OK(first);
    RunOptions options = Options();
    options.uow_id = id;
    const auto second = RunUnit(options, [&](UnitOfWork&) -> absl::Status {
      ADD_FAILURE() << "a committed unit ran again";
      return absl::OkStatus();
    });
    ASSERT_OK(second);
    EXPECT_EQ(second->hash, first->hash);
    Committed(next_row_);
  }
  // Others run the same id, perhaps now.
  void SharedId() {
    const auto number = random_.Uniform<std::size_t>(0, shared_ids_.size() - 1);
    const std::int64_t row = kSharedRow + static_cast<std::int64_t>(number);
    RunOptions options = Options();
    options.uow_id = shared_ids_[number];
    const auto receipt = RunUnit(options, [&](UnitOfWork& unit) { return Insert(unit, row); });
    ASSERT_OK(receipt);
    if (!receipt->was_duplicate) Committed(row);
  }
  void Kept() {
    auto unit = engine_.Begin({});
    ASSERT_OK(unit);
    EXPECT_OK(Insert(**unit, next_row_));
    ASSERT_OK(unit->Commit());
    Committed(next_row_);
  }
  void Dropped() {
    auto unit = engine_.Begin({});
    ASSERT_OK(unit);
    EXPECT_OK(Insert(**unit, next_row_));
    ++account_.rolled_back;
  }
  void Read() {
    auto reader = engine_.Read();
    ASSERT_OK(reader);
    ASSERT_OK(reader->BeginSnapshot());
    const auto units = (*reader)->QueryValue<std::int64_t>(
        "SELECT count(*) FROM unit_of_work WHERE status = 'committed'");
    const auto rows = (*reader)->QueryValue<std::int64_t>("SELECT count(*) FROM t");
    ASSERT_OK(units);
    ASSERT_OK(rows);
    EXPECT_EQ(*units, *rows) << "a unit and its receipt are seen together or not at all";
  }

  Engine& engine_;
  test::Random random_;
  const std::vector<std::string>& shared_ids_;
  const int number_;
  std::int64_t next_row_ = 0;
  Account account_;
};

class EngineStressTest : public ::testing::TestWithParam<const char*> {};

TEST_P(EngineStressTest, CountsAreExact) {
  test::TemporaryDirectory directory;
  test::Random random;
  EngineOptions options{
      .path = std::string(GetParam()) == ":memory:" ? ":memory:" : directory.File("stress.db"),
      .migrations = {Schema()},
      .synchronous = storage::Synchronous::kNormal,
      .governor = {.checkpoint_pages = 50},
      .retry = {.max_retries = 1, .first_delay = absl::ZeroDuration()}};
  ASSERT_OK_AND_ASSIGN(auto engine, Engine::Open(std::move(options)));

  const int units = std::getenv("VOUCH_TEST_LONG") != nullptr ? 2'500 : 40;
  std::vector<std::string> shared_ids;
  for (int i = 0; i < kSharedIds; ++i) {
    shared_ids.push_back(absl::StrCat("01KAJ00000000000000000", 1000 + i));
  }
  std::vector<Worker> workers;
  workers.reserve(kThreads);
  for (int i = 0; i < kThreads; ++i) {
    workers.emplace_back(*engine, random.Next(), shared_ids, i + 1);
  }
  std::vector<std::thread> threads;
  for (Worker& worker : workers) threads.emplace_back([&] { worker.Run(units); });
  for (std::thread& thread : threads) thread.join();

  Account sum;
  for (const Worker& worker : workers) {
    sum.committed += worker.account().committed;
    sum.failed += worker.account().failed;
    sum.rolled_back += worker.account().rolled_back;
  }
  const EngineStats stats = engine->stats();
  EXPECT_EQ(stats.committed, sum.committed);
  EXPECT_EQ(stats.failed, sum.failed);
  EXPECT_EQ(stats.rolled_back, sum.rolled_back);
  EXPECT_EQ(stats.in_flight, 0);
  EXPECT_EQ(stats.waiting, 0);
  EXPECT_EQ(stats.lost_records, 0);
  EXPECT_GT(stats.replays, 0);
  EXPECT_GT(stats.largest_batch, 1);
  // What could not be recorded at once is recorded with the next unit.
  ASSERT_OK(engine->Run({}, [](UnitOfWork&) { return absl::OkStatus(); }));
  ++sum.committed;

  ASSERT_OK_AND_ASSIGN(auto reader, engine->Read());
  const auto count = [&](const std::string& status) {
    return *reader->QueryValue<int>("SELECT count(*) FROM unit_of_work WHERE status = ?1", status);
  };
  EXPECT_EQ(count("committed"), sum.committed);
  EXPECT_EQ(count("failed"), sum.failed);
  EXPECT_EQ(count("rolled_back"), sum.rolled_back);
  for (const Worker& worker : workers) {
    for (const std::int64_t row : worker.account().rows) {
      ASSERT_THAT(reader->QueryValue<int>("SELECT count(*) FROM t WHERE id = ?1", row),
                  test::IsOkAndHolds(1));
    }
  }
  EXPECT_THAT(reader->QueryValue<int>("SELECT count(*) FROM t"),
              test::IsOkAndHolds(sum.committed - 1));
  ASSERT_OK_AND_ASSIGN(const AuditReport report, Audit(*reader, {}));
  EXPECT_TRUE(report.verified);
  RecordProperty("largest_batch", static_cast<int>(stats.largest_batch));
  RecordProperty("replays", static_cast<int>(stats.replays));
}

INSTANTIATE_TEST_SUITE_P(Databases, EngineStressTest, ::testing::Values("file", ":memory:"));

// ---- The order ------------------------------------------------------------------------------

class OrderStressTest : public ::testing::Test {
 protected:
  static constexpr int kInLine = kThreads - 1;
  static constexpr int kRounds = 12;
  static constexpr int kLate = 1'000;  // Added to the place of one that came again.

  // The units of one thread in one round.
  void ComeTwice(int place, std::uint64_t seed) {
    test::Random random(seed);
    while (next_ != place) std::this_thread::yield();
    RunOne(place, random);
    RunOne(kLate + place, random);
  }

  void RunOne(int place, test::Random& random) {
    KeptSavepoint kept;
    const std::int64_t row = next_row_.fetch_add(1);
    const bool fails = random.OneIn(4);
    const Failing unit =
        fails ? FailingUnit(static_cast<Way>(random.Uniform(0, kWays - 1)), row, kept)
              : Failing{[row](UnitOfWork& work) { return Insert(work, row); }, StatusCode::kOk};
    const RunOptions options{.stop = place < kLate
                                         ? stops_[static_cast<std::size_t>(place)].get_token()
                                         : std::stop_token(),
                             .alone = random.OneIn(16),
                             .any_thread = random.OneIn(2)};
    int calls = 0;
    absl::StatusOr<Receipt> receipt;
    try {
      receipt = engine_->Run(options, [&](UnitOfWork& work) {
        // Of who has the turn: a race here is ThreadSanitizer's to find.
        if (++calls == 1) first_runs_.push_back(place);
        return unit.function(work);
      });
    } catch (const std::runtime_error&) {
      receipt = absl::InternalError("");
    }
    EXPECT_LE(calls, kMostCalls);
    if (calls == 0) {
      EXPECT_THAT(receipt, StatusIs(StatusCode::kCancelled));
    } else {
      EXPECT_EQ(receipt.status().code(), unit.code);
    }
    if (receipt.ok())
      seqs_[static_cast<std::size_t>(place % kLate)][static_cast<std::size_t>(place / kLate)] =
          receipt->seq;
  }

  std::unique_ptr<Engine> engine_;
  std::vector<std::stop_source> stops_;
  std::vector<int> first_runs_;
  std::vector<std::array<std::int64_t, 2>> seqs_;  // 0: not stored.
  std::atomic<std::int64_t> next_row_ = 1;
  std::atomic<int> next_ = -1;  // Who comes into line now.
};

TEST_F(OrderStressTest, NobodyIsOvertaken) {
  test::TemporaryDirectory directory;
  test::Random random;
  ASSERT_OK_AND_ASSIGN(
      engine_, Engine::Open({.path = directory.File("order.db"),
                             .migrations = {Schema()},
                             .synchronous = storage::Synchronous::kNormal,
                             .group = {.max_units = 20, .patience = absl::InfiniteDuration()}}));
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE(absl::StrCat("round ", round));
    next_ = -1;
    stops_ = std::vector<std::stop_source>(kInLine);
    first_runs_.clear();
    seqs_.assign(kInLine, {});
    const int stopped = random.Uniform(0, 3);
    std::vector<std::jthread> threads;
    ASSERT_OK(engine_->Run({}, [&](UnitOfWork&) {
      if (!threads.empty()) return absl::OkStatus();  // Run again.
      for (int place = 0; place < kInLine; ++place) {
        threads.emplace_back([this, place, seed = random.Next()] { ComeTwice(place, seed); });
      }
      for (int place = 0; place < kInLine; ++place) {
        next_ = place;
        while (engine_->stats().waiting <= place) std::this_thread::yield();
      }
      for (int i = 0; i < stopped; ++i) {
        stops_[random.Uniform<std::size_t>(0, stops_.size() - 1)].request_stop();
      }
      return absl::OkStatus();
    }));
    threads.clear();

    const auto late = std::find_if(first_runs_.begin(), first_runs_.end(),
                                   [](int place) { return place >= kLate; });
    EXPECT_TRUE(std::is_sorted(first_runs_.begin(), late)) << "not first in, first out";
    EXPECT_TRUE(std::all_of(late, first_runs_.end(), [](int place) { return place >= kLate; }))
        << "one that came later ran before";
    EXPECT_GE(std::distance(first_runs_.begin(), late), kInLine - stopped);
    // And they are stored in that order.
    std::int64_t last = 0;
    for (int place = 0; place < kInLine; ++place) {
      const std::int64_t seq = seqs_[static_cast<std::size_t>(place)][0];
      if (seq == 0) continue;
      EXPECT_GT(seq, last) << "unit " << place;
      last = seq;
    }
    for (const auto& [first, again] : seqs_) {
      if (again != 0) {
        EXPECT_GT(again, last) << "one that came later was stored before";
      }
    }
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_GT(engine_->stats().replays, 0);
  ASSERT_OK_AND_ASSIGN(auto reader, engine_->Read());
  ASSERT_OK_AND_ASSIGN(const AuditReport report, Audit(*reader, {}));
  EXPECT_TRUE(report.verified);
}

}  // namespace
}  // namespace vouch::uow
