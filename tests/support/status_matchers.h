#ifndef VOUCH_TESTS_SUPPORT_STATUS_MATCHERS_H_
#define VOUCH_TESTS_SUPPORT_STATUS_MATCHERS_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

// Matchers for absl::Status and absl::StatusOr, under the names newer Abseil gives them.
//
//   EXPECT_OK(pool.Close());
//   ASSERT_OK_AND_ASSIGN(auto lease, pool.Acquire(deadline));
//   EXPECT_THAT(pool.TryAcquire(), StatusIs(absl::StatusCode::kResourceExhausted,
//                                           HasSubstr("capacity 8")));

#define EXPECT_OK(...) EXPECT_THAT(::vouch::test::StatusOf(__VA_ARGS__), ::vouch::test::IsOk())
#define ASSERT_OK(...) ASSERT_THAT(::vouch::test::StatusOf(__VA_ARGS__), ::vouch::test::IsOk())

// Assigns the value of an absl::StatusOr to `target`, which may be a declaration, or fails.
#define ASSERT_OK_AND_ASSIGN(target, ...) \
  VOUCH_TEST_ASSIGN_(VOUCH_TEST_CONCAT_(vouch_test_result_, __LINE__), target, __VA_ARGS__)

#define VOUCH_TEST_ASSIGN_(result, target, ...) \
  auto result = (__VA_ARGS__);                  \
  ASSERT_OK(result);                            \
  target = *std::move(result)
#define VOUCH_TEST_CONCAT_(a, b) VOUCH_TEST_CONCAT_TWICE_(a, b)
#define VOUCH_TEST_CONCAT_TWICE_(a, b) a##b

namespace vouch::test {

inline absl::Status StatusOf(const absl::Status& status) { return status; }

template <typename T>
absl::Status StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

MATCHER(IsOk, negation ? "is not OK" : "is OK") {
  const absl::Status status = StatusOf(arg);
  *result_listener << "whose status is " << status.ToString();
  return status.ok();
}

MATCHER_P2(StatusIs, code, message,
           std::string(negation ? "does not have" : "has") + " the code " +
               absl::StatusCodeToString(code) + " and a message that " +
               testing::DescribeMatcher<std::string>(message)) {
  const absl::Status status = StatusOf(arg);
  *result_listener << "whose status is " << status.ToString();
  return status.code() == code &&
         testing::ExplainMatchResult(message, std::string(status.message()), result_listener);
}

inline auto StatusIs(absl::StatusCode code) { return StatusIs(code, testing::_); }

MATCHER_P(IsOkAndHolds, value,
          std::string(negation ? "is not OK, or does not hold" : "is OK and holds") +
              " the value the inner matcher wants") {
  if (!arg.ok()) {
    *result_listener << "whose status is " << arg.status().ToString();
    return false;
  }
  return testing::ExplainMatchResult(value, *arg, result_listener);
}

}  // namespace vouch::test

#endif  // VOUCH_TESTS_SUPPORT_STATUS_MATCHERS_H_
