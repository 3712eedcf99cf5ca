#ifndef VOUCH_BENCH_UOW_RIVALS_POCO_H_
#define VOUCH_BENCH_UOW_RIVALS_POCO_H_

#include <Poco/Data/SQLite/Connector.h>
#include <Poco/Data/Session.h>
#include <Poco/Data/Statement.h>
#include <Poco/Data/Transaction.h>
#include <Poco/Exception.h>

#include <memory>
#include <string>
#include <vector>

#include "bench/uow/contestants.h"
#include "bench/uow/rivals/bare.h"

namespace vouch::bench {

// PocoTransaction is Poco::Data::Transaction as its manual shows it, on a session for each thread,
// tried again when it finds the file locked.
class PocoTransaction {
 public:
  using Earlier = BareBusyTimeout;

  PocoTransaction(const std::string& path, bool full, int threads) {
    using Poco::Data::Keywords::now;
    BareSqlite(path, full).Run("CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, x)");
    Poco::Data::SQLite::Connector::registerConnector();
    for (int i = 0; i < threads; ++i) {
      auto session = std::make_unique<Poco::Data::Session>("SQLite", path);
      *session << "PRAGMA busy_timeout = 5000", now;
      *session << (full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL"), now;
      sessions_.push_back(std::move(session));
    }
  }

  void Commit(int thread) {
    while (!TryCommit(*sessions_[static_cast<std::size_t>(thread)])) {
    }
  }

 private:
  static bool TryCommit(Poco::Data::Session& session) {
    using Poco::Data::Keywords::bind, Poco::Data::Keywords::now;
    try {
      Poco::Data::Transaction transaction(session);
      session << "INSERT INTO t(x) VALUES (?)", bind(std::string(kPayload)), now;
      transaction.commit();
      return true;
    } catch (const Poco::Exception&) {
      return false;
    }
  }

  std::vector<std::unique_ptr<Poco::Data::Session>> sessions_;
};

}  // namespace vouch::bench

#endif  // VOUCH_BENCH_UOW_RIVALS_POCO_H_
