#ifndef VOUCH_BENCH_POOL_RIVALS_ZDB_POOL_H_
#define VOUCH_BENCH_POOL_RIVALS_ZDB_POOL_H_

#include <sqlite3.h>
#include <zdb.h>

#include <chrono>
#include <string>
#include <thread>

#include "bench/pool/resources.h"

namespace vouch::bench {

// ZdbPool is libzdb's ConnectionPool with its connection and a statement each time. It pings the
// database on every borrow. It does not wait: it returns NULL when no connection is idle, and this
// sleeps 100 µs and tries again.
class ZdbPool {
 public:
  class Lease {
   public:
    explicit Lease(Connection_T connection) : connection_(connection) {}
    ~Lease() { Connection_close(connection_); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Lease* operator->() { return this; }

    void Touch() {}
    std::string Select(int64_t key) {
      PreparedStatement_T select = Connection_prepareStatement(connection_, "%s", kSelect);
      PreparedStatement_setLLong(select, 1, key);
      ResultSet_T rows = PreparedStatement_executeQuery(select);
      return ResultSet_next(rows) ? ResultSet_getString(rows, 1) : "";
    }

   private:
    const Connection_T connection_;
  };

  ZdbPool(int size, const std::string& database)
      : url_(URL_new(("sqlite://" + database).c_str())), pool_(ConnectionPool_new(url_)) {
    ConnectionPool_setInitialConnections(pool_, size);
    ConnectionPool_setMaxConnections(pool_, size);
    ConnectionPool_start(pool_);
    // libzdb switches SQLite's shared cache on for the whole process. Its own connections, all open
    // now, keep it; everybody else's must not get it.
    sqlite3_enable_shared_cache(0);
  }
  ~ZdbPool() {
    ConnectionPool_stop(pool_);
    ConnectionPool_free(&pool_);
    URL_free(&url_);
  }
  ZdbPool(const ZdbPool&) = delete;
  ZdbPool& operator=(const ZdbPool&) = delete;

  Lease Acquire() {
    for (;;) {
      if (Connection_T connection = ConnectionPool_getConnection(pool_)) return Lease(connection);
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
  }

 private:
  URL_T url_;
  ConnectionPool_T pool_;
};

}  // namespace vouch::bench

#endif  // VOUCH_BENCH_POOL_RIVALS_ZDB_POOL_H_
