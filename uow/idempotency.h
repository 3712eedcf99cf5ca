// Idempotency: what was asked for twice is done once, and answered twice.
//
//   IdempotentResult transfer;
//   VOUCH_RETURN_IF_ERROR(engine->Run({}, [&](UnitOfWork& unit) -> absl::Status {
//     VOUCH_ASSIGN_OR_RETURN(transfer,
//                            ExecuteIdempotent(unit, "transfer", request_json, BookTransfer));
//     return absl::OkStatus();
//   }).status());
//   Reply(transfer.result);                       // the same, however often it is asked
//
// A request is known by its key: SHA-256, in hex, of the operation's name, ':' and the payload as
// canonical JSON (names sorted, no white space, ASCII), so that two spellings of one payload are one
// request. The result is kept with the unit that computed it, in one transaction: after a crash there
// are both or neither. An error is no result and is not kept; return it from the unit's function, so
// that what was changed before it is undone.
//
// Where a whole unit is to be run once, RunOptions::uow_id is simpler, needs no table and holds for
// ever. This is for requests that bring no id of their own, and for a result that is to be
// remembered; it forgets after options.ttl. The keys are vouch's own and in no receipt: an audit does
// not vouch for a result that is kept here.
//
// Numbers in a payload that are no integer of 64 bits are doubles: two that are the same double are
// the same request. 1 and 1.0 are two.
//
// Thread safety: IdempotencyKey any thread; ExecuteIdempotent the thread that runs the unit.
// Ownership: the clock is borrowed.
// Errors: kInvalidArgument: the payload is not JSON, the operation is empty, ttl is not positive;
//   kAlreadyExists: within the function the same was asked for again. Otherwise the function's and
//   the database's.
// Cost: a look-up by key, and for a new request one row written and up to eight expired ones removed.

#ifndef VOUCH_UOW_IDEMPOTENCY_H_
#define VOUCH_UOW_IDEMPOTENCY_H_

#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/clock.h"
#include "uow/unit_of_work.h"

namespace vouch::uow {

struct IdempotencyOptions {
  absl::Duration ttl = absl::Hours(24);
  storage::WallClock* wall_clock = &storage::WallClock::System();

  absl::Status Validate() const;
};

struct IdempotentResult {
  std::string result = {};     // Any bytes.
  bool was_duplicate = false;  // True: it was kept; the function was not called.
  std::string uow_id = {};     // Of the unit that computed it.
};

absl::StatusOr<std::string> IdempotencyKey(std::string_view operation, std::string_view payload);

// Returns what is kept for this request, or calls `function` and keeps its result.
absl::StatusOr<IdempotentResult> ExecuteIdempotent(
    UnitOfWork& unit, std::string_view operation, std::string_view payload,
    absl::FunctionRef<absl::StatusOr<std::string>(UnitOfWork&)> function,
    const IdempotencyOptions& options = {});

}  // namespace vouch::uow

#endif  // VOUCH_UOW_IDEMPOTENCY_H_
