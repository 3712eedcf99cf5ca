// What the tables say of the contestants: their versions, how they were used where that is a choice,
// and which could not take part because a package is missing.

#include "bench/support/remarks.h"
#include "bench/support/rivals/versions.h"
#include "benchmark/benchmark.h"
#ifdef VOUCH_BENCH_SOCI
#include <soci/version.h>
#endif
#ifdef VOUCH_BENCH_POCO
#include <Poco/Version.h>
#endif
#ifdef VOUCH_BENCH_SQLITECPP
#include <SQLiteCpp/SQLiteCpp.h>
#endif

namespace vouch::bench {
namespace {

[[maybe_unused]] const bool told = [] {
  RemarkOn("vouch",
           "Database::Read() or Write() for each turn, a pool of 8 readers, the default profile "
           "(WAL, synchronous FULL) and statement cache");
  RemarkOn("own_connection",
           "SQLite's C interface, a connection for each thread, statements prepared once, the same "
           "settings");
#ifdef VOUCH_BENCH_SQLITECPP
  benchmark::AddCustomContext("sqlitecpp", SQLITECPP_VERSION);
  RemarkOn("sqlitecpp", "a connection for each thread, statements kept, the same settings");
#else
  NotMeasured("sqlitecpp", "package libsqlitecpp-dev is missing");
#endif
#ifdef VOUCH_BENCH_SOCI
  benchmark::AddCustomContext("soci", WithDots(SOCI_LIB_VERSION));
  RemarkOn("soci", "a session for each thread, a statement each time, the same settings");
#else
  NotMeasured("soci", "package libsoci-dev is missing");
#endif
#ifdef VOUCH_BENCH_POCO
  benchmark::AddCustomContext("poco", PocoVersion(POCO_VERSION));
  RemarkOn("poco", "a session for each thread, a statement each time, the same settings");
#else
  NotMeasured("poco", "package libpoco-dev is missing");
#endif
  return true;
}();

}  // namespace
}  // namespace vouch::bench
