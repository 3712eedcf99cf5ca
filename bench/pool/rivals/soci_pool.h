#ifndef VOUCH_BENCH_POOL_RIVALS_SOCI_POOL_H_
#define VOUCH_BENCH_POOL_RIVALS_SOCI_POOL_H_

#include <soci/soci.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "bench/pool/resources.h"

namespace vouch::bench {

// SociSession is soci::connection_pool as its manual shows it: soci::session(pool), a statement
// each time. A connection is found by a scan under a mutex; who finds none waits on a condition
// variable.
class SociSession {
 public:
  class Lease {
   public:
    explicit Lease(soci::connection_pool& pool) : session_(pool) {}
    Lease* operator->() { return this; }

    void Touch() {}
    std::string Select(long long key) {
      std::string text;
      session_ << kSelect, soci::use(key), soci::into(text);
      return text;
    }

   private:
    soci::session session_;
  };

  SociSession(int size, const std::string& database) : pool_(static_cast<size_t>(size)) {
    for (size_t i = 0; i < static_cast<size_t>(size); ++i) {
      pool_.at(i).open("sqlite3", database);
    }
  }
  Lease Acquire() { return Lease(pool_); }

 private:
  soci::connection_pool pool_;
};

// SociPosition is the same pool by its lower interface, lease() and give_back(), for a user who
// keeps a prepared statement beside each connection.
class SociPosition {
 private:
  struct Prepared {
    explicit Prepared(soci::session& session)
        : statement((session.prepare << kSelect, soci::use(key), soci::into(text))) {}
    long long key = 0;
    std::string text;
    soci::statement statement;
  };

 public:
  class Lease {
   public:
    Lease(SociPosition* pool, size_t position) : pool_(pool), position_(position) {}
    ~Lease() { pool_->pool_.give_back(position_); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Lease* operator->() { return this; }

    void Touch() {}
    std::string Select(long long key) {
      Prepared& prepared = *pool_->prepared_[position_];
      prepared.key = key;
      prepared.statement.execute(/*withDataExchange=*/true);
      return prepared.text;
    }

   private:
    SociPosition* const pool_;
    const size_t position_;
  };

  SociPosition(int size, const std::string& database) : pool_(static_cast<size_t>(size)) {
    for (size_t i = 0; i < static_cast<size_t>(size); ++i) {
      pool_.at(i).open("sqlite3", database);
      prepared_.push_back(std::make_unique<Prepared>(pool_.at(i)));
    }
  }
  Lease Acquire() { return Lease(this, pool_.lease()); }
  // False after the timeout, else acquires and releases.
  bool AcquireWithin(std::chrono::milliseconds timeout) {
    size_t position = 0;
    if (!pool_.try_lease(position, static_cast<int>(timeout.count()))) return false;
    pool_.give_back(position);
    return true;
  }

 private:
  soci::connection_pool pool_;
  std::vector<std::unique_ptr<Prepared>> prepared_;  // of pool_'s sessions: destroyed before them
};

}  // namespace vouch::bench

#endif  // VOUCH_BENCH_POOL_RIVALS_SOCI_POOL_H_
