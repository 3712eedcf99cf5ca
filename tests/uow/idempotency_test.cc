#include "uow/idempotency.h"

#include <memory>
#include <string>
#include <vector>

#include "storage/sha256.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"
#include "uow/audit.h"
#include "uow/engine.h"

namespace vouch::uow {
namespace {

using test::IsOkAndHolds;
using test::StatusIs;
using ::testing::HasSubstr;

TEST(IdempotencyKeyTest, IsTheHashOfTheNameAndTheCanonicalPayload) {
  EXPECT_THAT(IdempotencyKey("transfer", R"({ "to": "Zoë", "amount": 5 })"),
              IsOkAndHolds(
                  storage::HexOf(storage::Sha256::Of(R"(transfer:{"amount":5,"to":"Zo\u00eb"})"))));
  EXPECT_EQ(*IdempotencyKey("t", R"({"a":[1,{"c":2,"b":3}],"d":null})"),
            *IdempotencyKey("t", "{\"d\":null,\n\"a\":[1,{\"b\":3,\"c\":2}]}"));
  EXPECT_NE(*IdempotencyKey("t", "[1,2]"), *IdempotencyKey("t", "[2,1]"));
  EXPECT_NE(*IdempotencyKey("t", "1"), *IdempotencyKey("u", "1"));
  EXPECT_NE(*IdempotencyKey("t", "1"), *IdempotencyKey("t", "1.0"));
}

TEST(IdempotencyKeyTest, WhatHasNoOneMeaningIsRefused) {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(IdempotencyKey("", "1"), StatusIs(kInvalid));
  EXPECT_THAT(IdempotencyKey("t", ""), StatusIs(kInvalid, HasSubstr("not JSON")));
  EXPECT_THAT(IdempotencyKey("t", "{}x"), StatusIs(kInvalid));
  EXPECT_THAT(IdempotencyKey("t", "\"\xff\""), StatusIs(kInvalid));
  EXPECT_THAT(IdempotencyKey("t", R"({"a":1,"a":2})"), StatusIs(kInvalid, HasSubstr("twice")));
  EXPECT_THAT(IdempotencyKey("t", std::string(100, '[') + std::string(100, ']')),
              StatusIs(kInvalid, HasSubstr("64")));
}

class IdempotencyTest : public ::testing::Test {
 protected:
  IdempotencyTest() {
    auto set = storage::MigrationSet::FromSql(
        "app", {{.version = 1, .name = "t", .up = "CREATE TABLE t(id INTEGER PRIMARY KEY)"}});
    auto engine = Engine::Open({.path = path_, .migrations = {*set}, .wall_clock = &wall_});
    EXPECT_OK(engine);
    engine_ = *std::move(engine);
  }

  // Adds a row and answers how many there are then.
  absl::StatusOr<IdempotentResult> Add(const std::string& payload, absl::Status after = {}) {
    const auto add = [&](UnitOfWork& unit) -> absl::StatusOr<std::string> {
      ++calls_;
      VOUCH_RETURN_IF_ERROR(unit.Execute("INSERT INTO t DEFAULT VALUES"));
      return unit.QueryValue<std::string>("SELECT count(*) || '' FROM t");
    };
    IdempotentResult result;
    const auto receipt = engine_->Run({}, [&](UnitOfWork& unit) -> absl::Status {
      VOUCH_ASSIGN_OR_RETURN(result,
                             ExecuteIdempotent(unit, "add", payload, add, {.wall_clock = &wall_}));
      return after;
    });
    VOUCH_RETURN_IF_ERROR(receipt.status());
    return result;
  }

  std::int64_t Count(const std::string& table) {
    auto reader = engine_->Read();
    EXPECT_OK(reader);
    return *(*reader)->QueryValue<std::int64_t>("SELECT count(*) FROM " + table);
  }

  const test::TemporaryDirectory directory_;
  const std::string path_ = directory_.File("a.db");
  test::FakeWallClock wall_{absl::FromUnixMillis(1'790'000'000'123)};
  std::unique_ptr<Engine> engine_;
  int calls_ = 0;
};

TEST_F(IdempotencyTest, TheSecondTimeTheResultIsTheFirstOnes) {
  ASSERT_OK_AND_ASSIGN(const IdempotentResult first, Add(R"({"a":1,"b":2})"));
  EXPECT_FALSE(first.was_duplicate);
  EXPECT_EQ(first.result, "1");
  ASSERT_OK(Add("2"));
  ASSERT_OK_AND_ASSIGN(const IdempotentResult again, Add(R"({"b":2, "a":1})"));
  EXPECT_TRUE(again.was_duplicate);
  EXPECT_EQ(again.result, "1");
  EXPECT_EQ(again.uow_id, first.uow_id);
  EXPECT_EQ(calls_, 2);
  EXPECT_EQ(Count("t"), 2);
}

TEST_F(IdempotencyTest, WhatWasNotCommittedIsNotKept) {
  EXPECT_THAT(Add("1", absl::NotFoundError("later")), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_EQ(Count("uow_idempotency_keys"), 0);
  ASSERT_OK_AND_ASSIGN(const IdempotentResult result, Add("1"));
  EXPECT_FALSE(result.was_duplicate);
  EXPECT_EQ(result.result, "1");
  EXPECT_EQ(calls_, 2);
}

TEST_F(IdempotencyTest, AResultIsForgottenAfterItsTime) {
  ASSERT_OK(Add("1"));
  for (int i = 10; i < 30; ++i) ASSERT_OK(Add(std::to_string(i)));
  wall_.Advance(absl::Hours(24) - absl::Milliseconds(1));
  EXPECT_TRUE(Add("1")->was_duplicate);
  wall_.Advance(absl::Milliseconds(1));
  ASSERT_OK_AND_ASSIGN(const IdempotentResult late, Add("1"));
  EXPECT_FALSE(late.was_duplicate);
  EXPECT_TRUE(Add("1")->was_duplicate);
  // Eight of the others, and the one that was asked for, are gone with it.
  EXPECT_EQ(Count("uow_idempotency_keys"), 21 - 1 - 8 + 1);
}

TEST_F(IdempotencyTest, TheKeysAreVouchsOwn) {
  ASSERT_OK(Add("1"));
  EXPECT_THAT(
      engine_->Run(
          {}, [](UnitOfWork& unit) { return unit.Execute("DELETE FROM uow_idempotency_keys"); }),
      StatusIs(absl::StatusCode::kPermissionDenied));
  ASSERT_OK_AND_ASSIGN(auto reader, engine_->Read());
  ASSERT_OK_AND_ASSIGN(const AuditReport report, Audit(*reader, {}));
  EXPECT_TRUE(report.verified);
  EXPECT_EQ(report.writes, 1);  // The row of t.
}

TEST_F(IdempotencyTest, AskingAgainWithinIsRefused) {
  const auto result = engine_->Run({}, [&](UnitOfWork& unit) -> absl::Status {
    const auto inner = [](UnitOfWork&) -> absl::StatusOr<std::string> { return "inner"; };
    return ExecuteIdempotent(
               unit, "add", "1",
               [&](UnitOfWork& same) -> absl::StatusOr<std::string> {
                 VOUCH_RETURN_IF_ERROR(ExecuteIdempotent(same, "add", "1", inner).status());
                 return "outer";
               })
        .status();
  });
  EXPECT_THAT(result, StatusIs(absl::StatusCode::kAlreadyExists));
}

TEST_F(IdempotencyTest, OptionsAreChecked) {
  EXPECT_THAT(IdempotencyOptions{.ttl = absl::ZeroDuration()}.Validate(),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace vouch::uow
