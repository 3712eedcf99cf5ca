// Plan: which migrations to apply or revert, decided from values alone.
//
//   VOUCH_ASSIGN_OR_RETURN(const std::vector<PlanStep> steps,
//                          Plan(set, rows, MigrationTarget::Latest()));
//
// Thread safety: pure functions. Ownership: steps point into `set`, which must outlive them.
// Errors: kFailedPrecondition, when the database and the program do not go together:
//     newer        an applied version is greater than any the program knows: update the program
//     unknown gap  an applied version has one below it that is not applied
//     edited       an applied migration is not the one the program holds: restore its text
//     no way back  a migration to be reverted has no `down`
//   kInvalidArgument: a target that the set does not have.

#ifndef VOUCH_STORAGE_MIGRATIONS_PLAN_H_
#define VOUCH_STORAGE_MIGRATIONS_PLAN_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/migrations/history.h"
#include "storage/migrations/migration.h"

namespace vouch::storage {

class MigrationTarget {
 public:
  enum class Kind { kLatest, kUpTo, kDownTo, kDownBy, kVersion };

  // Everything there is.
  static MigrationTarget Latest() { return {Kind::kLatest, 0}; }
  // Up to and with `version`; nothing when it is applied already.
  static MigrationTarget UpTo(std::int64_t version) { return {Kind::kUpTo, version}; }
  // Down to `version`, which stays applied; 0 reverts everything.
  static MigrationTarget DownTo(std::int64_t version) { return {Kind::kDownTo, version}; }
  // The last `count` migrations, or all when there are fewer.
  static MigrationTarget DownBy(std::int64_t count) { return {Kind::kDownBy, count}; }
  // Up or down, whichever leads to `version`.
  static MigrationTarget Version(std::int64_t version) { return {Kind::kVersion, version}; }

  Kind kind() const { return kind_; }
  std::int64_t number() const { return number_; }

 private:
  MigrationTarget(Kind kind, std::int64_t number) : kind_(kind), number_(number) {}

  Kind kind_;
  std::int64_t number_;
};

enum class MigrationDirection { kUp, kDown };

struct PlanStep {
  const Migration* migration;
  MigrationDirection direction;
};

// The greatest applied version, 0 when nothing is.
std::int64_t CurrentVersion(const std::vector<HistoryRow>& history);

// Whether `history` fits `set`: every applied migration is known, unchanged, and has all before it
// applied as well.
absl::Status CheckHistory(const MigrationSet& set, const std::vector<HistoryRow>& history);

// The steps in the order in which to take them; none when the database is there already.
absl::StatusOr<std::vector<PlanStep>> Plan(const MigrationSet& set,
                                           const std::vector<HistoryRow>& history,
                                           MigrationTarget target);

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_MIGRATIONS_PLAN_H_
