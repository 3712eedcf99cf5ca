#include "uow/contract_document.h"

#include <nlohmann/json.hpp>
#include <regex>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"
#include "uow/engine.h"

namespace vouch::uow {
namespace {

using nlohmann::json;
using test::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kHash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

json Unit() {
  return {{"uow_id", "01KAJ000000000000000000001"},
          {"envelope_id", "650e8400-e29b-41d4-a716-446655440001"},
          {"status", "committed"},
          {"created_ts", "2026-11-21T00:00:00.123Z"},
          {"committed_ts", "2026-11-21T01:00:00+01:00"},
          {"contract_version", "1.1.0"},
          {"writes",
           {{{"store", "main"},
             {"record_id", "accounts/1"},
             {"operation_type", "create"},
             {"bytes_written", 20},
             {"checksum", kHash}}}},
          {"metrics", {{"total_execution_time_ms", 3}, {"retry_count", 0}}},
          {"error_info", {{"error_type", "timeout"}, {"recovery_attempted", true}}},
          {"receipt", {{"receipt_hash", kHash}, {"stores_involved", {"main"}}}},
          {"context",
           {{"space_id", "personal:home"},
            {"actor_ref", {{"user_id", "650e8400-e29b-41d4-a716-446655440001"}}},
            {"device_ref", {{"device_id", "pixel-8"}, {"platform", "android"}}},
            {"correlation_id", ""},
            {"band", "AMBER"}}}};
}

// "rule field" of each violation.
std::vector<std::string> Found(ContractDocument document, const json& value) {
  std::vector<std::string> found;
  for (const DocumentViolation& violation : CheckDocument(document, value.dump())) {
    found.push_back(absl::StrCat(NameOf(violation.rule), " ", violation.field));
  }
  return found;
}

TEST(ContractDocumentTest, AWholeUnitComplies) {
  EXPECT_THAT(Found(ContractDocument::kUnit, Unit()), IsEmpty());
  json least;
  for (const char* name : {"uow_id", "envelope_id", "status", "created_ts", "contract_version"}) {
    least[name] = Unit()[name];
  }
  EXPECT_THAT(Found(ContractDocument::kUnit, least), IsEmpty());
}

TEST(ContractDocumentTest, EachFieldIsHeldToItsRule) {
  const struct {
    const char* pointer;
    json value;
    const char* found;
  } kCases[] = {
      {"/uow_id", "81KAJ000000000000000000001", "bad_value /uow_id"},
      {"/uow_id", "01KAJ00000000000000000000I", "bad_value /uow_id"},
      {"/uow_id", 7, "wrong_type /uow_id"},
      {"/envelope_id", "650e8400e29b41d4a716446655440001", "bad_value /envelope_id"},
      {"/envelope_id", nullptr, "wrong_type /envelope_id"},
      {"/status", "done", "bad_value /status"},
      {"/created_ts", "2026-11-21 00:00:00", "bad_value /created_ts"},
      {"/created_ts", "2026-02-30T00:00:00Z", "bad_value /created_ts"},
      {"/created_ts", "infinite-future", "bad_value /created_ts"},
      {"/contract_version", "1.1", "bad_value /contract_version"},
      {"/writes", json::object(), "wrong_type /writes"},
      {"/writes/0/record_id", "accounts", "bad_value /writes/0/record_id"},
      {"/writes/0/operation_type", "commit", "bad_value /writes/0/operation_type"},
      {"/writes/0/bytes_written", -1, "bad_value /writes/0/bytes_written"},
      {"/writes/0/bytes_written", 1.5, "wrong_type /writes/0/bytes_written"},
      {"/writes/0/checksum", std::string(64, 'g'), "bad_value /writes/0/checksum"},
      {"/writes/0/extra", 1, "field_unknown /writes/0/extra"},
      {"/metrics/retry_count", "0", "wrong_type /metrics/retry_count"},
      {"/error_info/recovery_attempted", 1, "wrong_type /error_info/recovery_attempted"},
      {"/receipt/stores_involved/0", 1, "wrong_type /receipt/stores_involved/0"},
      {"/context/space_id", "private:home", "bad_value /context/space_id"},
      {"/context/space_id", "personal:", "bad_value /context/space_id"},
      {"/context/space_id", "personal:a b", "bad_value /context/space_id"},
      {"/context/actor_ref/user_id", "u1", "bad_value /context/actor_ref/user_id"},
      {"/context/actor_ref/agent_id", "ab", "bad_value /context/actor_ref/agent_id"},
      {"/context/device_ref/platform", "amiga", "bad_value /context/device_ref/platform"},
      {"/context/device_ref/device_id", std::string(65, 'd'),
       "bad_value /context/device_ref/device_id"},
      {"/context/band", "amber", "bad_value /context/band"},
      {"/a~1b", 1, "field_unknown /a~1b"},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(absl::StrCat(c.pointer, " = ", c.value.dump()));
    json unit = Unit();
    unit[json::json_pointer(c.pointer)] = c.value;
    EXPECT_THAT(Found(ContractDocument::kUnit, unit), ElementsAre(c.found));
  }
  // The looser readings.
  json unit = Unit();
  unit["context"]["actor_ref"]["user_id"] = "01KAJ000000000000000000001";
  unit["writes"][0]["record_id"] = "01KAJ000000000000000000001";
  EXPECT_THAT(Found(ContractDocument::kUnit, unit), IsEmpty());
}

TEST(ContractDocumentTest, WhatIsRequiredIsMissed) {
  for (const char* pointer :
       {"/uow_id", "/envelope_id", "/status", "/created_ts", "/contract_version", "/writes/0/store",
        "/writes/0/record_id", "/writes/0/operation_type", "/context/actor_ref/user_id",
        "/context/device_ref/device_id"}) {
    json unit = Unit();
    const json::json_pointer at(pointer);
    unit[at.parent_pointer()].erase(at.back());
    EXPECT_THAT(Found(ContractDocument::kUnit, unit),
                ElementsAre(absl::StrCat("field_missing ", pointer)));
  }
}

TEST(ContractDocumentTest, VersionOneZeroKnowsLess) {
  const json unit = {{"uow_id", "01KAJ000000000000000000001"},
                     {"envelope_id", "01KAJ000000000000000000002"},
                     {"status", "pending"},
                     {"created_ts", "2026-11-21T00:00:00Z"},
                     {"writes", {{{"store", "s"}, {"record_id", "01KAJ000000000000000000003"}}}}};
  EXPECT_THAT(Found(ContractDocument::kUnitV1_0, unit), IsEmpty());
  json failed = unit;
  failed["status"] = "failed";
  failed["metrics"] = json::object();
  EXPECT_THAT(Found(ContractDocument::kUnitV1_0, failed),
              ElementsAre("bad_value /status", "field_unknown /metrics"));
}

TEST(ContractDocumentTest, WhatIsNotOneJsonObjectIsToldAsThat) {
  for (const std::string& text :
       {std::string(), std::string("{"), std::string("{} {}"), std::string("{\"a\":\"\xff\"}"),
        std::string("{\"band\":1,\"band\":1}"), std::string(100'000, '['),
        std::string("{\"a\":") + std::string(100'000, '[')}) {
    const auto violations = CheckDocument(ContractDocument::kUnit, text);
    ASSERT_EQ(violations.size(), 1u) << text.substr(0, 20);
    EXPECT_EQ(violations[0].rule, DocumentRule::kNotJson);
  }
  EXPECT_THAT(Found(ContractDocument::kUnit, json::array()), ElementsAre("wrong_type "));
}

// The schema that is printed and the check are made of one table, but a text's rule stands there
// twice: as a function and as a pattern.
TEST(ContractDocumentTest, PatternsOfTheSchemaAreTheRulesThatAreChecked) {
  const json schema = json::parse(SchemaOf(ContractDocument::kUnit));
  EXPECT_EQ(schema["additionalProperties"], false);
  EXPECT_EQ(schema["properties"]["writes"]["items"]["required"],
            json({"store", "record_id", "operation_type"}));
  const std::vector<std::string> samples = {"",
                                            "a",
                                            "abc",
                                            "a b c",
                                            "1.2.3",
                                            "01.2.3",
                                            "1.2.3.4",
                                            "personal:home",
                                            "personal:",
                                            "x:y",
                                            "shared:a/b",
                                            "RED",
                                            "red",
                                            "linux",
                                            "create",
                                            "committed",
                                            "accounts/1",
                                            "/1",
                                            kHash,
                                            std::string(64, 'G'),
                                            std::string(64, 'x'),
                                            std::string(65, 'x'),
                                            "01KAJ000000000000000000001",
                                            "81KAJ000000000000000000001",
                                            "01kaj000000000000000000001",
                                            "650e8400-e29b-41d4-a716-446655440001",
                                            "650E8400-E29B-41D4-A716-446655440001",
                                            "650e8400-e29b-41d4-a716-44665544000g"};
  for (const char* pointer :
       {"/uow_id", "/envelope_id", "/status", "/contract_version", "/writes/0/record_id",
        "/writes/0/operation_type", "/writes/0/checksum", "/context/space_id", "/context/band",
        "/context/actor_ref/user_id", "/context/actor_ref/agent_id",
        "/context/device_ref/platform"}) {
    // The schema of the field.
    const json* part = &schema;
    for (json::json_pointer rest(pointer); !rest.empty();) {
      std::vector<std::string> names;
      for (; !rest.empty(); rest.pop_back()) names.insert(names.begin(), rest.back());
      for (const std::string& name : names) {
        part = name == "0" ? &(*part)["items"] : &(*part)["properties"][name];
      }
    }
    for (const std::string& sample : samples) {
      bool in_schema = false;
      if (part->contains("enum")) {
        for (const json& value : (*part)["enum"]) in_schema |= value == sample;
      } else {
        in_schema = std::regex_search(
            sample, std::regex((*part)["pattern"].get<std::string>(), std::regex::ECMAScript));
      }
      json unit = Unit();
      unit[json::json_pointer(pointer)] = sample;
      EXPECT_EQ(Found(ContractDocument::kUnit, unit).empty(), in_schema)
          << pointer << " = " << sample;
    }
  }
}

TEST(ContractDocumentTest, AUnitOfTheLedgerIsADocument) {
  const test::TemporaryDirectory directory;
  auto set = storage::MigrationSet::FromSql(
      "app", {{.version = 1, .name = "t", .up = "CREATE TABLE t(id INTEGER PRIMARY KEY)"}});
  ASSERT_OK(set);
  ASSERT_OK_AND_ASSIGN(auto engine, Engine::Open({.path = directory.File("a.db"),
                                                  .migrations = {*set},
                                                  .record_failures_within = absl::ZeroDuration()}));
  const auto insert = [](UnitOfWork& unit) { return unit.Execute("INSERT INTO t VALUES (1)"); };
  const RunOptions options{.uow_id = "01KAJ000000000000000000001",
                           .envelope_id = "01KAJ000000000000000000002",
                           .space_id = "shared:kitchen",
                           .actor_id = "650e8400-e29b-41d4-a716-446655440001",
                           .device_id = "pixel-8",
                           .band = Band::kGreen};
  ASSERT_OK(engine->Run(options, insert));
  EXPECT_FALSE(engine->Run({.uow_id = "01KAJ000000000000000000003"}, insert).ok());

  ASSERT_OK_AND_ASSIGN(auto reader, engine->Read());
  ASSERT_OK_AND_ASSIGN(const std::string committed, ReadUnitDocument(*reader, options.uow_id));
  EXPECT_THAT(CheckDocument(ContractDocument::kUnit, committed), IsEmpty()) << committed;
  const json unit = json::parse(committed);
  EXPECT_EQ(unit["writes"][0]["record_id"], "t/1");
  EXPECT_EQ(unit["receipt"]["stores_involved"], json({"main"}));
  EXPECT_FALSE(unit.contains("error_info"));

  ASSERT_OK_AND_ASSIGN(const std::string failed,
                       ReadUnitDocument(*reader, "01KAJ000000000000000000003"));
  EXPECT_EQ(json::parse(failed)["error_info"]["error_type"], "constraint_violation");
  // It has no envelope, which the contract demands and recording does not.
  EXPECT_THAT(Found(ContractDocument::kUnit, json::parse(failed)),
              ElementsAre("field_missing /envelope_id"));
  EXPECT_THAT(ReadUnitDocument(*reader, "none"), StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace vouch::uow
