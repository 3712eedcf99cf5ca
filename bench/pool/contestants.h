// The pools under one face, so that all run the same workload. A contestant is made of a size and
// the path of a database, and has
//   Acquire()           waits as long as it takes; returns something that reaches a resource by
//                       `->` and gives it back on destruction
//   AcquireWithin(time) true if it got one in time, which is given back at once. Only if the pool
//                       itself can wait.
// The resource has Touch(), and Select(key) if it is an SQLite connection. Pools that lend database
// sessions and nothing else lend those also where the others lend an Item.

#ifndef VOUCH_BENCH_POOL_CONTESTANTS_H_
#define VOUCH_BENCH_POOL_CONTESTANTS_H_

#include <sched.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "bench/pool/resources.h"
#include "bench/pool/rivals/absl_pool.h"
#include "bench/pool/rivals/fifo_pool.h"
#include "bench/pool/rivals/mutex_pool.h"
#include "pool/pool.h"
#ifdef VOUCH_BENCH_BOOST
#include "bench/pool/rivals/boost_stack.h"
#endif
#ifdef VOUCH_BENCH_SOCI
#include "bench/pool/rivals/soci_pool.h"
#endif
#ifdef VOUCH_BENCH_POCO
#include "bench/pool/rivals/poco_pool.h"
#endif
#ifdef VOUCH_BENCH_ZDB
#include "bench/pool/rivals/zdb_pool.h"
#endif

namespace vouch::bench {

template <typename Resource>
class Vouch {
 public:
  Vouch(int size, const std::string& database) : pool_(Make(size, database)) {}

  // The pool refuses who would be one too many in the line; here, as with the rivals that cannot
  // wait, that is tried again.
  pool::Lease<Resource> Acquire() {
    auto lease = pool_->Acquire(absl::Seconds(30));
    while (!lease.ok()) {
      Complain(lease.status());
      sched_yield();
      lease = pool_->Acquire(absl::Seconds(30));
    }
    return *std::move(lease);
  }
  bool AcquireWithin(std::chrono::nanoseconds timeout) {
    return pool_->Acquire(absl::FromChrono(timeout)).ok();
  }

 private:
  // Once, as it should not happen.
  static void Complain(const absl::Status& status) {
    static std::once_flag once;
    std::call_once(once, [&] { std::fprintf(stderr, "bench: %s\n", status.ToString().c_str()); });
  }
  static std::unique_ptr<pool::Pool<Resource>> Make(int size, const std::string& database) {
    pool::PoolOptions options;
    options.min = options.max = size;
    return *Require(pool::Pool<Resource>::Create(
        options, [database]() -> absl::StatusOr<std::unique_ptr<Resource>> {
          return std::make_unique<Resource>(database);
        }));
  }

  const std::unique_ptr<pool::Pool<Resource>> pool_;
};

template <typename Pool>
concept CanWait = requires(Pool& pool) {
  pool.AcquireWithin(std::chrono::milliseconds(1));
};

// Calls visit.operator()<Pool>(name) for each contestant, ours first.
template <typename Resource, typename Visit>
void ForEachContestant(const Visit& visit) {
  visit.template operator()<Vouch<Resource>>("vouch");
  visit.template operator()<MutexPool<Resource>>("mutex_cv");
  visit.template operator()<AbslPool<Resource>>("absl_mutex");
  visit.template operator()<FifoPool<Resource>>("mutex_fifo");
#ifdef VOUCH_BENCH_BOOST
  visit.template operator()<BoostStack<Resource>>("boost_stack");
#endif
#ifdef VOUCH_BENCH_SOCI
  visit.template operator()<SociSession>("soci_session");
  visit.template operator()<SociPosition>("soci_lease");
#endif
#ifdef VOUCH_BENCH_POCO
  visit.template operator()<PocoPool>("poco");
#endif
#ifdef VOUCH_BENCH_ZDB
  visit.template operator()<ZdbPool>("libzdb");
#endif
}

}  // namespace vouch::bench

#endif  // VOUCH_BENCH_POOL_CONTESTANTS_H_
