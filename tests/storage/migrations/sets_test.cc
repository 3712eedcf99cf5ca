#include "storage/migrations/sets.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/migrations/migrator.h"
#include "tests/storage/migrations/database.h"

// The shipped schemas: what they contain, and that they can be left again. Where the document a
// schema comes from cannot work as it was written, a test first shows that on the SQLite this is
// linked with, so that a change there is noticed, and then that ours does work.

namespace vouch::storage {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using vouch::test::StatusIs;

std::unique_ptr<SqliteConnection> Migrated(const MigrationSet& set) {
  auto connection = OpenDatabase();
  EXPECT_OK(Migrator(*connection, set).Up());
  return connection;
}

std::vector<std::string> ColumnsOf(Connection& connection, const std::string& table) {
  return Rows(connection, absl::StrCat("SELECT name FROM pragma_table_info('", table, "')"));
}

std::string Ulid(int n) { return absl::StrCat("01KAJ00000000000000000000", n); }

class SetsTest : public testing::TestWithParam<const MigrationSet* (*)()> {};

// Property: going down undoes exactly what going up did, at every version, and going up again gives
// the schema of the first time. Method: compare sqlite_schema after each step.
TEST_P(SetsTest, DownUndoesUpAndUpWorksAgain) {
  const MigrationSet& set = *GetParam()();
  const auto connection = OpenDatabase();
  Migrator migrator(*connection, set);
  std::vector<std::vector<std::string>> schemas = {Schema(*connection)};
  for (const Migration& migration : set.migrations()) {
    ASSERT_OK(migrator.Up(migration.version));
    schemas.push_back(Schema(*connection));
    ASSERT_NE(schemas.back(), schemas[schemas.size() - 2]) << migration.name;
    ASSERT_OK(migrator.Down());
    EXPECT_EQ(Schema(*connection), schemas[schemas.size() - 2]) << migration.name;
    ASSERT_OK(migrator.Up(migration.version));
    EXPECT_EQ(Schema(*connection), schemas.back()) << migration.name;
  }
  for (std::size_t version = schemas.size() - 1; version > 0; --version) {
    ASSERT_OK(migrator.Down());
    EXPECT_EQ(Schema(*connection), schemas[version - 1]);
  }
  ASSERT_OK(migrator.Up());
  EXPECT_EQ(Schema(*connection), schemas.back());
}

TEST_P(SetsTest, EveryMigrationCanBeVerifiedAndReverted) {
  for (const Migration& migration : GetParam()()->migrations()) {
    EXPECT_NE(migration.down, "") << migration.name;
    EXPECT_NE(migration.verify, "") << migration.name;
    EXPECT_NE(migration.description, "") << migration.name;
    EXPECT_NE(migration.semver, "") << migration.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Shipped, SetsTest,
                         testing::Values(
                             +[] { return &CoreMigrations(); },
                             +[] { return &MemoryMigrations(); }));

TEST(SetsTest, TheFilesAreTheOnesBuiltIn) {
  const std::string folder = VOUCH_MIGRATIONS_FOLDER;
  for (const MigrationSet* built_in : {&CoreMigrations(), &MemoryMigrations()}) {
    ASSERT_OK_AND_ASSIGN(const MigrationSet read,
                         MigrationSet::FromFolder(folder + "/" + built_in->name()));
    ASSERT_EQ(read.latest(), built_in->latest());
    for (const Migration& migration : read.migrations()) {
      EXPECT_EQ(Checksum(migration), Checksum(*built_in->Find(migration.version)));
      EXPECT_EQ(migration.verify, built_in->Find(migration.version)->verify);
    }
  }
}

// What is applied in the databases of the world must not be edited: a change is a new migration.
TEST(SetsGoldenTest, ChecksumsAreFrozen) {
  std::vector<std::string> checksums;
  for (const MigrationSet* set : {&CoreMigrations(), &MemoryMigrations()}) {
    for (const Migration& migration : set->migrations()) {
      checksums.push_back(
          absl::StrCat(set->Describe(migration.version, migration.name), " ", Checksum(migration)));
    }
  }
  EXPECT_THAT(checksums,
              ElementsAre("core 1 (base) "
                          "906f0f90f8c52768da8dc56cdb9488e2c540f29102a1be26befb31c3f7965277",
                          "core 2 (uow_enhancement) "
                          "6ae0c009ad202d189819bbb33eb4f163709cc89abfd7c759dce11fd70f0b5aed",
                          "core 3 (sqlite_enhancement) "
                          "dcb503ed9f9b72943c985353111559ef68bcf0595a7d267ed8cd0cc95d8875f6",
                          "core 4 (outbox) "
                          "d8b92d10241822b91c4097c787e148c7837d30ee7b8ad660cca1338b63293548",
                          "memory 1 (memory) "
                          "ef136b39204865f76fb4cb8db13edbc8e08e059ab5cada11910d7f47a9713ca5"));
}

// --- core ------------------------------------------------------------------------------------

TEST(CoreMigrationsTest, KeepTheirNamesAndVersions) {
  const std::vector<Migration>& migrations = CoreMigrations().migrations();
  ASSERT_EQ(migrations.size(), 4u);
  EXPECT_EQ(migrations[0].semver, "1.0.0");
  EXPECT_EQ(migrations[1].semver, "1.1.0");
  EXPECT_EQ(migrations[1].id, "storage-uow-enhancement-v1_1_0");
  EXPECT_EQ(migrations[2].semver, "1.2.0");
  EXPECT_EQ(migrations[2].id, "storage-sqlite-enhancement-v1_2_0");
  EXPECT_EQ(migrations[3].semver, "1.3.0");
}

TEST(CoreMigrationsTest, LedgerColumnsStandInTheirOrder) {
  const auto connection = Migrated(CoreMigrations());
  EXPECT_THAT(ColumnsOf(*connection, "uow_ledger"), ElementsAre("id", "format", "created"));
  EXPECT_THAT(
      ColumnsOf(*connection, "unit_of_work"),
      ElementsAre("seq", "uow_id", "envelope_id", "status", "created_ts", "committed_ts",
                  "total_execution_time_ms", "commit_time_ms", "store_count", "total_bytes_written",
                  "retry_count", "error_type", "error_message", "failed_store", "error_ts",
                  "recovery_attempted", "receipt_hash", "receipt_signature", "space_id", "actor_id",
                  "device_id", "correlation_id", "band", "contract_version"));
  EXPECT_THAT(ColumnsOf(*connection, "uow_writes"),
              ElementsAre("seq", "ordinal", "store", "record_id", "operation_type", "bytes_written",
                          "checksum", "prior_checksum"));
  EXPECT_THAT(Rows(*connection,
                   "SELECT name, wr, strict FROM pragma_table_list WHERE name IN "
                   "('uow_ledger', 'unit_of_work', 'uow_writes') ORDER BY name"),
              ElementsAre("unit_of_work|0|1", "uow_ledger|0|1", "uow_writes|1|1"));
}

TEST(CoreMigrationsTest, DefaultsAreThoseOfTheContract) {
  const auto connection = Migrated(CoreMigrations());
  ASSERT_OK(connection->Execute(
      "INSERT INTO unit_of_work(uow_id, created_ts) VALUES (?1, '2026-11-21T00:00:00.123Z')",
      Ulid(1)));
  EXPECT_THAT(Rows(*connection, "SELECT * FROM unit_of_work"),
              ElementsAre(absl::StrCat("1|", Ulid(1),
                                       "|null|pending|2026-11-21T00:00:00.123Z|null|0|0|0|0|0|"
                                       "null|null|null|null|0|null|null|null|null|null|null|null|"
                                       "1.1.0")));
  ASSERT_OK(connection->Execute(
      "INSERT INTO uow_writes(seq, ordinal, store, record_id) VALUES (1, 0, 'main', 't/1')"));
  EXPECT_THAT(Rows(*connection, "SELECT * FROM uow_writes"),
              ElementsAre("1|0|main|t/1|create|0|null|null"));
}

TEST(CoreMigrationsTest, RowsThatTheFormatDoesNotAllowAreRefused) {
  const auto connection = Migrated(CoreMigrations());
  const auto insert = [&](std::string columns, std::string values) {
    return connection->ExecuteScript(
        absl::StrCat("INSERT INTO ", columns, " VALUES (", values, ")"));
  };
  const std::string time = "'2026-11-21T00:00:00.123Z'";
  const std::string unit = "unit_of_work(uow_id, status, created_ts, committed_ts, band)";
  const std::string id = absl::StrCat("'", Ulid(1), "'");
  EXPECT_OK(insert(unit, id + ", 'committed', " + time + ", " + time + ", NULL"));
  EXPECT_OK(insert(unit, id + ", 'failed', " + time + ", NULL, 'GREEN'"));
  EXPECT_OK(insert(unit, id + ", 'rolled_back', " + time + ", NULL, 'BLACK'"));
  EXPECT_OK(insert(unit, id + ", 'pending', " + time + ", NULL, 'AMBER'"));
  EXPECT_OK(insert("uow_ledger", id + ", 1, " + time));
  EXPECT_OK(insert("uow_writes(seq, ordinal, store, record_id, operation_type)",
                   "1, 0, 'main', 't/1', 'upsert'"));
  for (const std::string& values : std::vector<std::string>{
           id + ", 'committed', " + time + ", NULL, NULL",
           id + ", 'failed', " + time + ", " + time + ", NULL",
           id + ", 'done', " + time + ", NULL, NULL", id + ", NULL, " + time + ", NULL, NULL",
           id + ", 'failed', NULL, NULL, NULL",
           id + ", 'failed', '2026-11-21 00:00:00', NULL, NULL",
           id + ", 'failed', '2026-11-21T00:00:00.123Z\n', NULL, NULL",
           id + ", 'failed', 5, NULL, NULL", id + ", 'failed', " + time + ", NULL, 'green'",
           "NULL, 'failed', " + time + ", NULL, NULL",
           "'81KAJ000000000000000000001', 'failed', " + time + ", NULL, NULL",
           "'01KAJ00000000000000000001', 'failed', " + time + ", NULL, NULL",
           "x'3031', 'failed', " + time + ", NULL, NULL"}) {
    EXPECT_THAT(insert(unit, values), StatusIs(absl::StatusCode::kInvalidArgument)) << values;
  }
  EXPECT_FALSE(insert("uow_ledger", "'x', 1, " + time).ok());
  EXPECT_FALSE(insert("uow_ledger", id + ", 0, " + time).ok());
  EXPECT_FALSE(insert("uow_ledger", id + ", 1, 'today'").ok());
  EXPECT_FALSE(insert("unit_of_work(seq, uow_id, created_ts)", "0, " + id + ", " + time).ok());
  EXPECT_FALSE(insert("uow_writes(seq, ordinal, store, record_id)", "1, -1, 'a', 'b'").ok());
  EXPECT_FALSE(insert("uow_writes(seq, ordinal, store, record_id)", "1, 0, 'a', 'b'").ok());
  EXPECT_FALSE(insert("uow_writes(seq, ordinal, store, record_id)", "1, 1, NULL, 'b'").ok());
  EXPECT_FALSE(insert("uow_writes(seq, ordinal, store, record_id, operation_type)",
                      "1, 1, 'a', 'b', 'insert'")
                   .ok());
}

TEST(CoreMigrationsTest, AnIdCommitsOnce) {
  const auto connection = Migrated(CoreMigrations());
  const auto insert = [&](const std::string& status, bool committed) {
    return connection->Execute(
        "INSERT INTO unit_of_work(uow_id, status, created_ts, committed_ts) "
        "VALUES (?1, ?2, ?3, ?4)",
        Ulid(1), status, "2026-11-21T00:00:00.123Z",
        committed ? std::make_optional<std::string>("2026-11-21T00:00:00.125Z") : std::nullopt);
  };
  EXPECT_OK(insert("failed", false));
  EXPECT_OK(insert("failed", false));
  EXPECT_OK(insert("committed", true));
  EXPECT_OK(insert("failed", false));
  EXPECT_THAT(insert("committed", true), StatusIs(absl::StatusCode::kAlreadyExists));
}

TEST(CoreMigrationsTest, IndexesAreThereAndUsed) {
  const auto connection = Migrated(CoreMigrations());
  EXPECT_THAT(
      Rows(*connection,
           "SELECT name, partial FROM pragma_index_list('unit_of_work') ORDER BY name"),
      ElementsAre("idx_uow_actor_id|1", "idx_uow_band|1", "idx_uow_committed|1",
                  "idx_uow_correlation_id|1", "idx_uow_space_id|1", "idx_uow_status_created|0"));
  for (const std::string column : {"space_id", "actor_id", "band", "correlation_id"}) {
    EXPECT_THAT(
        PlanOf(*connection, absl::StrCat("SELECT * FROM unit_of_work WHERE ", column, " = ?1")),
        HasSubstr(absl::StrCat("USING INDEX idx_uow_", column)));
  }
  EXPECT_THAT(
      PlanOf(*connection,
             "SELECT * FROM unit_of_work WHERE status = ?1 "
             "ORDER BY created_ts DESC LIMIT 10"),
      AllOf(HasSubstr("USING INDEX idx_uow_status_created"), Not(HasSubstr("TEMP B-TREE"))));
  EXPECT_THAT(PlanOf(*connection,
                     "SELECT seq FROM unit_of_work WHERE uow_id = ?1 AND status = 'committed'"),
              HasSubstr("idx_uow_committed"));
}

TEST(CoreMigrationsTest, ReceiptsAreNotGivenUpUnasked) {
  const auto connection = Migrated(CoreMigrations());
  ASSERT_OK(connection->Execute(
      "INSERT INTO unit_of_work(uow_id, created_ts, receipt_hash) VALUES (?1, ?2, ?3)", Ulid(1),
      "2026-11-21T00:00:00.123Z", std::string(64, 'a')));
  Migrator migrator(*connection, CoreMigrations());
  ASSERT_OK(migrator.Down());  // The outbox is empty,
  ASSERT_OK(migrator.Down());  // and so are the tables of the operations modules.
  EXPECT_THAT(migrator.Down(), StatusIs(absl::StatusCode::kFailedPrecondition,
                                        HasSubstr("column unit_of_work.receipt_hash (1 row)")));
  ASSERT_OK(Migrator(*connection, CoreMigrations(), {.accept_data_loss = true}).Down());
  EXPECT_EQ(Count(*connection, "SELECT count(*) FROM unit_of_work"), 1);
  EXPECT_THAT(migrator.Down(), StatusIs(absl::StatusCode::kFailedPrecondition,
                                        HasSubstr("table unit_of_work (1 row)")));
}

// "SQLite doesn't support DROP COLUMN", so going down set the new columns to NULL; going up again
// then met columns that were there.
TEST(CoreMigrationsTest, DownByNullingCouldNotGoUpAgain) {
  const auto connection = OpenDatabase();
  ASSERT_OK(Migrator(*connection, CoreMigrations()).Up(1));
  const std::string up =
      "ALTER TABLE unit_of_work ADD COLUMN total_execution_time_ms INTEGER "
      "DEFAULT 0";
  ASSERT_OK(connection->ExecuteScript(up));
  ASSERT_OK(connection->ExecuteScript("UPDATE unit_of_work SET total_execution_time_ms = NULL"));
  EXPECT_THAT(connection->ExecuteScript(up), FailsWith("duplicate column name"));
}

// --- core, the tables of the operations modules ------------------------------------------------

TEST(OperationsTablesTest, NamesThatBeginWithSqliteAreReserved) {
  const auto connection = OpenDatabase();
  for (const std::string name : {"sqlite_pool_config", "sqlite_vacuum_log",
                                 "sqlite_performance_metrics", "sqlite_health_checks"}) {
    EXPECT_THAT(connection->ExecuteScript(
                    absl::StrCat("CREATE TABLE IF NOT EXISTS ", name, "(id INTEGER PRIMARY KEY)")),
                FailsWith("reserved for internal use"));
  }
  ASSERT_OK(Migrator(*connection, CoreMigrations()).Up());
  EXPECT_THAT(Rows(*connection,
                   "SELECT name FROM sqlite_schema WHERE type = 'table' "
                   "AND name GLOB 'storage_*' ORDER BY name"),
              ElementsAre("storage_health_checks", "storage_performance_metrics",
                          "storage_pool_config", "storage_vacuum_log"));
}

TEST(OperationsTablesTest, ColumnsAndDefaults) {
  const auto connection = Migrated(CoreMigrations());
  EXPECT_THAT(ColumnsOf(*connection, "storage_pool_config"),
              ElementsAre("id", "db_path", "min_connections", "max_connections",
                          "connection_timeout", "created_ts", "updated_ts"));
  EXPECT_THAT(ColumnsOf(*connection, "storage_vacuum_log"),
              ElementsAre("id", "db_path", "vacuum_type", "started_ts", "completed_ts",
                          "pages_freed", "bytes_freed", "duration_ms", "status", "error_message"));
  EXPECT_THAT(ColumnsOf(*connection, "storage_performance_metrics"),
              ElementsAre("id", "db_path", "metric_name", "metric_value", "unit", "recorded_ts",
                          "context"));
  EXPECT_THAT(ColumnsOf(*connection, "storage_health_checks"),
              ElementsAre("id", "db_path", "check_type", "status", "details", "checked_ts"));
  ASSERT_OK(connection->ExecuteScript("INSERT INTO storage_pool_config(db_path) VALUES ('a')"));
  EXPECT_THAT(Rows(*connection,
                   "SELECT db_path, min_connections, max_connections, "
                   "connection_timeout FROM storage_pool_config ORDER BY id"),
              ElementsAre("default|2|8|30", "a|1|10|30"));
  EXPECT_THAT(connection->ExecuteScript("INSERT INTO storage_pool_config(db_path) VALUES ('a')"),
              StatusIs(absl::StatusCode::kAlreadyExists));
  for (const std::string bad :
       {"storage_vacuum_log(db_path, vacuum_type, status) VALUES ('a', 'partial', 'running')",
        "storage_vacuum_log(db_path, vacuum_type, status) VALUES ('a', 'full', 'pending')",
        "storage_health_checks(db_path, check_type, status) VALUES ('a', 'b', 'good')"}) {
    EXPECT_FALSE(connection->ExecuteScript("INSERT INTO " + bad).ok()) << bad;
  }
}

TEST(OperationsTablesTest, DownKeepsWhatSomebodyConfigured) {
  const auto connection = Migrated(CoreMigrations());
  ASSERT_OK(connection->ExecuteScript(
      "UPDATE storage_pool_config SET max_connections = 9 WHERE db_path = 'default'"));
  EXPECT_THAT(Migrator(*connection, CoreMigrations()).To(2),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("table storage_pool_config (1 row)")));
}

// An AFTER UPDATE trigger that updates its own table fires itself where triggers may recurse.
TEST(OperationsTablesTest, TheTriggerDoesNotFireItself) {
  const auto original = OpenDatabase();
  ASSERT_OK(original->ExecuteScript(R"sql(
PRAGMA recursive_triggers = ON;
CREATE TABLE pool_config(id INTEGER PRIMARY KEY, max_connections INTEGER, updated_ts TEXT);
INSERT INTO pool_config VALUES (1, 8, '');
CREATE TRIGGER update_pool_config_ts
  AFTER UPDATE ON pool_config
  BEGIN
    UPDATE pool_config SET updated_ts = datetime('now') WHERE id = NEW.id;
  END;
)sql"));
  EXPECT_THAT(original->ExecuteScript("UPDATE pool_config SET max_connections = 9"),
              FailsWith("too many levels of trigger recursion"));

  const auto connection = Migrated(CoreMigrations());
  for (const std::string recursive : {"ON", "OFF"}) {
    ASSERT_OK(connection->ExecuteScript("PRAGMA recursive_triggers = " + recursive));
    for (const std::string change : {"max_connections = 9", "min_connections = 3",
                                     "connection_timeout = 5", "db_path = 'default'"}) {
      ASSERT_OK(connection->ExecuteScript("UPDATE storage_pool_config SET updated_ts = 'old'"));
      EXPECT_EQ(Count(*connection, "SELECT updated_ts = 'old' FROM storage_pool_config"), 1);
      ASSERT_OK(connection->ExecuteScript("UPDATE storage_pool_config SET " + change));
      EXPECT_EQ(Count(*connection,
                      "SELECT updated_ts > datetime('now', '-1 minute') FROM storage_pool_config"),
                1)
          << change;
    }
  }
}

// The operational queries compare with datetime('now', …), a form that sorts before the same time
// with a T in it.
TEST(OperationsTablesTest, TimesCompareAsTheQueriesWriteThem) {
  const auto connection = Migrated(CoreMigrations());
  const std::string hour_old = "'running' AND started_ts < datetime('now', '-1 hour')";
  const std::string orphans = "SELECT count(*) FROM storage_vacuum_log WHERE status = " + hour_old;
  const auto insert = [&](const std::string& time) {
    ASSERT_OK(connection->ExecuteScript(
        absl::StrCat("DELETE FROM storage_vacuum_log; INSERT INTO storage_vacuum_log"
                     "(db_path, vacuum_type, started_ts, status) VALUES ('a', 'full', ",
                     time, ", 'running')")));
  };
  // The same instant two ways, on a day where only the tenth character differs.
  EXPECT_EQ(Count(*connection, "SELECT '2026-11-21T09:00:00Z' < '2026-11-21 10:00:00'"), 0);
  EXPECT_EQ(Count(*connection, "SELECT '2026-11-21 09:00:00' < '2026-11-21 10:00:00'"), 1);
  insert("datetime('now', '-61 minutes')");
  EXPECT_EQ(Count(*connection, orphans), 1);
  insert("datetime('now', '-59 minutes')");
  EXPECT_EQ(Count(*connection, orphans), 0);
  // The defaults are of that form.
  ASSERT_OK(connection->ExecuteScript(
      "DELETE FROM storage_vacuum_log; INSERT INTO storage_vacuum_log(db_path, vacuum_type, status)"
      " VALUES ('a', 'auto', 'running')"));
  EXPECT_THAT(Rows(*connection, "SELECT started_ts FROM storage_vacuum_log"),
              ElementsAre(testing::MatchesRegex("....-..-.. ..:..:..")));
}

// --- memory ----------------------------------------------------------------------------------

constexpr char kTables[] =
    "('sessions', 'memory_entries', 'document_index', 'tasks', 'agents', 'audit', 'checkpoints', "
    "'state', 'metrics')";

TEST(MemoryMigrationsTest, NineTablesAndThirtyThreeIndexes) {
  const auto connection = Migrated(MemoryMigrations());
  const std::string ours = absl::StrCat("tbl_name IN ", kTables);
  EXPECT_EQ(Count(*connection, absl::StrCat("SELECT count(*) FROM sqlite_schema WHERE type = "
                                            "'table' AND ",
                                            ours)),
            9);
  const std::string indexes = absl::StrCat("FROM sqlite_schema WHERE type = 'index' AND ", ours);
  EXPECT_EQ(Count(*connection, absl::StrCat("SELECT count(*) ", indexes)), 40);
  EXPECT_THAT(
      Rows(*connection,
           absl::StrCat("SELECT name ", indexes, " AND name NOT GLOB 'sqlite_*' ORDER BY name")),
      ElementsAre("idx_agents_session", "idx_agents_state", "idx_agents_task", "idx_audit_agent",
                  "idx_audit_memory_entry", "idx_audit_memory_namespace",
                  "idx_audit_memory_operations", "idx_audit_task", "idx_audit_timestamp",
                  "idx_checkpoints_task", "idx_document_content_hash", "idx_document_file_path",
                  "idx_document_index_pk", "idx_document_sync_status", "idx_document_type_created",
                  "idx_memory_conflict_detection", "idx_memory_created_by", "idx_memory_entries_pk",
                  "idx_memory_episodic_ttl", "idx_memory_namespace_key_version",
                  "idx_memory_namespace_prefix", "idx_memory_type_updated",
                  "idx_metrics_name_timestamp", "idx_sessions_pk", "idx_sessions_project",
                  "idx_sessions_status_updated", "idx_sessions_user_created", "idx_state_task_key",
                  "idx_tasks_parent", "idx_tasks_running_timeout", "idx_tasks_session",
                  "idx_tasks_status_priority", "idx_tasks_submitted_at"));
}

TEST(MemoryMigrationsTest, TablesStartEmpty) {
  const auto connection = Migrated(MemoryMigrations());
  for (const std::string& table :
       Rows(*connection,
            absl::StrCat("SELECT name FROM sqlite_schema WHERE type = 'table' AND name IN ",
                         kTables))) {
    EXPECT_EQ(Count(*connection, absl::StrCat("SELECT count(*) FROM ", table)), 0) << table;
  }
}

// A receipt names a record by its key, and SQLite lets a TEXT PRIMARY KEY be NULL.
TEST(MemoryMigrationsTest, KeysAreNeverNull) {
  const auto connection = Migrated(MemoryMigrations());
  ASSERT_OK(
      connection->ExecuteScript("CREATE TABLE plain(id TEXT PRIMARY KEY, a);"
                                "INSERT INTO plain VALUES (NULL, 1), (NULL, 2);"));
  EXPECT_FALSE(
      connection->ExecuteScript("INSERT INTO sessions(app_name, user_id) VALUES ('a', 'u')").ok());
  EXPECT_THAT(
      Rows(*connection, absl::StrCat("SELECT t.name, c.name FROM pragma_table_list AS t "
                                     "JOIN pragma_table_info(t.name) AS c WHERE c.pk > 0 "
                                     "AND c.\"notnull\" = 0 AND c.type <> 'INTEGER' AND t.name IN ",
                                     kTables)),
      IsEmpty());
}

// Fills both tables that the plans are about, and lets the planner know.
void Fill(Connection& connection, bool analyze) {
  ASSERT_OK(connection.ExecuteScript(absl::StrCat(R"sql(
WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 400)
INSERT INTO sessions(id, app_name, user_id, status, last_update_time)
SELECT 's' || i, 'a', 'u' || (i % 7),
       CASE i % 5 WHEN 0 THEN 'active' WHEN 1 THEN 'paused' WHEN 2 THEN 'archived'
                  WHEN 3 THEN 'created' ELSE 'terminated' END, i FROM n;
WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
INSERT INTO memory_entries(namespace, key, value, memory_type, version, is_deleted)
SELECT 'user:' || (i % 50) || ':pref', 'k' || (i % 4), '{}', 'semantic', i, i % 10 = 0 FROM n;
)sql",
                                                  analyze ? "ANALYZE;" : "")));
}

constexpr char kActiveSessions[] =
    "SELECT * FROM sessions WHERE status = 'active' ORDER BY last_update_time DESC";
constexpr char kNewestMemory[] =
    "SELECT * FROM memory_entries WHERE namespace = 'user:1:pref' AND key = 'k1' "
    "AND is_deleted = 0 ORDER BY version DESC LIMIT 1";

TEST(MemoryMigrationsTest, ActiveSessionsComeFromTheirIndex) {
  for (const bool analyze : {false, true}) {
    const auto original = Migrated(MemoryMigrations());
    ASSERT_OK(original->ExecuteScript(
        "DROP INDEX idx_sessions_status_updated;"
        "CREATE INDEX idx_sessions_status_updated ON sessions(status, last_update_time DESC) "
        "WHERE status IN ('active', 'paused');"));
    Fill(*original, analyze);
    EXPECT_THAT(PlanOf(*original, kActiveSessions),
                AllOf(HasSubstr("SCAN sessions"), HasSubstr("TEMP B-TREE")));

    const auto connection = Migrated(MemoryMigrations());
    Fill(*connection, analyze);
    for (const std::string& query :
         {std::string(kActiveSessions),
          std::string("SELECT * FROM sessions WHERE status = ?1 ORDER BY last_update_time DESC")}) {
      EXPECT_EQ(PlanOf(*connection, query),
                "SEARCH sessions USING INDEX idx_sessions_status_updated (status=?)");
    }
  }
}

TEST(MemoryMigrationsTest, TheNewestMemoryComesFromItsIndex) {
  for (const bool analyze : {false, true}) {
    const auto original = Migrated(MemoryMigrations());
    ASSERT_OK(
        original->ExecuteScript("DROP INDEX idx_memory_conflict_detection;"
                                "CREATE INDEX idx_memory_conflict_detection "
                                "ON memory_entries(namespace, key, is_deleted, version DESC);"));
    Fill(*original, analyze);
    EXPECT_THAT(PlanOf(*original, kNewestMemory), HasSubstr("idx_memory_conflict_detection"));

    const auto connection = Migrated(MemoryMigrations());
    Fill(*connection, analyze);
    for (const std::string& query :
         {std::string(kNewestMemory),
          std::string("SELECT * FROM memory_entries WHERE namespace = ?1 AND key = ?2 "
                      "AND is_deleted = 0 ORDER BY version DESC LIMIT 1")}) {
      EXPECT_EQ(PlanOf(*connection, query),
                "SEARCH memory_entries USING INDEX idx_memory_namespace_key_version "
                "(namespace=? AND key=? AND is_deleted=?)");
    }
  }
}

TEST(MemoryMigrationsTest, PrefixesAreRanges) {
  const auto connection = Migrated(MemoryMigrations());
  Fill(*connection, /*analyze=*/true);
  EXPECT_THAT(PlanOf(*connection,
                     "SELECT * FROM memory_entries WHERE namespace LIKE 'user:1:%' "
                     "AND is_deleted = 0"),
              HasSubstr("SCAN memory_entries"));
  const std::string range = "WHERE namespace >= 'user:1:' AND namespace < 'user:1;' AND ";
  EXPECT_THAT(
      PlanOf(*connection, absl::StrCat("SELECT * FROM memory_entries ", range, "is_deleted = 0")),
      HasSubstr("SEARCH memory_entries USING INDEX"));
  EXPECT_EQ(
      Count(*connection, absl::StrCat("SELECT count(*) FROM memory_entries ", range, "TRUE")),
      Count(*connection, "SELECT count(*) FROM memory_entries WHERE namespace LIKE 'user:1:%'"));
}

// Memories are written by callers without a task, and by tasks that are not in this database.
TEST(MemoryMigrationsTest, TheTrailNeedsNoTask) {
  const std::string trail = "(timestamp, task_id, action_type) VALUES ('2026-11-21 00:00:00', ";
  const auto original = OpenDatabase();
  ASSERT_OK(original->ExecuteScript(
      "CREATE TABLE tasks(id TEXT PRIMARY KEY);"
      "CREATE TABLE audit(id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp TIMESTAMP NOT NULL,"
      " task_id TEXT NOT NULL REFERENCES tasks(id), action_type TEXT NOT NULL);"));
  EXPECT_THAT(original->ExecuteScript("INSERT INTO audit" + trail + "'task:xyz', 'memory_create')"),
              FailsWith("FOREIGN KEY constraint failed"));
  EXPECT_FALSE(original->ExecuteScript("INSERT INTO audit" + trail + "NULL, 'x')").ok());

  const auto connection = Migrated(MemoryMigrations());
  EXPECT_OK(
      connection->ExecuteScript("INSERT INTO audit" + trail + "'task:xyz', 'memory_create')"));
  EXPECT_OK(connection->ExecuteScript("INSERT INTO audit" + trail + "NULL, 'x')"));
}

TEST(MemoryMigrationsTest, RulesOfTheTables) {
  const auto connection = Migrated(MemoryMigrations());
  const std::string session = "INSERT INTO sessions(id, app_name, user_id";
  EXPECT_OK(connection->ExecuteScript(session + ") VALUES ('s', 'a', 'u')"));
  EXPECT_THAT(Rows(*connection, "SELECT status, events, state, metadata FROM sessions"),
              ElementsAre("created|[]|{}|{}"));
  EXPECT_THAT(connection->ExecuteScript(session + ", events) VALUES ('t', 'a', 'u', '[')"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("CHECK constraint failed: json_valid(events)")));
  EXPECT_FALSE(connection->ExecuteScript(session + ", status) VALUES ('t', 'a', 'u', 'x')").ok());
  EXPECT_FALSE(connection->ExecuteScript(session + ", state) VALUES ('t', 'a', 'u', 'x')").ok());

  const std::string memory =
      "INSERT INTO memory_entries(namespace, key, value, memory_type, version";
  EXPECT_OK(connection->ExecuteScript(memory + ") VALUES ('a:b', 'k', '{}', 'semantic', 1)"));
  for (const std::string bad :
       {") VALUES ('a:b', 'k', '{}', 'semantic', 1)", ") VALUES ('a:b', 'l', '{', 'semantic', 1)",
        ") VALUES ('a:b', 'l', '{}', 'poetic', 1)", ") VALUES ('a:b', 'l', '{}', 'semantic', 0)",
        ", metadata) VALUES ('a:b', 'l', '{}', 'semantic', 1, 'x')"}) {
    EXPECT_FALSE(connection->ExecuteScript(memory + bad).ok()) << bad;
  }
  EXPECT_FALSE(connection
                   ->ExecuteScript("INSERT INTO document_index(file_path, title, content_hash, "
                                   "sync_status) VALUES ('p', 't', 'h', 'lost')")
                   .ok());
  EXPECT_FALSE(connection
                   ->ExecuteScript("INSERT INTO metrics(timestamp, metric_name, metric_value) "
                                   "VALUES ('now', 'm', -1)")
                   .ok());
}

TEST(MemoryMigrationsTest, SessionsThatGoLeaveTheirTasks) {
  const auto connection = Migrated(MemoryMigrations());
  ASSERT_OK(connection->ExecuteScript(R"sql(
INSERT INTO sessions(id, app_name, user_id) VALUES ('s', 'a', 'u');
INSERT INTO tasks(id, prompt, status, input_data, submitted_at, last_updated_at, session_id)
VALUES ('t', 'p', 'pending', '{}', 'now', 'now', 's');
INSERT INTO memory_entries(namespace, key, value, memory_type) VALUES ('a:b', 'k', '1', 'semantic');
INSERT INTO audit(timestamp, action_type, memory_entry_id) VALUES ('now', 'memory_create', 1);
)sql"));
  EXPECT_THAT(connection->ExecuteScript("UPDATE tasks SET session_id = 'none'"),
              StatusIs(absl::StatusCode::kInvalidArgument));
  ASSERT_OK(connection->ExecuteScript("DELETE FROM sessions; DELETE FROM memory_entries"));
  EXPECT_THAT(Rows(*connection, "SELECT id, priority, session_id FROM tasks"),
              ElementsAre("t|5|null"));
  EXPECT_THAT(Rows(*connection, "SELECT id, memory_entry_id FROM audit"), ElementsAre("1|null"));
}

}  // namespace
}  // namespace vouch::storage
