// Fifty rows by their keys, with one read transaction for all of them or one for each.
// Time: fifty selects' share of the wall time, all threads together.

#include "bench/storage/contestants.h"
#include "bench/support/remarks.h"

namespace vouch::bench {
namespace {

constexpr int kSelects = 50;

class OneSnapshot {
 public:
  OneSnapshot(const std::string& path, int /*threads*/) : database_(OpenDatabase(path)) {}

  void SelectMany(int thread, int64_t n) { Require(TrySelectMany(thread, n)); }

 private:
  absl::Status TrySelectMany(int thread, int64_t n) {
    VOUCH_ASSIGN_OR_RETURN(storage::ReadLease reader, database_->Read());
    VOUCH_RETURN_IF_ERROR(reader.BeginSnapshot());
    for (int i = 0; i < kSelects; ++i) {
      VOUCH_ASSIGN_OR_RETURN(const std::string text, reader->QueryValue<std::string>(
                                                         kSelect, KeyOf(thread, n * kSelects + i)));
      benchmark::DoNotOptimize(text);
    }
    return absl::OkStatus();
  }

  const std::unique_ptr<storage::Database> database_;
};

// A transaction for each select.
template <typename Contestant>
class EachItsOwn {
 public:
  EachItsOwn(const std::string& path, int threads) : contestant_(path, threads) {}

  void SelectMany(int thread, int64_t n) {
    for (int i = 0; i < kSelects; ++i) {
      benchmark::DoNotOptimize(contestant_.Select(thread, KeyOf(thread, n * kSelects + i)));
    }
  }

 private:
  Contestant contestant_;
};

template <typename Contestant>
void Snapshot(benchmark::State& state) {
  Contestant contestant(SharedTable(), static_cast<int>(state.range(0)));
  Measure(state, [&contestant](int thread, int64_t n) { contestant.SelectMany(thread, n); });
}

template <typename Contestant>
void Register(const std::string& name) {
  OnThreads(
      benchmark::RegisterBenchmark(("storage/snapshot/" + name).c_str(), Snapshot<Contestant>),
      {1, 2, 8});
}

[[maybe_unused]] const bool registered = [] {
  DescribeCase("storage/snapshot", "50 selects",
               "Fifty rows of 100,000 by their keys: vouch in one lease with one read transaction, "
               "the others with a transaction for each select, vouch_autocommit with a lease for "
               "each as well. Wall time for the fifty, all threads together.");
  Register<OneSnapshot>("vouch");
  Register<EachItsOwn<Vouch>>("vouch_autocommit");
  Register<EachItsOwn<PerThread<OwnConnection>>>("own_connection");
  return true;
}();

}  // namespace
}  // namespace vouch::bench
