#ifndef VOUCH_BENCH_POOL_RIVALS_POCO_POOL_H_
#define VOUCH_BENCH_POOL_RIVALS_POCO_POOL_H_

#include <Poco/Data/DataException.h>
#include <Poco/Data/SQLite/Connector.h>
#include <Poco/Data/SessionPool.h>
#include <Poco/Data/Statement.h>

#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "bench/pool/resources.h"

namespace vouch::bench {

// PocoPool is Poco::Data::SessionPool with its session and a statement each time. It does not wait:
// it throws when no session is idle, and this sleeps 100 µs and tries again.
class PocoPool {
 public:
  class Lease {
   public:
    explicit Lease(Poco::Data::Session session) : session_(std::move(session)) {}
    Lease* operator->() { return this; }

    void Touch() {}
    std::string Select(int64_t key) {
      using Poco::Data::Keywords::into, Poco::Data::Keywords::now, Poco::Data::Keywords::use;
      std::string text;
      session_ << kSelect, use(key), into(text), now;
      return text;
    }

   private:
    Poco::Data::Session session_;
  };

  PocoPool(int size, const std::string& database)
      : pool_((Poco::Data::SQLite::Connector::registerConnector(), "SQLite"), database, size,
              size) {}

  Lease Acquire() {
    for (;;) {
      try {
        return Lease(pool_.get());
      } catch (const Poco::Data::SessionPoolExhaustedException&) {
        std::this_thread::sleep_for(std::chrono::microseconds(100));
      }
    }
  }

 private:
  Poco::Data::SessionPool pool_;
};

}  // namespace vouch::bench

#endif  // VOUCH_BENCH_POOL_RIVALS_POCO_POOL_H_
