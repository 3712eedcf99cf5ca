// Property: an audit verifies exactly the databases whose covered contents are what the receipts
// say, and names the unit or the record that is not.
//
// Method: a random ledger is built with the format's functions alone: its writes are the difference
// of two snapshots of all rows, so nothing here shares code with the library's capture. One random
// change is made to a copy, by plain SQL. What a change means is decided from dumps of the covered
// cells and rows before and after it, not from what was meant to be changed. The verifier that is
// not part of the library must agree.
//
// A failure would look like a tampered database that verifies, an untouched one that does not, or a
// finding about a unit that is as it always was.

#include "uow/audit.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/sqlite/connection.h"
#include "storage/transaction.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"
#include "uow/format.h"
#include "uow/table.h"
#include "uow/ulid.h"

namespace vouch::uow {
namespace {

using storage::Digest;
using storage::HexOf;
using storage::Sha256;
using storage::SqliteConnection;
using storage::StatementPtr;
using storage::ValueView;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// Without STRICT or CHECK: whoever tampers with a ledger is not bound by its schema.
constexpr char kLedgerSchema[] = R"sql(
  CREATE TABLE uow_ledger(id, format, created);
  CREATE TABLE unit_of_work(
    seq INTEGER PRIMARY KEY, uow_id, envelope_id, status, created_ts, committed_ts,
    total_execution_time_ms, commit_time_ms, store_count, total_bytes_written, retry_count,
    error_type, error_message, failed_store, error_ts, recovery_attempted, receipt_hash,
    receipt_signature, space_id, actor_id, device_id, correlation_id, band, contract_version);
  CREATE TABLE uow_writes(seq, ordinal, store, record_id, operation_type, bytes_written, checksum,
    prior_checksum, PRIMARY KEY(seq, ordinal)) WITHOUT ROWID;
  CREATE TABLE uow_payloads(seq, ordinal, payload, PRIMARY KEY(seq, ordinal)) WITHOUT ROWID;
  CREATE TABLE uow_tree(level, idx, hash, PRIMARY KEY(level, idx)) WITHOUT ROWID;
  CREATE TABLE accounts(id INTEGER PRIMARY KEY, name TEXT, balance REAL, note);
  CREATE TABLE "odd/ tàble"(a, b REAL, n INT, g AS (n) VIRTUAL, é, PRIMARY KEY(é, b, a))
    WITHOUT ROWID;
  CREATE TABLE people(id TEXT PRIMARY KEY COLLATE NOCASE, x ANY) STRICT;
  CREATE TABLE keyless(x);
)sql";

// A value as SQL, of any storage class, often one that looks like another.
std::string AnyLiteral(test::Random& random) {
  switch (random.Uniform(0, 6)) {
    case 0:
      return "NULL";
    case 1:
      return std::to_string(random.Uniform<std::int64_t>(-3, 3));
    case 2:
      return absl::StrCat(random.Uniform(-3, 3), ".", random.Uniform(0, 1) * 5);
    case 3:
      return absl::StrCat("'", random.Uniform(0, 3), "'");
    case 4:
      return random.OneIn(2) ? "''" : "'Zoë\n,%'";
    case 5:
      return absl::StrCat("x'0", random.Uniform(0, 3), "'");
    default:
      return random.OneIn(2) ? "x''" : "9223372036854775807";
  }
}

// Builds a ledger beside the rows it is about.
class LedgerBuilder {
 public:
  struct Cell {
    Digest checksum;
    std::int64_t bytes;
    bool operator==(const Cell& other) const { return checksum == other.checksum; }
  };
  // By store and record id.
  using Snapshot = std::map<std::pair<std::string, std::string>, Cell>;

  explicit LedgerBuilder(SqliteConnection& connection) : connection_(connection) {}

  void Create() {
    ASSERT_OK(connection_.ExecuteScript(kLedgerSchema));
    ASSERT_OK(connection_.Execute("INSERT INTO uow_ledger VALUES (?1, 1, ?2)", kLedger, Time()));
    before_ = TakeSnapshot(connection_);
  }

  static std::string StoreOf(const std::string& table) {
    return table == "people" ? "crowd" : "main";
  }

  // The state of every row of every store, from fresh SELECTs.
  static Snapshot TakeSnapshot(SqliteConnection& connection) {
    Snapshot snapshot;
    for (const char* table : {"accounts", "odd/ tàble", "people"}) {
      absl::StatusOr<TableSchema> schema = ReadTableSchema(connection, table);
      if (!schema.ok() || WhyNotReceipted(*schema)) continue;
      const RowEncoder encoder(*schema);
      absl::StatusOr<StatementPtr> rows = connection.Prepare(SelectRowsSql(*schema));
      EXPECT_OK(rows);
      while (*(*rows)->Step()) {
        std::vector<ValueView> values(schema->columns.size());
        for (int i = 0; i < (*rows)->column_count(); ++i) {
          const int column = schema->captured[static_cast<std::size_t>(i)];
          values[static_cast<std::size_t>(column)] = (*rows)->column(i);
        }
        std::string id;
        std::string bytes;
        encoder.AppendRecordId(id, values);
        const std::int64_t size = encoder.AppendRow(bytes, values);
        snapshot.insert_or_assign({StoreOf(table), id}, Cell{Sha256::Of(bytes), size});
      }
    }
    return snapshot;
  }

  // One unit that did `script` to the tables and `more` to explicit records.
  void Commit(const std::string& script, std::vector<WriteRecord> more = {}) {
    ASSERT_OK(connection_.ExecuteScript(script));
    const Snapshot after = TakeSnapshot(connection_);
    std::vector<WriteRecord> writes;
    for (const auto& [record, cell] : before_) {
      const auto now = after.find(record);
      if (now == after.end()) {
        writes.push_back({record.first, record.second, Operation::kDelete, 0, cell.checksum});
      } else if (!(now->second == cell)) {
        writes.push_back({record.first, record.second, Operation::kUpdate, now->second.bytes,
                          cell.checksum, now->second.checksum});
      }
    }
    for (const auto& [record, cell] : after) {
      if (before_.count(record) > 0) continue;
      writes.push_back({record.first, record.second, Operation::kCreate, cell.bytes, std::nullopt,
                        cell.checksum});
    }
    before_ = after;
    writes.insert(writes.end(), more.begin(), more.end());
    ReceiptFields receipt = Next(UnitStatus::kCommitted);
    const std::string committed = Time();
    receipt.committed = committed;
    Append(receipt, writes);
  }

  // What was changed behind the ledger counts as known from here on.
  void Forget() { before_ = TakeSnapshot(connection_); }

  void Fail(const std::string& type, std::optional<std::string_view> store) {
    ReceiptFields receipt = Next(UnitStatus::kFailed);
    receipt.error_type = type;
    receipt.failed_store = store;
    Append(receipt, {});
  }

  void RollBack() {
    ReceiptFields receipt = Next(UnitStatus::kRolledBack);
    Append(receipt, {});
  }

  WriteRecord File(const std::string& name, const std::optional<std::string>& payload) {
    std::optional<Digest>& last = files_[name];
    WriteRecord write{.store = "files", .record_id = name, .prior = last};
    last.reset();
    if (payload) last = PayloadChecksum("files", name, *payload);
    write.operation = payload ? Operation::kUpsert : Operation::kDelete;
    write.bytes = payload ? static_cast<std::int64_t>(payload->size()) : 0;
    write.checksum = last;
    return write;
  }

  void RandomUnit(test::Random& random) {
    context_ = &random;
    switch (random.Uniform(0, 9)) {
      case 0:
        return Fail("constraint_violation", random.OneIn(2) ? std::optional("main") : std::nullopt);
      case 1:
        return RollBack();
      case 2: {
        const std::string name = absl::StrCat("file ", random.Uniform(0, 3));
        const bool remove = files_[name].has_value() && random.OneIn(3);
        return Commit("", {File(name, remove ? std::nullopt : std::optional(random.Bytes(20)))});
      }
      default:
        break;
    }
    std::string script;
    for (int changes = random.Uniform(0, 4); changes > 0; --changes) script += Change(random);
    Commit(script);
  }

  std::int64_t seq() const { return seq_; }
  const Digest& head() const { return head_; }
  const std::vector<std::string>& receipts() const { return receipts_; }

  static constexpr std::string_view kLedger = "01KAJ0000000000000000000VC";

  // What the next receipts say instead of what they should.
  std::optional<std::string> forged_id;
  std::optional<std::string> forged_created;
  std::string contract = "1.1.0";

 private:
  static std::string Change(test::Random& random) {
    const auto any = [&] { return AnyLiteral(random); };
    const std::string id = std::to_string(random.Uniform(-2, 9));
    switch (random.Uniform(0, 6)) {
      case 0:
      case 1:
        return absl::StrCat("INSERT OR REPLACE INTO accounts VALUES (", id, ", ", any(), ", ",
                            any(), ", ", any(), ");");
      case 2:
        return absl::StrCat("UPDATE accounts SET balance = ", any(), " WHERE id > ", id, ";");
      case 3:
        return absl::StrCat("DELETE FROM accounts WHERE id = ", id, ";");
      case 4:
        return absl::StrCat("INSERT OR IGNORE INTO \"odd/ tàble\" VALUES (", any(), ", ", any(),
                            ", ", any(), ", ", any(), ");");
      case 5:
        return absl::StrCat("UPDATE OR IGNORE \"odd/ tàble\" SET a = ", any(), ", n = ", any(),
                            " WHERE b > ", id, ";");
      default:
        return absl::StrCat("INSERT OR REPLACE INTO people VALUES ('", random.OneIn(2) ? "p" : "P",
                            id, "', ", any(), ");");
    }
  }

  std::string Time() {
    now_ += absl::Milliseconds(7);
    return storage::FormatUtcMillis(now_);
  }

  ReceiptFields Next(UnitStatus status) {
    uow_id_ = forged_id.value_or(ids_.Next());
    created_ = forged_created.value_or(Time());
    ReceiptFields receipt{.ledger = kLedger,
                          .seq = ++seq_,
                          .prev = head_,
                          .uow_id = uow_id_,
                          .status = status,
                          .created = created_,
                          .contract = contract};
    if (context_ == nullptr) return receipt;
    // Absent, empty and present, each often.
    const auto maybe = [&](const char* text) -> std::optional<std::string_view> {
      if (context_->OneIn(2)) return std::nullopt;
      return context_->OneIn(3) ? "" : text;
    };
    receipt.envelope = maybe("envelope");
    receipt.space = maybe("personal:home");
    receipt.actor = maybe("zoë\nband RED");
    receipt.device = maybe("-");
    receipt.correlation = maybe("0:");
    if (context_->OneIn(2)) receipt.band = static_cast<Band>(context_->Uniform(0, 3));
    return receipt;
  }

  void Append(ReceiptFields& receipt, const std::vector<WriteRecord>& writes) {
    TreeHasher tree;
    std::set<std::string> stores;
    int ordinal = 0;
    for (const WriteRecord& write : writes) {
      std::string bytes;
      AppendWrite(bytes, write);
      tree.Append(bytes);
      stores.insert(write.store);
      receipt.bytes += write.bytes;
      ASSERT_OK(connection_.Execute(
          "INSERT INTO uow_writes VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)", receipt.seq, ordinal++,
          write.store, write.record_id, NameOf(write.operation), write.bytes, Hex(write.checksum),
          Hex(write.prior)));
    }
    receipt.stores = static_cast<std::int64_t>(stores.size());
    receipt.write_count = static_cast<std::int64_t>(writes.size());
    receipt.writes_root = tree.Head();
    std::string bytes;
    AppendReceipt(bytes, receipt);
    head_ = Sha256::Of(bytes);
    receipts_.push_back(bytes);
    const std::optional<std::string_view> band =
        receipt.band ? std::optional<std::string_view>(NameOf(*receipt.band)) : std::nullopt;
    ASSERT_OK(connection_.Execute(
        "INSERT INTO unit_of_work VALUES (?1, ?2, ?3, ?4, ?5, ?6, 12, 3, ?7, ?8, 0, ?9, 'why', ?10,"
        " NULL, 0, ?11, NULL, ?12, ?13, ?14, ?15, ?16, ?17)",
        receipt.seq, receipt.uow_id, receipt.envelope, NameOf(receipt.status), receipt.created,
        receipt.committed, receipt.stores, receipt.bytes, receipt.error_type, receipt.failed_store,
        HexOf(head_), receipt.space, receipt.actor, receipt.device, receipt.correlation, band,
        receipt.contract));
  }

  static std::optional<std::string> Hex(const std::optional<Digest>& digest) {
    return digest ? std::optional(HexOf(*digest)) : std::nullopt;
  }

  SqliteConnection& connection_;
  UlidGenerator ids_{storage::WallClock::System()};
  absl::Time now_ = absl::FromUnixSeconds(1795219200);
  test::Random* context_ = nullptr;
  std::string uow_id_;
  std::string created_;
  std::int64_t seq_ = 0;
  Digest head_{};
  Snapshot before_;
  std::map<std::string, std::optional<Digest>> files_;
  std::vector<std::string> receipts_;
};

std::unique_ptr<SqliteConnection> OpenOrDie(const std::string& path) {
  storage::Profile profile;
  profile.journal_mode = storage::JournalMode::kDelete;
  profile.synchronous = storage::Synchronous::kOff;
  auto connection = SqliteConnection::Open({.path = path, .profile = profile});
  EXPECT_OK(connection);
  return *std::move(connection);
}

AuditReport AuditOrDie(SqliteConnection& connection, const AuditOptions& options = {}) {
  absl::StatusOr<AuditReport> report = Audit(connection, options);
  EXPECT_OK(report);
  return report.ok() ? *std::move(report) : AuditReport();
}

std::string Describe(const AuditReport& report) {
  std::string text = absl::StrCat(report.finding_count, " findings\n");
  for (const Finding& finding : report.findings) {
    absl::StrAppend(&text, "  ", NameOf(finding.code), ": ", finding.message, "\n");
  }
  return text;
}

// Empty when nothing was found.
std::string FirstMessage(const AuditReport& report) {
  return report.findings.empty() ? "" : report.findings[0].message;
}

std::vector<std::string> Codes(const AuditReport& report) {
  std::vector<std::string> codes;
  for (const Finding& finding : report.findings) codes.push_back(NameOf(finding.code));
  return codes;
}

// The rows of a query, each as one text that tells storage classes apart.
std::vector<std::string> Dump(SqliteConnection& connection, const std::string& sql) {
  std::vector<std::string> lines;
  absl::StatusOr<StatementPtr> rows = connection.Prepare(sql);
  EXPECT_OK(rows);
  while (*(*rows)->Step()) {
    std::string line;
    for (int i = 0; i < (*rows)->column_count(); ++i) {
      const ValueView value = (*rows)->column(i);
      line += "|";
      if (!value.is_null()) AppendValue(line, value, false);
    }
    lines.push_back(line);
  }
  return lines;
}

const std::vector<std::string> kCoveredUnitColumns = {"uow_id",
                                                      "envelope_id",
                                                      "status",
                                                      "created_ts",
                                                      "committed_ts",
                                                      "store_count",
                                                      "total_bytes_written",
                                                      "error_type",
                                                      "failed_store",
                                                      "receipt_hash",
                                                      "space_id",
                                                      "actor_id",
                                                      "device_id",
                                                      "correlation_id",
                                                      "band",
                                                      "contract_version"};
const std::vector<std::string> kWriteColumns = {"ordinal",        "store",         "record_id",
                                                "operation_type", "bytes_written", "checksum",
                                                "prior_checksum"};

// A new value for `column`, as an SQL expression.
std::string AlteredCell(test::Random& random, const std::string& column) {
  const std::string at = std::to_string(random.Uniform(1, 8));
  switch (random.Uniform(0, 7)) {
    case 0:
      return "NULL";
    case 1:
      return absl::StrCat("CAST(", column, " AS BLOB)");
    case 2:
      return absl::StrCat("CAST(", column, " AS TEXT)");
    case 3:
      return absl::StrCat("coalesce(", column, ", '') || char(10)");
    case 4:
      // Another byte in the middle.
      return absl::StrCat("substr(", column, ", 1, ", at, " - 1) || CASE substr(", column, ", ", at,
                          ", 1) WHEN '0' THEN '1' ELSE '0' END || substr(", column, ", ", at,
                          " + 1)");
    case 5:
      return absl::StrCat("CASE typeof(", column, ") WHEN 'integer' THEN ", column,
                          " + 1 ELSE upper(", column, ") END");
    case 6:
      return absl::StrCat("CAST(", column, " AS REAL)");
    default:
      return AnyLiteral(random);
  }
}

class AuditTest : public testing::Test {
 protected:
  std::string NewFile() { return directory_.File(absl::StrCat("ledger", ++files_, ".db")); }

  // What the verifier that shares no code with the library says.
  bool PythonAgrees(const std::string& path, const std::string& options = "") {
    const std::string command = absl::StrCat("python3 -B ", VOUCH_RECEIPT_VERIFIER, " ", options,
                                             " ", path, " > ", path, ".out 2>&1");
    const int result = std::system(command.c_str());
    std::ifstream file(path + ".out");
    python_said_.assign(std::istreambuf_iterator<char>(file), {});
    EXPECT_TRUE(result == 0 || result == 256) << python_said_;
    return result == 0;
  }

  test::TemporaryDirectory directory_;
  std::string python_said_;

 private:
  int files_ = 0;
};

// ---- What one random change does ----

class TamperTest : public AuditTest {
 protected:
  struct State {
    std::map<std::int64_t, std::string> units;  // Covered cells and writes, by seq.
    std::vector<std::string> ledger;
    LedgerBuilder::Snapshot rows;
  };

  static State Read(SqliteConnection& connection) {
    State state;
    std::string columns;
    for (const std::string& column : kCoveredUnitColumns) columns += ", " + column;
    for (const char* table : {"unit_of_work", "uow_writes"}) {
      const bool units = table == std::string("unit_of_work");
      auto rows =
          connection.Prepare(units ? "SELECT seq" + columns + " FROM unit_of_work ORDER BY seq"
                                   : "SELECT * FROM uow_writes ORDER BY seq, ordinal");
      EXPECT_OK(rows);
      while (*(*rows)->Step()) {
        std::string& text = state.units[(*rows)->Get<std::int64_t>(0)];
        text += table;
        for (int i = 0; i < (*rows)->column_count(); ++i) {
          const ValueView value = (*rows)->column(i);
          text += "|";
          if (!value.is_null()) AppendValue(text, value, false);
        }
      }
    }
    state.ledger = Dump(connection, "SELECT id, format FROM uow_ledger");
    state.rows = LedgerBuilder::TakeSnapshot(connection);
    return state;
  }

  // The first unit that is not what it was.
  static std::optional<std::int64_t> FirstChange(const State& before, const State& after) {
    std::optional<std::int64_t> first;
    const auto look = [&](const State& a, const State& b) {
      for (const auto& [seq, text] : a.units) {
        const auto other = b.units.find(seq);
        if (other != b.units.end() && other->second == text) continue;
        if (!first || seq < *first) first = seq;
      }
    };
    look(before, after);
    look(after, before);
    return first;
  }

  static std::set<std::string> ChangedRecords(const State& before, const State& after) {
    std::set<std::string> changed;
    for (const auto& [record, cell] : before.rows) {
      const auto now = after.rows.find(record);
      if (now == after.rows.end() || !(now->second == cell)) changed.insert(record.second);
    }
    for (const auto& [record, cell] : after.rows) {
      if (before.rows.count(record) == 0) changed.insert(record.second);
    }
    return changed;
  }

  static std::string RandomTampering(test::Random& random, std::int64_t units) {
    const auto pick = [&](const std::vector<std::string>& from) {
      return from[random.Uniform<std::size_t>(0, from.size() - 1)];
    };
    const std::string seq = std::to_string(random.Uniform<std::int64_t>(1, units));
    const std::string other = std::to_string(random.Uniform<std::int64_t>(1, units));
    const std::string write =
        absl::StrCat("(seq, ordinal) = (SELECT seq, ordinal FROM uow_writes ORDER BY seq % ",
                     random.Uniform(1, 97), ", ordinal LIMIT 1)");
    const std::string account = absl::StrCat("id = (SELECT id FROM accounts ORDER BY id % ",
                                             random.Uniform(1, 7), " LIMIT 1)");
    switch (random.Uniform(0, 15)) {
      case 0:
      case 1:
      case 2: {
        const std::string column = pick(kCoveredUnitColumns);
        return absl::StrCat("UPDATE unit_of_work SET ", column, " = ", AlteredCell(random, column),
                            " WHERE seq = ", seq);
      }
      case 3:
      case 4: {
        const std::string column = pick(kWriteColumns);
        return absl::StrCat("UPDATE OR IGNORE uow_writes SET ", column, " = ",
                            AlteredCell(random, column), " WHERE ", write);
      }
      case 5: {
        const std::string column = random.OneIn(2) ? "id" : "format";
        return absl::StrCat("UPDATE uow_ledger SET ", column, " = ", AlteredCell(random, column));
      }
      case 6: {
        // Two units' values swapped.
        const std::string column = pick(kCoveredUnitColumns);
        return absl::StrCat("UPDATE unit_of_work SET ", column, " = (SELECT u.", column,
                            " FROM unit_of_work u WHERE u.seq = ", seq, " + ", other,
                            " - unit_of_work.seq) WHERE seq IN (", seq, ", ", other, ")");
      }
      case 7:
        return absl::StrCat("DELETE FROM unit_of_work WHERE seq = ", seq);
      case 8:
        return absl::StrCat("DELETE FROM uow_writes WHERE ", write);
      case 9:
        return absl::StrCat(
            "INSERT INTO uow_writes SELECT seq, ordinal + 100, store, record_id,"
            " operation_type, bytes_written, checksum, prior_checksum"
            " FROM uow_writes WHERE ",
            write);
      case 10:
        // Two units change places.
        return absl::StrCat("UPDATE unit_of_work SET seq = -seq WHERE seq IN (", seq, ", ", other,
                            "); UPDATE unit_of_work SET seq = ", seq, " + ", other,
                            " + seq WHERE seq < 0");
      case 11:
        // The writes of a unit in another order.
        return absl::StrCat("UPDATE uow_writes SET ordinal = -1 - ordinal WHERE seq = ", seq,
                            "; UPDATE uow_writes SET ordinal = (SELECT count(*) FROM uow_writes w"
                            " WHERE w.seq = ",
                            seq, ") + ordinal WHERE seq = ", seq);
      case 12: {
        const std::string column = pick({"name", "balance", "note"});
        return absl::StrCat("UPDATE accounts SET ", column, " = ", AlteredCell(random, column),
                            " WHERE ", account);
      }
      case 13:
        return absl::StrCat("DELETE FROM accounts WHERE ", account);
      case 14:
        return absl::StrCat("INSERT OR REPLACE INTO people VALUES ('p", random.Uniform(0, 3), "', ",
                            AnyLiteral(random), ")");
      default:
        // Two rows' values swapped.
        return "UPDATE accounts SET (name, balance, note) = (SELECT a.name, a.balance, a.note"
               " FROM accounts a WHERE a.id = (SELECT min(id) + max(id) FROM accounts)"
               " - accounts.id) WHERE id IN (SELECT min(id) FROM accounts UNION"
               " SELECT max(id) FROM accounts)";
    }
  }
};

TEST_F(TamperTest, EveryChangeOfWhatIsCoveredIsFoundWhereItIs) {
  test::Random random;
  int found = 0;
  int harmless = 0;
  for (int ledger = 0; ledger < 8; ++ledger) {
    const std::string original = NewFile();
    std::int64_t units = 0;
    {
      auto connection = OpenOrDie(original);
      LedgerBuilder builder(*connection);
      builder.Create();
      // So that `main` is known to the ledger, and with it every table.
      builder.Commit("INSERT INTO accounts VALUES (100, 'first', 0, NULL)");
      for (int i = random.Uniform(5, 60); i > 0; --i) builder.RandomUnit(random);
      units = builder.seq();
      const AuditReport report = AuditOrDie(*connection);
      ASSERT_TRUE(report.verified) << Describe(report);
      ASSERT_EQ(report.receipts, units);
      ASSERT_EQ(HexOf(*report.head.receipt_hash), HexOf(builder.head()));
      ASSERT_EQ(*report.head.tree_head, TreeHead(builder.receipts()));
      ASSERT_EQ(report.rows,
                static_cast<std::int64_t>(LedgerBuilder::TakeSnapshot(*connection).size()));
    }
    ASSERT_TRUE(PythonAgrees(original)) << python_said_;
    const std::string copy = NewFile();
    for (int change = 0; change < 30; ++change) {
      std::filesystem::copy_file(original, copy, std::filesystem::copy_options::overwrite_existing);
      const std::string tampering = RandomTampering(random, units);
      SCOPED_TRACE(tampering);
      auto connection = OpenOrDie(copy);
      const State before = Read(*connection);
      ASSERT_OK(connection->ExecuteScript(tampering));
      const State after = Read(*connection);

      const std::optional<std::int64_t> unit = FirstChange(before, after);
      const std::set<std::string> records = ChangedRecords(before, after);
      // The newest unit without writes can be cut off: that is what the head is kept for.
      const bool cut_off = unit == units && after.units.count(units) == 0;
      const bool tampered = (unit && !cut_off) || !records.empty() || before.ledger != after.ledger;

      const AuditReport report = AuditOrDie(*connection);
      SCOPED_TRACE(Describe(report));
      ASSERT_EQ(report.verified, !tampered);
      if (random.OneIn(16)) {
        connection.reset();
        ASSERT_EQ(PythonAgrees(copy), !tampered) << python_said_;
      }
      ++(tampered ? found : harmless);
      if (unit && !cut_off) {
        ASSERT_EQ(report.first_bad_seq, unit);
      } else if (before.ledger != after.ledger) {
        // Either the row itself is unfit, or no receipt belongs to this ledger.
        ASSERT_TRUE(report.first_bad_seq == 1 ||
                    FirstMessage(report).find("ledger") != std::string::npos);
      } else if (tampered) {
        std::set<std::string> named;
        for (const Finding& finding : report.findings) named.insert(finding.record_id);
        ASSERT_EQ(named, records);
        ASSERT_EQ(report.first_bad_seq, std::nullopt);
      }
    }
  }
  // Else the changes would prove little.
  EXPECT_GT(found, 100);
  EXPECT_GT(harmless, 2);
}

TEST_F(TamperTest, WhatIsNotCoveredMayChange) {
  test::Random random;
  auto connection = OpenOrDie(NewFile());
  LedgerBuilder builder(*connection);
  builder.Create();
  for (int i = 0; i < 30; ++i) builder.RandomUnit(random);
  for (const char* column :
       {"total_execution_time_ms", "commit_time_ms", "retry_count", "error_message", "error_ts",
        "recovery_attempted", "receipt_signature"}) {
    for (int i = 0; i < 10; ++i) {
      ASSERT_OK(connection->Execute(absl::StrCat("UPDATE unit_of_work SET ", column, " = ",
                                                 AnyLiteral(random), " WHERE seq % 3 = ", i % 3)));
    }
    const AuditReport report = AuditOrDie(*connection);
    EXPECT_TRUE(report.verified) << column << Describe(report);
  }
  ASSERT_OK(connection->Execute("UPDATE uow_ledger SET created = '1999-12-31T00:00:00.000Z'"));
  ASSERT_OK(connection->Execute("INSERT INTO keyless VALUES (1), (2)"));
  ASSERT_OK(connection->ExecuteScript(
      "ALTER TABLE accounts ADD COLUMN later TEXT; CREATE INDEX i ON accounts(name);"
      "CREATE TABLE empty(id INTEGER PRIMARY KEY)"));
  const AuditReport report = AuditOrDie(*connection);
  EXPECT_TRUE(report.verified) << Describe(report);
}

// ---- One finding at a time ----

class FindingTest : public AuditTest {
 protected:
  void SetUp() override {
    path_ = NewFile();
    connection_ = OpenOrDie(path_);
    builder_ = std::make_unique<LedgerBuilder>(*connection_);
    builder_->Create();
  }

  // Six units: rows 1 and 2 created; 1 updated; a file; a failure; a rollback; 2 deleted.
  void BuildSix() {
    builder_->Commit("INSERT INTO accounts VALUES (1, 'Zoë', 10.5, NULL), (2, 'bob', 0, x'00')");
    builder_->Commit("UPDATE accounts SET balance = 9 WHERE id = 1");
    builder_->Commit("", {builder_->File("report.pdf", "%PDF")});
    builder_->Fail("constraint_violation", "main");
    builder_->RollBack();
    builder_->Commit("DELETE FROM accounts WHERE id = 2");
    ASSERT_TRUE(AuditOrDie(*connection_).verified);
  }

  AuditReport After(const std::string& sql, const AuditOptions& options = {}) {
    EXPECT_OK(connection_->ExecuteScript(sql));
    return AuditOrDie(*connection_, options);
  }

  // Writes the hash that a unit's columns give into its row, as a forger would.
  void Rehash(std::int64_t seq, std::string from, const std::string& to) {
    std::string bytes = builder_->receipts()[static_cast<std::size_t>(seq - 1)];
    bytes.replace(bytes.find(from), from.size(), to);
    ASSERT_OK(connection_->Execute("UPDATE unit_of_work SET receipt_hash = ?2 WHERE seq = ?1", seq,
                                   HexOf(Sha256::Of(bytes))));
  }

  std::string path_;
  std::unique_ptr<SqliteConnection> connection_;
  std::unique_ptr<LedgerBuilder> builder_;
};

TEST_F(FindingTest, NothingInAnEmptyLedger) {
  const AuditReport report = AuditOrDie(*connection_);
  EXPECT_TRUE(report.verified) << Describe(report);
  EXPECT_EQ(report.head.ledger_id, LedgerBuilder::kLedger);
  EXPECT_EQ(report.head.seq, 0);
  EXPECT_EQ(report.head.receipt_hash, std::nullopt);
  EXPECT_EQ(report.head.tree_head, EmptyTreeHead());
}

TEST_F(FindingTest, ReportsWhatWasRead) {
  BuildSix();
  const AuditReport report = AuditOrDie(*connection_);
  EXPECT_TRUE(report.verified);
  EXPECT_EQ(report.receipts, 6);
  EXPECT_EQ(report.writes, 5);
  EXPECT_EQ(report.records, 3);
  EXPECT_EQ(report.rows, 1);
  ASSERT_THAT(report.tables, SizeIs(3));  // people too: `main` holds what no other store does.
  EXPECT_EQ(report.tables[0].name, "accounts");
  EXPECT_EQ(report.tables[0].store, "main");
  EXPECT_THAT(report.stores_without_tables, ElementsAre("files"));
  ASSERT_THAT(report.skipped_tables, SizeIs(1));
  EXPECT_EQ(report.skipped_tables[0].name, "keyless");
  EXPECT_THAT(report.skipped_tables[0].reason, HasSubstr("no primary key"));
  EXPECT_THAT(report.not_covered, Contains(HasSubstr("cut off")));
  EXPECT_TRUE(PythonAgrees(path_)) << python_said_;
  EXPECT_THAT(python_said_, HasSubstr("6 receipts, 5 writes, 1 rows agree"));
  EXPECT_THAT(python_said_, HasSubstr(HexOf(*report.head.tree_head)));
}

TEST_F(FindingTest, LedgerMissing) {
  BuildSix();
  EXPECT_THAT(Codes(After("DELETE FROM uow_ledger")), ElementsAre("ledger_missing"));
  const AuditReport view =
      After("ALTER TABLE unit_of_work RENAME TO u; CREATE VIEW unit_of_work AS SELECT * FROM u");
  EXPECT_THAT(Codes(view), ElementsAre("ledger_missing"));
  EXPECT_THAT(FirstMessage(view), HasSubstr("not an ordinary table"));
  const AuditReport column = After(
      "DROP VIEW unit_of_work; ALTER TABLE u RENAME TO unit_of_work;"
      "ALTER TABLE unit_of_work DROP COLUMN band");
  EXPECT_THAT(FirstMessage(column), HasSubstr("no column band"));
  EXPECT_THAT(Codes(After("DROP TABLE unit_of_work; DROP TABLE uow_ledger; DROP TABLE uow_writes")),
              ElementsAre("ledger_missing", "ledger_missing", "ledger_missing"));
}

TEST_F(FindingTest, ALedgerHasOneId) {
  BuildSix();
  const AuditReport report =
      After("INSERT INTO uow_ledger VALUES ('01KAJ0000000000000000000VD', 1, '')");
  EXPECT_THAT(Codes(report), ElementsAre("malformed"));
  EXPECT_THAT(FirstMessage(report), HasSubstr("more than its one row"));
}

TEST_F(FindingTest, UnsupportedFormatIsNotTampering) {
  BuildSix();
  const AuditReport report = After("UPDATE uow_ledger SET format = 2");
  EXPECT_THAT(Codes(report), ElementsAre("unsupported_format"));
  EXPECT_FALSE(report.verified);
}

TEST_F(FindingTest, MalformedNamesTheColumn) {
  BuildSix();
  // A text that would print as the same line.
  const AuditReport report =
      After("UPDATE unit_of_work SET created_ts = CAST(created_ts AS BLOB) WHERE seq = 3");
  EXPECT_THAT(Codes(report), ElementsAre("malformed"));
  EXPECT_EQ(FirstMessage(report), "unit 3: created_ts is a blob, not a text");
  EXPECT_EQ(report.first_bad_seq, 3);
  EXPECT_EQ(report.head.tree_head, std::nullopt);
}

// Receipts that hash right, but whose fields could be read as others.
TEST_F(FindingTest, AHashDoesNotExcuseBadGrammar) {
  const auto last_code = [&]() -> std::string {
    const std::vector<std::string> codes = Codes(AuditOrDie(*connection_));
    return codes.empty() ? "" : codes.back();
  };
  builder_->contract = "1.1.0\nenvelope -";
  builder_->RollBack();
  EXPECT_EQ(last_code(), "malformed");
  builder_->contract = "1.1";
  builder_->RollBack();
  EXPECT_EQ(last_code(), "malformed");
  builder_->contract = "1.1.0";
  builder_->forged_id = "01KAJ0000000000000000000VC\n";
  builder_->RollBack();
  EXPECT_EQ(last_code(), "malformed");
  builder_->forged_id = "01kaj0000000000000000000vc";
  builder_->RollBack();
  EXPECT_EQ(last_code(), "malformed");
  builder_->forged_id.reset();
  builder_->forged_created = "2026-11-21 00:00:00.000Z";
  builder_->RollBack();
  EXPECT_EQ(last_code(), "malformed");
  builder_->forged_created.reset();
  builder_->Commit("", {{.store = "files",
                         .record_id = "a",
                         .operation = Operation::kUpsert,
                         .bytes = -1,
                         .checksum = Sha256::Of("")}});
  EXPECT_EQ(last_code(), "malformed");
  builder_->RollBack();
  // The last one's sum is malformed as well, and the unit after them is not blamed.
  EXPECT_EQ(AuditOrDie(*connection_).finding_count, 7);
  EXPECT_FALSE(PythonAgrees(path_));
}

TEST_F(FindingTest, AbsentIsNotADash) {
  BuildSix();
  EXPECT_THAT(Codes(After("UPDATE unit_of_work SET committed_ts = '-' WHERE seq = 4")),
              ElementsAre("malformed"));
}

TEST_F(FindingTest, SequenceGap) {
  BuildSix();
  const AuditReport report = After(
      "DELETE FROM unit_of_work WHERE seq IN (3, 4); DELETE FROM uow_writes WHERE seq IN (3, 4)");
  EXPECT_THAT(Codes(report), ElementsAre("sequence_gap", "chain_broken"));
  EXPECT_THAT(FirstMessage(report), HasSubstr("units 3 to 4 are missing"));
  EXPECT_EQ(report.findings[1].seq, 5);
  EXPECT_EQ(report.head.tree_head, std::nullopt);
}

TEST_F(FindingTest, RemovedAndRenumbered) {
  BuildSix();
  const AuditReport report = After(
      "DELETE FROM unit_of_work WHERE seq = 4; UPDATE unit_of_work SET seq = seq - 1 WHERE seq > 4;"
      "UPDATE uow_writes SET seq = seq - 1 WHERE seq > 4");
  EXPECT_THAT(Codes(report), ElementsAre("receipt_mismatch", "receipt_mismatch"));
  EXPECT_EQ(report.first_bad_seq, 4);
}

TEST_F(FindingTest, StatusMismatch) {
  BuildSix();
  EXPECT_THAT(Codes(After("UPDATE unit_of_work SET status = 'committed' WHERE seq = 5")),
              ElementsAre("status_mismatch", "receipt_mismatch"));
}

TEST_F(FindingTest, EveryRuleOfAStatus) {
  BuildSix();
  for (const char* change :
       {"committed_ts = NULL WHERE seq = 1", "committed_ts = created_ts WHERE seq = 4",
        "committed_ts = created_ts WHERE seq = 5", "error_type = NULL WHERE seq = 4",
        "error_type = '' WHERE seq = 1", "error_type = '' WHERE seq = 5",
        "failed_store = 'main' WHERE seq = 1", "failed_store = 'main' WHERE seq = 5",
        "status = 'rolled_back', committed_ts = NULL WHERE seq = 1"}) {
    ASSERT_OK(connection_->ExecuteScript("CREATE TEMP TABLE kept AS SELECT * FROM unit_of_work"));
    EXPECT_THAT(Codes(After(absl::StrCat("UPDATE unit_of_work SET ", change))),
                ElementsAre("status_mismatch", "receipt_mismatch"))
        << change;
    ASSERT_OK(connection_->ExecuteScript(
        "DELETE FROM unit_of_work; INSERT INTO unit_of_work SELECT * FROM kept; DROP TABLE kept"));
  }
  EXPECT_TRUE(AuditOrDie(*connection_).verified);
}

TEST_F(FindingTest, OneAlteredReceiptIsOneFinding) {
  BuildSix();
  EXPECT_THAT(Codes(After("UPDATE unit_of_work SET actor_id = 'eve' WHERE seq = 2")),
              ElementsAre("receipt_mismatch"));
}

TEST_F(FindingTest, OneAlteredReceiptHashIsOneFinding) {
  BuildSix();
  const AuditReport report = After(
      "UPDATE unit_of_work SET receipt_hash = CASE substr(receipt_hash, 1, 1)"
      " WHEN '0' THEN '1' ELSE '0' END || substr(receipt_hash, 2) WHERE seq = 2");
  EXPECT_THAT(Codes(report), ElementsAre("receipt_mismatch"));
  EXPECT_EQ(report.first_bad_seq, 2);
}

TEST_F(FindingTest, ARehashedReceiptBreaksTheNext) {
  BuildSix();
  Rehash(4, "constraint_violation", "constraint_violatioN");
  const AuditReport report =
      After("UPDATE unit_of_work SET error_type = 'constraint_violatioN' WHERE seq = 4");
  EXPECT_THAT(Codes(report), ElementsAre("receipt_mismatch"));
  EXPECT_EQ(report.first_bad_seq, 5);
  EXPECT_THAT(FirstMessage(report), HasSubstr("the unit before"));
}

// The one thing a file alone cannot show, and what the head is for.
TEST_F(FindingTest, TheNewestUnitRehashedIsSeenInTheHeadOnly) {
  BuildSix();
  const AuditReport before = AuditOrDie(*connection_);
  Rehash(6, "actor -", "actor 3:eve");
  const AuditReport after = After("UPDATE unit_of_work SET actor_id = 'eve' WHERE seq = 6");
  EXPECT_TRUE(after.verified);
  EXPECT_NE(after.head.receipt_hash, before.head.receipt_hash);
  EXPECT_NE(after.head.tree_head, before.head.tree_head);
}

TEST_F(FindingTest, WritesMismatch) {
  BuildSix();
  const AuditReport report = After("UPDATE unit_of_work SET store_count = 2 WHERE seq = 1");
  EXPECT_THAT(Codes(report), ElementsAre("writes_mismatch", "receipt_mismatch"));
  EXPECT_THAT(FirstMessage(report), HasSubstr("store_count says 2"));
  const AuditReport bytes =
      After("UPDATE unit_of_work SET store_count = 1, total_bytes_written = 5 WHERE seq = 1");
  EXPECT_THAT(Codes(bytes), ElementsAre("writes_mismatch", "receipt_mismatch"));
  EXPECT_THAT(FirstMessage(bytes), HasSubstr("total_bytes_written says 5"));
  const AuditReport gap = After(
      "UPDATE unit_of_work SET total_bytes_written = 40 WHERE seq = 1;"
      "UPDATE uow_writes SET ordinal = 7 WHERE seq = 1 AND ordinal = 1");
  EXPECT_THAT(FirstMessage(gap), HasSubstr("write 1 is missing"));
  EXPECT_EQ(gap.first_bad_seq, 1);
}

// A row altered behind the ledger and then updated by an honest unit.
TEST_F(FindingTest, CustodyBroken) {
  BuildSix();
  ASSERT_OK(connection_->Execute("UPDATE accounts SET balance = 1000000 WHERE id = 1"));
  builder_->Forget();
  builder_->Commit("UPDATE accounts SET name = 'Zoe' WHERE id = 1");
  const AuditReport report = AuditOrDie(*connection_);
  ASSERT_THAT(Codes(report), ElementsAre("custody_broken"));
  EXPECT_EQ(report.first_bad_seq, 7);
  EXPECT_EQ(report.findings[0].store, "main");
  EXPECT_EQ(report.findings[0].record_id, "accounts/1");
  EXPECT_THAT(FirstMessage(report), HasSubstr("not what unit 2 had left"));
}

TEST_F(FindingTest, ARecordIsWrittenOnceByAUnit) {
  builder_->Commit("", {builder_->File("a", "1"), builder_->File("a", "2")});
  const AuditReport report = AuditOrDie(*connection_);
  EXPECT_THAT(Codes(report), ElementsAre("custody_broken"));
  EXPECT_THAT(FirstMessage(report), HasSubstr("twice"));
}

TEST_F(FindingTest, OperationsGoWithTheirChecksums) {
  const Digest a = Sha256::Of("a");
  const auto write = [&](Operation operation, std::optional<Digest> prior,
                         std::optional<Digest> checksum, std::int64_t bytes) {
    builder_->Commit("", {{"files", "x y", operation, bytes, prior, checksum}});
    const AuditReport report = AuditOrDie(*connection_, {.quick = true});
    const bool fits = report.findings.empty() || report.findings.back().seq != builder_->seq();
    EXPECT_TRUE(fits || report.findings.back().code == FindingCode::kCustodyBroken);
    return fits;
  };
  EXPECT_FALSE(write(Operation::kCreate, std::nullopt, std::nullopt, 0));
  EXPECT_FALSE(write(Operation::kUpdate, std::nullopt, a, 1));
  EXPECT_FALSE(write(Operation::kCreate, a, a, 1));
  EXPECT_FALSE(write(Operation::kUpdate, a, std::nullopt, 1));
  EXPECT_FALSE(write(Operation::kDelete, std::nullopt, std::nullopt, 0));
  EXPECT_FALSE(write(Operation::kUpsert, std::nullopt, std::nullopt, 0));
  EXPECT_TRUE(write(Operation::kUpsert, std::nullopt, a, 1));
  EXPECT_TRUE(write(Operation::kUpsert, a, a, 1));
  EXPECT_FALSE(write(Operation::kDelete, a, std::nullopt, 1));
  EXPECT_TRUE(write(Operation::kCreate, std::nullopt, a, 1));
  EXPECT_FALSE(write(Operation::kDelete, a, a, 0));
}

TEST_F(FindingTest, OrphanWrites) {
  BuildSix();
  const AuditReport last = After("DELETE FROM unit_of_work WHERE seq = 6");
  EXPECT_THAT(Codes(last), ElementsAre("orphan_writes"));
  EXPECT_EQ(last.first_bad_seq, 6);
}

TEST_F(FindingTest, Payloads) {
  WriteRecord key{.store = "vouch", .record_id = "prune/256", .bytes = 3};
  key.checksum = PayloadChecksum("vouch", "prune/256", "abc");
  builder_->Commit("", {key});
  EXPECT_THAT(Codes(AuditOrDie(*connection_)), ElementsAre("payload_mismatch"));
  AuditReport report = After("INSERT INTO uow_payloads VALUES (1, 0, x'616263')");
  EXPECT_TRUE(report.verified) << Describe(report);
  EXPECT_EQ(report.payloads, 1);
  EXPECT_THAT(report.stores_without_tables, ElementsAre("vouch"));
  report = After("INSERT INTO uow_payloads VALUES (1, 1, x'00'), (0, 5, x'00'), (9, 9, x'')");
  EXPECT_THAT(Codes(report), SizeIs(3));
  report = After(
      "DELETE FROM uow_payloads WHERE ordinal > 0;"
      "UPDATE uow_payloads SET payload = x'616264'");
  EXPECT_THAT(Codes(report), ElementsAre("payload_mismatch"));
  EXPECT_EQ(report.findings[0].record_id, "prune/256");
  EXPECT_THAT(Codes(After("UPDATE uow_payloads SET payload = 'abc'")), ElementsAre("malformed"));
}

TEST_F(FindingTest, StoredTreeNodes) {
  for (int i = 0; i < 600; ++i) builder_->RollBack();
  const auto head = [&](std::size_t from) {
    const std::vector<std::string>& all = builder_->receipts();
    return HexOf(TreeHead(std::span(all).subspan(from, 256)));
  };
  ASSERT_OK(connection_->Execute("INSERT INTO uow_tree VALUES (8, 0, ?1), (8, 1, ?2)", head(0),
                                 head(256)));
  EXPECT_TRUE(AuditOrDie(*connection_).verified);
  EXPECT_THAT(Codes(After("UPDATE uow_tree SET idx = 2 WHERE idx = 1")),
              ElementsAre("tree_mismatch"));
  EXPECT_THAT(Codes(After("UPDATE uow_tree SET hash = (SELECT hash FROM uow_tree WHERE idx = 0),"
                          " idx = idx - (idx = 2)")),
              ElementsAre("tree_mismatch"));
  EXPECT_THAT(Codes(After("UPDATE uow_tree SET hash = upper(hash)")),
              ElementsAre("malformed", "malformed"));
}

TEST_F(FindingTest, RowsAreNamed) {
  BuildSix();
  builder_->Commit("INSERT INTO people VALUES ('Åsa', 1)");
  const AuditReport report = After(
      "UPDATE accounts SET balance = 9.5 WHERE id = 1; INSERT INTO accounts(id) VALUES (2), (3);"
      "UPDATE people SET id = 'åsa'");
  EXPECT_THAT(Codes(report),
              testing::UnorderedElementsAre("row_altered", "row_unreceipted", "row_unreceipted",
                                            "row_unreceipted", "row_missing"));
  std::set<std::string> records;
  for (const Finding& finding : report.findings) records.insert(finding.record_id);
  EXPECT_THAT(records, ElementsAre("accounts/1", "accounts/2", "accounts/3", "people/'%C3%85sa",
                                   "people/'%C3%A5sa"));
  EXPECT_EQ(FirstMessage(report), "row accounts/1 of store main is not what unit 2 left");
  EXPECT_EQ(report.findings[0].seq, 2);
  EXPECT_THAT(report.findings[1].message, HasSubstr("although unit 6 deleted it"));
  EXPECT_EQ(report.first_bad_seq, std::nullopt);
  EXPECT_FALSE(PythonAgrees(path_));
}

// What a hex editor does goes past every constraint.
TEST_F(FindingTest, RowsWhoseKeyIsTakenOrNull) {
  builder_->Commit(
      "INSERT INTO people VALUES ('taken_1', 'mark_1'), ('taken_2', 'mark_2'), ('', 'mark_3')");
  connection_.reset();
  std::string bytes;
  {
    std::ifstream file(path_, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(file), {});
  }
  const auto replace = [&](std::string_view from, std::string_view to) {
    const std::size_t at = bytes.find(from);
    ASSERT_NE(at, std::string::npos);
    bytes.replace(at, to.size(), to);
  };
  replace("taken_1mark_1", "taken_2mark_1");
  // A record header: its size, an empty text, a text of six bytes. The empty text becomes NULL.
  replace("\x03\x0d\x19mark_3", std::string_view("\x03\x00\x19", 3));
  std::ofstream(path_, std::ios::binary) << bytes;
  connection_ = OpenOrDie(path_);
  const AuditReport report = AuditOrDie(*connection_);
  EXPECT_THAT(Codes(report), ElementsAre("row_altered", "row_unreceipted", "malformed",
                                         "row_missing", "row_missing"));
  ASSERT_THAT(report.findings, SizeIs(5));
  EXPECT_THAT(report.findings[1].message,
              HasSubstr("people/'taken_2 of store crowd is there twice"));
  EXPECT_THAT(report.findings[2].message, HasSubstr("key is NULL"));
  EXPECT_FALSE(PythonAgrees(path_));
}

TEST_F(FindingTest, ATableThatMovedToAnotherStore) {
  BuildSix();
  const auto row = LedgerBuilder::TakeSnapshot(*connection_).at({"main", "accounts/1"});
  builder_->Commit(
      "", {{"main", "accounts/1", Operation::kDelete, 0, row.checksum, std::nullopt},
           {"bank", "accounts/1", Operation::kCreate, row.bytes, std::nullopt, row.checksum}});
  const AuditReport report = AuditOrDie(*connection_);
  EXPECT_TRUE(report.verified) << Describe(report);
  EXPECT_EQ(report.tables[0].store, "bank");
  EXPECT_TRUE(PythonAgrees(path_)) << python_said_;
  // And back, so that it is not the name that decides.
  builder_->Commit(
      "", {{"bank", "accounts/1", Operation::kDelete, 0, row.checksum, std::nullopt},
           {"main", "accounts/1", Operation::kCreate, row.bytes, std::nullopt, row.checksum}});
  builder_->Commit("UPDATE accounts SET name = 'Zo' WHERE id = 1");
  EXPECT_EQ(AuditOrDie(*connection_).tables[0].store, "main");
  EXPECT_TRUE(AuditOrDie(*connection_).verified);
}

TEST_F(FindingTest, AnIntegerInARealColumnIsTheSameRow) {
  BuildSix();
  EXPECT_TRUE(After("UPDATE accounts SET balance = 9").verified);
  EXPECT_TRUE(After("UPDATE accounts SET balance = 9.0").verified);
  EXPECT_FALSE(After("UPDATE accounts SET balance = 'nine'").verified);
}

TEST_F(FindingTest, AlteredAndPutBackIsTheSameRow) {
  BuildSix();
  EXPECT_FALSE(After("UPDATE accounts SET name = 'Eve'").verified);
  EXPECT_TRUE(After("UPDATE accounts SET name = 'Zoë'; VACUUM").verified);
}

TEST_F(FindingTest, ATableThatIsGoneOrNoLongerQualifies) {
  BuildSix();
  const AuditReport gone = After("ALTER TABLE accounts RENAME TO a");
  EXPECT_THAT(Codes(gone), ElementsAre("row_unreceipted", "row_missing"));
  const AuditReport keyless = After(
      "DROP TABLE a; CREATE TABLE accounts(id, name, balance REAL, note);"
      "INSERT INTO accounts VALUES (1, 'Zoë', 9, NULL)");
  EXPECT_THAT(Codes(keyless), ElementsAre("row_missing"));
  EXPECT_EQ(keyless.findings[0].record_id, "accounts/1");
  EXPECT_THAT(Codes(After("DROP TABLE accounts; CREATE VIEW accounts AS SELECT 1 id, 'Zoë' name,"
                          " 9.0 balance, NULL note")),
              ElementsAre("row_missing"));
}

TEST_F(FindingTest, ATemporaryTableHidesNothing) {
  BuildSix();
  const AuditReport report = After(
      "CREATE TEMP TABLE accounts AS SELECT * FROM main.accounts;"
      "CREATE TEMP TABLE unit_of_work AS SELECT * FROM main.unit_of_work;"
      "UPDATE main.accounts SET name = 'Eve'; UPDATE main.unit_of_work SET band = 'RED'"
      " WHERE seq = 1");
  EXPECT_THAT(Codes(report), ElementsAre("receipt_mismatch", "row_altered"));
}

TEST_F(FindingTest, StoresGivenAreAllThereAre) {
  BuildSix();
  builder_->Commit("INSERT INTO people VALUES ('p', 1)");
  ASSERT_OK(connection_->Execute("INSERT INTO \"odd/ tàble\"(a, b, é) VALUES (1, 1, 1)"));
  // Unknown to anybody, hence in `main`.
  EXPECT_THAT(Codes(AuditOrDie(*connection_)), ElementsAre("row_unreceipted"));
  AuditOptions options{.stores = {{.name = "main", .tables = {"Accounts"}},
                                  {.name = "crowd", .tables = {"people"}},
                                  {.name = "files", .tables = {}}}};
  const AuditReport report = AuditOrDie(*connection_, options);
  EXPECT_TRUE(report.verified) << Describe(report);
  ASSERT_THAT(report.skipped_tables, SizeIs(2));
  EXPECT_EQ(report.skipped_tables[1].name, "odd/ tàble");
  EXPECT_EQ(report.skipped_tables[1].reason, "is in no store");
  EXPECT_EQ(report.skipped_tables[1].rows, 1);
  // A record in no store's table is missing.
  options.stores[1].tables.clear();
  options.stores[0].tables.push_back("nothing");
  options.stores.pop_back();
  EXPECT_TRUE(AuditOrDie(*connection_, options).verified);
  options.stores.pop_back();
  EXPECT_THAT(Codes(AuditOrDie(*connection_, options)), ElementsAre("row_missing"));
  // `main` without tables stands for every other table.
  options.stores = {{.name = "main", .tables = {}}, {.name = "crowd", .tables = {"people"}}};
  EXPECT_THAT(Codes(AuditOrDie(*connection_, options)), ElementsAre("row_unreceipted"));
  options.unreceipted_tables = {"ODD/ Tàble"};
  EXPECT_TRUE(AuditOrDie(*connection_, options).verified);
}

TEST_F(FindingTest, QuickDoesNotReadRows) {
  BuildSix();
  const AuditReport report = After("DELETE FROM accounts", {.quick = true});
  EXPECT_TRUE(report.verified);
  EXPECT_EQ(report.rows, 0);
  EXPECT_THAT(report.not_covered, Contains(HasSubstr("live rows")));
}

TEST_F(FindingTest, KeepsSoManyFindingsAndCountsTheRest) {
  builder_->Commit(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 500)"
      " INSERT INTO accounts SELECT i, '', 0, NULL FROM n");
  const AuditReport report = After("UPDATE accounts SET name = 'x'", {.max_findings = 7});
  EXPECT_THAT(report.findings, SizeIs(7));
  EXPECT_EQ(report.finding_count, 500);
}

TEST_F(FindingTest, Progress) {
  for (int i = 0; i < 1500; ++i) builder_->RollBack();
  builder_->Commit(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000)"
      " INSERT INTO accounts SELECT i, '', 0, NULL FROM n");
  std::vector<std::pair<std::int64_t, std::int64_t>> seen;
  AuditOrDie(*connection_, {.progress = [&](std::int64_t done, std::int64_t total) {
    seen.emplace_back(done, total);
  }});
  ASSERT_GE(seen.size(), 3u);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_EQ(seen.back(), std::pair(std::int64_t{2501}, std::int64_t{2501}));
}

TEST_F(FindingTest, AClockThatStepsBackIsANote) {
  BuildSix();
  EXPECT_THAT(AuditOrDie(*connection_).notes, IsEmpty());
  // Written with the later time first, as a clock that was set would.
  ASSERT_OK(
      connection_->Execute("UPDATE unit_of_work SET committed_ts ="
                           " '2030-01-01T00:00:00.000Z' WHERE seq = 2"));
  EXPECT_THAT(AuditOrDie(*connection_).notes, ElementsAre(HasSubstr("first unit 3")));
}

// Damaged pages are findings, and what lies elsewhere is still read.
TEST_F(FindingTest, DamageIsAFinding) {
  builder_->Commit(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000)"
      " INSERT INTO accounts SELECT i, printf('%0100d', i), 0, NULL FROM n;"
      " INSERT INTO people VALUES ('p', 1)");
  ASSERT_OK(connection_->Execute("UPDATE people SET x = 2"));
  ASSERT_OK_AND_ASSIGN(const std::int64_t root,
                       connection_->QueryValue<std::int64_t>(
                           "SELECT rootpage FROM sqlite_schema WHERE name = 'accounts'"));
  ASSERT_OK_AND_ASSIGN(const std::int64_t page_size,
                       connection_->QueryValue<std::int64_t>("SELECT page_size FROM"
                                                             " pragma_page_size"));
  connection_.reset();
  {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp((root - 1) * page_size);
    file << "damage";
  }
  connection_ = OpenOrDie(path_);
  const AuditReport report = AuditOrDie(*connection_, {.max_findings = 100'000});
  EXPECT_FALSE(report.verified);
  EXPECT_THAT(Codes(report), Contains("unreadable"));
  EXPECT_THAT(Codes(report), Contains("row_altered"));  // people
}

// Half a ledger would make every later row look unreceipted.
TEST_F(FindingTest, RowsAreNotComparedWithADamagedLedger) {
  for (int i = 1; i <= 300; ++i) {
    builder_->Commit(absl::StrCat("INSERT INTO accounts VALUES (", i, ", 'name', 0, NULL)"));
  }
  ASSERT_OK_AND_ASSIGN(
      const std::string id,
      connection_->QueryValue<std::string>("SELECT uow_id FROM unit_of_work WHERE seq = 200"));
  connection_.reset();
  std::string bytes;
  {
    std::ifstream file(path_, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(file), {});
  }
  const std::size_t at = bytes.find(id);
  ASSERT_NE(at, std::string::npos);
  constexpr std::size_t kPageSize = 4096;
  bytes.replace(at / kPageSize * kPageSize, 6, "damage");
  std::ofstream(path_, std::ios::binary) << bytes;
  connection_ = OpenOrDie(path_);
  const AuditReport report = AuditOrDie(*connection_);
  EXPECT_THAT(Codes(report), ElementsAre("unreadable"));
  EXPECT_GT(report.receipts, 100);
  EXPECT_LT(report.receipts, 200);
  EXPECT_THAT(report.not_covered, Contains(HasSubstr("could not be read to its end")));
}

TEST_F(FindingTest, MustBeginItsOwnTransaction) {
  ASSERT_OK_AND_ASSIGN(auto transaction,
                       storage::Transaction::Begin(*connection_, storage::TransactionMode::kRead));
  EXPECT_THAT(Audit(*connection_, {}), test::StatusIs(absl::StatusCode::kFailedPrecondition));
}

}  // namespace
}  // namespace vouch::uow
