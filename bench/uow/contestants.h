// Units of one row, in the ways an engine can be used.

#ifndef VOUCH_BENCH_UOW_CONTESTANTS_H_
#define VOUCH_BENCH_UOW_CONTESTANTS_H_

#include <cmath>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/support/scratch.h"
#include "storage/migrations/migration.h"
#include "uow/engine.h"

namespace vouch::bench {

inline constexpr char kPayload[] =
    "a hundred bytes of text, which is what a small row of a service's table has in it, more or "
    "less";
// Commits in the file before what is measured begins.
inline constexpr int kEarlierCommits = 100'000;

// What two connections draw is never the same.
inline std::uint64_t NextSeed() {
  static std::uint64_t seed = 0;
  return ++seed;
}

// Who did it and where, as a service with many users has it.
class Contexts {
 public:
  explicit Contexts(std::uint64_t seed) : random_(seed) {}

  uow::RunOptions Typical() {
    static constexpr uow::Band kBands[] = {uow::Band::kGreen, uow::Band::kAmber, uow::Band::kRed,
                                           uow::Band::kBlack};
    return {.space_id = absl::StrCat("shared:space-", random_() % 50),
            .actor_id = absl::StrCat("user-", Zipf(5000)),
            .correlation_id = RandomText(),
            .band = kBands[random_() % 4]};
  }
  uow::RunOptions Random() {
    uow::RunOptions options = Typical();
    options.space_id = absl::StrCat("shared:", RandomText());
    options.actor_id = RandomText();
    options.device_id = RandomText();
    return options;
  }

 private:
  // 1 to n, the k-th as often as 1/k.
  int Zipf(int n) {
    const double u = std::uniform_real_distribution<double>(0, 1)(random_);
    return static_cast<int>(std::pow(static_cast<double>(n), u));
  }
  std::string RandomText() { return absl::StrCat(absl::Hex(random_()), absl::Hex(random_())); }

  std::mt19937_64 random_;
};

// A contestant has a constructor that opens or makes a file for so many threads, Commit(), and
// Earlier: whose commits are in the file that it begins with.
class Units {
 public:
  using Earlier = Units;

  Units(const std::string& path, bool full, int threads, uow::GroupOptions group = {},
        bool receipts = true)
      : engine_(*Require(uow::Engine::Open(
            {.path = path,
             .receipts = receipts,
             .migrations = {*Require(storage::MigrationSet::FromSql(
                 "bench", {{.version = 1,
                            .name = "t",
                            .up = "CREATE TABLE t(id INTEGER PRIMARY KEY, x)"}}))},
             .synchronous = full ? storage::Synchronous::kFull : storage::Synchronous::kNormal,
             .group = group}))) {
    for (int i = 0; i < threads; ++i) contexts_.emplace_back(NextSeed());
  }

  void Commit(int /*thread*/) { Run({}); }

 protected:
  void Run(const uow::RunOptions& options) {
    Require(engine_
                ->Run(options,
                      [](uow::UnitOfWork& unit) {
                        return unit.Execute("INSERT INTO t(x) VALUES (?1)", kPayload);
                      })
                .status());
  }

  std::unique_ptr<uow::Engine> engine_;
  std::vector<Contexts> contexts_;  // One a thread.
};

struct UnitsAnyThread : Units {
  using Units::Units;
  void Commit(int /*thread*/) { Run({.any_thread = true}); }
};

struct UnitsUngrouped : Units {
  UnitsUngrouped(const std::string& path, bool full, int threads)
      : Units(path, full, threads, {.enabled = false}) {}
};

struct UnitsWithoutReceipts : Units {
  using Earlier = UnitsWithoutReceipts;
  UnitsWithoutReceipts(const std::string& path, bool full, int threads)
      : Units(path, full, threads, {}, /*receipts=*/false) {}
};

struct UnitsWithoutReceiptsAnyThread : UnitsWithoutReceipts {
  using UnitsWithoutReceipts::UnitsWithoutReceipts;
  void Commit(int /*thread*/) { Run({.any_thread = true}); }
};

struct UnitsInContext : Units {
  using Earlier = UnitsInContext;
  using Units::Units;
  void Commit(int thread) { Run(contexts_[static_cast<std::size_t>(thread)].Typical()); }
};

struct UnitsInRandomContext : Units {
  using Earlier = UnitsInRandomContext;
  using Units::Units;
  void Commit(int thread) { Run(contexts_[static_cast<std::size_t>(thread)].Random()); }
};

}  // namespace vouch::bench

#endif  // VOUCH_BENCH_UOW_CONTESTANTS_H_
