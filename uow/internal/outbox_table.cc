#include "uow/internal/outbox_table.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/clock.h"
#include "storage/status_macros.h"
#include "uow/format.h"
#include "uow/internal/json.h"
#include "uow/internal/own_statement.h"

namespace vouch::uow::uow_internal {
namespace {

using storage::Connection;
using storage::SqliteConnection;
using storage::StatementPtr;

// The first message of a stream.
struct Head {
  Stream stream;
  bool due = false;
};

// A message that is not dead.
struct QueuedRow {
  OutboxDelivery message;
  bool due = false;
  bool claimed = false;  // By whom does not matter; when it is due too, the claim has run out.
  std::string wrong;     // Why it cannot be delivered at all.
};

std::string TextOf(absl::Time time) { return storage::FormatUtcMillis(time); }

absl::StatusOr<std::optional<Head>> HeadAfter(Connection& connection, const Stream& last,
                                              const std::string& now) {
  VOUCH_ASSIGN_OR_RETURN(
      const StatementPtr query,
      connection.Prepare("SELECT topic, ordering_key, not_before IS NULL OR not_before <= ?3"
                         " FROM uow_outbox WHERE dead_since IS NULL"
                         " AND (topic, ordering_key) > (?1, ?2)"
                         " ORDER BY topic, ordering_key, id LIMIT 1"));
  VOUCH_RETURN_IF_ERROR(query->BindBorrowed(last.topic, last.key, now));
  VOUCH_ASSIGN_OR_RETURN(const bool found, query->Step());
  if (!found) return std::nullopt;
  return Head{.stream = {.topic = query->Get<std::string>(0), .key = query->Get<std::string>(1)},
              .due = query->Get<bool>(2)};
}

// Reads what Enqueue() wrote of the headers; false when it is something else.
bool ReadHeaders(const std::string& text, std::map<std::string, std::string>& headers) {
  if (text.empty()) return true;
  const auto parsed = ParseJson(text, "outbox");
  if (!parsed.ok() || !parsed->is_object()) return false;
  for (const auto& item : parsed->items()) {
    if (!item.value().is_string()) return false;
    headers.emplace(item.key(), item.value().get<std::string>());
  }
  return true;
}

// What RowsOf() and ReadDead() have in common; MessageOf() takes it apart.
constexpr std::string_view kSelectMessage =
    "SELECT o.id, o.topic, o.ordering_key, o.uow_id, o.ordinal, o.headers, o.payload, o.attempts,"
    " u.seq, u.receipt_hash,";
constexpr std::string_view kFromMessage =
    " FROM uow_outbox AS o LEFT JOIN unit_of_work AS u"
    " ON u.uow_id = o.uow_id AND u.status = 'committed' ";
constexpr int kMessageColumns = 10;

// Sets `wrong` to why the message cannot be delivered, if it cannot.
OutboxDelivery MessageOf(const storage::Row& row, std::string& wrong) {
  OutboxDelivery message{.id = row.Get<std::int64_t>(0),
                         .topic = row.Get<std::string>(1),
                         .key = row.Get<std::string>(2),
                         .payload = row.Get<std::string>(6),
                         .uow_id = row.Get<std::string>(3),
                         .seq = row.Get<std::int64_t>(8),
                         .ordinal = row.Get<std::int64_t>(4)};
  if (const auto hash = ParseDigest(row.Get<std::string_view>(9))) {
    message.receipt_hash = *hash;
  } else {
    wrong = "the ledger has no committed unit that left this message";
  }
  if (!ReadHeaders(row.Get<std::string>(5), message.headers)) {
    wrong = "the headers are not an object of texts";
  }
  return message;
}

// The first `most` messages of a stream.
absl::StatusOr<std::vector<QueuedRow>> RowsOf(Connection& connection, const Stream& stream,
                                              const std::string& now, std::size_t most) {
  VOUCH_ASSIGN_OR_RETURN(const StatementPtr query,
                         connection.Prepare(absl::StrCat(
                             std::string(kSelectMessage),
                             " o.not_before IS NULL OR o.not_before <= ?3, o.claim IS NOT NULL",
                             std::string(kFromMessage),
                             "WHERE o.dead_since IS NULL AND o.topic = ?1 AND o.ordering_key = ?2"
                             " ORDER BY o.id LIMIT ?4")));
  VOUCH_RETURN_IF_ERROR(query->BindBorrowed(stream.topic, stream.key, now, most));
  std::vector<QueuedRow> rows;
  VOUCH_RETURN_IF_ERROR(query->ForEach([&](const storage::Row& stored) {
    QueuedRow& row = rows.emplace_back();
    row.message = MessageOf(stored, row.wrong);
    row.message.attempt = stored.Get<int>(7) + 1;
    row.due = stored.Get<bool>(kMessageColumns);
    row.claimed = stored.Get<bool>(kMessageColumns + 1);
  }));
  return rows;
}

absl::Status Kill(SqliteConnection& connection, std::int64_t id, const std::string& error,
                  absl::Time now) {
  return ExecuteOwn(connection,
                    "UPDATE uow_outbox SET claim = NULL, not_before = NULL, dead_since = ?2,"
                    " last_error = ?3 WHERE id = ?1",
                    id, TextOf(now), error);
}

absl::Status Take(SqliteConnection& connection, QueuedRow row, const ClaimRequest& request,
                  Claim& claim) {
  VOUCH_RETURN_IF_ERROR(ExecuteOwn(connection,
                                   "UPDATE uow_outbox SET claim = ?2, not_before = ?3,"
                                   " attempts = attempts + 1 WHERE id = ?1",
                                   row.message.id, request.token, TextOf(request.until)));
  claim.deliveries.push_back(std::move(row.message));
  return absl::OkStatus();
}

enum class After {
  kNextStream,  // Go on.
  kEnough,      // The batch is full.
  kComeBack,    // This stream's first message is to be claimed alone: next time.
};

// Claims of one stream what stands at its beginning and is due.
absl::StatusOr<After> ClaimStream(SqliteConnection& connection, const Stream& stream,
                                  const ClaimRequest& request, Claim& claim) {
  const std::size_t room = static_cast<std::size_t>(request.batch) - claim.deliveries.size();
  VOUCH_ASSIGN_OR_RETURN(std::vector<QueuedRow> rows,
                         RowsOf(connection, stream, TextOf(request.now), room));
  bool first = true;
  for (QueuedRow& row : rows) {
    if (!row.due) return After::kNextStream;
    if (row.message.attempt > request.max_attempts) {
      row.wrong = "its last attempt did not end: the dispatcher was killed, or the lease too short";
    }
    if (!row.wrong.empty()) {
      VOUCH_RETURN_IF_ERROR(Kill(connection, row.message.id, row.wrong, request.now));
      ++claim.died;
      continue;
    }
    if (row.claimed) {
      if (!claim.deliveries.empty()) return first ? After::kComeBack : After::kNextStream;
      VOUCH_RETURN_IF_ERROR(Take(connection, std::move(row), request, claim));
      return After::kEnough;
    }
    VOUCH_RETURN_IF_ERROR(Take(connection, std::move(row), request, claim));
    first = false;
  }
  return claim.deliveries.size() < static_cast<std::size_t>(request.batch) ? After::kNextStream
                                                                           : After::kEnough;
}

}  // namespace

absl::StatusOr<bool> HasDue(Connection& connection, absl::Time now) {
  const std::string now_text = TextOf(now);
  Stream last;
  while (true) {
    VOUCH_ASSIGN_OR_RETURN(const auto head, HeadAfter(connection, last, now_text));
    if (!head.has_value()) return false;
    if (head->due) return true;
    last = head->stream;
  }
}

absl::StatusOr<Claim> ClaimDue(SqliteConnection& connection, const ClaimRequest& request,
                               Stream& last) {
  Claim claim;
  const std::string now = TextOf(request.now);
  const Stream start = last;
  bool wrapped = start.topic.empty();
  while (true) {
    VOUCH_ASSIGN_OR_RETURN(const auto head, HeadAfter(connection, last, now));
    const bool at_end = !head.has_value();
    if (at_end && !wrapped) {
      wrapped = true;
      last = Stream();
      continue;
    }
    // Once around, with the stream that was served last as the last one.
    if (at_end || (wrapped && !start.topic.empty() && start < head->stream)) {
      last = start;
      return claim;
    }
    if (head->due) {
      VOUCH_ASSIGN_OR_RETURN(const After after,
                             ClaimStream(connection, head->stream, request, claim));
      if (after == After::kComeBack) return claim;
      if (after == After::kEnough) {
        last = head->stream;
        return claim;
      }
    }
    last = head->stream;
  }
}

Settlement Judge(const OutboxDelivery& message, const absl::Status& outcome,
                 const RetryOptions& retry, absl::Time now, double random) {
  Settlement settlement{.id = message.id};
  if (outcome.ok()) {
    settlement.kind = Settlement::Kind::kDelivered;
    return settlement;
  }
  settlement.error = outcome.ToString();
  if (message.attempt > retry.max_retries) {
    settlement.kind = Settlement::Kind::kDead;
    return settlement;
  }
  settlement.kind = Settlement::Kind::kRetry;
  settlement.retry_at = now + RetryDelay(retry, message.attempt - 1, random);
  return settlement;
}

absl::StatusOr<bool> Settle(SqliteConnection& connection, const std::string& token,
                            const Settlement& settlement, absl::Time now) {
  const auto run = [&](std::string_view sql, const auto&... args) -> absl::StatusOr<bool> {
    VOUCH_ASSIGN_OR_RETURN(const StatementPtr statement, connection.PrepareTrusted(sql));
    VOUCH_RETURN_IF_ERROR(statement->BindBorrowed(settlement.id, token, args...));
    VOUCH_RETURN_IF_ERROR(statement->Run());
    return connection.changes() == 1;
  };
  switch (settlement.kind) {
    case Settlement::Kind::kDelivered:
      return run("DELETE FROM uow_outbox WHERE id = ?1 AND claim = ?2");
    case Settlement::Kind::kRetry:
      return run(
          "UPDATE uow_outbox SET claim = NULL, not_before = ?3, last_error = ?4"
          " WHERE id = ?1 AND claim = ?2",
          TextOf(settlement.retry_at), settlement.error);
    case Settlement::Kind::kDead:
      return run(
          "UPDATE uow_outbox SET claim = NULL, not_before = NULL, dead_since = ?3,"
          " last_error = ?4 WHERE id = ?1 AND claim = ?2",
          TextOf(now), settlement.error);
    case Settlement::Kind::kReleased:
      return run(
          "UPDATE uow_outbox SET claim = NULL, not_before = NULL, attempts = attempts - 1"
          " WHERE id = ?1 AND claim = ?2");
  }
  return false;
}

absl::StatusOr<std::vector<DeadLetter>> ReadDead(Connection& connection, int limit,
                                                 std::int64_t after_id) {
  VOUCH_ASSIGN_OR_RETURN(
      const StatementPtr query,
      connection.Prepare(absl::StrCat(std::string(kSelectMessage), " o.dead_since, o.last_error",
                                      std::string(kFromMessage),
                                      "WHERE o.dead_since IS NOT NULL AND o.id > ?1"
                                      " ORDER BY o.id LIMIT ?2")));
  VOUCH_RETURN_IF_ERROR(query->BindAll(after_id, limit));
  std::vector<DeadLetter> letters;
  VOUCH_RETURN_IF_ERROR(query->ForEach([&](const storage::Row& row) {
    std::string wrong;
    DeadLetter& letter = letters.emplace_back();
    letter.message = MessageOf(row, wrong);
    letter.message.attempt = row.Get<int>(7);
    letter.since = row.Get<std::string>(kMessageColumns);
    letter.last_error = row.Get<std::string>(kMessageColumns + 1);
  }));
  return letters;
}

}  // namespace vouch::uow::uow_internal
