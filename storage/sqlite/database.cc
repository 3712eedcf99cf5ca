#include "storage/sqlite/database.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace vouch::storage {
namespace {

bool IsReadOnly(Access access) {
  return access == Access::kReadOnly || access == Access::kImmutable;
}

}  // namespace

absl::Status DatabaseOptions::Validate() const {
  if (path.empty()) return absl::InvalidArgumentError("database: path is empty");
  if (governor.checkpoint_pages < 1) {
    return absl::InvalidArgumentError(absl::StrCat("database: governor.checkpoint_pages is ",
                                                   governor.checkpoint_pages, ", less than 1"));
  }
  if (busy_timeout < absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        absl::StrCat("database: busy_timeout is ", absl::FormatDuration(busy_timeout)));
  }
  return absl::OkStatus();
}

Database::Database(DatabaseOptions options)
    : options_(std::move(options)), governor_(options_.governor) {
  if (options_.path == ":memory:") options_.path = SqliteConnection::InMemoryPath();
}

absl::StatusOr<std::unique_ptr<Database>> Database::Open(DatabaseOptions options) {
  VOUCH_RETURN_IF_ERROR(options.Validate());
  auto database = std::unique_ptr<Database>(new Database(std::move(options)));
  VOUCH_RETURN_IF_ERROR(database->OpenPools());
  return database;
}

absl::Status Database::OpenPools() {
  // The writer first: it makes the file, and keeps a database in memory alive.
  if (!IsReadOnly(options_.access)) {
    VOUCH_ASSIGN_OR_RETURN(writer_, Pool::Create({.name = "writer",
                                                  .min = 1,
                                                  .max = 1,
                                                  .acquire_timeout = options_.acquire_timeout,
                                                  .idle_timeout = absl::InfiniteDuration(),
                                                  .max_lifetime = absl::InfiniteDuration()},
                                                 [this] {
                                                   return SqliteConnection::Open(ConnectionOptions(
                                                       options_.access, options_.writer_policy));
                                                 }));
  }
  const bool keeps_time = !in_memory();
  VOUCH_ASSIGN_OR_RETURN(
      readers_,
      Pool::Create({.name = "readers",
                    .min = options_.min_readers,
                    .max = options_.max_readers,
                    .acquire_timeout = options_.acquire_timeout,
                    .idle_timeout = keeps_time ? options_.idle_timeout : absl::InfiniteDuration(),
                    .max_lifetime = keeps_time ? absl::Hours(1) : absl::InfiniteDuration()},
                   [this] {
                     const Access access = options_.access == Access::kImmutable
                                               ? Access::kImmutable
                                               : Access::kReadOnly;
                     return SqliteConnection::Open(ConnectionOptions(access, Policy::kReader));
                   }));
  return absl::OkStatus();
}

SqliteOptions Database::ConnectionOptions(Access access, Policy policy) const {
  return {.path = options_.path,
          .access = access,
          .profile = options_.profile,
          .policy = policy,
          .is_protected = options_.is_protected,
          .trusted = options_.trusted,
          .application_id = options_.application_id,
          .busy_timeout = options_.busy_timeout};
}

absl::StatusOr<ReadLease> Database::Read(pool::CallSite site) {
  return Read(options_.acquire_timeout, site);
}

absl::StatusOr<ReadLease> Database::Read(absl::Duration timeout, pool::CallSite site) {
  VOUCH_ASSIGN_OR_RETURN(auto lease, readers_->Acquire(timeout, site));
  return ReadLease(std::move(lease));
}

absl::StatusOr<WriteLease> Database::Write(pool::CallSite site) {
  return Write(options_.acquire_timeout, site);
}

absl::StatusOr<WriteLease> Database::Write(absl::Duration timeout, pool::CallSite site) {
  if (writer_ == nullptr) {
    return absl::PermissionDeniedError(
        absl::StrCat("write: ", options_.path, " was opened for reading only"));
  }
  VOUCH_ASSIGN_OR_RETURN(auto lease, writer_->Acquire(timeout, site));
  return WriteLease(std::move(lease), governor_);
}

absl::StatusOr<std::unique_ptr<SqliteConnection>> Database::OpenUnrestricted() {
  return SqliteConnection::Open(ConnectionOptions(options_.access, Policy::kUnrestricted));
}

absl::Status Database::Close(absl::Duration drain) {
  const absl::Time deadline = absl::Now() + drain;
  absl::Status status;
  if (readers_ != nullptr) status.Update(readers_->Close(drain));
  if (writer_ != nullptr) {
    status.Update(writer_->Close(std::max(absl::ZeroDuration(), deadline - absl::Now())));
  }
  return status;
}

DatabaseStats Database::stats() const {
  DatabaseStats stats;
  if (readers_ != nullptr) stats.readers = readers_->stats();
  if (writer_ != nullptr) stats.writer = writer_->stats();
  stats.governor = governor_.stats();
  return stats;
}

absl::Status ReadLease::BeginSnapshot() { return lease_->BeginSnapshot(); }

ReadLease::~ReadLease() {
  if (lease_ && !lease_->MakeReusable()) lease_.MarkBroken();
}

WriteLease::~WriteLease() {
  if (!lease_) return;
  if (!lease_->MakeReusable()) {
    lease_.MarkBroken();
    return;
  }
  governor_->AfterWrite(*lease_);
}

}  // namespace vouch::storage
