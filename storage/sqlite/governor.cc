#include "storage/sqlite/governor.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <thread>

#include "absl/strings/str_cat.h"
#include "storage/status_macros.h"

namespace vouch::storage {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kFrameHeaderBytes = 24;  // Before each page of the log.
// Between two attempts behind the door, in which other processes may have the write lock; and
// between two looks whether a reader has left.
constexpr auto kPause = std::chrono::microseconds(200);

void Count(std::atomic<std::int64_t>& counter) { counter.fetch_add(1, std::memory_order_relaxed); }

Governor::TimePoint After(absl::Duration duration) {
  return duration >= absl::Hours(24 * 365)
             ? Governor::TimePoint::max()
             : Clock::now() + absl::ToChronoNanoseconds(std::max(duration, absl::ZeroDuration()));
}

absl::Duration Until(Governor::TimePoint time) {
  return time == Governor::TimePoint::max() ? absl::InfiniteDuration()
                                            : absl::FromChrono(time - Clock::now());
}

absl::Status NotNegative(const char* field, absl::Duration value) {
  if (value >= absl::ZeroDuration()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("governor: ", field, " is ", absl::FormatDuration(value), ", less than zero"));
}

}  // namespace

absl::Status GovernorOptions::Validate() const {
  if (checkpoint_pages < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("governor: checkpoint_pages is ", checkpoint_pages, ", less than 1"));
  }
  if (log_budget_bytes < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("governor: log_budget_bytes is ", log_budget_bytes, ", less than 1"));
  }
  if (clock == nullptr) return absl::InvalidArgumentError("governor: clock is null");
  VOUCH_RETURN_IF_ERROR(NotNegative("patience", patience));
  VOUCH_RETURN_IF_ERROR(NotNegative("lock_patience", lock_patience));
  VOUCH_RETURN_IF_ERROR(NotNegative("slowest_write", slowest_write));
  return NotNegative("reader_age_limit", reader_age_limit);
}

Governor::Governor(const GovernorOptions& options) : options_(options) {
  limits_.checkpoint_pages = options.checkpoint_pages;
  limits_.patience = options.patience;
  limits_.slowest_write = options.slowest_write;
  if (options.stop_old_readers) limits_.reader_age_limit = options.reader_age_limit;
  SetPageSize(4096);
}

void Governor::SetPageSize(int page_size_bytes) {
  const std::int64_t pages = options_.log_budget_bytes / (page_size_bytes + kFrameHeaderBytes);
  // Twice of it is still a number of pages.
  constexpr std::int64_t kMost = std::numeric_limits<int>::max() / 2;
  limits_.budget_pages = static_cast<int>(std::clamp<std::int64_t>(pages, 2, kMost));
  limits_.checkpoint_pages = std::min(options_.checkpoint_pages, limits_.door_pages());
}

void Governor::Attach(Readers* readers) {
  const pool::MutexLock lock(&door_mutex_);
  readers_ = readers;
}

void Governor::Detach() { Attach(nullptr); }

void Governor::Watch(SqliteConnection& reader) {
  const pool::MutexLock lock(&watch_mutex_);
  watched_.push_back({.connection = &reader});
}

void Governor::Forget(SqliteConnection& reader) {
  const pool::MutexLock lock(&watch_mutex_);
  std::erase_if(watched_, [&](const Watched& w) { return w.connection == &reader; });
}

// ---- Writes ---------------------------------------------------------------------------------

void Governor::AfterWrite(SqliteConnection& writer) {
  const int pages = writer.log_pages();
  log_pages_.store(pages, std::memory_order_relaxed);
  if (pages > most_log_pages_.load(std::memory_order_relaxed)) {
    most_log_pages_.store(pages, std::memory_order_relaxed);
  }
  if (pages < limits_.checkpoint_pages) {
    // A log that has shrunk was begun anew by a write after a complete checkpoint.
    if (next_attempt_pages_ != 0) ForgetReadersInTheWay();
    next_attempt_pages_ = 0;
    return;
  }
  const LogAction action = DecideLogAction(StateNow(pages, /*admitting=*/false), limits_);
  (void)Attempt(writer, action, options_.patience);
}

absl::Status Governor::Admit(SqliteConnection& writer, TimePoint until,
                             const std::stop_token& stop) {
  const int pages = log_pages_.load(std::memory_order_relaxed);
  if (pages < limits_.budget_pages) return absl::OkStatus();
  const LogAction action = DecideLogAction(StateNow(pages, /*admitting=*/true), limits_);
  // Only behind the door is it worth to wait: the last write has just waited for the lock.
  const bool door = action.attempt == CheckpointAttempt::kDoor;
  const absl::Duration patience =
      door ? std::min(options_.patience, Until(until)) : absl::ZeroDuration();
  if (Attempt(writer, action, patience)) return absl::OkStatus();
  if (action.refuse) {
    Count(writes_refused_);
    return Refusal(pages);
  }
  Count(writes_slowed_);
  SlowDown(writer, std::min(until, After(action.slow_down)), stop);
  return absl::OkStatus();
}

LogState Governor::StateNow(int pages, bool admitting) {
  LogState state = {
      .log_pages = pages, .admitting = admitting, .next_attempt_pages = next_attempt_pages_};
  if (next_attempt_pages_ == 0) return state;
  const TimePoint now = options_.clock->Now();
  if (door_in_vain_.has_value()) state.since_door = absl::FromChrono(now - *door_in_vain_);
  const pool::MutexLock lock(&watch_mutex_);
  if (const Watched* oldest = OldestInTheWay()) {
    state.hindered_for = absl::FromChrono(now - oldest->since);
  }
  // One that stayed, not one of those that come and go.
  state.reader_left = std::any_of(watched_.begin(), watched_.end(), [](const Watched& watched) {
    return watched.times > 1 && !IsStillIn(watched);
  });
  return state;
}

// ---- Attempts -------------------------------------------------------------------------------

bool Governor::Attempt(SqliteConnection& writer, const LogAction& action, absl::Duration patience) {
  if (action.stop_readers) StopOldReaders();
  if (action.attempt == CheckpointAttempt::kNone) return false;
  const bool door = action.attempt == CheckpointAttempt::kDoor;
  const Outcome outcome = door ? TryBehindDoor(writer, patience)
                               : TryOnce(writer, std::min(options_.lock_patience, patience));
  if (outcome == Outcome::kDone) {
    Count(checkpoints_);
    log_pages_.store(0, std::memory_order_relaxed);
    next_attempt_pages_ = 0;
    door_in_vain_.reset();
    ForgetReadersInTheWay();
    return true;
  }
  const int pages = log_pages_.load(std::memory_order_relaxed);
  next_attempt_pages_ = pages + limits_.PagesToNextAttempt(pages);
  Count(outcome == Outcome::kInVain ? given_up_ : failed_);
  if (door) door_in_vain_ = options_.clock->Now();
  if (outcome == Outcome::kInVain) NoteReadersInTheWay();
  return false;
}

Governor::Outcome Governor::TryBehindDoor(SqliteConnection& writer, absl::Duration patience) {
  const pool::MutexLock lock(&door_mutex_);
  if (readers_ == nullptr) return TryOnce(writer, options_.lock_patience);
  Count(doors_closed_);
  const TimePoint closed_at = Clock::now();
  // Refused only after a fork, where there is nothing to hold back.
  readers_->Suspend().IgnoreError();
  const Outcome outcome = TryUntil(writer, After(patience));
  readers_->Resume().IgnoreError();
  const std::int64_t closed_ns =
      absl::ToInt64Nanoseconds(absl::FromChrono(Clock::now() - closed_at));
  if (closed_ns > longest_door_ns_.load(std::memory_order_relaxed)) {
    longest_door_ns_.store(closed_ns, std::memory_order_relaxed);
  }
  return outcome;
}

Governor::Outcome Governor::TryUntil(SqliteConnection& writer, TimePoint until) {
  while (true) {
    const Outcome outcome = TryOnce(writer, std::min(options_.lock_patience, Until(until)));
    if (outcome != Outcome::kInVain || Clock::now() >= until) return outcome;
    std::this_thread::sleep_for(kPause);
  }
}

Governor::Outcome Governor::TryOnce(SqliteConnection& writer, absl::Duration patience) {
  const auto result = writer.Checkpoint(std::max(patience, absl::ZeroDuration()),
                                        SqliteConnection::CheckpointMode::kRestart);
  if (!result.ok()) return Outcome::kFailed;
  return result->done ? Outcome::kDone : Outcome::kInVain;
}

void Governor::SlowDown(SqliteConnection& writer, TimePoint until, const std::stop_token& stop) {
  while (Clock::now() < until && !stop.stop_requested()) {
    std::this_thread::sleep_for(std::min<Clock::duration>(kPause, until - Clock::now()));
    if (!StateNow(log_pages_.load(std::memory_order_relaxed), true).reader_left) continue;
    if (Attempt(writer, {.attempt = CheckpointAttempt::kTry}, options_.lock_patience)) return;
  }
}

absl::Status Governor::Refusal(int pages) const {
  const std::optional<PinningReader> reader = PinnedBy();
  std::string message = absl::StrCat("write: refused, the write-ahead log has ", pages,
                                     " pages, at least twice its budget of ", limits_.budget_pages,
                                     ", and cannot be moved into the database while ");
  if (!reader.has_value()) {
    absl::StrAppend(&message, "another process reads or writes");
    return absl::ResourceExhaustedError(message);
  }
  absl::StrAppend(&message, "the reader from ", reader->site.file, ":", reader->site.line);
  if (!reader->label.empty()) absl::StrAppend(&message, " \"", reader->label, "\"");
  absl::StrAppend(&message, " goes on, in the way for at least ",
                  absl::FormatDuration(reader->age));
  if (reader->others > 0) absl::StrAppend(&message, " (and ", reader->others, " more)");
  return absl::ResourceExhaustedError(message);
}

// ---- Readers --------------------------------------------------------------------------------

bool Governor::IsStillIn(const Watched& watched) {
  return watched.lease != 0 && watched.connection->note().Look().lease == watched.lease;
}

void Governor::NoteReadersInTheWay() {
  const TimePoint now = options_.clock->Now();
  const pool::MutexLock lock(&watch_mutex_);
  for (Watched& watched : watched_) {
    const LeaseNote::View view = watched.connection->note().Look();
    if (!view.leased()) {
      watched = {.connection = watched.connection};
    } else if (watched.lease != view.lease) {
      watched = {.connection = watched.connection, .lease = view.lease, .since = now, .times = 1};
    } else {
      ++watched.times;
    }
  }
}

void Governor::ForgetReadersInTheWay() {
  const pool::MutexLock lock(&watch_mutex_);
  for (Watched& watched : watched_) watched = {.connection = watched.connection};
}

void Governor::StopOldReaders() {
  const TimePoint now = options_.clock->Now();
  const pool::MutexLock lock(&watch_mutex_);
  for (Watched& watched : watched_) {
    LeaseNote& note = watched.connection->note();
    if (!IsStillIn(watched) || note.IsStopped(watched.lease)) continue;
    if (absl::FromChrono(now - watched.since) < limits_.reader_age_limit) continue;
    note.Stop(watched.lease);
    Count(readers_stopped_);
  }
}

const Governor::Watched* Governor::OldestInTheWay() const {
  const Watched* oldest = nullptr;
  bool oldest_snapshot = false;
  for (const Watched& watched : watched_) {
    if (!IsStillIn(watched)) continue;
    const bool snapshot = watched.connection->note().Look().snapshot;
    const bool first = oldest == nullptr || (snapshot && !oldest_snapshot) ||
                       (snapshot == oldest_snapshot && watched.since < oldest->since);
    if (!first) continue;
    oldest = &watched;
    oldest_snapshot = snapshot;
  }
  return oldest;
}

std::optional<PinningReader> Governor::PinnedBy() const {
  const TimePoint now = options_.clock->Now();
  const pool::MutexLock lock(&watch_mutex_);
  const Watched* oldest = OldestInTheWay();
  if (oldest == nullptr) return std::nullopt;
  const LeaseNote::View view = oldest->connection->note().Look();
  if (view.lease != oldest->lease) return std::nullopt;  // It has just left.
  const auto in_the_way = std::count_if(watched_.begin(), watched_.end(), IsStillIn);
  return PinningReader{.site = view.site,
                       .label = view.label == nullptr ? "" : view.label,
                       .age = absl::FromChrono(now - oldest->since),
                       .others = std::max(0, static_cast<int>(in_the_way) - 1)};
}

GovernorStats Governor::stats() const {
  const auto read = [](const auto& counter) { return counter.load(std::memory_order_relaxed); };
  return {.checkpoints = read(checkpoints_),
          .given_up = read(given_up_),
          .failed = read(failed_),
          .doors_closed = read(doors_closed_),
          .readers_stopped = read(readers_stopped_),
          .writes_slowed = read(writes_slowed_),
          .writes_refused = read(writes_refused_),
          .longest_door = absl::Nanoseconds(read(longest_door_ns_)),
          .log_pages = read(log_pages_),
          .most_log_pages = read(most_log_pages_),
          .budget_pages = limits_.budget_pages,
          .pinned_by = PinnedBy()};
}

}  // namespace vouch::storage
