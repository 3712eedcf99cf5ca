// StoreParticipant: a store that is not in the database (files, a cache, a search index) and takes
// part in each unit of work.
//
//   class Files : public StoreParticipant { … };
//   Engine::Open({.path = "app.db", .participants = {std::make_shared<Files>("/srv/files")}});
//   engine->Run({}, [&](UnitOfWork& unit) -> absl::Status {
//     VOUCH_RETURN_IF_ERROR(files->Stage(unit.id(), "report.pdf", bytes));
//     return unit.Track("files", "report.pdf", Operation::kUpsert, bytes);
//   });
//
// Of each unit, participants being called in the order of their registration, and in the reverse one
// to roll back:
//
//     BEGIN ─> Validate, Begin of each ─> the function ─> Validate of each ─> COMMIT ─> Commit of each
//                    └──────────────────────────┴─────────────────┴──────────────┴────> Rollback
//
// The database decides. What that gives, and what not:
//   1. Commit is called only for a unit that is stored, Rollback only for one that is not. Whoever
//      was begun has one of them called, once, unless 3 or 4.
//   2. A Commit that fails does not undo the unit: there is no undoing it. It stays committed, and
//      Receipt::store_errors, the summary and the log say which store failed.
//   3. After a crash between COMMIT and Commit neither is called. A participant that must not lose
//      its part stages it durably under the unit's id in Begin or the function, and when it is made
//      again looks each id it has staged up in the ledger: committed, then it goes on; else it drops it.
//   4. The same goes for a unit whose outcome is unknown (kUnknown): neither is called.
//
// A unit with participants has its transaction to itself. In a shared one a participant would hold
// several units at once, and would have to undo any one of them and have the others replayed; so the
// calls for one unit end before those for the next begin, and it need not tell units apart. The price
// is a COMMIT, and a wait for the disk, for each. RunOptions::participants = false leaves them out of
// a unit that has nothing to say to them, and that one shares its transaction as usual.
//
// Thread safety: one call at a time, on the thread that ends the unit, mostly that of its caller.
// Ownership: the engine shares it.
// Errors: one of Begin or Validate fails the unit, with its code and its store named; kUnavailable and
//   kAborted have the unit run again as its retry policy says. What one throws counts as kInternal.
// Cost: it is called while it holds up every writer. It must not call its engine.

#ifndef VOUCH_UOW_PARTICIPANT_H_
#define VOUCH_UOW_PARTICIPANT_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "uow/receipt.h"
#include "uow/unit_of_work.h"

namespace vouch::uow {

class StoreParticipant {
 public:
  virtual ~StoreParticipant() = default;

  // Always the same; no other store's of the engine.
  virtual std::string_view name() const = 0;

  // Both may use the unit as its function does, and Track() what they write.
  virtual absl::Status Begin(UnitOfWork& unit) = 0;
  // Called before Begin, and again when the function is content: the last moment to say no.
  virtual absl::Status Validate(UnitOfWork& /*unit*/) { return absl::OkStatus(); }

  virtual absl::Status Commit(const Receipt& receipt) = 0;
  virtual absl::Status Rollback(std::string_view uow_id) = 0;

  // How many bytes the unit wrote to it; asked for after Commit, for the summary.
  virtual std::int64_t TransactionSize() const { return 0; }

  // For whoever asks; the engine does not.
  virtual bool SupportsSavepoints() const { return false; }
  virtual std::map<std::string, std::string> Requirements() const { return {}; }
};

}  // namespace vouch::uow

#endif  // VOUCH_UOW_PARTICIPANT_H_
