// Property: whatever call to the file system or to memory fails while units of work run, and at
//   whatever moment the power goes: a unit whose receipt was returned is there whole, with that
//   receipt; of a unit that was said to have failed nothing is there; the ledger verifies; and the
//   unit's id can be run again, which does its work exactly once.
//   Units that share a transaction share its fate: of those whose outcome one engine could not find
//   out, all are there or none is; and that engine runs no more until it has found out. No attempt of
//   a unit is recorded twice.
// Method: an engine's life (open, units of all outcomes, close) is lived once for each call it
//   makes, with that call failing; after each step that failed, the files are taken as a crash at
//   that moment would leave them. And a life without failures is recorded, and disks are built as a
//   loss of power at each moment may have left them. Each is audited and compared with what was
//   answered. All of it again with units that stand in line behind each other, so that they share
//   transactions, in the same order every time.
// Failure: "unit 3 was committed and is lost", a finding of the audit.
//
// Seen to fail when: a row's image that there is no memory for is taken for null, as it once was;
// Settle() says "not committed" without having recorded the failure.
//
// VOUCH_TEST_LONG tries every point and twenty times as many disks, VOUCH_TEST_STRIDE=10 a tenth,
// VOUCH_TEST_SEED repeats a run.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "pool/mutex.h"
#include "storage/error.h"
#include "tests/support/fault_malloc.h"
#include "tests/support/fault_vfs.h"
#include "tests/support/power_loss.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"
#include "tests/support/sweep.h"
#include "tests/support/temporary_directory.h"
#include "uow/audit.h"
#include "uow/engine.h"
#include "uow/receipt.h"

namespace vouch::uow {
namespace {

using test::Disk;
using test::FaultMalloc;
using test::FaultVfs;
using test::IoEvent;
using test::IoFault;
using test::Loss;

constexpr auto kLongestLife = std::chrono::seconds(5);
constexpr int kUnits = 6;
constexpr int kProof = 9;      // The unit that is run when all is well again.
constexpr int kGivenUp = 100;  // And from here on, those that always fail.

// What was answered about a unit.
struct Answer {
  enum Fate { kCommitted, kNotCommitted, kUnknown } fate;
  storage::Digest receipt_hash = {};  // When committed.
  // When unknown: the engine that said so, from 1. -1: and it was run again since.
  int in_doubt = 0;
  int on_its_way = 0;  // Runs of it without an answer.
  int times_done = 0;  // Receipts that were not of a duplicate.
};
using Answers = std::map<int, Answer>;  // Of the units that were run, by their numbers.

std::string IdOf(int unit) { return absl::StrCat("01ARZ3NDEKTSV4RRFFQ69G5F0", unit); }

const storage::MigrationSet& Schema() {
  static const storage::MigrationSet* const set =
      new storage::MigrationSet(*storage::MigrationSet::FromSql(
          "shop", {{.version = 1,
                    .name = "tables",
                    .up = "CREATE TABLE orders(id INTEGER PRIMARY KEY, note TEXT NOT NULL UNIQUE);"
                          "CREATE TABLE items(orders INTEGER REFERENCES orders(id), n INTEGER,"
                          " body BLOB, PRIMARY KEY(orders, n)) WITHOUT ROWID;"
                          "CREATE TABLE total(id INTEGER PRIMARY KEY, orders INTEGER, note TEXT);"
                          // Its rows are written during COMMIT, which can fail for that.
                          "CREATE VIRTUAL TABLE words USING fts5(note, content='orders',"
                          " content_rowid='id');"
                          "CREATE TRIGGER fill AFTER INSERT ON orders BEGIN"
                          " INSERT INTO words(rowid, note) VALUES (new.id, new.note); END;"}}));
  return *set;
}

absl::Status Work(UnitOfWork& unit, int number) {
  VOUCH_RETURN_IF_ERROR(unit.Execute("INSERT INTO orders(id, note) VALUES (?1, ?2)", number,
                                     absl::StrCat("order ", number)));
  for (int n = 0; n < 2; ++n) {
    VOUCH_RETURN_IF_ERROR(unit.Execute("INSERT INTO items(orders, n, body) VALUES (?1, ?2, ?3)",
                                       number, n, std::string(700, static_cast<char>('a' + n))));
  }
  return unit.Execute(
      "INSERT INTO total(id, orders, note) VALUES (1, 1, ?1)"
      " ON CONFLICT(id) DO UPDATE SET orders = orders + 1, note = excluded.note",
      absl::StrCat("the last is ", number, std::string(3'000, 'x')));
}

// Why the database is not what was answered, or empty.
absl::StatusOr<std::string> FindContradiction(storage::Connection& connection,
                                              const Answers& answers) {
  VOUCH_ASSIGN_OR_RETURN(const auto integrity,
                         connection.QueryValue<std::string>("PRAGMA integrity_check"));
  if (integrity != "ok") return integrity;
  VOUCH_ASSIGN_OR_RETURN(const bool has_tables,
                         connection.QueryValue<bool>("SELECT EXISTS (SELECT 1 FROM sqlite_schema"
                                                     " WHERE name = 'total')"));
  if (has_tables) {
    VOUCH_ASSIGN_OR_RETURN(const AuditReport report, Audit(connection, {}));
    if (!report.verified && report.receipts > 0) return "audit: " + report.findings.front().message;
    VOUCH_ASSIGN_OR_RETURN(
        const bool adds_up,
        connection.QueryValue<bool>(
            "SELECT (SELECT count(*) FROM orders) = coalesce((SELECT orders FROM total), 0)"
            " AND (SELECT count(*) FROM items) = 2 * (SELECT count(*) FROM orders)"));
    if (!adds_up) return "orders, items and their total do not fit";
    // FTS5 keeps totals in memory, which an I/O error within a statement leaves wrong.
    const absl::Status whole =
        connection.Execute("INSERT INTO words(words) VALUES ('integrity-check')");
    if (!whole.ok()) return absl::StrCat("the words: ", std::string(whole.message()));
    VOUCH_ASSIGN_OR_RETURN(
        const bool indexed,
        connection.QueryValue<bool>(
            "SELECT (SELECT count(*) FROM words WHERE words MATCH 'order')"
            " = (SELECT count(*) FROM orders) AND NOT EXISTS (SELECT 1 FROM orders WHERE id NOT IN"
            " (SELECT rowid FROM words WHERE words MATCH '\"order ' || orders.id || '\"'))"));
    if (!indexed) return "the words that are found are not those of the orders";
    VOUCH_ASSIGN_OR_RETURN(const bool has_failed,
                           connection.QueryValue<bool>(
                               "SELECT EXISTS (SELECT 1 FROM orders WHERE id >= ?1)", kGivenUp));
    if (has_failed) return "a unit that was given up left a row";
  }
  if (has_tables) {
    // The ids of those below may have been run more than once.
    VOUCH_ASSIGN_OR_RETURN(const bool twice,
                           connection.QueryValue<bool>(
                               "SELECT EXISTS (SELECT 1 FROM unit_of_work WHERE uow_id NOT GLOB ?1"
                               " GROUP BY uow_id, retry_count HAVING count(*) > 1)",
                               "01ARZ3NDEKTSV4RRFFQ69G5F0*"));
    if (twice) return "a unit is recorded twice";
  }
  std::map<int, std::set<bool>> doubtful;  // Whether a unit is there, by the engine in doubt.
  for (const auto& [unit, answer] : answers) {
    bool present = false;
    if (has_tables) {
      VOUCH_ASSIGN_OR_RETURN(
          present,
          connection.QueryValue<bool>("SELECT EXISTS (SELECT 1 FROM orders WHERE id = ?1)", unit));
      VOUCH_ASSIGN_OR_RETURN(const bool receipted,
                             connection.QueryValue<bool>("SELECT EXISTS (SELECT 1 FROM unit_of_work"
                                                         " WHERE uow_id = ?1"
                                                         " AND status = 'committed')",
                                                         IdOf(unit)));
      if (present != receipted) return absl::StrCat("unit ", unit, " and its receipt are parted");
    }
    if (answer.fate == Answer::kCommitted) {
      if (!present) return absl::StrCat("unit ", unit, " was committed and is lost");
      // By its number: a later run of the id that failed is recorded as well.
      VOUCH_ASSIGN_OR_RETURN(
          const auto seq,
          connection.QueryValue<std::int64_t>(
              "SELECT seq FROM unit_of_work WHERE uow_id = ?1 AND status = 'committed'",
              IdOf(unit)));
      VOUCH_ASSIGN_OR_RETURN(const StoredReceipt stored, ReadReceipt(connection, seq));
      if (stored.stored_hash != storage::HexOf(answer.receipt_hash)) {
        return absl::StrCat("unit ", unit, " has another receipt than the one returned");
      }
    }
    if (answer.fate == Answer::kNotCommitted && present) {
      return absl::StrCat("unit ", unit, " was not committed and is there");
    }
    if (answer.in_doubt > 0) doubtful[answer.in_doubt].insert(present);
  }
  for (const auto& [engine, present] : doubtful) {
    if (present.size() > 1) return "of one transaction a part is there";
  }
  return "";
}

// An engine from opening to closing, and an account of its answers.
class Life {
 public:
  using Observer = std::function<void(const std::string& step, const absl::Status& status)>;
  // One unit after the other, or several in line; or as the first, and what a unit changes goes to
  // its temporary file at once.
  enum class Kind { kSingle, kBatches, kSpilling };

  // The observer is called by one thread at a time, as soon as there is an answer.
  Life(std::string path, Kind kind, Observer observer)
      : path_(std::move(path)), kind_(kind), observer_(std::move(observer)) {}

  void OpenAndClose() {
    Open();
    Close();
    EXPECT_OK(last_);
  }

  void Live() { kind_ == Kind::kBatches ? LiveInBatches() : LiveSingly(); }

  // What nothing stands in the way of any more.
  absl::Status Prove() {
    Open();
    if (engine_ == nullptr) return last_;
    // Also an engine that was in doubt goes on, and knows by then.
    Run(kProof);
    if (!last_.ok()) return last_;
    if (engine_->stats().in_doubt != 0) return absl::InternalError("went on in doubt");
    doubted_ = false;
    // Each unit's id again: those that were committed do nothing, the others do their work now.
    const Answers before = answers_;
    for (const auto& [unit, answer] : before) {
      Run(unit);
      if (!last_.ok()) return storage::Annotate(last_, absl::StrCat("unit ", unit, " again: "));
      if (answer.fate == Answer::kCommitted && !was_duplicate_) {
        return absl::InternalError(absl::StrCat("unit ", unit, " was done twice"));
      }
    }
    Close();
    return last_;
  }

  // REQUIRES: no unit is running.
  void Close() {
    if (engine_ == nullptr) return;
    Note("close", engine_->Close(absl::Seconds(5)));
    engine_.reset();
    doubted_ = false;
  }

  const Answers& answers() const { return answers_; }

 private:
  static constexpr int kEndsTransaction = kGivenUp + 2;

  void LiveSingly() {
    Open();
    for (int unit = 1; unit <= kUnits; ++unit) {
      if (unit == 3) GiveUp();
      if (unit == kUnits) {
        Close();
        Open();
      }
      unit == 4 ? RunInteractive(unit) : Run(unit);
    }
  }

  // The failure in the first batch makes it run again, and the next use savepoints, until the
  // engine is opened again. An error that ends the transaction makes a batch run again in any case.
  void LiveInBatches() {
    Open();
    RunBatch({1, 2, kGivenUp, 3});
    RunBatch({4, kGivenUp + 1, 1, 5});
    Close();
    Open();
    RunBatch({kUnits, kUnits, kEndsTransaction});
  }

  void Note(const std::string& step, const absl::Status& status) {
    last_ = status;
    if (observer_) observer_(step, status);
  }

  void Open() {
    if (engine_ != nullptr) return;
    auto engine = Engine::Open(
        {.path = path_,
         .migrations = {Schema()},
         .max_readers = 1,
         .busy_timeout = absl::Milliseconds(5),
         .governor = {.checkpoint_pages = 20},
         .group = {.max_time = absl::InfiniteDuration(), .patience = absl::InfiniteDuration()},
         .capture_bytes = kind_ == Kind::kSpilling ? 1 : 8 << 20,
         .record_failures_within = absl::ZeroDuration(),  // No thread that comes in between.
         .unit_timeout = absl::Seconds(2),
         .retry = {.max_retries = 1, .first_delay = absl::ZeroDuration()}});
    Note("open", engine.status());
    if (!engine.ok()) return;
    engine_ = *std::move(engine);
    ++engines_;
  }

  void Answered(int unit, const absl::StatusOr<Receipt>& receipt) {
    const pool::MutexLock lock(&mutex_);
    Answer& answer = answers_[unit];
    --answer.on_its_way;
    if (receipt.ok()) {
      if (answer.fate == Answer::kCommitted) {
        EXPECT_EQ(receipt->hash, answer.receipt_hash);
      }
      // Of two at once, the one that did nothing may be told first.
      answer.times_done += receipt->was_duplicate ? 0 : 1;
      EXPECT_LE(answer.times_done, 1) << "unit " << unit << " was done twice";
      answer.fate = Answer::kCommitted;
      answer.receipt_hash = receipt->hash;
      answer.in_doubt = 0;
      was_duplicate_ = receipt->was_duplicate;
    } else if (absl::IsUnknown(receipt.status())) {
      doubted_ = true;
      if (answer.fate != Answer::kCommitted) answer.in_doubt = engines_;
    } else if (answer.fate == Answer::kUnknown && answer.in_doubt == 0 && answer.on_its_way == 0) {
      answer.fate = Answer::kNotCommitted;
    }
    Note(absl::StrCat("unit ", unit), receipt.status());
  }

  // A unit without an answer may be there or not, from when it is on its way.
  void Begun(int unit) {
    const pool::MutexLock lock(&mutex_);
    Answer& answer = answers_.try_emplace(unit, Answer{Answer::kUnknown}).first->second;
    ++answer.on_its_way;
    if (answer.fate == Answer::kNotCommitted) answer.fate = Answer::kUnknown;
    if (answer.in_doubt > 0) answer.in_doubt = -1;
  }

  void Run(int unit) {
    if (engine_ == nullptr) return;
    Begun(unit);
    Answered(unit, engine_->Run({.uow_id = IdOf(unit), .actor_id = "u"},
                                [&](UnitOfWork& work) { return Work(work, unit); }));
  }

  void RunInteractive(int unit) {
    if (engine_ == nullptr) return;
    Begun(unit);
    Answered(unit, [&]() -> absl::StatusOr<Receipt> {
      VOUCH_ASSIGN_OR_RETURN(InteractiveUnit work, engine_->Begin({.uow_id = IdOf(unit)}));
      VOUCH_RETURN_IF_ERROR(Work(*work, unit));
      return work.Commit();
    }());
  }

  // A unit that always fails, after it has changed something.
  absl::Status RunGivenUp(int unit) {
    return engine_
        ->Run({},
              [&](UnitOfWork& work) -> absl::Status {
                VOUCH_RETURN_IF_ERROR(Work(work, unit));
                if (unit == kEndsTransaction) {
                  return work.Execute("INSERT OR ROLLBACK INTO orders(id, note) VALUES (?1, 'n')",
                                      unit);
                }
                return absl::CancelledError("thought better of it");
              })
        .status();
  }

  // Units on a thread each, in this order, behind one that changes nothing. If that cannot begin,
  // none of them does. Once one has been told that its outcome is unknown, nobody is let in.
  void RunBatch(const std::vector<int>& units) {
    if (engine_ == nullptr) return;
    std::vector<std::jthread> threads;
    std::atomic<std::int64_t> told = 0;
    const auto first = engine_->Run({.any_thread = true}, [&](UnitOfWork&) {
      if (!threads.empty()) return absl::OkStatus();  // Run again.
      for (const int unit : units) {
        threads.emplace_back([&, unit] {
          if (unit >= kGivenUp) {
            const absl::Status status = RunGivenUp(unit);
            EXPECT_FALSE(status.ok());
            const pool::MutexLock lock(&mutex_);
            doubted_ = doubted_ || absl::IsUnknown(status);
          } else {
            Begun(unit);
            Answered(unit, engine_->Run({.uow_id = IdOf(unit), .any_thread = unit % 2 == 0},
                                        [&](UnitOfWork& work) { return Work(work, unit); }));
          }
          ++told;
        });
        while (engine_->stats().waiting + told < static_cast<std::int64_t>(threads.size())) {
          std::this_thread::yield();
        }
      }
      return absl::OkStatus();
    });
    threads.clear();
    doubted_ = doubted_ || absl::IsUnknown(first.status());
    if (doubted_) {
      const auto next = engine_->Run({}, [](UnitOfWork&) -> absl::Status {
        ADD_FAILURE() << "a unit was let in after one whose outcome is unknown";
        return absl::OkStatus();
      });
      EXPECT_TRUE(absl::IsFailedPrecondition(next.status())) << next.status();
    }
    Note("batch", first.status());
  }

  // A unit whose function fails at the end, and one that violates a constraint: both are recorded.
  void GiveUp() {
    if (engine_ == nullptr) return;
    const auto given_up = engine_->Run({}, [&](UnitOfWork& work) -> absl::Status {
      VOUCH_RETURN_IF_ERROR(Work(work, 100));
      return absl::CancelledError("thought better of it");
    });
    const auto refused = engine_->Run({}, [&](UnitOfWork& work) -> absl::Status {
      return work.Execute("INSERT INTO orders(id, note) VALUES (101, NULL)");
    });
    EXPECT_FALSE(given_up.ok());
    EXPECT_FALSE(refused.ok());
    Note("give up", absl::OkStatus());
  }

  const std::string path_;
  const Kind kind_;
  const Observer observer_;
  std::unique_ptr<Engine> engine_;
  int engines_ = 0;  // Opened so far.

  pool::Mutex mutex_;  // What follows, while there is more than one thread.
  Answers answers_;
  absl::Status last_;
  bool was_duplicate_ = false;
  bool doubted_ = false;  // The engine does not know what became of a unit, and takes no more.
};

class UnitFaultCrashTest : public ::testing::Test {
 protected:
  explicit UnitFaultCrashTest(Life::Kind kind = Life::Kind::kSingle) : kind_(kind) {}

  // A database whose schema is made, so that a life is about units.
  Disk::Files Template() {
    Life(path_, Life::Kind::kSingle, {}).OpenAndClose();
    return test::ReadFolder(folder_.path());
  }

  // Where a life was when a step had failed, or when all was over.
  struct Moment {
    std::string step;
    std::size_t events;
    Answers answers;
  };

  // Lives on `files`, calls `opened` when the engine is open for the first time, and `disarm` when
  // the failures are to be over.
  template <typename Opened, typename Disarm>
  void Live(const Disk::Files& files, FaultVfs& vfs, const Opened& opened, const Disarm& disarm) {
    test::WriteFolder(folder_.path(), files);
    vfs.StartRecording();
    std::vector<Moment> moments;
    std::optional<Life> life;
    const auto begun = std::chrono::steady_clock::now();
    bool was_open = false;
    life.emplace(path_, kind_, [&](const std::string& step, const absl::Status& status) {
      if (status.ok()) {
        if (!std::exchange(was_open, true)) opened();
        return;
      }
      moments.push_back({step, vfs.event_count(), life->answers()});
      ExpectFitting(step, status);
    });
    life->Live();
    disarm();
    EXPECT_LT(std::chrono::steady_clock::now() - begun, kLongestLife);
    EXPECT_OK(life->Prove());
    EXPECT_EQ(ContradictionIn(test::ReadFolder(folder_.path()), life->answers()), "") << "at last";

    const std::vector<IoEvent> events = vfs.events();
    for (const Moment& moment : moments) {
      // A sticky failure makes each step fail: the first and the last tell most.
      if (&moment != &moments.front() && &moment != &moments.back()) continue;
      SCOPED_TRACE("after: " + moment.step);
      Disk disk(files);
      for (std::size_t i = 0; i < moment.events; ++i) disk.Apply(events[i]);
      for (const Loss loss : {Loss::kNone, Loss::kTorn}) {
        ++images_;
        EXPECT_EQ(ContradictionIn(disk.AfterPowerLoss(loss, random_), moment.answers), "")
            << (loss == Loss::kNone ? "after a crash" : "after a loss of power");
      }
    }
  }

  static void ExpectFitting(const std::string& step, const absl::Status& status) {
    switch (status.code()) {
      case absl::StatusCode::kUnavailable:
      case absl::StatusCode::kResourceExhausted:
      case absl::StatusCode::kAborted:
      case absl::StatusCode::kFailedPrecondition:
        return;
      case absl::StatusCode::kUnknown:
        EXPECT_NE(step, "close") << status;
        return;
      default:
        ADD_FAILURE() << step << ": " << status;
    }
  }

  std::string ContradictionIn(const Disk::Files& files, const Answers& answers) {
    test::WriteFolder(crashed_.path(), files);
    if (!files.contains("app.db")) return answers.empty() ? "" : "the file is lost";
    auto connection = storage::SqliteConnection::Open(
        {.path = crashed_.File("app.db"), .access = storage::Access::kReadWrite});
    if (!connection.ok()) return std::string(connection.status().message());
    auto found = FindContradiction(**connection, answers);
    return found.ok() ? *std::move(found) : std::string(found.status().message());
  }

  void Report(const std::string& what, std::int64_t points) const {
    std::cout << what << ": " << points << " points, each lived with; " << images_
              << " crash images" << std::endl;
  }

  void SweepCalls(const Disk::Files& files, FaultVfs& vfs, IoFault fault, bool sticky, int step) {
    const int stride = test::SweepStride(step);
    std::int64_t points = 0;
    for (std::int64_t at = random_.Uniform(1, stride);; at += stride) {
      SCOPED_TRACE(absl::StrCat("fault ", static_cast<int>(fault), " at call ", at,
                                sticky ? " and after" : ""));
      std::string failed;
      vfs.Arm({.at = at, .sticky = sticky, .fault = fault});
      Live(
          files, vfs, [] {},
          [&] {
            failed = vfs.failed();
            vfs.Disarm();
          });
      ASSERT_FALSE(HasFailure()) << "failed: " << failed;
      if (failed.empty()) break;
      ++points;
    }
    Report(absl::StrCat("fault ", static_cast<int>(fault), sticky ? " from then on" : " once"),
           points);
  }

  void SweepAllocations(const Disk::Files& files, FaultMalloc& memory, FaultVfs& vfs, bool sticky,
                        int step) {
    const int stride = test::SweepStride(step);
    std::int64_t points = 0;
    for (std::int64_t at = random_.Uniform(1, stride);; at += stride) {
      SCOPED_TRACE(absl::StrCat("allocation ", at, sticky ? " and after" : ""));
      bool failed = false;
      // Opening makes thousands; here it is about units, unless there is no file yet.
      const auto arm = [&] { memory.Arm(at, sticky); };
      if (files.empty()) arm();
      Live(
          files, vfs,
          [&] {
            if (!files.empty()) arm();
          },
          [&] {
            failed = memory.failed();
            memory.Disarm();
          });
      ASSERT_FALSE(HasFailure());
      if (!failed) break;
      ++points;
    }
    Report(sticky ? "out of memory from then on" : "out of memory once", points);
  }

  void LosePower(int disks) {
    FaultVfs vfs;
    const Disk::Files files = Template();
    test::WriteFolder(folder_.path(), files);
    vfs.StartRecording();
    std::vector<Moment> moments = {{"", 0, {}}};
    std::optional<Life> life;
    life.emplace(path_, kind_, [&](const std::string& step, const absl::Status& status) {
      EXPECT_OK(status) << step;
      moments.push_back({step, vfs.event_count(), life->answers()});
    });
    life->Live();
    life->Close();
    const std::vector<IoEvent> events = vfs.events();
    const int each =
        std::max<int>(4, test::SweepImages(disks) / static_cast<int>(events.size() + 1));
    Disk disk(files);
    auto moment = moments.begin();
    for (std::size_t i = 0; i <= events.size(); ++i) {
      SCOPED_TRACE(absl::StrCat("after event ", i, " of ", events.size()));
      if (i > 0) disk.Apply(events[i - 1]);
      while (std::next(moment) != moments.end() && std::next(moment)->events <= i) ++moment;
      // A unit on its way is not among the answers, and may be there or not.
      for (int n = 0; n < each; ++n) {
        const Loss loss = n == 0   ? Loss::kNone
                          : n == 1 ? Loss::kAll
                                   : (n % 2 == 0 ? Loss::kTorn : Loss::kGarbage);
        ++images_;
        ASSERT_EQ(ContradictionIn(disk.AfterPowerLoss(loss, random_), moment->answers), "");
      }
    }
    std::cout << events.size() << " events, " << images_ << " disks" << std::endl;
  }

  const Life::Kind kind_;
  test::Random random_;
  test::TemporaryDirectory folder_{test::FastParent()};
  test::TemporaryDirectory crashed_{test::FastParent()};
  const std::string path_ = folder_.File("app.db");
  std::int64_t images_ = 0;
};

TEST_F(UnitFaultCrashTest, EveryCallToTheFileSystem) {
  FaultVfs vfs;
  const Disk::Files files = Template();
  SweepCalls(files, vfs, IoFault::kError, /*sticky=*/false, /*step=*/1);
  SweepCalls(files, vfs, IoFault::kError, /*sticky=*/true, /*step=*/3);
  SweepCalls(files, vfs, IoFault::kFull, /*sticky=*/false, /*step=*/1);
  SweepCalls(files, vfs, IoFault::kFull, /*sticky=*/true, /*step=*/3);
}

TEST_F(UnitFaultCrashTest, EveryAllocation) {
  FaultMalloc memory;
  FaultVfs vfs;
  const Disk::Files files = Template();
  SweepAllocations(files, memory, vfs, /*sticky=*/false, /*step=*/12);
  SweepAllocations(files, memory, vfs, /*sticky=*/true, /*step=*/36);
}

// Beginning with no file at all, so that the migrations are hit as well.
TEST_F(UnitFaultCrashTest, WhileTheSchemaIsMade) {
  FaultMalloc memory;
  FaultVfs vfs;
  SweepCalls({}, vfs, IoFault::kError, /*sticky=*/false, /*step=*/5);
  SweepAllocations({}, memory, vfs, /*sticky=*/false, /*step=*/100);
}

TEST_F(UnitFaultCrashTest, EveryLossOfPower) { LosePower(2'500); }

// ---- The same for units that share transactions ---------------------------------------------

class BatchFaultCrashTest : public UnitFaultCrashTest {
 protected:
  BatchFaultCrashTest() : UnitFaultCrashTest(Life::Kind::kBatches) {}
};

TEST_F(BatchFaultCrashTest, EveryCallToTheFileSystem) {
  FaultVfs vfs;
  const Disk::Files files = Template();
  SweepCalls(files, vfs, IoFault::kError, /*sticky=*/false, /*step=*/2);
  SweepCalls(files, vfs, IoFault::kError, /*sticky=*/true, /*step=*/7);
  SweepCalls(files, vfs, IoFault::kFull, /*sticky=*/false, /*step=*/3);
  SweepCalls(files, vfs, IoFault::kFull, /*sticky=*/true, /*step=*/7);
}

TEST_F(BatchFaultCrashTest, EveryAllocation) {
  FaultMalloc memory;
  FaultVfs vfs;
  const Disk::Files files = Template();
  SweepAllocations(files, memory, vfs, /*sticky=*/false, /*step=*/20);
  SweepAllocations(files, memory, vfs, /*sticky=*/true, /*step=*/60);
}

TEST_F(BatchFaultCrashTest, EveryLossOfPower) { LosePower(600); }

// ---- The same for units that are more than is kept in memory --------------------------------

class SpillFaultCrashTest : public UnitFaultCrashTest {
 protected:
  SpillFaultCrashTest() : UnitFaultCrashTest(Life::Kind::kSpilling) {}
};

TEST_F(SpillFaultCrashTest, EveryCallToTheFileSystem) {
  FaultVfs vfs;
  const Disk::Files files = Template();
  SweepCalls(files, vfs, IoFault::kError, /*sticky=*/false, /*step=*/7);
  SweepCalls(files, vfs, IoFault::kFull, /*sticky=*/false, /*step=*/7);
}

TEST_F(SpillFaultCrashTest, EveryAllocation) {
  FaultMalloc memory;
  FaultVfs vfs;
  const Disk::Files files = Template();
  SweepAllocations(files, memory, vfs, /*sticky=*/false, /*step=*/150);
}

}  // namespace
}  // namespace vouch::uow
