#ifndef VOUCH_BENCH_UOW_RIVALS_SOCI_H_
#define VOUCH_BENCH_UOW_RIVALS_SOCI_H_

#include <soci/soci.h>

#include <memory>
#include <string>
#include <vector>

#include "bench/uow/contestants.h"
#include "bench/uow/rivals/bare.h"

namespace vouch::bench {

// SociTransaction is soci::transaction as its manual shows it, on a session for each thread.
// BEGIN is deferred there, so a transaction can find the file locked at its first statement, and is
// then tried again.
class SociTransaction {
 public:
  using Earlier = BareBusyTimeout;

  SociTransaction(const std::string& path, bool full, int threads) {
    BareSqlite(path, full).Run("CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, x)");
    for (int i = 0; i < threads; ++i) {
      auto session = std::make_unique<soci::session>("sqlite3", path);
      *session << "PRAGMA busy_timeout = 5000";
      *session << (full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
      sessions_.push_back(std::move(session));
    }
  }

  void Commit(int thread) {
    while (!TryCommit(*sessions_[static_cast<std::size_t>(thread)])) {
    }
  }

 private:
  static bool TryCommit(soci::session& session) {
    try {
      soci::transaction transaction(session);
      session << "INSERT INTO t(x) VALUES (:x)", soci::use(std::string(kPayload));
      transaction.commit();
      return true;
    } catch (const soci::soci_error&) {
      return false;
    }
  }

  std::vector<std::unique_ptr<soci::session>> sessions_;
};

}  // namespace vouch::bench

#endif  // VOUCH_BENCH_UOW_RIVALS_SOCI_H_
