// What the pool is worth: a point select through it, against a connection opened for each.
// Time: a request's share of the wall time, all threads together.

#include "bench/storage/contestants.h"
#include "bench/support/remarks.h"

namespace vouch::bench {
namespace {

// A connection, its settings, a statement and their end for each request.
class OpenEachTime {
 public:
  OpenEachTime(const std::string& path, int /*threads*/) : path_(path) {}

  std::string Select(int /*thread*/, int64_t key) {
    PrepareEachTime connection(path_);
    return connection.Select(key);
  }

 private:
  const std::string path_;
};

// The same without any settings.
class OpenPlain {
 public:
  OpenPlain(const std::string& path, int /*threads*/) : path_(path) {}

  std::string Select(int /*thread*/, int64_t key) {
    sqlite3* db = nullptr;
    sqlite3_stmt* select = nullptr;
    sqlite3_open_v2(path_.c_str(), &db, SQLITE_OPEN_READWRITE, nullptr);
    sqlite3_prepare_v2(db, kSelect, -1, &select, nullptr);
    std::string text = OwnConnection::SelectWith(select, key);
    sqlite3_finalize(select);
    sqlite3_close_v2(db);
    return text;
  }

 private:
  const std::string path_;
};

template <typename Contestant>
void Request(benchmark::State& state) {
  Contestant contestant(SharedTable(), static_cast<int>(state.range(0)));
  Measure(state, [&contestant](int thread, int64_t n) {
    benchmark::DoNotOptimize(contestant.Select(thread, KeyOf(thread, n)));
  });
}

template <typename Contestant>
void Register(const std::string& name) {
  OnThreads(benchmark::RegisterBenchmark(("storage/connection_per_request/" + name).c_str(),
                                         Request<Contestant>),
            {1, 2, 8});
}

[[maybe_unused]] const bool registered = [] {
  DescribeCase("storage/connection_per_request", "request",
               "A point select through the pool, against a connection opened and closed for each: "
               "wall time a request, all threads together.");
  Register<Vouch>("vouch");
  Register<OpenEachTime>("open_each_time");
  Register<OpenPlain>("open_plain");
  RemarkOn("open_each_time", "SQLite's C interface, the same settings, a statement each time");
  RemarkOn("open_plain", "the same without any settings");
  return true;
}();

}  // namespace
}  // namespace vouch::bench
