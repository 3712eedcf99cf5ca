// What the default profile is worth: the same reads and writes with SQLite's own settings.
// Time: a select's or a commit's share of the wall time.

#include "bench/storage/contestants.h"
#include "bench/support/remarks.h"

namespace vouch::bench {
namespace {

using MakeProfile = storage::Profile (*)();

// A file in the profile's journal mode, which belongs to the file.
struct Own {
  explicit Own(const storage::Profile& profile) {
    MakeTable(scratch.File("profile.db"));
    database = OpenDatabase(scratch.File("profile.db"), profile);
  }

  Scratch scratch;
  std::unique_ptr<storage::Database> database;
};

void Reads(benchmark::State& state, MakeProfile make_profile) {
  const Own own(make_profile());
  Measure(state, [&own](int thread, int64_t n) {
    const auto reader = Require(own.database->Read());
    benchmark::DoNotOptimize(
        Require((*reader)->QueryValue<std::string>(kSelect, KeyOf(thread, n))));
  });
}

void Writes(benchmark::State& state, MakeProfile make_profile) {
  const Own own(make_profile());
  Measure(state, [&own](int thread, int64_t n) {
    Require(Commit(*own.database, kUpdate, KeyOf(thread, n)));
  });
}

void Register(const std::string& contestant, MakeProfile make_profile) {
  OnThreads(benchmark::RegisterBenchmark(
                ("storage/profile_reads/" + contestant).c_str(),
                [make_profile](benchmark::State& state) { Reads(state, make_profile); }),
            {1, 2});
  OnThreads(benchmark::RegisterBenchmark(
                ("storage/profile_writes/" + contestant).c_str(),
                [make_profile](benchmark::State& state) { Writes(state, make_profile); }),
            {1, 2});
}

[[maybe_unused]] const bool registered = [] {
  DescribeCase(
      "storage/profile_reads", "select",
      "Point selects through Database::Read() with different profiles: wall time a select, "
      "all threads together.");
  DescribeCase("storage/profile_writes", "commit",
               "Updates of a row, a row a transaction, through Database::Write() with different "
               "profiles: wall time a commit, all threads together.");
  Register("vouch", storage::Profile::Balanced);
  Register("minimal", storage::Profile::Minimal);
  Register("sqlite_default", storage::Profile::SqliteDefault);
  RemarkOn("minimal", "Profile::Minimal(): WAL, synchronous NORMAL, cache of 2 MB, nothing mapped");
  RemarkOn("sqlite_default",
           "Profile::SqliteDefault(): rollback journal, synchronous FULL, cache of 2 MB, nothing "
           "mapped");
  return true;
}();

}  // namespace
}  // namespace vouch::bench
