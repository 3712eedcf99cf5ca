// What the tables say of the rivals: their versions, how they were used where that is a choice, and
// which could not take part because a package is missing.

#include <string>

#include "bench/support/remarks.h"
#include "bench/support/rivals/versions.h"
#include "benchmark/benchmark.h"
#ifdef VOUCH_BENCH_BOOST
#include <boost/version.hpp>
#endif
#ifdef VOUCH_BENCH_SOCI
#include <soci/version.h>
#endif
#ifdef VOUCH_BENCH_POCO
#include <Poco/Version.h>
#endif
#ifdef VOUCH_BENCH_ZDB
#include <zdb.h>
#endif

namespace vouch::bench {
namespace {

void TellOfBoost() {
#ifdef VOUCH_BENCH_BOOST
  benchmark::AddCustomContext("boost", WithDots(BOOST_LIB_VERSION));
  RemarkOn("boost_stack", "cannot wait: yields the processor and tries again when it is empty");
#else
  NotMeasured("boost_stack", "package libboost-dev is missing");
#endif
}

void TellOfSoci() {
#ifdef VOUCH_BENCH_SOCI
  benchmark::AddCustomContext("soci", WithDots(SOCI_LIB_VERSION));
  RemarkOn("soci_session", "soci::session(pool); it has no timeout");
  RemarkOn("soci_lease",
           "the same pool by lease() and give_back(), with an own prepared statement");
#else
  NotMeasured("soci", "package libsoci-dev is missing");
#endif
}

void TellOfPoco() {
#ifdef VOUCH_BENCH_POCO
  benchmark::AddCustomContext("poco", PocoVersion(POCO_VERSION));
  RemarkOn("poco",
           "cannot wait: throws when it is exhausted; sleeps 100 µs and tries again where others "
           "wait");
#else
  NotMeasured("poco", "package libpoco-dev is missing");
#endif
}

void TellOfZdb() {
#ifdef VOUCH_BENCH_ZDB
  const std::string version = ConnectionPool_version();  // "libzdb/3.1 Copyright …"
  const size_t start = version.find('/') + 1;
  benchmark::AddCustomContext("libzdb", version.substr(start, version.find(' ') - start));
  RemarkOn("libzdb",
           "cannot wait: returns NULL when it is exhausted; sleeps 100 µs and tries again where "
           "others wait. Pings the database on every borrow");
#else
  NotMeasured("libzdb", "package libzdb-dev is missing");
#endif
}

[[maybe_unused]] const bool told = [] {
  RemarkOn("mutex_fifo",
           "a mutex and a line, nothing else: what being first come, first served costs at least");
  TellOfBoost();
  TellOfSoci();
  TellOfPoco();
  TellOfZdb();
  return true;
}();

}  // namespace
}  // namespace vouch::bench
