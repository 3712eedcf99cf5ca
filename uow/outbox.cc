#include "uow/outbox.h"

#include <cassert>
#include <exception>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/status_macros.h"
#include "storage/transaction.h"
#include "uow/internal/json.h"
#include "uow/internal/outbox_table.h"
#include "uow/internal/own_statement.h"

namespace vouch::uow {
namespace {

using pool::MutexLock;
using storage::BlobView;
using storage::SqliteConnection;
using storage::StatementPtr;
using storage::Transaction;
using storage::TransactionMode;
using uow_internal::Claim;
using uow_internal::ClaimRequest;
using uow_internal::Settlement;
using uow_internal::Stream;

// Nothing when there are none.
absl::StatusOr<std::optional<std::string>> TextOf(
    const std::map<std::string, std::string>& headers) {
  if (headers.empty()) return std::nullopt;
  VOUCH_ASSIGN_OR_RETURN(std::string text,
                         uow_internal::CanonicalText(uow_internal::Json(headers)));
  return text;
}

absl::Status Call(absl::FunctionRef<absl::Status(const OutboxDelivery&)> handler,
                  const OutboxDelivery& message) {
  try {
    return handler(message);
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("the handler threw: ", error.what()));
  } catch (...) {
    return absl::InternalError("the handler threw");
  }
}

bool SameStream(const OutboxDelivery& a, const OutboxDelivery& b) {
  return a.topic == b.topic && a.key == b.key;
}

}  // namespace

std::string OutboxDelivery::DeduplicationKey() const {
  return absl::StrCat(storage::HexOf(receipt_hash), "/", ordinal);
}

absl::Status OutboxOptions::Validate() const {
  if (batch < 1) return absl::InvalidArgumentError(absl::StrCat("outbox: batch is ", batch));
  if (lease < absl::Milliseconds(1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("outbox: lease is ", absl::FormatDuration(lease), ", less than 1ms"));
  }
  if (poll_interval <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        absl::StrCat("outbox: poll_interval is ", absl::FormatDuration(poll_interval)));
  }
  return retry.Validate();
}

absl::Status Outbox::Enqueue(UnitOfWork& unit, const OutboxMessage& message) {
  if (message.topic.empty()) return absl::InvalidArgumentError("outbox: there is no topic");
  VOUCH_ASSIGN_OR_RETURN(const auto headers, TextOf(message.headers));
  return uow_internal::ExecuteOwn(
      unit,
      "INSERT INTO uow_outbox(uow_id, ordinal, topic, ordering_key, headers, payload)"
      " VALUES (?1, (SELECT coalesce(max(ordinal) + 1, 0) FROM uow_outbox WHERE uow_id = ?1),"
      " ?2, ?3, ?4, ?5)",
      unit.id(), message.topic, message.key, headers, BlobView{message.payload});
}

Outbox::Outbox(Engine& engine, OutboxOptions options)
    : engine_(engine), options_(std::move(options)) {
  assert(options_.Validate().ok());
}

Outbox::~Outbox() { Stop(); }

absl::Status Outbox::Write(absl::FunctionRef<absl::Status(SqliteConnection&)> body) {
  VOUCH_ASSIGN_OR_RETURN(const storage::WriteLease lease, engine_.database_->Write());
  VOUCH_ASSIGN_OR_RETURN(Transaction transaction,
                         Transaction::Begin(*lease, TransactionMode::kWrite));
  VOUCH_RETURN_IF_ERROR(body(*lease));
  return transaction.Commit();
}

// ---- Dispatching ----------------------------------------------------------------------------

absl::StatusOr<OutboxResult> Outbox::DispatchOnce(
    absl::FunctionRef<absl::Status(const OutboxDelivery&)> handler, std::stop_token stop) {
  storage::WallClock& clock = *engine_.options_.wall_clock;
  OutboxResult result;
  {
    VOUCH_ASSIGN_OR_RETURN(const storage::ReadLease reader, engine_.Read());
    VOUCH_ASSIGN_OR_RETURN(const bool due, uow_internal::HasDue(*reader, clock.Now()));
    if (!due) return result;
  }

  ClaimRequest request{.token = engine_.ids_.Next(),
                       .batch = options_.batch,
                       .max_attempts = options_.retry.max_retries + 1};
  Claim claim;
  VOUCH_RETURN_IF_ERROR(Write([&](SqliteConnection& connection) -> absl::Status {
    request.now = clock.Now();
    request.until = request.now + options_.lease;
    Stream last;
    {
      const MutexLock lock(&mutex_);
      last = {.topic = last_topic_, .key = last_key_};
    }
    VOUCH_ASSIGN_OR_RETURN(claim, uow_internal::ClaimDue(connection, request, last));
    const MutexLock lock(&mutex_);
    last_topic_ = std::move(last.topic);
    last_key_ = std::move(last.key);
    return absl::OkStatus();
  }));
  result.died = claim.died;

  std::vector<Settlement> settlements;
  const OutboxDelivery* failed = nullptr;  // The messages of one stream stand together.
  for (const OutboxDelivery& message : claim.deliveries) {
    const bool behind = failed != nullptr && SameStream(*failed, message);
    if (behind || stop.stop_requested() || clock.Now() >= request.until) {
      settlements.push_back({.id = message.id, .kind = Settlement::Kind::kReleased});
      continue;
    }
    const absl::Status outcome = Call(handler, message);
    settlements.push_back(
        uow_internal::Judge(message, outcome, options_.retry, clock.Now(), engine_.Random()));
    if (settlements.back().kind == Settlement::Kind::kRetry) failed = &message;
  }
  if (settlements.empty()) return result;

  const OutboxResult before = result;
  VOUCH_RETURN_IF_ERROR(Write([&](SqliteConnection& connection) -> absl::Status {
    result = before;
    for (const Settlement& settlement : settlements) {
      VOUCH_ASSIGN_OR_RETURN(const bool ours, uow_internal::Settle(connection, request.token,
                                                                   settlement, clock.Now()));
      if (settlement.kind == Settlement::Kind::kReleased) {
        ++result.released;
      } else if (!ours) {
        ++result.overtaken;
      } else if (settlement.kind == Settlement::Kind::kDelivered) {
        ++result.delivered;
      } else {
        ++(settlement.kind == Settlement::Kind::kRetry ? result.failed : result.died);
      }
    }
    return absl::OkStatus();
  }));
  return result;
}

absl::Status Outbox::Start(Handler handler) {
  const MutexLock lock(&thread_mutex_);
  if (thread_.joinable()) return absl::FailedPreconditionError("outbox: it is started already");
  thread_ = std::jthread(
      [this, handler = std::move(handler)](const std::stop_token& stop) { Serve(handler, stop); });
  return absl::OkStatus();
}

void Outbox::Serve(const Handler& handler, std::stop_token stop) {
  while (!stop.stop_requested()) {
    const auto result = DispatchOnce(handler, stop);
    if (!result.ok() && options_.on_error) options_.on_error(result.status());
    // There may be more. What has failed is not due yet.
    if (result.ok() && result->delivered + result->failed + result->died > 0) continue;
    const MutexLock lock(&mutex_);
    if (!woken_ && !stop.stop_requested()) wake_.WaitFor(&mutex_, options_.poll_interval);
    woken_ = false;
  }
}

void Outbox::Stop() {
  const MutexLock lock(&thread_mutex_);
  if (!thread_.joinable()) return;
  thread_.request_stop();
  Wake();
  thread_.join();
}

void Outbox::Wake() {
  const MutexLock lock(&mutex_);
  woken_ = true;
  wake_.SignalAll();
}

// ---- Dead messages --------------------------------------------------------------------------

absl::StatusOr<std::vector<DeadLetter>> Outbox::ListDead(int limit, std::int64_t after_id) {
  VOUCH_ASSIGN_OR_RETURN(const storage::ReadLease reader, engine_.Read());
  return uow_internal::ReadDead(*reader, limit, after_id);
}

absl::Status Outbox::ChangeDead(std::int64_t id, std::string_view sql) {
  return Write([&](SqliteConnection& connection) -> absl::Status {
    VOUCH_RETURN_IF_ERROR(uow_internal::ExecuteOwn(connection, sql, id));
    if (connection.changes() == 1) return absl::OkStatus();
    return absl::NotFoundError(absl::StrCat("outbox: there is no dead message ", id));
  });
}

absl::Status Outbox::Requeue(std::int64_t id) {
  return ChangeDead(id,
                    "UPDATE uow_outbox SET dead_since = NULL, attempts = 0"
                    " WHERE id = ?1 AND dead_since IS NOT NULL");
}

absl::Status Outbox::Discard(std::int64_t id) {
  return ChangeDead(id, "DELETE FROM uow_outbox WHERE id = ?1 AND dead_since IS NOT NULL");
}

absl::StatusOr<Outbox::Backlog> Outbox::CountBacklog() {
  VOUCH_ASSIGN_OR_RETURN(const storage::ReadLease reader, engine_.Read());
  VOUCH_ASSIGN_OR_RETURN(
      const StatementPtr query,
      reader->Prepare("SELECT count(*) FILTER (WHERE dead_since IS NULL), count(dead_since)"
                      " FROM uow_outbox"));
  VOUCH_RETURN_IF_ERROR(query->Step().status());
  return Backlog{.waiting = query->Get<std::int64_t>(0), .dead = query->Get<std::int64_t>(1)};
}

}  // namespace vouch::uow
