// Participation: what one attempt of one unit asks of the engine's participants, and how they did.
//
//     Begin() ──> Validate() ──> Commit()
//        └────────────┴────────> Rollback()
//
// Thread safety: the holder of the writer, one thread at a time; what it says of the end, afterwards,
//   whoever ran the unit.
// Ownership: borrows the participants.

#ifndef VOUCH_UOW_INTERNAL_PARTICIPATION_H_
#define VOUCH_UOW_INTERNAL_PARTICIPATION_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "uow/options.h"
#include "uow/participant.h"
#include "uow/receipt.h"
#include "uow/summary.h"
#include "uow/unit_of_work.h"

namespace vouch::uow {

class Participation {
 public:
  // Nobody takes part.
  Participation() = default;
  explicit Participation(std::span<const std::shared_ptr<StoreParticipant>> participants);

  bool empty() const { return parts_.empty(); }

  absl::Status Begin(UnitOfWork& unit);
  absl::Status Validate(UnitOfWork& unit);

  // Of those that were begun. What went wrong is returned in words, and kept for the summary.
  std::vector<std::string> Commit(const Receipt& receipt);
  std::vector<std::string> Rollback(std::string_view uow_id);

  // Because of which store the attempt failed; empty: because of none of these.
  const std::string& failed_store() const { return failed_store_; }

  // Each one's own times, size and error.
  void AddTo(TransactionSummary& summary) const;

 private:
  struct Part {
    StoreParticipant* store;
    bool is_begun = false;
    absl::Duration begin = {};
    absl::Duration commit = {};
    absl::Duration rollback = {};
    std::int64_t bytes = 0;
    std::string error = {};
  };

  // Calls it, notes how long it took and what was wrong, and names the store.
  absl::Status Call(Part& part, absl::Duration& time, std::string_view operation,
                    absl::FunctionRef<absl::Status()> call);

  std::vector<Part> parts_;
  std::string failed_store_;
};

// What Commit or Rollback of a unit returned.
void LogStoreErrors(const EngineOptions& options, const std::string& uow_id,
                    const std::vector<std::string>& errors);

}  // namespace vouch::uow

#endif  // VOUCH_UOW_INTERNAL_PARTICIPATION_H_
