// Property: whatever many threads do at once, the ledger is a chain without gaps, every unit is
// counted once as what it was, what was acknowledged is stored and nothing else is.
//
// Method: threads run units against one table; a part of them fail in every way a unit can (a
// constraint, the caller's own error, an exception, a deadline, a duplicate id, an interactive unit
// that is dropped). Each thread keeps its own account, and the sums are compared with the ledger,
// the table and the engine's counters at the end, and the ledger is audited.
//
// Failure looks like a difference of one, or a finding of the audit.

#include <array>
#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
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

struct Account {
  int committed = 0;
  int failed = 0;
  int rolled_back = 0;
  std::vector<std::int64_t> rows;
};

class Worker {
 public:
  Worker(Engine& engine, std::uint64_t seed, int number)
      : engine_(engine), random_(seed), number_(number) {}

  void Run(int units) {
    for (int i = 0; i < units; ++i) {
      next_row_ = static_cast<std::int64_t>(number_) * 1'000'000 + i;
      switch (random_.Uniform(0, 19)) {
        case 0:
          Constraint();
          break;
        case 1:
          OwnError();
          break;
        case 2:
          Exception();
          break;
        case 3:
          Deadline();
          break;
        case 4:
          Duplicate();
          break;
        case 5:
          Dropped();
          break;
        case 6:
          Read();
          break;
        default:
          Commit();
          break;
      }
    }
  }

  const Account& account() const { return account_; }

 private:
  absl::Status Insert(UnitOfWork& unit) {
    return unit.Execute("INSERT INTO t(id, x) VALUES (?1, ?2)", next_row_, number_);
  }
  void Committed() {
    ++account_.committed;
    account_.rows.push_back(next_row_);
  }

  void Commit() {
    const auto receipt = engine_.Run({}, [&](UnitOfWork& unit) { return Insert(unit); });
    ASSERT_OK(receipt);
    EXPECT_EQ(receipt->writes, 1);
    Committed();
  }
  void Constraint() {
    const auto receipt = engine_.Run({}, [&](UnitOfWork& unit) -> absl::Status {
      VOUCH_RETURN_IF_ERROR(Insert(unit));
      return Insert(unit);
    });
    EXPECT_EQ(receipt.status().code(), absl::StatusCode::kAlreadyExists);
    ++account_.failed;
  }
  void OwnError() {
    const auto receipt = engine_.Run({}, [&](UnitOfWork& unit) -> absl::Status {
      VOUCH_RETURN_IF_ERROR(Insert(unit));
      return absl::NotFoundError("changed my mind");
    });
    EXPECT_EQ(receipt.status().code(), absl::StatusCode::kNotFound);
    ++account_.rolled_back;
  }
  void Exception() {
    EXPECT_THROW((void)engine_.Run({},
                                   [&](UnitOfWork& unit) -> absl::Status {
                                     EXPECT_OK(Insert(unit));
                                     throw std::runtime_error("");
                                   }),
                 std::runtime_error);
    ++account_.rolled_back;
  }
  void Deadline() {
    // No time at all: with the writer free at that instant it may still be begun, and then fails.
    const auto receipt = engine_.Run({.timeout = absl::ZeroDuration()},
                                     [&](UnitOfWork& unit) { return Insert(unit); });
    EXPECT_EQ(receipt.status().code(), absl::StatusCode::kDeadlineExceeded);
    ++account_.failed;
  }
  void Duplicate() {
    std::string id;
    const auto first = engine_.Run({}, [&](UnitOfWork& unit) {
      id = unit.id();
      return Insert(unit);
    });
    ASSERT_OK(first);
    const auto second = engine_.Run({.uow_id = id}, [&](UnitOfWork&) -> absl::Status {
      ADD_FAILURE() << "a committed unit ran again";
      return absl::OkStatus();
    });
    ASSERT_OK(second);
    EXPECT_EQ(second->hash, first->hash);
    Committed();
  }
  void Dropped() {
    auto unit = engine_.Begin({});
    ASSERT_OK(unit);
    EXPECT_OK(Insert(**unit));
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
  const int number_;
  std::int64_t next_row_ = 0;
  Account account_;
};

class EngineStressTest : public ::testing::TestWithParam<const char*> {};

TEST_P(EngineStressTest, CountsAreExact) {
  test::TemporaryDirectory directory;
  test::Random random;
  auto schema = storage::MigrationSet::FromSql(
      "stress",
      {{.version = 1, .name = "t", .up = "CREATE TABLE t(id INTEGER PRIMARY KEY, x INTEGER)"}});
  ASSERT_OK(schema);
  EngineOptions options{
      .path = std::string(GetParam()) == ":memory:" ? ":memory:" : directory.File("stress.db"),
      .migrations = {*schema},
      .synchronous = storage::Synchronous::kNormal,
      .governor = {.checkpoint_pages = 50}};
  ASSERT_OK_AND_ASSIGN(auto engine, Engine::Open(std::move(options)));

  constexpr int kThreads = 8;
  const int units = std::getenv("VOUCH_TEST_LONG") != nullptr ? 20'000 : 250;
  std::vector<Worker> workers;
  workers.reserve(kThreads);
  for (int i = 0; i < kThreads; ++i) workers.emplace_back(*engine, random.Next(), i + 1);
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
  EXPECT_EQ(stats.lost_records, 0);
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
}

INSTANTIATE_TEST_SUITE_P(Databases, EngineStressTest, ::testing::Values("file", ":memory:"));

}  // namespace
}  // namespace vouch::uow
