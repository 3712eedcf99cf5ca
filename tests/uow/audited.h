// ExpectAudited: the ledger of a closed or open database is what an audit wants it to be.

#ifndef VOUCH_TESTS_UOW_AUDITED_H_
#define VOUCH_TESTS_UOW_AUDITED_H_

#include <string>

#include "storage/sqlite/connection.h"
#include "tests/support/status_matchers.h"
#include "uow/audit.h"

namespace vouch::uow {

inline void ExpectAudited(const std::string& path) {
  auto connection =
      storage::SqliteConnection::Open({.path = path, .access = storage::Access::kReadOnly});
  ASSERT_OK(connection);
  auto report = Audit(**connection, {});
  ASSERT_OK(report);
  EXPECT_TRUE(report->verified);
  for (const auto& finding : report->findings) ADD_FAILURE() << finding.message;
}

}  // namespace vouch::uow

#endif  // VOUCH_TESTS_UOW_AUDITED_H_
