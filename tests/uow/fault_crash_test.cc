// Property: whatever call to the file system or to memory fails while units of work run, and at
//   whatever moment the power goes: a unit whose receipt was returned is there whole, with that
//   receipt; of a unit that was said to have failed nothing is there; the ledger verifies; and the
//   unit's id can be run again, which does its work exactly once.
// Method: an engine's life (open, units of all outcomes, close) is lived once for each call it
//   makes, with that call failing; after each step that failed, the files are taken as a crash at
//   that moment would leave them. And a life without failures is recorded, and disks are built as a
//   loss of power at each moment may have left them. Each is audited and compared with what was
//   answered.
// Failure: "unit 3 was committed and is lost", a finding of the audit.
//
// Seen to fail when: a row's image that there is no memory for is taken for null, as it once was;
// Settle() says "not committed" without having recorded the failure.
//
// VOUCH_TEST_LONG tries every point and twenty times as many disks, VOUCH_TEST_STRIDE=10 a tenth,
// VOUCH_TEST_SEED repeats a run.

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
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
constexpr int kProof = 9;  // The unit that is run when all is well again.

// What was answered about a unit.
struct Answer {
  enum Fate { kCommitted, kNotCommitted, kUnknown } fate;
  storage::Digest receipt_hash = {};  // When committed.
};
using Answers = std::map<int, Answer>;  // Of the units that were run, by their numbers.

std::string IdOf(int unit) { return absl::StrCat("01ARZ3NDEKTSV4RRFFQ69G5F0", unit); }

const storage::MigrationSet& Schema() {
  static const storage::MigrationSet* const set =
      new storage::MigrationSet(*storage::MigrationSet::FromSql(
          "shop",
          {{.version = 1,
            .name = "tables",
            .up = "CREATE TABLE orders(id INTEGER PRIMARY KEY, note TEXT NOT NULL UNIQUE);"
                  "CREATE TABLE items(orders INTEGER REFERENCES orders(id), n INTEGER,"
                  " body BLOB, PRIMARY KEY(orders, n)) WITHOUT ROWID;"
                  "CREATE TABLE total(id INTEGER PRIMARY KEY, orders INTEGER, note TEXT);"}}));
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
  }
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
      VOUCH_ASSIGN_OR_RETURN(const StoredReceipt stored, ReadReceipt(connection, IdOf(unit)));
      if (stored.stored_hash != storage::HexOf(answer.receipt_hash)) {
        return absl::StrCat("unit ", unit, " has another receipt than the one returned");
      }
    }
    if (answer.fate == Answer::kNotCommitted && present) {
      return absl::StrCat("unit ", unit, " was not committed and is there");
    }
  }
  return "";
}

// An engine from opening to closing, and an account of its answers.
class Life {
 public:
  using Observer = std::function<void(const std::string& step, const absl::Status& status)>;

  Life(std::string path, Observer observer)
      : path_(std::move(path)), observer_(std::move(observer)) {}

  void OpenAndClose() {
    Open();
    Close();
    EXPECT_OK(last_);
  }

  void Live() {
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

  // What nothing stands in the way of any more.
  absl::Status Prove() {
    Open();
    if (engine_ == nullptr) return last_;
    Run(kProof);
    if (doubted_) {
      // It has to be opened again, and says so.
      if (!absl::IsFailedPrecondition(last_)) return absl::InternalError("went on in doubt");
      Close();
      Open();
      answers_.erase(kProof);
      Run(kProof);
    }
    if (!last_.ok()) return last_;
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

  void Close() {
    if (engine_ == nullptr) return;
    Note("close", engine_->Close(absl::Seconds(5)));
    engine_.reset();
    doubted_ = false;
  }

  const Answers& answers() const { return answers_; }

 private:
  void Note(const std::string& step, const absl::Status& status) {
    last_ = status;
    if (observer_) observer_(step, status);
  }

  void Open() {
    if (engine_ != nullptr) return;
    auto engine = Engine::Open({.path = path_,
                                .migrations = {Schema()},
                                .max_readers = 1,
                                .busy_timeout = absl::Milliseconds(5),
                                .governor = {.checkpoint_pages = 20},
                                .unit_timeout = absl::Seconds(2),
                                .retry = {.max_retries = 1, .first_delay = absl::ZeroDuration()}});
    Note("open", engine.status());
    if (engine.ok()) engine_ = *std::move(engine);
  }

  void Answered(int unit, const absl::StatusOr<Receipt>& receipt) {
    if (receipt.ok()) {
      answers_[unit] = {Answer::kCommitted, receipt->hash};
      was_duplicate_ = receipt->was_duplicate;
    } else if (absl::IsUnknown(receipt.status())) {
      answers_[unit] = {Answer::kUnknown};
      doubted_ = true;
    } else {
      answers_[unit] = {Answer::kNotCommitted};
    }
    Note(absl::StrCat("unit ", unit), receipt.status());
  }

  void Run(int unit) {
    if (engine_ == nullptr) return;
    answers_.try_emplace(unit, Answer{Answer::kUnknown});
    Answered(unit, engine_->Run({.uow_id = IdOf(unit), .actor_id = "u"},
                                [&](UnitOfWork& work) { return Work(work, unit); }));
  }

  void RunInteractive(int unit) {
    if (engine_ == nullptr) return;
    answers_.try_emplace(unit, Answer{Answer::kUnknown});
    Answered(unit, [&]() -> absl::StatusOr<Receipt> {
      VOUCH_ASSIGN_OR_RETURN(InteractiveUnit work, engine_->Begin({.uow_id = IdOf(unit)}));
      VOUCH_RETURN_IF_ERROR(Work(*work, unit));
      return work.Commit();
    }());
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
  const Observer observer_;
  std::unique_ptr<Engine> engine_;
  Answers answers_;
  absl::Status last_;
  bool was_duplicate_ = false;
  bool doubted_ = false;  // The engine does not know what became of a unit, and takes no more.
};

class UnitFaultCrashTest : public ::testing::Test {
 protected:
  // A database whose schema is made, so that a life is about units.
  Disk::Files Template() {
    Life(path_, {}).OpenAndClose();
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
    life.emplace(path_, [&](const std::string& step, const absl::Status& status) {
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

TEST_F(UnitFaultCrashTest, EveryLossOfPower) {
  FaultVfs vfs;
  const Disk::Files files = Template();
  test::WriteFolder(folder_.path(), files);
  vfs.StartRecording();
  std::vector<Moment> moments = {{"", 0, {}}};
  std::optional<Life> life;
  life.emplace(path_, [&](const std::string& step, const absl::Status& status) {
    EXPECT_OK(status) << step;
    moments.push_back({step, vfs.event_count(), life->answers()});
  });
  life->Live();
  life->Close();
  const std::vector<IoEvent> events = vfs.events();
  const int each = std::max<int>(4, test::SweepImages(2'500) / static_cast<int>(events.size() + 1));
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

}  // namespace
}  // namespace vouch::uow
