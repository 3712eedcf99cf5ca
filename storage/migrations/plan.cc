#include "storage/migrations/plan.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "storage/status_macros.h"

namespace vouch::storage {
namespace {

std::string SchemaOf(const MigrationSet& set) {
  return set.name().empty() ? "schema" : absl::StrCat("schema \"", set.name(), "\"");
}

// The version to be at in the end.
absl::StatusOr<std::int64_t> Destination(const MigrationSet& set, std::int64_t current,
                                         MigrationTarget target) {
  switch (target.kind()) {
    case MigrationTarget::Kind::kLatest:
      return set.latest();
    case MigrationTarget::Kind::kDownBy:
      if (target.number() < 1) {
        return absl::InvalidArgumentError(
            absl::StrCat("plan: cannot revert ", target.number(), " migrations"));
      }
      return current - std::min(current, target.number());
    case MigrationTarget::Kind::kUpTo:
    case MigrationTarget::Kind::kDownTo:
    case MigrationTarget::Kind::kVersion:
      break;
  }
  if (target.number() < 0 || target.number() > set.latest()) {
    return absl::InvalidArgumentError(absl::StrCat("plan: ", SchemaOf(set), " has no version ",
                                                   target.number(), ", only 0 to ", set.latest()));
  }
  if (target.kind() == MigrationTarget::Kind::kUpTo) return std::max(current, target.number());
  if (target.kind() == MigrationTarget::Kind::kDownTo) return std::min(current, target.number());
  return target.number();
}

absl::Status NotBackwards(const MigrationSet& set, const Migration& migration) {
  return absl::FailedPreconditionError(absl::StrCat("plan: migration ",
                                                    set.Describe(migration.version, migration.name),
                                                    " has no section down and cannot be reverted"));
}

}  // namespace

std::int64_t CurrentVersion(const std::vector<HistoryRow>& history) {
  std::int64_t current = 0;
  for (const HistoryRow& row : history) {
    if (row.status == HistoryStatus::kApplied) current = std::max(current, row.version);
  }
  return current;
}

absl::Status CheckHistory(const MigrationSet& set, const std::vector<HistoryRow>& history) {
  if (const std::int64_t current = CurrentVersion(history); current > set.latest()) {
    return absl::FailedPreconditionError(
        absl::StrCat("database ", SchemaOf(set), " is newer (version ", current,
                     ") than this program knows (", set.latest(), ")"));
  }
  std::int64_t expected = 1;
  for (const HistoryRow& row : history) {
    if (row.status != HistoryStatus::kApplied) continue;
    if (row.version != expected) {
      return absl::FailedPreconditionError(absl::StrCat("database ", SchemaOf(set), " has version ",
                                                        row.version, " applied, but not version ",
                                                        expected));
    }
    const Migration& migration = *set.Find(row.version);
    if (row.checksum != Checksum(migration)) {
      return absl::FailedPreconditionError(
          absl::StrCat("migration ", set.Describe(row.version, row.name), " was applied at ",
                       row.applied_at, " with another text than this program holds (checksum ",
                       row.checksum, " then, ", Checksum(migration), " now)"));
    }
    ++expected;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<PlanStep>> Plan(const MigrationSet& set,
                                           const std::vector<HistoryRow>& history,
                                           MigrationTarget target) {
  VOUCH_RETURN_IF_ERROR(CheckHistory(set, history));
  const std::int64_t current = CurrentVersion(history);
  VOUCH_ASSIGN_OR_RETURN(const std::int64_t destination, Destination(set, current, target));
  std::vector<PlanStep> steps;
  for (std::int64_t version = current + 1; version <= destination; ++version) {
    steps.push_back({.migration = set.Find(version), .direction = MigrationDirection::kUp});
  }
  for (std::int64_t version = current; version > destination; --version) {
    const Migration* const migration = set.Find(version);
    if (migration->down.empty()) return NotBackwards(set, *migration);
    steps.push_back({.migration = migration, .direction = MigrationDirection::kDown});
  }
  return steps;
}

}  // namespace vouch::storage
