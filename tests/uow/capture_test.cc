// Property: the writes of a unit are exactly the difference between the tables before and after
// it, whatever statements made it, whatever failed on the way and whatever was rolled back; and a
// checksum is that of the row as a fresh SELECT reads it.
//
// Method: random statements of every kind against tables of every shape, some of which fail, some
// inside savepoints that are undone. Before and after each unit all rows are read and encoded by
// the audit's path (SELECT), not by the capture's (change hook); the difference must equal the
// receipt's writes, and at the end the whole ledger must audit clean.
//
// Failure looks like a write that is missing, too many, or has another checksum than the row.

#include "uow/capture.h"

#include <malloc.h>
#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/migrations/migration.h"
#include "storage/sqlite/blob.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"
#include "tests/uow/snapshot.h"
#include "uow/audit.h"
#include "uow/engine.h"
#include "uow/format.h"
#include "uow/table.h"

namespace vouch::uow {
namespace {

constexpr char kSchema[] = R"(
  CREATE TABLE plain(id INTEGER PRIMARY KEY, a, b REAL, c TEXT UNIQUE ON CONFLICT FAIL);
  CREATE TABLE rowless(k TEXT, n INT, v REAL, PRIMARY KEY(n, k)) WITHOUT ROWID;
  CREATE TABLE exact(id INTEGER PRIMARY KEY, r REAL, i INTEGER, t TEXT) STRICT;
  CREATE TABLE generated(id INTEGER PRIMARY KEY, a, twice AS (a || a) VIRTUAL, b,
                         kept AS (a || '!') STORED, c REAL);
  CREATE TABLE generated_rowless(k TEXT, twice AS (v || v) VIRTUAL, v, n INT NOT NULL,
                                 PRIMARY KEY(k, n)) WITHOUT ROWID;
  CREATE TABLE nocase(k TEXT COLLATE NOCASE NOT NULL PRIMARY KEY, v);
  CREATE TABLE parent(id INTEGER PRIMARY KEY, v);
  CREATE TABLE child(id INTEGER PRIMARY KEY, p INTEGER REFERENCES parent(id) ON DELETE CASCADE
                     ON UPDATE CASCADE, v);
  CREATE TABLE copied(id INTEGER PRIMARY KEY, v);
  CREATE TRIGGER copy AFTER INSERT ON parent BEGIN
    INSERT OR REPLACE INTO copied VALUES (new.id, new.v);
  END;
)";

constexpr const char* kTables[] = {"plain",  "rowless", "exact", "generated", "generated_rowless",
                                   "nocase", "parent",  "child", "copied"};

class Statements {
 public:
  explicit Statements(test::Random& random) : random_(random) {}

  std::string Next() {
    const std::string key = absl::StrCat(random_.Uniform(1, 6));
    const std::string other = absl::StrCat(random_.Uniform(1, 6));
    switch (random_.Uniform(0, 21)) {
      case 0:
        return absl::StrCat("INSERT INTO plain VALUES (", key, ",", Value(), ",", Value(), ",",
                            Value(), ")");
      case 1:
        return absl::StrCat("REPLACE INTO plain VALUES (", key, ",", Value(), ",", Value(), ",",
                            Value(), ")");
      case 2:
        return absl::StrCat("UPDATE plain SET b = ", Value(), ", c = ", Value(),
                            " WHERE id >= ", key);
      case 3:
        return absl::StrCat("UPDATE OR IGNORE plain SET id = ", other, " WHERE id = ", key);
      case 4:
        return absl::StrCat("DELETE FROM plain WHERE id = ", key);
      case 5:
        return absl::StrCat("INSERT INTO rowless VALUES ('k", key, ",'||", Value(), ",", other, ",",
                            Value(),
                            ")"
                            " ON CONFLICT DO UPDATE SET v = excluded.v");
      case 6:
        return absl::StrCat("UPDATE rowless SET n = n + 1 WHERE n < ", key);
      case 7:
        return "DELETE FROM rowless";
      case 8:
        return absl::StrCat("INSERT OR REPLACE INTO exact VALUES (", key, ",", other, ",", other,
                            ".0, ", Text(), ")");
      case 9:
        return absl::StrCat("UPDATE exact SET r = r + ", key, ", t = ", Text());
      case 10:
        return absl::StrCat("INSERT INTO generated(id, a, b, c) VALUES (", key, ",", Value(), ",",
                            Value(), ",", other, ")");
      case 11:
        return absl::StrCat("UPDATE generated SET c = ", Value(), ", a = ", Value(),
                            " WHERE id <> ", key);
      case 12:
        return absl::StrCat("DELETE FROM generated WHERE id > ", key);
      case 13:
        return absl::StrCat("INSERT OR REPLACE INTO generated_rowless(k, v, n) VALUES ('", key,
                            "',", Value(), ",", other, ")");
      case 14:
        return absl::StrCat("UPDATE generated_rowless SET v = ", Value(), " WHERE k = '", key, "'");
      case 15:
        return absl::StrCat("INSERT OR REPLACE INTO nocase VALUES (",
                            random_.OneIn(2) ? "'a" : "'A", key, "',", Value(), ")");
      case 16:
        return absl::StrCat("UPDATE nocase SET k = ", random_.OneIn(2) ? "upper(k)" : "lower(k)",
                            " WHERE v IS NOT ", Value());
      case 17:
        return absl::StrCat("INSERT OR REPLACE INTO parent VALUES (", key, ",", Value(), ")");
      case 18:
        return absl::StrCat("INSERT INTO child(id, p, v) VALUES (", key, ",", other, ",", Value(),
                            ")");
      case 19:
        return absl::StrCat("DELETE FROM parent WHERE id = ", key);
      case 20:
        return absl::StrCat("UPDATE parent SET id = ", other, " WHERE id = ", key);
      default:
        return absl::StrCat("UPDATE OR FAIL plain SET c = ", Text(), " WHERE id > ", key);
    }
  }

 private:
  std::string Text() {
    constexpr const char* kTexts[] = {
        "''", "'Zoë'", "'a,b/c''d'", "'x'||char(0)||'y'", "'5'", "CAST(x'ff00fe' AS TEXT)"};
    return kTexts[random_.Uniform(0, 5)];
  }
  std::string Value() {
    constexpr const char* kValues[] = {"NULL", "0",       "-1",    "9223372036854775807",
                                       "1.5",  "-0.0",    "1e999", "5",
                                       "x''",  "x'00ff'", "7.0",   "'5.0'"};
    return random_.OneIn(3) ? Text() : kValues[random_.Uniform(0, 11)];
  }

  test::Random& random_;
};

TEST(CaptureTest, WritesAreTheDifferenceOfTheTables) {
  test::Random random;
  Statements statements(random);
  auto schema =
      storage::MigrationSet::FromSql("shapes", {{.version = 1, .name = "tables", .up = kSchema}});
  ASSERT_OK(schema);
  ASSERT_OK_AND_ASSIGN(auto engine, Engine::Open({.path = ":memory:", .migrations = {*schema}}));

  const char* wanted = std::getenv("VOUCH_TEST_LONG");
  const int units = wanted != nullptr ? 50'000 : 1'500;
  int writes = 0;
  int failures = 0;
  for (int i = 0; i < units; ++i) {
    Snapshot before;
    Snapshot after;
    std::vector<std::string> script;
    const auto receipt = engine->Run({}, [&](UnitOfWork& unit) -> absl::Status {
      auto& connection = unit.connection();
      VOUCH_ASSIGN_OR_RETURN(before, TakeSnapshot(connection, kTables));
      std::vector<storage::Savepoint> savepoints;
      const auto end_savepoint = [&]() -> absl::Status {
        const bool release = random.OneIn(2);
        script.emplace_back(release ? "RELEASE" : "ROLLBACK TO");
        const absl::Status status =
            release ? savepoints.back().Release() : savepoints.back().Rollback();
        savepoints.pop_back();
        return status;
      };
      const int count = random.Uniform(0, 8);
      for (int j = 0; j < count; ++j) {
        if (random.OneIn(5)) {
          script.emplace_back("SAVEPOINT");
          VOUCH_ASSIGN_OR_RETURN(auto savepoint, unit.BeginSavepoint());
          savepoints.push_back(std::move(savepoint));
        } else if (!savepoints.empty() && random.OneIn(4)) {
          VOUCH_RETURN_IF_ERROR(end_savepoint());
        }
        script.push_back(statements.Next());
        // A failed statement is part of the property: what it did is undone, or, with OR FAIL,
        // partly kept, and the unit goes on.
        if (!unit.Execute(script.back()).ok()) ++failures;
      }
      while (!savepoints.empty()) VOUCH_RETURN_IF_ERROR(end_savepoint());
      VOUCH_ASSIGN_OR_RETURN(after, TakeSnapshot(connection, kTables));
      return absl::OkStatus();
    });
    ASSERT_OK(receipt);

    ASSERT_OK_AND_ASSIGN(auto reader, engine->Read());
    ASSERT_OK_AND_ASSIGN(const StoredReceipt stored, ReadReceipt(*reader, receipt->seq));
    const auto captured = ChangesIn(stored);
    writes += static_cast<int>(captured.size());
    ASSERT_EQ(captured.size(), stored.writes.size()) << "a record is written once";
    ASSERT_TRUE(captured == Difference(before, after)) << "unit " << i << ":\n"
                                                       << [&] {
                                                            std::string lines;
                                                            for (const std::string& line : script)
                                                              absl::StrAppend(&lines, line, ";\n");
                                                            return lines;
                                                          }();
  }
  EXPECT_GT(writes, units) << "the statements do too little to prove anything";
  EXPECT_GT(failures, units / 10) << "too few statements fail to prove anything";
  ASSERT_OK_AND_ASSIGN(auto reader, engine->Read());
  ASSERT_OK_AND_ASSIGN(const AuditReport report, Audit(*reader, {}));
  EXPECT_TRUE(report.verified) << report.findings.front().message;
}

// Random statements and savepoints, in words that RunScript() understands.
std::vector<std::string> DrawScript(test::Random& random, Statements& statements) {
  std::vector<std::string> script;
  int open = 0;
  for (int i = random.Uniform(0, 12); i > 0; --i) {
    if (random.OneIn(5)) {
      script.emplace_back("SAVEPOINT");
      ++open;
    } else if (open > 0 && random.OneIn(4)) {
      script.emplace_back(random.OneIn(2) ? "RELEASE" : "ROLLBACK TO");
      --open;
    }
    script.push_back(statements.Next());
  }
  for (; open > 0; --open) script.emplace_back("RELEASE");
  return script;
}

absl::Status RunScript(UnitOfWork& unit, const std::vector<std::string>& script) {
  std::vector<storage::Savepoint> savepoints;
  for (const std::string& step : script) {
    if (step == "SAVEPOINT") {
      VOUCH_ASSIGN_OR_RETURN(auto savepoint, unit.BeginSavepoint());
      savepoints.push_back(std::move(savepoint));
    } else if (step == "RELEASE" || step == "ROLLBACK TO") {
      VOUCH_RETURN_IF_ERROR(step == "RELEASE" ? savepoints.back().Release()
                                              : savepoints.back().Rollback());
      savepoints.pop_back();
    } else {
      (void)unit.Execute(step);  // One that fails is part of the property.
    }
  }
  return absl::OkStatus();
}

std::string Describe(const WriteRecord& write) {
  std::string bytes;
  AppendWrite(bytes, write);
  return bytes;
}

// Property: how much memory the capture may take changes nothing of a receipt.
// Method: the same random units on engines of which one keeps all in memory, one puts every record
// by at once, and one a few at a time. Failure: another write, or another order.
TEST(CaptureTest, WhatIsPutByInAFileComesBackTheSame) {
  test::Random random;
  Statements statements(random);
  auto schema =
      storage::MigrationSet::FromSql("shapes", {{.version = 1, .name = "tables", .up = kSchema}});
  ASSERT_OK(schema);
  std::vector<std::unique_ptr<Engine>> engines;
  for (const std::int64_t bytes : {std::int64_t{8} << 20, std::int64_t{1}, std::int64_t{1'000}}) {
    ASSERT_OK_AND_ASSIGN(
        auto engine,
        Engine::Open({.path = ":memory:", .migrations = {*schema}, .capture_bytes = bytes}));
    engines.push_back(std::move(engine));
  }
  const int units = 300 * (std::getenv("VOUCH_TEST_LONG") != nullptr ? 20 : 1);
  std::int64_t writes = 0;
  for (int i = 0; i < units; ++i) {
    const std::vector<std::string> script = DrawScript(random, statements);
    std::vector<std::vector<std::string>> told;
    for (const auto& engine : engines) {
      ASSERT_OK_AND_ASSIGN(const Receipt receipt, engine->Run({}, [&](UnitOfWork& unit) {
        return RunScript(unit, script);
      }));
      ASSERT_OK_AND_ASSIGN(auto reader, engine->Read());
      ASSERT_OK_AND_ASSIGN(const StoredReceipt stored, ReadReceipt(*reader, receipt.seq));
      EXPECT_EQ(stored.stored_hash, storage::HexOf(receipt.hash));
      EXPECT_EQ(receipt.stores, stored.writes.empty() ? 0 : 1);
      std::int64_t bytes = 0;
      auto& lines = told.emplace_back();
      for (const WriteRecord& write : stored.writes) {
        bytes += write.bytes;
        lines.push_back(Describe(write));
      }
      EXPECT_EQ(receipt.bytes_written, bytes);
      EXPECT_EQ(receipt.writes, static_cast<std::int64_t>(lines.size()));
    }
    writes += static_cast<std::int64_t>(told[0].size());
    ASSERT_EQ(told[1], told[0]) << "unit " << i;
    ASSERT_EQ(told[2], told[0]) << "unit " << i;
  }
  EXPECT_GT(writes, units) << "the statements do too little to prove anything";
  for (const auto& engine : engines) {
    ASSERT_OK_AND_ASSIGN(auto reader, engine->Read());
    ASSERT_OK_AND_ASSIGN(const AuditReport report, Audit(*reader, {}));
    EXPECT_TRUE(report.verified) << report.findings.front().message;
  }
}

// What the program holds beside SQLite, whose caches have bounds of their own.
std::int64_t HeldBytes() {
  const struct mallinfo2 info = ::mallinfo2();
  return static_cast<std::int64_t>(info.uordblks + info.hblkhd) - sqlite3_memory_used();
}

// Looks all the time; a peak of a moment can escape it, what grows with the rows cannot.
class HighestHeld {
 public:
  HighestHeld()
      : watcher_([this](const std::stop_token& stop) {
          while (!stop.stop_requested()) {
            highest_ = std::max(highest_.load(), HeldBytes());
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
          }
        }) {}
  std::int64_t growth() const { return highest_ - before_; }

 private:
  const std::int64_t before_ = HeldBytes();
  std::atomic<std::int64_t> highest_ = before_;
  std::jthread watcher_;
};

TEST(CaptureTest, AUnitOfManyRowsTakesBoundedMemory) {
  constexpr std::int64_t kRows = 25'000;
  auto schema = storage::MigrationSet::FromSql(
      "t", {{.version = 1, .name = "t", .up = "CREATE TABLE t(id INTEGER PRIMARY KEY, x)"}});
  ASSERT_OK(schema);
  ASSERT_OK_AND_ASSIGN(
      const auto engine,
      Engine::Open({.path = ":memory:", .migrations = {*schema}, .capture_bytes = 64 << 10}));
  const auto run = [&](const char* sql) -> std::int64_t {
    const HighestHeld highest;
    const auto receipt =
        engine->Run({}, [&](UnitOfWork& unit) { return unit.Execute(sql, kRows); });
    EXPECT_OK(receipt);
    // All in memory these rows took 8 MiB.
    EXPECT_LT(highest.growth(), 2 << 20) << sql;
    return receipt.ok() ? receipt->writes : -1;
  };
  EXPECT_EQ(run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)"
                " INSERT INTO t SELECT i, 'a text of some length' FROM n"),
            kRows);
  EXPECT_EQ(run("UPDATE t SET x = x || '.' WHERE id <= ?1"), kRows);
}

class CaptureShapesTest : public ::testing::Test {
 protected:
  void Open(const char* schema) {
    auto set =
        storage::MigrationSet::FromSql("shapes", {{.version = 1, .name = "tables", .up = schema}});
    ASSERT_OK(set);
    ASSERT_OK_AND_ASSIGN(engine_, Engine::Open({.path = ":memory:", .migrations = {*set}}));
  }

  // The record ids and operations of a unit with these statements.
  std::vector<std::string> WritesOf(const std::vector<std::string>& statements) {
    return WritesOf([&](UnitOfWork& unit) -> absl::Status {
      for (const std::string& sql : statements) VOUCH_RETURN_IF_ERROR(unit.Execute(sql));
      return absl::OkStatus();
    });
  }
  std::vector<std::string> WritesOf(const std::function<absl::Status(UnitOfWork&)>& function) {
    std::vector<std::string> lines;
    const auto receipt = engine_->Run({}, function);
    EXPECT_OK(receipt);
    if (!receipt.ok()) return lines;
    auto reader = engine_->Read();
    const auto stored = ReadReceipt(**reader, receipt->seq);
    EXPECT_OK(stored);
    for (const WriteRecord& write : stored->writes) {
      lines.push_back(absl::StrCat(NameOf(write.operation), " ", write.record_id));
    }
    return lines;
  }

  // That every checksum is that of the row as it is read; what the audit left out, by name.
  std::map<std::string, std::string> SkippedByTheAudit() {
    std::map<std::string, std::string> skipped;
    auto reader = engine_->Read();
    EXPECT_OK(reader);
    const auto report = Audit(**reader, {});
    EXPECT_OK(report);
    EXPECT_TRUE(report->verified) << report->findings.front().message;
    for (const auto& table : report->skipped_tables) skipped[table.name] = table.reason;
    return skipped;
  }

  std::unique_ptr<Engine> engine_;
};

TEST_F(CaptureShapesTest, AChangedKeyIsADeleteAndACreate) {
  Open("CREATE TABLE t(k TEXT NOT NULL COLLATE NOCASE PRIMARY KEY)");
  EXPECT_THAT(WritesOf({"INSERT INTO t VALUES ('a')"}), ::testing::ElementsAre("create t/'a"));
  EXPECT_THAT(WritesOf({"UPDATE t SET k = 'A'"}),
              ::testing::ElementsAre("delete t/'a", "create t/'A"));
}

TEST_F(CaptureShapesTest, DeletingEverythingFromACachedStatementIsSeenEachTime) {
  Open("CREATE TABLE t(id INTEGER PRIMARY KEY)");
  for (int round = 0; round < 3; ++round) {
    EXPECT_THAT(WritesOf({"INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)"}),
                ::testing::SizeIs(2));
    EXPECT_THAT(WritesOf({"DELETE FROM t"}), ::testing::ElementsAre("delete t/1", "delete t/2"));
  }
}

TEST_F(CaptureShapesTest, FullTextIndexesAreLeftOut) {
  Open(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT);"
      "CREATE VIRTUAL TABLE words USING fts5(x, content='t', content_rowid='id');"
      "CREATE TRIGGER fill AFTER INSERT ON t BEGIN"
      "  INSERT INTO words(rowid, x) VALUES (new.id, new.x); END;");
  EXPECT_THAT(WritesOf({"INSERT INTO t VALUES (1, 'some words')"}),
              ::testing::ElementsAre("create t/1"));
  ASSERT_OK_AND_ASSIGN(auto reader, engine_->Read());
  EXPECT_THAT(reader->QueryValue<int>("SELECT rowid FROM words WHERE words MATCH 'some'"),
              test::IsOkAndHolds(1));
}

TEST_F(CaptureShapesTest, VirtualTablesAreLeftOutAndTheAuditSaysSo) {
  Open(
      "CREATE TABLE t(id INTEGER PRIMARY KEY);"
      "CREATE VIRTUAL TABLE words USING fts5(x);"
      "CREATE VIRTUAL TABLE boxes USING rtree(id, low, high);");
  EXPECT_THAT(WritesOf({"INSERT INTO words VALUES ('some words')", "INSERT INTO t VALUES (1)",
                        "INSERT INTO boxes VALUES (1, 2, 3)", "UPDATE words SET x = 'others'",
                        "DELETE FROM boxes"}),
              ::testing::ElementsAre("create t/1"));
  const auto skipped = SkippedByTheAudit();
  for (const char* table : {"words", "boxes"}) {
    ASSERT_TRUE(skipped.contains(table)) << table;
    EXPECT_THAT(skipped.at(table), ::testing::HasSubstr("virtual"));
  }
}

TEST_F(CaptureShapesTest, AnIncrementalBlobWriteIsAnUpdateOfItsRow) {
  Open("CREATE TABLE t(id INTEGER PRIMARY KEY, x BLOB, n)");
  const auto write = [](UnitOfWork& unit, std::int64_t row, std::string_view bytes) {
    auto& connection = dynamic_cast<storage::SqliteConnection&>(unit.connection());
    auto blob = storage::BlobWriter::Open(connection, {"t", "x", row});
    if (!blob.ok()) return blob.status();
    return blob->Write(0, std::as_bytes(std::span(bytes)));
  };
  EXPECT_THAT(WritesOf([&](UnitOfWork& unit) -> absl::Status {
                VOUCH_RETURN_IF_ERROR(
                    unit.Execute("INSERT INTO t VALUES (1, zeroblob(5000), 'a'),"
                                 " (2, zeroblob(5000), 'b')"));
                return write(unit, 2, "made and filled");
              }),
              ::testing::ElementsAre("create t/1", "create t/2"));
  EXPECT_THAT(WritesOf([&](UnitOfWork& unit) { return write(unit, 1, "filled"); }),
              ::testing::ElementsAre("update t/1"));
  EXPECT_THAT(WritesOf([&](UnitOfWork& unit) { return write(unit, 1, "filled"); }),
              ::testing::IsEmpty())
      << "the same bytes again";
  EXPECT_THAT(SkippedByTheAudit(), ::testing::IsEmpty());
}

TEST_F(CaptureShapesTest, NullInAKeyIsRefused) {
  Open(
      "CREATE TABLE loose(k TEXT PRIMARY KEY, v);"
      "CREATE TABLE tight(k TEXT, l, v, PRIMARY KEY(k, l)) WITHOUT ROWID;"
      "CREATE TABLE strict(k TEXT PRIMARY KEY, v INTEGER) STRICT;"
      "CREATE TABLE alias(k INTEGER PRIMARY KEY, v);");
  // A key that can be NULL makes a table one of no store, whatever is written to it.
  const auto loose = engine_->Run(
      {}, [](UnitOfWork& unit) { return unit.Execute("INSERT INTO loose VALUES ('x', 1)"); });
  EXPECT_THAT(loose, test::StatusIs(absl::StatusCode::kPermissionDenied,
                                    ::testing::HasSubstr("table loose")));
  EXPECT_THAT(WritesOf([](UnitOfWork& unit) -> absl::Status {
                for (const char* sql : {"INSERT INTO tight VALUES ('a', NULL, 1)",
                                        "INSERT INTO tight VALUES (NULL, 1, 1)",
                                        "INSERT INTO strict VALUES (NULL, 1)"}) {
                  EXPECT_THAT(unit.Execute(sql), test::StatusIs(absl::StatusCode::kInvalidArgument))
                      << sql;
                }
                VOUCH_RETURN_IF_ERROR(unit.Execute("INSERT INTO tight VALUES ('a', 1, 1)"));
                EXPECT_THAT(unit.Execute("UPDATE tight SET l = NULL"),
                            test::StatusIs(absl::StatusCode::kInvalidArgument));
                // Here NULL asks for the next number.
                return unit.Execute("INSERT INTO alias VALUES (NULL, 1)");
              }),
              ::testing::ElementsAre("create tight/'a,1", "create alias/1"));
  EXPECT_THAT(SkippedByTheAudit(), ::testing::ElementsAre(::testing::Key("loose")));
}

TEST_F(CaptureShapesTest, VeryLargeRows) {
  Open(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, x, y); CREATE TABLE keyed(k TEXT NOT NULL PRIMARY "
      "KEY)");
  constexpr std::int64_t kBytes = 8 << 20;
  EXPECT_THAT(WritesOf([&](UnitOfWork& unit) {
                return unit.Execute("INSERT INTO t VALUES (1, randomblob(?1), zeroblob(?1))",
                                    kBytes);
              }),
              ::testing::ElementsAre("create t/1"));
  EXPECT_THAT(WritesOf({"UPDATE t SET y = 'short'"}), ::testing::ElementsAre("update t/1"));
  // Beside a failed statement, after which the rows are read again.
  EXPECT_THAT(WritesOf([](UnitOfWork& unit) -> absl::Status {
                VOUCH_RETURN_IF_ERROR(unit.Execute("UPDATE t SET y = x || 'z'"));
                EXPECT_FALSE(unit.Execute("INSERT INTO t VALUES (1, 2, 3)").ok());
                return absl::OkStatus();
              }),
              ::testing::ElementsAre("update t/1"));
  // A record id of a megabyte, three for a byte.
  const std::string key(1 << 20, '/');
  EXPECT_THAT(WritesOf([&](UnitOfWork& unit) {
                return unit.Execute("INSERT INTO keyed VALUES (?1)", key);
              }),
              ::testing::ElementsAre(
                  ::testing::SizeIs(std::string_view("create keyed/'").size() + 3 * key.size())));
  ASSERT_OK_AND_ASSIGN(auto reader, engine_->Read());
  ASSERT_OK_AND_ASSIGN(const StoredReceipt created, ReadReceipt(*reader, 1));
  EXPECT_EQ(created.receipt.bytes_written, 8 + 2 * kBytes);
  EXPECT_THAT(SkippedByTheAudit(), ::testing::IsEmpty());
}

TEST_F(CaptureShapesTest, OrdinalsFollowTheFirstChangeOfEachRecord) {
  Open("CREATE TABLE t(id INTEGER PRIMARY KEY, x)");
  EXPECT_THAT(WritesOf({"INSERT INTO t VALUES (3, 1)", "INSERT INTO t VALUES (1, 1)",
                        "INSERT INTO t VALUES (2, 1)", "DELETE FROM t WHERE id = 1",
                        "UPDATE t SET x = 2 WHERE id = 3"}),
              ::testing::ElementsAre("create t/3", "create t/2"));
}

}  // namespace
}  // namespace vouch::uow
