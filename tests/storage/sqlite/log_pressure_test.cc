// Every zone of the log's size against every circumstance that changes the answer.

#include "storage/sqlite/log_pressure.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vouch::storage {

static std::ostream& operator<<(std::ostream& out, const LogAction& action) {
  return out << "attempt " << static_cast<int>(action.attempt) << " stop " << action.stop_readers
             << " slow " << action.slow_down << " refuse " << action.refuse;
}

namespace {

using enum CheckpointAttempt;

constexpr LogLimits kLimits = {.checkpoint_pages = 100,
                               .budget_pages = 400,
                               .patience = absl::Milliseconds(10),
                               .slowest_write = absl::Milliseconds(40),
                               .reader_age_limit = absl::Seconds(60)};
constexpr absl::Duration kTired = absl::Milliseconds(39);
constexpr absl::Duration kRested = absl::Milliseconds(40);

struct Case {
  const char* what;
  LogState state;
  LogAction action;
};

TEST(LogPressureTest, Table) {
  const absl::Duration ms = absl::Milliseconds(1);
  const Case cases[] = {
      {"below the threshold", {.log_pages = 99}, {}},
      {"below it, whatever else", {.log_pages = 99, .admitting = true, .reader_left = true}, {}},
      {"at the threshold", {.log_pages = 100}, {.attempt = kTry}},
      {"not yet due again", {.log_pages = 125, .next_attempt_pages = 126}, {}},
      {"due again", {.log_pages = 126, .next_attempt_pages = 126}, {.attempt = kTry}},
      {"the reader has left",
       {.log_pages = 125, .next_attempt_pages = 126, .reader_left = true},
       {.attempt = kTry}},
      {"a writer is admitted below the budget",
       {.log_pages = 125, .admitting = true, .next_attempt_pages = 126},
       {}},
      {"the door stays open below half of the budget", {.log_pages = 199}, {.attempt = kTry}},
      {"half of the budget", {.log_pages = 200}, {.attempt = kDoor}},
      {"not due at half of the budget", {.log_pages = 200, .next_attempt_pages = 201}, {}},
      {"the door has just been closed in vain",
       {.log_pages = 300, .since_door = kTired},
       {.attempt = kTry}},
      {"a while ago", {.log_pages = 300, .since_door = kRested}, {.attempt = kDoor}},
      {"a write has ended beyond the budget", {.log_pages = 500}, {.attempt = kDoor}},
      {"admitted one page below the budget",
       {.log_pages = 399, .admitting = true, .next_attempt_pages = 900},
       {}},
      {"admitted at the budget, attempts each time",
       {.log_pages = 400, .admitting = true, .next_attempt_pages = 900},
       {.attempt = kDoor, .slow_down = ms / 10}},
      {"admitted half way",
       {.log_pages = 599, .admitting = true, .since_door = kTired},
       {.attempt = kTry, .slow_down = 20 * ms}},
      {"admitted one page below twice the budget",
       {.log_pages = 799, .admitting = true},
       {.attempt = kDoor, .slow_down = 40 * ms}},
      {"refused at twice the budget",
       {.log_pages = 800, .admitting = true},
       {.attempt = kDoor, .refuse = true}},
      {"refused far beyond, with the door at rest",
       {.log_pages = 1'000'000'000, .admitting = true, .since_door = kTired},
       {.attempt = kTry, .refuse = true}},
      {"a write that ended beyond is not refused", {.log_pages = 900}, {.attempt = kDoor}},
      {"a reader below the age limit",
       {.log_pages = 125, .next_attempt_pages = 126, .hindered_for = absl::Seconds(59)},
       {}},
      {"a reader at the age limit, due or not",
       {.log_pages = 125, .next_attempt_pages = 126, .hindered_for = absl::Seconds(60)},
       {.stop_readers = true}},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(DecideLogAction(c.state, kLimits), c.action) << c.what;
  }
}

TEST(LogPressureTest, WithoutAnAgeLimitNobodyIsStopped) {
  LogLimits limits = kLimits;
  limits.reader_age_limit = absl::InfiniteDuration();
  const LogState state = {.log_pages = 900, .hindered_for = absl::Hours(1000)};
  EXPECT_FALSE(DecideLogAction(state, limits).stop_readers);
}

TEST(LogPressureTest, AttemptsAreDenserCloseToTheBudget) {
  EXPECT_EQ(kLimits.PagesToNextAttempt(100), 26);
  EXPECT_EQ(kLimits.PagesToNextAttempt(199), 26);
  EXPECT_EQ(kLimits.PagesToNextAttempt(200), 26);
  const LogLimits large = {.checkpoint_pages = 1000, .budget_pages = 1600};
  EXPECT_EQ(large.PagesToNextAttempt(799), 251);
  EXPECT_EQ(large.PagesToNextAttempt(800), 101);
}

// Whatever happens, from half of the budget to all of it there is room for several closed doors.
TEST(LogPressureTest, TheDoorHasSeveralChancesBeforeTheBudgetIsReached) {
  for (const int budget : {400, 16'000, 1'000'000}) {
    LogLimits limits = kLimits;
    limits.budget_pages = budget;
    int attempts = 0;
    LogState state;
    for (state.log_pages = 0; state.log_pages < budget; ++state.log_pages) {
      if (DecideLogAction(state, limits).attempt != kDoor) continue;
      ++attempts;
      state.next_attempt_pages = state.log_pages + limits.PagesToNextAttempt(state.log_pages);
    }
    EXPECT_GE(attempts, 7) << budget;
  }
}

}  // namespace
}  // namespace vouch::storage
