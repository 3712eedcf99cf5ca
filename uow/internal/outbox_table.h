// The table uow_outbox: which rows are claimed, and what becomes of them. Of time it knows what it is
// told, of handlers nothing, so that a test can be any number of dispatchers at any time.
//
// Thread safety: as the connection, one thread at a time.
// Errors: those of the database.

#ifndef VOUCH_UOW_INTERNAL_OUTBOX_TABLE_H_
#define VOUCH_UOW_INTERNAL_OUTBOX_TABLE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/connection.h"
#include "storage/sqlite/connection.h"
#include "uow/outbox.h"
#include "uow/retry.h"

namespace vouch::uow::uow_internal {

// Messages of one topic and key. No stream has an empty topic: that one is before all others.
struct Stream {
  std::string topic = {};
  std::string key = {};

  friend auto operator<=>(const Stream&, const Stream&) = default;
};

struct ClaimRequest {
  absl::Time now = {};
  absl::Time until = {};
  std::string token = {};  // Of no other claim.
  int batch = 1;
  int max_attempts = 1;
};

struct Claim {
  std::vector<OutboxDelivery> deliveries = {};
  int died = 0;  // Not claimed, but dead now.
};

// Whether there is anything for ClaimDue(), for whoever has no write lock yet.
absl::StatusOr<bool> HasDue(storage::Connection& connection, absl::Time now);

// Claims what is due of the streams after `last`, in a circle, and sets `last` to where the next
// claim is to begin. REQUIRES: a write transaction.
absl::StatusOr<Claim> ClaimDue(storage::SqliteConnection& connection, const ClaimRequest& request,
                               Stream& last);

struct Settlement {
  enum class Kind { kDelivered, kRetry, kDead, kReleased };
  std::int64_t id = 0;
  Kind kind = Kind::kReleased;
  absl::Time retry_at = {};  // Of a retry.
  std::string error = {};
};

// What becomes of a message after its `attempt`-th delivery ended with `outcome`: pure.
// `random` is uniform in [0, 1).
Settlement Judge(const OutboxDelivery& message, const absl::Status& outcome,
                 const RetryOptions& retry, absl::Time now, double random);

// Records it. False: the row is not claimed by `token` any more, and is left as it is.
// REQUIRES: a write transaction.
absl::StatusOr<bool> Settle(storage::SqliteConnection& connection, const std::string& token,
                            const Settlement& settlement, absl::Time now);

// The dead, as Outbox::ListDead() does.
absl::StatusOr<std::vector<DeadLetter>> ReadDead(storage::Connection& connection, int limit,
                                                 std::int64_t after_id);

}  // namespace vouch::uow::uow_internal

#endif  // VOUCH_UOW_INTERNAL_OUTBOX_TABLE_H_
