// Write receipts: their hash is the one that every other program with the same recipe computes.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"
#include "uow/contract_document.h"
#include "uow/engine.h"
#include "uow/write_receipt.h"

namespace vouch::uow {
namespace {

using test::StatusIs;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

WriteReceipt Committed() {
  return {.envelope_id = "650e8400-e29b-41d4-a716-446655440001",
          .committed = true,
          .stores = {{.name = "episodic_store",
                      .ts = "2024-03-15T10:30:45.567Z",
                      .bytes_written = 1024,
                      .duration_ms = 4}},
          .uow_id = "7QKTSEGXQW5Q6QX6MKN9EDTS4J",
          .created_ts = "2024-03-15T10:30:45.123Z",
          .committed_ts = "2024-03-15T10:30:45.567Z",
          .receipt_hash = "fbedc7f3ef4012e0b3816501a30f5858f9ee5ac6279701a040db15bfa21826fa",
          .total_stores = 1,
          .total_writes = 2,
          .contract_version = "1.1.0"};
}

TEST(WriteReceiptGoldenTest, HashesAreThoseOfTheRecipe) {
  WriteReceipt receipt = Committed();
  const auto hash = [&] {
    const auto digest = HashOf(receipt);
    EXPECT_OK(digest);
    return digest.ok() ? storage::HexOf(*digest) : "";
  };
  EXPECT_EQ(hash(), "fbedc7f3ef4012e0b3816501a30f5858f9ee5ac6279701a040db15bfa21826fa");
  receipt.committed = false;
  receipt.committed_ts.reset();
  receipt.envelope_id.reset();
  receipt.stores.clear();
  EXPECT_EQ(hash(), "63cb0cef8f63325cb9c1d38d413148cc4eba087b9bb381d1cc22de6fc037994a");
  receipt.envelope_id = "café 😀";
  EXPECT_EQ(hash(), "98632b0a9db755f49460422eb2170b6c63ddf3dc81f304a70c87c69c09147dce");
}

TEST(WriteReceiptGoldenTest, TheTextIsSortedAsciiWithoutSpaces) {
  WriteReceipt receipt = Committed();
  receipt.uow_id = "\"\\\n\x7f/é";
  EXPECT_THAT(
      HashedText(receipt),
      test::IsOkAndHolds(
          R"({"committed":true,"committed_ts":"2024-03-15T10:30:45.567Z",)"
          R"("contract_version":"1.1.0","created_ts":"2024-03-15T10:30:45.123Z",)"
          R"("envelope_id":"650e8400-e29b-41d4-a716-446655440001",)"
          R"("stores":[{"bytes_written":1024,"name":"episodic_store","operation_type":"commit",)"
          R"("record_id":null,"ts":"2024-03-15T10:30:45.567Z"}],)"
          R"("uow_id":"\"\\\n\u007f/\u00e9"})"));
  receipt.uow_id = "\xff";
  EXPECT_THAT(HashOf(receipt), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("UTF-8")));
  EXPECT_FALSE(VerifyIntegrity(receipt));
}

TEST(WriteReceiptTest, IntegrityIsOfTheHashedFieldsAndNoOthers) {
  EXPECT_TRUE(VerifyIntegrity(Committed()));
  const auto with = [](auto change) {
    WriteReceipt receipt = Committed();
    change(receipt);
    return VerifyIntegrity(receipt);
  };
  EXPECT_FALSE(with([](WriteReceipt& r) { r.receipt_hash.clear(); }));
  EXPECT_FALSE(with([](WriteReceipt& r) { r.committed = false; }));
  EXPECT_FALSE(with([](WriteReceipt& r) { r.committed_ts.reset(); }));
  EXPECT_FALSE(with([](WriteReceipt& r) { r.contract_version = "1.0.0"; }));
  EXPECT_FALSE(with([](WriteReceipt& r) { r.created_ts += " "; }));
  EXPECT_FALSE(with([](WriteReceipt& r) { r.envelope_id = ""; }));
  EXPECT_FALSE(with([](WriteReceipt& r) { r.uow_id.back() = 'K'; }));
  EXPECT_FALSE(with([](WriteReceipt& r) { r.stores[0].bytes_written = 1025; }));
  EXPECT_FALSE(with([](WriteReceipt& r) { r.stores[0].name = "x"; }));
  EXPECT_FALSE(with([](WriteReceipt& r) { r.stores[0].operation_type = "rollback"; }));
  EXPECT_FALSE(with([](WriteReceipt& r) { r.stores[0].record_id = "1"; }));
  EXPECT_FALSE(with([](WriteReceipt& r) { r.stores[0].ts.clear(); }));
  EXPECT_FALSE(with([](WriteReceipt& r) { r.stores.push_back(r.stores[0]); }));
  EXPECT_TRUE(with([](WriteReceipt& r) { r.error = "x"; }));
  EXPECT_TRUE(with([](WriteReceipt& r) { r.signature = "x"; }));
  EXPECT_TRUE(with([](WriteReceipt& r) { r.total_duration_ms = r.total_stores = 9; }));
  EXPECT_TRUE(with([](WriteReceipt& r) { r.stores[0].retry_count = 9; }));
}

TEST(WriteReceiptTest, SurvivesTheWayThroughJson) {
  for (WriteReceipt receipt : {Committed(), WriteReceipt{.error = "disk \"full\"",
                                            .uow_id = "7QKTSEGXQW5Q6QX6MKN9EDTS4J",
                                            .created_ts = "2024-03-15T10:30:45.123Z",
                                            .contract_version = "1.1.0"}}) {
    const auto hash = HashOf(receipt);
    ASSERT_OK(hash);
    receipt.receipt_hash = storage::HexOf(*hash);
    ASSERT_OK_AND_ASSIGN(const std::string json, ToJson(receipt));
    EXPECT_THAT(CheckDocument(ContractDocument::kWriteReceipt, json), IsEmpty()) << json;
    ASSERT_OK_AND_ASSIGN(const WriteReceipt back, ParseWriteReceipt(json));
    EXPECT_EQ(back, receipt);
    EXPECT_TRUE(VerifyIntegrity(back));
  }
  EXPECT_THAT(ParseWriteReceipt("{}"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("/envelope_id is missing")));
}

class ReadWriteReceiptTest : public ::testing::Test {
 protected:
  ReadWriteReceiptTest() {
    auto set = storage::MigrationSet::FromSql(
        "app", {{.version = 1,
                 .name = "t",
                 .up = "CREATE TABLE a(id INTEGER PRIMARY KEY); CREATE TABLE b(id INTEGER PRIMARY"
                       " KEY)"}});
    auto engine = Engine::Open(
        {.path = directory_.File("a.db"),
         .stores = {{.name = "one", .tables = {"a"}}, {.name = "two", .tables = {"b"}}},
         .migrations = {*set},
         .record_failures_within = absl::ZeroDuration()});
    EXPECT_OK(engine);
    engine_ = *std::move(engine);
  }

  const test::TemporaryDirectory directory_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(ReadWriteReceiptTest, EveryOutcomeHasOneWithAValidHash) {
  const RunOptions options{.uow_id = "01KAJ000000000000000000001",
                           .envelope_id = "01KAJ000000000000000000002"};
  ASSERT_OK(engine_->Run(options, [](UnitOfWork& unit) -> absl::Status {
    VOUCH_RETURN_IF_ERROR(unit.Execute("INSERT INTO b VALUES (1), (2)"));
    return unit.Execute("INSERT INTO a VALUES (1)");
  }));
  const std::string failed = "01KAJ000000000000000000003";
  EXPECT_FALSE(engine_
                   ->Run({.uow_id = failed},
                         [](UnitOfWork& unit) { return unit.Execute("INSERT INTO b VALUES (1)"); })
                   .ok());
  const std::string rolled_back = "01KAJ000000000000000000004";
  EXPECT_FALSE(
      engine_->Run({.uow_id = rolled_back}, [](UnitOfWork&) { return absl::NotFoundError("no"); })
          .ok());

  ASSERT_OK_AND_ASSIGN(auto reader, engine_->Read());
  for (const std::string& id : {options.uow_id, failed, rolled_back}) {
    ASSERT_OK_AND_ASSIGN(const WriteReceipt receipt, ReadWriteReceipt(*reader, id));
    EXPECT_TRUE(VerifyIntegrity(receipt));
    ASSERT_OK_AND_ASSIGN(const std::string json, ToJson(receipt));
    EXPECT_THAT(CheckDocument(ContractDocument::kWriteReceipt, json), IsEmpty()) << json;
  }
  ASSERT_OK_AND_ASSIGN(const WriteReceipt committed, ReadWriteReceipt(*reader, options.uow_id));
  EXPECT_TRUE(committed.committed);
  EXPECT_EQ(committed.envelope_id, options.envelope_id);
  EXPECT_EQ(committed.total_writes, 3);
  EXPECT_EQ(committed.total_stores, 2);
  ASSERT_THAT(committed.stores, SizeIs(2));
  EXPECT_EQ(committed.stores[1].name, "two");
  EXPECT_EQ(committed.stores[1].bytes_written, 16);
  EXPECT_EQ(committed.stores[1].ts, committed.committed_ts);
  ASSERT_OK_AND_ASSIGN(const WriteReceipt failure, ReadWriteReceipt(*reader, failed));
  EXPECT_FALSE(failure.committed);
  EXPECT_THAT(failure.error.value_or(""), HasSubstr("UNIQUE"));
  ASSERT_THAT(failure.stores, SizeIs(1));
  EXPECT_EQ(failure.stores[0].operation_type, "rollback");
}

TEST_F(ReadWriteReceiptTest, AUnitWhoseOwnReceiptDoesNotVerifyHasNone) {
  const std::string id = "01KAJ000000000000000000001";
  ASSERT_OK(engine_->Run({.uow_id = id}, [](UnitOfWork&) { return absl::OkStatus(); }));
  {
    ASSERT_OK_AND_ASSIGN(auto other,
                         storage::SqliteConnection::Open({.path = directory_.File("a.db")}));
    ASSERT_OK(other->Execute("UPDATE unit_of_work SET actor_id = 'somebody else'"));
  }
  ASSERT_OK_AND_ASSIGN(auto reader, engine_->Read());
  EXPECT_THAT(ReadWriteReceipt(*reader, id), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(ReadWriteReceipt(*reader, "none"), StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace vouch::uow
