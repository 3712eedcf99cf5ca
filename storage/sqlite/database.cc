#include "storage/sqlite/database.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace vouch::storage {
namespace {

using TimePoint = SqliteConnection::TimePoint;

bool IsReadOnly(Access access) {
  return access == Access::kReadOnly || access == Access::kImmutable;
}

// On the clock that deadlines are kept on.
std::optional<TimePoint> SteadyTime(absl::Time time) {
  const absl::Duration left = time - absl::Now();
  if (left >= absl::Hours(24 * 365)) return std::nullopt;
  return std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(left);
}

bool HasMore(const pool::AcquireOptions& options) {
  return options.deadline != absl::InfiniteFuture() || options.stop.stop_possible();
}

// What covers a lease after the wait for it.
void SetLimits(SqliteConnection& connection, const pool::AcquireOptions& options) {
  if (!HasMore(options)) return;
  connection.SetDeadline(SteadyTime(options.deadline));
  connection.SetStop(options.stop);
}

}  // namespace

absl::Status DatabaseOptions::Validate() const {
  if (path.empty()) return absl::InvalidArgumentError("database: path is empty");
  VOUCH_RETURN_IF_ERROR(governor.Validate());
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

Database::~Database() {
  // A writer that is still out may want to close the door of readers that are gone.
  governor_.Detach();
}

absl::Status Database::OpenPools() {
  // The writer first: it makes the file, and keeps a database in memory alive.
  if (!IsReadOnly(options_.access)) {
    VOUCH_ASSIGN_OR_RETURN(writer_, Pool::Create({.name = "writer",
                                                  .min = 1,
                                                  .max = 1,
                                                  .acquire_timeout = options_.acquire_timeout,
                                                  .idle_timeout = absl::InfiniteDuration(),
                                                  .max_lifetime = absl::InfiniteDuration(),
                                                  // A commit is shorter than any patience: some of
                                                  // many writers would hardly ever have a turn.
                                                  .patience = absl::ZeroDuration()},
                                                 [this] {
                                                   return SqliteConnection::Open(ConnectionOptions(
                                                       options_.access, options_.writer_policy));
                                                 }));
    VOUCH_ASSIGN_OR_RETURN(auto writer, writer_->Acquire());
    VOUCH_ASSIGN_OR_RETURN(const int page_size, writer->QueryValue<int>("PRAGMA page_size"));
    governor_.SetPageSize(page_size);
  }
  VOUCH_RETURN_IF_ERROR(OpenReaders());
  governor_.Attach(readers_.get());
  return absl::OkStatus();
}

absl::Status Database::OpenReaders() {
  Pool::Hooks hooks;
  hooks.after_open = [this](SqliteConnection& reader) {
    governor_.Watch(reader);
    return absl::OkStatus();
  };
  hooks.before_close = [this](SqliteConnection& reader, pool::CloseReason) {
    governor_.Forget(reader);
  };
  const bool keeps_time = !in_memory();
  VOUCH_ASSIGN_OR_RETURN(
      readers_,
      Pool::Create(
          {.name = "readers",
           .min = options_.min_readers,
           .max = options_.max_readers,
           .acquire_timeout = options_.acquire_timeout,
           .idle_timeout = keeps_time ? options_.idle_timeout : absl::InfiniteDuration(),
           .max_lifetime = keeps_time ? absl::Hours(1) : absl::InfiniteDuration()},
          [this] {
            return SqliteConnection::Open(ConnectionOptions(ReaderAccess(), Policy::kReader));
          },
          std::move(hooks)));
  return absl::OkStatus();
}

SqliteOptions Database::ConnectionOptions(Access access, Policy policy) const {
  Profile profile = options_.profile;
  profile.journal_size_limit_bytes =
      std::min(profile.journal_size_limit_bytes, options_.governor.log_budget_bytes);
  return {.path = options_.path,
          .access = access,
          .profile = profile,
          .policy = policy,
          .is_protected = options_.is_protected,
          .trusted = options_.trusted,
          .application_id = options_.application_id,
          .busy_timeout = options_.busy_timeout,
          .functions = options_.functions,
          .collations = options_.collations,
          .cache_registry = cache_registry_};
}

absl::StatusOr<ReadLease> Database::Read(pool::CallSite site) {
  return Read(options_.acquire_timeout, site);
}

// Not by way of options: most reads have none, and this is called for every row somebody looks up.
absl::StatusOr<ReadLease> Database::Read(absl::Duration timeout, pool::CallSite site) {
  VOUCH_ASSIGN_OR_RETURN(pool::Lease<SqliteConnection> lease, readers_->Acquire(timeout, site));
  lease->note().Begin(site, /*label=*/nullptr);
  return ReadLease(std::move(lease));
}

absl::StatusOr<ReadLease> Database::Read(const pool::AcquireOptions& options, pool::CallSite site) {
  VOUCH_ASSIGN_OR_RETURN(pool::Lease<SqliteConnection> lease, readers_->Acquire(options, site));
  lease->note().Begin(site, options.label);
  SetLimits(*lease, options);
  return ReadLease(std::move(lease));
}

absl::StatusOr<WriteLease> Database::Write(pool::CallSite site) {
  return Write(options_.acquire_timeout, site);
}

absl::StatusOr<WriteLease> Database::Write(absl::Duration timeout, pool::CallSite site) {
  return Write(pool::AcquireOptions{.timeout = timeout}, site);
}

absl::StatusOr<WriteLease> Database::Write(const pool::AcquireOptions& options,
                                           pool::CallSite site) {
  if (writer_ == nullptr) {
    return absl::PermissionDeniedError(
        absl::StrCat("write: ", options_.path, " was opened for reading only"));
  }
  const absl::Duration timeout = options.timeout.value_or(options_.acquire_timeout);
  // The clock is read only when the wait is likely to be followed by another.
  std::optional<TimePoint> until;
  if (governor_.Presses()) until = SteadyTime(std::min(options.deadline, absl::Now() + timeout));
  if (!HasMore(options) && options.label == nullptr && !options.transferable) {
    return Admit(writer_->Acquire(timeout, site), options, until);
  }
  return Admit(writer_->Acquire(options, site), options, until);
}

absl::StatusOr<WriteLease> Database::Admit(absl::StatusOr<pool::Lease<SqliteConnection>> lease,
                                           const pool::AcquireOptions& options,
                                           std::optional<TimePoint> until) {
  if (!lease.ok()) return lease.status();
  WriteLease writer(*std::move(lease));
  VOUCH_RETURN_IF_ERROR(governor_.Admit(*writer, until.value_or(TimePoint::max()), options.stop));
  SetLimits(*writer, options);
  writer.governor_ = &governor_;
  return writer;
}

absl::StatusOr<std::unique_ptr<SqliteConnection>> Database::OpenUnrestricted() {
  return SqliteConnection::Open(ConnectionOptions(options_.access, Policy::kUnrestricted));
}

absl::StatusOr<std::unique_ptr<SqliteConnection>> Database::OpenUnrestrictedReader() {
  return SqliteConnection::Open(ConnectionOptions(ReaderAccess(), Policy::kUnrestricted));
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
  stats.statements = cache_registry_->Sum();
  return stats;
}

absl::Status ReadLease::BeginSnapshot() { return lease_->BeginSnapshot(); }

ReadLease::~ReadLease() {
  if (!lease_) return;
  if (!lease_->MakeReusable()) lease_.MarkBroken();
  lease_->note().End();
}

WriteLease::~WriteLease() {
  if (!lease_) return;
  if (!lease_->MakeReusable()) {
    lease_.MarkBroken();
    return;
  }
  if (governor_ != nullptr) governor_->AfterWrite(*lease_);
}

}  // namespace vouch::storage
