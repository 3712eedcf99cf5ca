// Point selects while one more thread updates rows of the same table, a row a transaction, as fast as
// it can. A reader that sees a new state drops the pages it has cached.
// Time: a select's share of the wall time, all readers together; commits_per_s: the writer's.

#include <thread>

#include "bench/storage/contestants.h"
#include "bench/storage/rivals/bare_writer.h"
#include "bench/support/remarks.h"

namespace vouch::bench {
namespace {

class Pooled : public Vouch {
 public:
  Pooled(const std::string& path, int threads, bool full) : Vouch(path, threads, ProfileOf(full)) {}

  void Update(int64_t key) { Require(Commit(database(), kUpdate, key)); }
};

class Bare : public PerThread<OwnConnection> {
 public:
  Bare(const std::string& path, int threads, bool full)
      : PerThread(path, threads), writer_(path, full, kUpdate) {}

  void Update(int64_t key) {
    writer_.Bind(key);
    writer_.Commit();
  }

 private:
  BareWriter writer_;
};

template <typename Contestant>
void SelectBesideWriter(benchmark::State& state) {
  const int readers = static_cast<int>(state.range(0));
  const Scratch scratch;
  const std::string path = scratch.File("written.db");
  MakeTable(path);
  Contestant contestant(path, readers, state.range(1) != 0);
  for (auto _ : state) {
    int64_t commits = 0;
    const Clock::time_point start = Clock::now();
    std::jthread writer([&](std::stop_token stop) {
      while (!stop.stop_requested()) contestant.Update(KeyOf(readers, commits++));
    });
    ReportTurns(state, TakeTurns(readers, [&contestant](int thread, int64_t n) {
                  benchmark::DoNotOptimize(contestant.Select(thread, KeyOf(thread, n)));
                }));
    writer.request_stop();
    writer.join();
    state.counters["commits_per_s"] = static_cast<double>(commits) / Seconds(Clock::now() - start);
  }
}

template <typename Contestant>
void Register(const std::string& name) {
  OneWindow(benchmark::RegisterBenchmark(("storage/select_beside_writer/" + name).c_str(),
                                         SelectBesideWriter<Contestant>))
      ->ArgNames({"threads", "full"})
      ->ArgsProduct({{1, 2}, {1, 0}});
}

[[maybe_unused]] const bool registered = [] {
  DescribeCase("storage/select_beside_writer", "select",
               "Point selects of so many threads while one more updates rows, a row a transaction, "
               "as fast as it can: wall time a select, all readers together. full: synchronous "
               "FULL, every commit is synced to the disk, or else NORMAL. commits_per_s: of the "
               "writer, more is better.");
  Register<Pooled>("vouch");
  Register<Bare>("own_connection");
  return true;
}();

}  // namespace
}  // namespace vouch::bench
