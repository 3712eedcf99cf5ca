// What is told of one unit of work that has ended: its summary, its stores' metrics, its event.
//
//   UnitTimings timings{.lock_wait = waited, .commit = receipt.commit_time};
//   const TransactionSummary summary = Summarize(record, committed, timings);
//   Announce(options.on_event, EventOf(summary, wall_clock.Now()));
//   store_totals.Add(summary);
//
// An engine has all that these need when a unit ends: the UnitRecord that it appended to the ledger
// and the times that it measured. They are made from the record and not from the receipt because a
// unit that failed has a summary and an event too, long before its receipt.
//
// All stores of a unit lie in one database and share its transaction, so its waiting, beginning,
// committing and rolling back took each of them the same time, which stands in each one's metrics
// and must not be added up over the stores of one unit. Writes and bytes are each store's own.
//
// Thread safety: plain data and pure functions; StoreTotals any thread.
// Ownership: everything owns its texts.
// Errors: none; what a callback throws is swallowed.
// Cost: a summary allocates per store, not per write. Ask for one only when somebody listens.

#ifndef VOUCH_UOW_SUMMARY_H_
#define VOUCH_UOW_SUMMARY_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "pool/mutex.h"
#include "uow/format.h"
#include "uow/ledger.h"

namespace vouch::uow {

// What the engine measured, beside UnitRecord::execution_time. Zero: it did not come to that.
struct UnitTimings {
  absl::Duration lock_wait = {};  // For the writer.
  absl::Duration begin = {};
  absl::Duration commit = {};
  absl::Duration rollback = {};
};

// One store's part in one unit, or, added up, in many.
struct StoreMetrics {
  std::string store = {};
  std::int64_t units = 0;
  std::int64_t write_count = 0;
  std::int64_t size_bytes = 0;
  std::int64_t error_count = 0;
  std::int64_t retries = 0;
  absl::Duration lock_wait = {};
  absl::Duration begin_time = {};
  absl::Duration commit_time = {};
  absl::Duration rollback_time = {};
  absl::Duration total_time = {};  // From the call of Run or Begin to the unit's end.
  std::string last_error = {};

  // Of total_time; zero when there was no write.
  absl::Duration AverageTimePerWrite() const;

  friend bool operator==(const StoreMetrics&, const StoreMetrics&) = default;
};

struct TransactionSummary {
  std::string uow_id = {};
  std::string envelope_id = {};
  UnitStatus status = UnitStatus::kCommitted;
  std::string created = {};
  std::optional<std::string> committed = {};
  absl::Duration total_duration = {};
  std::int64_t writes_count = 0;
  std::int64_t total_bytes = 0;
  int retries = 0;
  // What kept the unit from being valid: its message if it failed a validation, else nothing.
  std::vector<std::string> validation_errors = {};
  std::string last_error = {};
  // By name: those that were written to, and the one that failed.
  std::vector<StoreMetrics> stores = {};

  std::int64_t stores_count() const { return static_cast<std::int64_t>(stores.size()); }
};

// `committed`: the time in the receipt, of a unit that was. The unit's duration is its execution
// time and the time of COMMIT or of rolling back.
TransactionSummary Summarize(const UnitRecord& record, std::string_view committed,
                             const UnitTimings& timings);

// A failed unit was rolled back by the database or the engine, so its event is kRolledBack; its
// status tells the two apart.
enum class UnitEventType : std::uint8_t { kCommitted, kRolledBack };
const char* NameOf(UnitEventType type);

struct UnitEvent {
  UnitEventType type = UnitEventType::kCommitted;
  std::string uow_id = {};
  std::string envelope_id = {};
  absl::Duration duration = {};
  std::vector<std::string> stores = {};
  std::int64_t writes_count = 0;
  UnitStatus status = UnitStatus::kCommitted;
  absl::Time timestamp = {};
};
UnitEvent EventOf(const TransactionSummary& summary, absl::Time now);

// Calls `callback`, unless it is empty, and swallows what it throws: a unit's outcome is durable by
// then, and nothing that hears of it can change it. False: it threw.
using UnitCallback = std::function<void(const UnitEvent&)>;
bool Announce(const UnitCallback& callback, const UnitEvent& event);

// The metrics of all units, by store.
class StoreTotals {
 public:
  StoreTotals() = default;
  StoreTotals(const StoreTotals&) = delete;
  StoreTotals& operator=(const StoreTotals&) = delete;

  void Add(const TransactionSummary& summary);
  // By the stores' names.
  std::vector<StoreMetrics> Snapshot() const;

 private:
  mutable pool::Mutex mutex_;
  std::map<std::string, StoreMetrics> totals_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace vouch::uow

#endif  // VOUCH_UOW_SUMMARY_H_
