// Participants are told what the database decided, whoever was begun exactly once and with no other
// unit in between; what they declare is in the receipt and holds in an audit.

#include "uow/participant.h"

#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/sqlite/connection.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"
#include "tests/uow/audited.h"
#include "uow/engine.h"

namespace vouch::uow {
namespace {

using test::StatusIs;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Writes down what it is asked, and answers what the test wants.
class Fake : public StoreParticipant {
 public:
  Fake(std::string name, std::vector<std::string>* calls) : name_(std::move(name)), calls_(calls) {}

  std::string_view name() const override { return name_; }
  absl::Status Begin(UnitOfWork& unit) override {
    Note("begin");
    open_ = unit.id();
    return begin;
  }
  absl::Status Validate(UnitOfWork&) override {
    Note("validate");
    return open_.empty() ? absl::OkStatus() : validate;
  }
  absl::Status Commit(const Receipt& receipt) override {
    EXPECT_EQ(open_, receipt.uow_id);
    open_.clear();
    Note("commit");
    if (throws) throw std::runtime_error("out of paper");
    return commit;
  }
  absl::Status Rollback(std::string_view uow_id) override {
    EXPECT_EQ(open_, uow_id);
    open_.clear();
    Note("rollback");
    return absl::OkStatus();
  }
  std::int64_t TransactionSize() const override { return 77; }

  absl::Status begin, validate, commit;
  bool throws = false;

 private:
  void Note(const std::string& what) { calls_->push_back(name_ + " " + what); }

  const std::string name_;
  std::vector<std::string>* const calls_;
  std::string open_;
};

class ParticipantTest : public ::testing::Test {
 protected:
  EngineOptions Options() {
    return {.path = path_,
            .participants = {a_, b_},
            .migrations = {*storage::MigrationSet::FromSql(
                "t", {{.version = 1,
                       .name = "t",
                       .up = "CREATE TABLE t(id INTEGER PRIMARY KEY, x UNIQUE)",
                       .down = "DROP TABLE t"}})},
            .record_failures_within = absl::ZeroDuration(),
            .retry = {.first_delay = absl::Milliseconds(1)},
            .log = [this](LogLevel, std::string_view line) { log_.emplace_back(line); }};
  }
  std::unique_ptr<Engine> Open() {
    auto engine = Engine::Open(Options());
    EXPECT_OK(engine);
    return *std::move(engine);
  }

  StoredReceipt Stored(Engine& engine, std::int64_t seq) {
    auto reader = engine.Read();
    EXPECT_OK(reader);
    auto stored = ReadReceipt(**reader, seq);
    EXPECT_OK(stored);
    return *std::move(stored);
  }

  void ExpectAudited() { uow::ExpectAudited(path_); }

  test::TemporaryDirectory directory_;
  std::string path_ = directory_.File("app.db");
  std::vector<std::string> calls_;
  std::vector<std::string> log_;
  std::shared_ptr<Fake> a_ = std::make_shared<Fake>("a", &calls_);
  std::shared_ptr<Fake> b_ = std::make_shared<Fake>("b", &calls_);
};

absl::Status Insert(UnitOfWork& unit, int x) {
  return unit.Execute("INSERT INTO t(x) VALUES (?1)", x);
}

TEST_F(ParticipantTest, AreBegunAndCommittedInOrderAfterTheDatabase) {
  auto engine = Open();
  TransactionSummary summary;
  ASSERT_OK_AND_ASSIGN(const Receipt receipt,
                       engine->Run({.summary = &summary}, [&](UnitOfWork& unit) {
                         calls_.emplace_back("function");
                         return Insert(unit, 1);
                       }));
  EXPECT_THAT(calls_, ElementsAre("a validate", "a begin", "b validate", "b begin", "function",
                                  "a validate", "b validate", "a commit", "b commit"));
  EXPECT_THAT(receipt.store_errors, IsEmpty());
  ASSERT_THAT(summary.stores, SizeIs(3));
  EXPECT_EQ(summary.stores[0].store, "a");
  EXPECT_EQ(summary.stores[0].size_bytes, 77);
  EXPECT_EQ(summary.stores[2].store, "main");
  // The unit does without them when it says so.
  calls_.clear();
  ASSERT_OK(engine->Run({.participants = false}, [](UnitOfWork& unit) { return Insert(unit, 2); }));
  EXPECT_THAT(calls_, IsEmpty());
}

TEST_F(ParticipantTest, OneThatCannotBeginFailsTheUnitByName) {
  auto engine = Open();
  b_->begin = absl::FailedPreconditionError("no space");
  EXPECT_THAT(engine->Run({}, [](UnitOfWork& unit) { return Insert(unit, 1); }),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("Store begin failed: b: no space")));
  EXPECT_THAT(calls_, ElementsAre("a validate", "a begin", "b validate", "b begin", "b rollback",
                                  "a rollback"));
  EXPECT_THAT(Stored(*engine, 1).receipt.bytes,
              AllOf(HasSubstr("status failed\n"), HasSubstr("failed 1:b\n")));
  // In an interactive unit just the same.
  EXPECT_THAT(engine->Begin({}), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(Stored(*engine, 2).receipt.bytes, HasSubstr("failed 1:b\n"));
  // What may pass is tried again.
  b_->begin = absl::UnavailableError("busy");
  calls_.clear();
  EXPECT_THAT(
      engine->Run({.retry = RetryOptions{.max_retries = 2, .first_delay = absl::Milliseconds(1)}},
                  [](UnitOfWork& unit) { return Insert(unit, 1); }),
      StatusIs(absl::StatusCode::kAborted, HasSubstr("b: busy")));
  EXPECT_EQ(std::count(calls_.begin(), calls_.end(), "a rollback"), 3);
}

TEST_F(ParticipantTest, OneThatIsNotValidAtTheEndFailsTheUnitByName) {
  auto engine = Open();
  a_->validate = absl::InvalidArgumentError("half a file");
  TransactionSummary summary;
  EXPECT_THAT(
      engine->Run({.summary = &summary}, [](UnitOfWork& unit) { return Insert(unit, 1); }),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("Store commit failed: a: half")));
  EXPECT_THAT(calls_, ElementsAre("a validate", "a begin", "b validate", "b begin", "a validate",
                                  "b rollback", "a rollback"));
  EXPECT_THAT(Stored(*engine, 1).receipt.bytes,
              AllOf(HasSubstr("error 18:validation_failure\n"), HasSubstr("failed 1:a\n")));
  EXPECT_THAT(summary.validation_errors, ElementsAre(HasSubstr("half a file")));
  EXPECT_EQ(summary.status, UnitStatus::kFailed);
  ASSERT_OK_AND_ASSIGN(auto reader, engine->Read());
  EXPECT_THAT(reader->QueryValue<int>("SELECT count(*) FROM t"), test::IsOkAndHolds(0));
}

TEST_F(ParticipantTest, OneWhoseCommitFailsIsReportedAndTheUnitStands) {
  auto engine = Open();
  for (const bool interactive : {false, true}) {
    a_->commit = absl::UnavailableError("gone");
    b_->throws = true;
    const auto run = [&]() -> absl::StatusOr<Receipt> {
      if (!interactive) return engine->Run({}, [](UnitOfWork& unit) { return Insert(unit, 1); });
      VOUCH_ASSIGN_OR_RETURN(InteractiveUnit unit, engine->Begin({}));
      VOUCH_RETURN_IF_ERROR(Insert(*unit, 2));
      return unit.Commit();
    };
    log_.clear();
    ASSERT_OK_AND_ASSIGN(const Receipt receipt, run());
    EXPECT_THAT(receipt.store_errors,
                ElementsAre("Store commit failed: a: gone",
                            "Store commit failed: b: threw an exception: out of paper"));
    EXPECT_THAT(log_, SizeIs(2));
    EXPECT_EQ(Stored(*engine, receipt.seq).receipt.status, UnitStatus::kCommitted);
  }
  for (const StoreMetrics& store : engine->store_metrics()) {
    if (store.store == "a") {
      EXPECT_EQ(store.error_count, 2);
    }
  }
}

TEST_F(ParticipantTest, AFailedOrThrowingFunctionRollsThemBackInReverse) {
  auto engine = Open();
  EXPECT_FALSE(engine->Run({}, [](UnitOfWork&) { return absl::CancelledError("no"); }).ok());
  EXPECT_THROW(
      (void)engine->Run({}, [](UnitOfWork&) -> absl::Status { throw std::runtime_error("no"); }),
      std::runtime_error);
  {
    auto unit = engine->Begin({});
    ASSERT_OK(unit);
  }
  EXPECT_EQ(std::count(calls_.begin(), calls_.end(), "a rollback"), 3);
  EXPECT_EQ(calls_.back(), "a rollback");
  EXPECT_EQ(calls_[calls_.size() - 2], "b rollback");
}

// Fake itself says when another unit comes between begin and commit, or when two threads are in it.
TEST_F(ParticipantTest, UnitsOfManyThreadsNeverOverlap) {
  auto engine = Open();
  constexpr int kThreads = 4, kUnits = 10;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        for (int n = 0; n < kUnits; ++n) {
          const int x = i * kUnits + n;
          (void)engine->Run({.any_thread = n % 2 == 0}, [&](UnitOfWork& unit) -> absl::Status {
            VOUCH_RETURN_IF_ERROR(Insert(unit, x));
            return n % 5 == 4 ? absl::CancelledError("no") : absl::OkStatus();
          });
        }
      });
    }
  }
  EXPECT_EQ(std::count(calls_.begin(), calls_.end(), "a commit"), kThreads * kUnits * 4 / 5);
  EXPECT_EQ(std::count(calls_.begin(), calls_.end(), "b rollback"), kThreads * kUnits / 5);
  EXPECT_EQ(engine->stats().largest_batch, 1);
}

TEST_F(ParticipantTest, NamesAreChecked) {
  const auto open = [&](std::vector<std::string> names, std::vector<StoreOptions> stores = {}) {
    EngineOptions options = Options();
    options.participants.clear();
    options.stores = std::move(stores);
    for (const auto& name : names) {
      options.participants.push_back(std::make_shared<Fake>(name, &calls_));
    }
    return Engine::Open(options).status();
  };
  EXPECT_THAT(open({""}), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("empty")));
  EXPECT_THAT(open({"x", "x"}), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("another")));
  EXPECT_THAT(open({"main"}), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("main")));
  EXPECT_THAT(open({"vouch"}), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("reserved")));
  EXPECT_THAT(open({"t"}, {{.name = "t", .tables = {"t"}}}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("another")));
  EXPECT_OK(open({"it's"}));
}

// ---- Declared records ----

class DeclaredTest : public ParticipantTest, public ::testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(MemoryOrFile, DeclaredTest, ::testing::Bool(), [](const auto& test) {
  return test.param ? "RowsInAFile" : "RowsInMemory";
});

TEST_P(DeclaredTest, DeclaredRecordsAreWritesOfTheReceiptInTheirOrder) {
  EngineOptions options = Options();
  if (GetParam()) options.capture_bytes = 1;
  ASSERT_OK_AND_ASSIGN(const auto engine, Engine::Open(options));
  ASSERT_OK(engine->Run({}, [](UnitOfWork& unit) -> absl::Status {
    VOUCH_RETURN_IF_ERROR(Insert(unit, 1));
    VOUCH_RETURN_IF_ERROR(unit.Track("a", "report.pdf", Operation::kCreate, "first"));
    VOUCH_RETURN_IF_ERROR(Insert(unit, 2));
    VOUCH_RETURN_IF_ERROR(unit.Track("b", "report.pdf", Operation::kUpsert, "other"));
    // One write a record; the last wins, in the place of the first.
    return unit.Track("a", "report.pdf", Operation::kUpdate, "%PDF-1.7\n");
  }));
  const StoredReceipt stored = Stored(*engine, 1);
  ASSERT_THAT(stored.writes, SizeIs(4));
  EXPECT_EQ(stored.writes[0].record_id, "t/1");
  EXPECT_EQ(stored.writes[2].record_id, "t/2");
  const WriteRecord& declared = stored.writes[1];
  EXPECT_EQ(declared.store, "a");
  EXPECT_EQ(declared.record_id, "report.pdf");
  EXPECT_EQ(declared.operation, Operation::kCreate);
  EXPECT_EQ(declared.bytes, 9);
  EXPECT_EQ(declared.checksum, PayloadChecksum("a", "report.pdf", "%PDF-1.7\n"));
  EXPECT_EQ(declared.prior, std::nullopt);
  EXPECT_EQ(stored.writes[3].operation, Operation::kUpsert);
  EXPECT_EQ(stored.receipt.stores, 3);
  ExpectAudited();
}

TEST_F(ParticipantTest, WhatADeclaredRecordWasIsLearntFromTheLedger) {
  {
    auto engine = Open();
    ASSERT_OK(engine->Run(
        {}, [](UnitOfWork& unit) { return unit.Track("a", "x", Operation::kCreate, "1"); }));
  }
  auto engine = Open();
  ASSERT_OK(engine->Run({}, [](UnitOfWork& unit) {
    EXPECT_THAT(unit.Track("a", "x", Operation::kCreate, "2"),
                StatusIs(absl::StatusCode::kAlreadyExists));
    EXPECT_THAT(unit.Track("b", "x", Operation::kUpdate, "2"),
                StatusIs(absl::StatusCode::kNotFound));
    return unit.Track("a", "x", Operation::kUpdate, "2");
  }));
  EXPECT_EQ(Stored(*engine, 2).writes[0].prior, PayloadChecksum("a", "x", "1"));
  ASSERT_OK(engine->Run(
      {}, [](UnitOfWork& unit) { return unit.Track("a", "x", Operation::kUpsert, "2"); }));
  EXPECT_THAT(Stored(*engine, 3).writes, IsEmpty());  // It is as it was.
  ASSERT_OK(engine->Run({}, [](UnitOfWork& unit) -> absl::Status {
    VOUCH_RETURN_IF_ERROR(unit.Track("a", "brief", Operation::kCreate, "1"));
    VOUCH_RETURN_IF_ERROR(unit.Track("a", "brief", Operation::kDelete));
    return unit.Track("a", "x", Operation::kDelete);
  }));
  const StoredReceipt deleted = Stored(*engine, 4);
  ASSERT_THAT(deleted.writes, SizeIs(1));
  EXPECT_EQ(deleted.writes[0].operation, Operation::kDelete);
  EXPECT_EQ(deleted.writes[0].checksum, std::nullopt);
  // A failed unit's is not part of the ledger.
  EXPECT_FALSE(engine
                   ->Run({},
                         [](UnitOfWork& unit) -> absl::Status {
                           VOUCH_RETURN_IF_ERROR(unit.Track("a", "y", Operation::kCreate, "1"));
                           return absl::CancelledError("no");
                         })
                   .ok());
  ASSERT_OK(engine->Run(
      {}, [](UnitOfWork& unit) { return unit.Track("a", "y", Operation::kCreate, "1"); }));
  ExpectAudited();
  ASSERT_OK_AND_ASSIGN(auto reader, engine->Read());
  EXPECT_THAT(
      reader->QueryValue<int>("SELECT count(*) FROM sqlite_schema"
                              " WHERE name IN ('idx_uow_writes_of_a', 'idx_uow_writes_of_b')"),
      test::IsOkAndHolds(2));
}

TEST_F(ParticipantTest, WhatCannotBeDeclaredIsRefused) {
  auto engine = Open();
  ASSERT_OK(engine->Run({}, [](UnitOfWork& unit) -> absl::Status {
    using enum absl::StatusCode;
    EXPECT_THAT(unit.Track("main", "x", Operation::kUpsert, ""),
                StatusIs(kInvalidArgument, HasSubstr("no participant")));
    EXPECT_THAT(unit.Track("a", "", Operation::kUpsert, ""), StatusIs(kInvalidArgument));
    EXPECT_THAT(unit.Track("a", "t/1", Operation::kUpsert, ""),
                StatusIs(kInvalidArgument, HasSubstr("row")));
    EXPECT_THAT(unit.Track("a", "x", Operation::kDelete, "y"), StatusIs(kInvalidArgument));
    VOUCH_ASSIGN_OR_RETURN(auto savepoint, unit.BeginSavepoint());
    EXPECT_THAT(unit.Track("a", "x", Operation::kUpsert, ""),
                StatusIs(kFailedPrecondition, HasSubstr("savepoint")));
    return savepoint.Release();
  }));
  ASSERT_OK_AND_ASSIGN(InteractiveUnit unit, engine->Begin({}));
  EXPECT_TRUE(unit.is_active());
  EXPECT_OK(unit.Track("a", "x", Operation::kUpsert, "1"));
  ASSERT_OK(unit.Commit());
  EXPECT_FALSE(unit.is_active());
  EXPECT_THAT(unit.Track("a", "x", Operation::kUpsert, "1"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("Cannot track write outside an active UnitOfWork context")));
  ExpectAudited();
}

}  // namespace
}  // namespace vouch::uow
