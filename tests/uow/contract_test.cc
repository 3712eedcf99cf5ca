// Property: the contract's five validations, and the four queries they are written as, agree on any
//   rows that a table of the seed's shape can hold, except where the queries are known to be too
//   lenient (a hash that is not hex, a version, values of another type); what is missing in the
//   schema is told and no error.
// Failure: a violation that is not found or found twice, or an SQL error.

#include "uow/contract.h"

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "storage/sqlite/connection.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"
#include "uow/engine.h"

namespace vouch::uow {
namespace {

using storage::SqliteConnection;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;

// As the document of the seed makes them, without any constraint.
constexpr const char* kSeedTables =
    "CREATE TABLE unit_of_work(uow_id TEXT PRIMARY KEY, envelope_id TEXT, status TEXT,"
    " created_ts TEXT, committed_ts TEXT, total_execution_time_ms INTEGER DEFAULT 0,"
    " commit_time_ms INTEGER DEFAULT 0, store_count INTEGER DEFAULT 0,"
    " total_bytes_written INTEGER DEFAULT 0, retry_count INTEGER DEFAULT 0, error_type TEXT,"
    " error_message TEXT, failed_store TEXT, error_ts TEXT, recovery_attempted INTEGER DEFAULT 0,"
    " receipt_hash TEXT, receipt_signature TEXT, space_id TEXT, actor_id TEXT, device_id TEXT,"
    " correlation_id TEXT, band TEXT, contract_version TEXT DEFAULT '1.1.0');"
    "CREATE TABLE uow_writes(id INTEGER PRIMARY KEY, uow_id TEXT, store TEXT, record_id TEXT,"
    " write_ts TEXT, operation_type TEXT DEFAULT 'create', bytes_written INTEGER DEFAULT 0,"
    " checksum TEXT);";

constexpr const char* kUpperHash =
    "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD";

class ContractTest : public ::testing::Test {
 protected:
  ContractTest() {
    auto connection = SqliteConnection::Open({.path = SqliteConnection::InMemoryPath()});
    EXPECT_OK(connection);
    connection_ = *std::move(connection);
  }

  ContractReport Check() {
    auto report = CheckContract(*connection_);
    EXPECT_OK(report);
    return report.ok() ? *report : ContractReport();
  }

  // "rule field count example" of each violation.
  std::vector<std::string> Found() {
    std::vector<std::string> found;
    for (const ContractViolation& violation : Check().violations) {
      EXPECT_THAT(violation.message, HasSubstr(violation.field));
      found.push_back(absl::StrCat(NameOf(violation.rule), " ", violation.field, " ",
                                   violation.count, " ", violation.example));
    }
    return found;
  }

  void Insert(const std::string& columns, const std::string& values) {
    ASSERT_OK(
        connection_->Execute(absl::StrCat("INSERT INTO unit_of_work(status, created_ts, ", columns,
                                          ") VALUES ('committed', 'x', ", values, ")")));
  }

  std::unique_ptr<SqliteConnection> connection_;
};

TEST_F(ContractTest, UnitsThatComplyAreCounted) {
  ASSERT_OK(connection_->ExecuteScript(kSeedTables));
  Insert("uow_id, receipt_hash, band", absl::StrCat("'a', '", kUpperHash, "', 'BLACK'"));
  Insert("uow_id, total_execution_time_ms, commit_time_ms, contract_version",
         "'b', NULL, 7, '1.0.0'");
  const ContractReport report = Check();
  EXPECT_TRUE(report.complies());
  EXPECT_EQ(report.units, 2);
}

TEST_F(ContractTest, EachRuleIsFoundByItself) {
  const struct {
    const char* columns;
    const char* values;
    const char* found;
  } kCases[] = {
      {"total_execution_time_ms", "-1", "negative_time total_execution_time_ms 1 u"},
      {"commit_time_ms", "-0.5", "negative_time commit_time_ms 1 u"},
      {"commit_time_ms", "1.5", "wrong_type commit_time_ms 1 u"},
      {"commit_time_ms", "'soon'", "wrong_type commit_time_ms 1 u"},
      {"receipt_hash", "'abc'", "bad_receipt_hash receipt_hash 1 u"},
      {"receipt_hash", "''", "bad_receipt_hash receipt_hash 1 u"},
      // Of the right length, which is all that the seed's own query asks.
      {"receipt_hash", "printf('%064d', 0) || ''", ""},
      {"receipt_hash", "replace(printf('%064d', 0), '0', 'g')",
       "bad_receipt_hash receipt_hash 1 u"},
      {"receipt_hash", "zeroblob(64)", "wrong_type receipt_hash 1 u"},
      {"band", "'green'", "bad_band band 1 u"},
      {"band", "''", "bad_band band 1 u"},
      {"band", "1", "bad_band band 1 u"},
      {"contract_version", "'1.0'", "bad_contract_version contract_version 1 u"},
      {"contract_version", "'1.1.0-rc'", "bad_contract_version contract_version 1 u"},
      {"contract_version", "'01.1.0'", "bad_contract_version contract_version 1 u"},
      {"contract_version", "NULL", "bad_contract_version contract_version 1 u"},
      {"contract_version", "x'31'", "wrong_type contract_version 1 u"},
  };
  ASSERT_OK(connection_->ExecuteScript(kSeedTables));
  for (const auto& c : kCases) {
    SCOPED_TRACE(absl::StrCat(c.columns, " = ", c.values));
    ASSERT_OK(connection_->Execute("DELETE FROM unit_of_work"));
    Insert(absl::StrCat("uow_id, ", c.columns), absl::StrCat("'u', ", c.values));
    if (*c.found == '\0') {
      EXPECT_THAT(Found(), IsEmpty());
    } else {
      EXPECT_THAT(Found(), ElementsAre(c.found));
    }
  }
}

TEST_F(ContractTest, AFailedUnitSaysWhy) {
  ASSERT_OK(connection_->ExecuteScript(kSeedTables));
  ASSERT_OK(connection_->ExecuteScript(
      "INSERT INTO unit_of_work(uow_id, status, created_ts, error_type) VALUES"
      " ('a', 'failed', 'x', 'timeout'), ('b', 'failed', 'x', NULL), ('c', 'failed', 'x', ''),"
      " ('d', 'rolled_back', 'x', NULL)"));
  EXPECT_THAT(Found(), ElementsAre("no_error_type error_type 2 b"));
}

TEST_F(ContractTest, UnitsAndStoresHaveNames) {
  ASSERT_OK(connection_->ExecuteScript(kSeedTables));
  ASSERT_OK(connection_->ExecuteScript(
      "INSERT INTO unit_of_work(uow_id, status, created_ts) VALUES (NULL, 'committed', 'x'),"
      " ('b', 'committed', NULL);"
      "INSERT INTO uow_writes(uow_id, store) VALUES ('b', ''), ('b', NULL), ('b', 's')"));
  EXPECT_THAT(Found(), ElementsAre("no_unit_id uow_id 1 ", "no_creation_time created_ts 1 b",
                                   "unnamed_store store 2 "));
  EXPECT_EQ(Check().writes, 3);
}

TEST_F(ContractTest, WhatIsNotThereIsToldAndNoError) {
  EXPECT_THAT(Found(), ElementsAre("table_missing unit_of_work 1 "));
  ASSERT_OK(connection_->Execute("CREATE VIEW unit_of_work AS SELECT 1 AS uow_id"));
  EXPECT_THAT(Found(), ElementsAre("table_missing unit_of_work 1 "));
  ASSERT_OK(connection_->ExecuteScript(
      "DROP VIEW unit_of_work;"
      "CREATE TABLE unit_of_work(UOW_ID TEXT, status TEXT, created_ts TEXT, band TEXT);"
      "CREATE TABLE uow_writes(uow_id TEXT);"
      "INSERT INTO unit_of_work VALUES ('u', 'failed', 'x', 'PINK')"));
  EXPECT_THAT(Found(), IsSupersetOf({"bad_band band 1 u", "column_missing contract_version 1 ",
                                     "column_missing error_type 1 ", "column_missing store 1 "}));
  // A rule about a column that is not there is not applied.
  for (const std::string& found : Found()) EXPECT_NE(found.rfind("no_error_type", 0), 0u) << found;
}

TEST_F(ContractTest, AgreesWithTheSeedsQueries) {
  test::Random random;
  const auto pick = [&](std::initializer_list<const char*> values) {
    return std::string(values.begin()[random.Uniform<std::size_t>(0, values.size() - 1)]);
  };
  const auto count_of = [&](ContractRule rule) {
    std::int64_t count = 0;
    for (const ContractViolation& violation : Check().violations) {
      if (violation.rule == rule) count = std::max(count, violation.count);
    }
    return count;
  };
  for (int round = 0; round < 20; ++round) {
    ASSERT_OK(connection_->ExecuteScript(
        "DROP TABLE IF EXISTS unit_of_work; DROP TABLE IF EXISTS uow_writes"));
    ASSERT_OK(connection_->ExecuteScript(kSeedTables));
    for (int unit = 0; unit < 30; ++unit) {
      ASSERT_OK(connection_->Execute(absl::StrCat(
          "INSERT INTO unit_of_work(uow_id, status, created_ts, total_execution_time_ms,"
          " error_type, receipt_hash, band) VALUES ('",
          unit, "', ", pick({"'failed'", "'committed'"}), ", 'x', ", pick({"-5", "0", "3", "NULL"}),
          ", ", pick({"NULL", "'timeout'"}), ", ",
          pick({"NULL", "'00'", "printf('%064x', 77)", "printf('%065x', 1)"}), ", ",
          pick({"NULL", "'RED'", "'red'", "'GREEN'"}), ")")));
    }
    const auto query = [&](const char* condition) {
      auto count = connection_->QueryValue<std::int64_t>(
          absl::StrCat("SELECT COUNT(*) FROM unit_of_work WHERE ", condition));
      EXPECT_OK(count);
      return count.value_or(-1);
    };
    EXPECT_EQ(count_of(ContractRule::kNegativeTime),
              query("total_execution_time_ms < 0 OR commit_time_ms < 0"));
    EXPECT_EQ(count_of(ContractRule::kNoErrorType),
              query("status = 'failed' AND error_type IS NULL"));
    EXPECT_EQ(count_of(ContractRule::kBadReceiptHash),
              query("receipt_hash IS NOT NULL AND length(receipt_hash) != 64"));
    EXPECT_EQ(count_of(ContractRule::kBadBand),
              query("band IS NOT NULL AND band NOT IN ('GREEN', 'AMBER', 'RED', 'BLACK')"));
  }
}

TEST_F(ContractTest, WhatTheEngineRecordsComplies) {
  const test::TemporaryDirectory directory;
  auto set = storage::MigrationSet::FromSql(
      "app", {{.version = 1, .name = "t", .up = "CREATE TABLE t(id INTEGER PRIMARY KEY)"}});
  ASSERT_OK(set);
  ASSERT_OK_AND_ASSIGN(auto engine, Engine::Open({.path = directory.File("a.db"),
                                                  .migrations = {*set},
                                                  .record_failures_within = absl::ZeroDuration()}));
  const auto insert = [](UnitOfWork& unit) { return unit.Execute("INSERT INTO t VALUES (1)"); };
  ASSERT_OK(engine->Run({.band = Band::kRed}, insert));
  EXPECT_FALSE(engine->Run({}, insert).ok());
  ASSERT_OK_AND_ASSIGN(auto reader, engine->Read());
  ASSERT_OK_AND_ASSIGN(const ContractReport report, CheckContract(*reader));
  EXPECT_THAT(report.violations, IsEmpty());
  EXPECT_EQ(report.units, 2);
  EXPECT_EQ(report.writes, 1);
}

}  // namespace
}  // namespace vouch::uow
