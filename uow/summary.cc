#include "uow/summary.h"

#include <utility>

#include "uow/failure.h"

namespace vouch::uow {
namespace {

using pool::MutexLock;

// Each store's part, without what all stores of the unit share.
std::map<std::string, StoreMetrics> PartsOf(const UnitRecord& record) {
  std::map<std::string, StoreMetrics> parts;
  for (const auto& [store, written] : record.parts) {
    StoreMetrics& part = parts[store];
    part.write_count = written.writes;
    part.size_bytes = written.bytes;
  }
  if (record.status == UnitStatus::kFailed && !record.failed_store.empty()) {
    StoreMetrics& part = parts[record.failed_store];
    part.error_count = 1;
    part.last_error = record.error_message;
  }
  return parts;
}

}  // namespace

absl::Duration StoreMetrics::AverageTimePerWrite() const {
  return write_count == 0 ? absl::ZeroDuration() : total_time / write_count;
}

TransactionSummary Summarize(const UnitRecord& record, std::string_view committed,
                             const UnitTimings& timings) {
  TransactionSummary summary{
      .uow_id = record.uow_id,
      .envelope_id = record.envelope_id,
      .status = record.status,
      .created = record.created,
      .total_duration = record.execution_time + timings.commit + timings.rollback,
      .retries = record.retries,
      .last_error = record.error_message};
  if (record.status == UnitStatus::kCommitted) summary.committed = std::string(committed);
  if (ParseFailureReason(record.error_type) == FailureReason::kValidationFailure) {
    summary.validation_errors.push_back(record.error_message);
  }
  for (auto& [name, part] : PartsOf(record)) {
    part.store = name;
    part.units = 1;
    part.retries = record.retries;
    part.lock_wait = timings.lock_wait;
    part.begin_time = timings.begin;
    part.commit_time = timings.commit;
    part.rollback_time = timings.rollback;
    part.total_time = summary.total_duration;
    summary.writes_count += part.write_count;
    summary.total_bytes += part.size_bytes;
    summary.stores.push_back(std::move(part));
  }
  return summary;
}

const char* NameOf(UnitEventType type) {
  return type == UnitEventType::kCommitted ? "committed" : "rolled_back";
}

UnitEvent EventOf(const TransactionSummary& summary, absl::Time now) {
  UnitEvent event{.type = summary.status == UnitStatus::kCommitted ? UnitEventType::kCommitted
                                                                   : UnitEventType::kRolledBack,
                  .uow_id = summary.uow_id,
                  .envelope_id = summary.envelope_id,
                  .duration = summary.total_duration,
                  .writes_count = summary.writes_count,
                  .status = summary.status,
                  .timestamp = now};
  event.stores.reserve(summary.stores.size());
  for (const StoreMetrics& store : summary.stores) event.stores.push_back(store.store);
  return event;
}

bool Announce(const UnitCallback& callback, const UnitEvent& event) {
  if (!callback) return true;
  try {
    callback(event);
    return true;
  } catch (...) {
    return false;
  }
}

void StoreTotals::Add(const TransactionSummary& summary) {
  const MutexLock lock(&mutex_);
  for (const StoreMetrics& part : summary.stores) {
    StoreMetrics& total = totals_[part.store];
    total.store = part.store;
    total.units += part.units;
    total.write_count += part.write_count;
    total.size_bytes += part.size_bytes;
    total.error_count += part.error_count;
    total.retries += part.retries;
    total.lock_wait += part.lock_wait;
    total.begin_time += part.begin_time;
    total.commit_time += part.commit_time;
    total.rollback_time += part.rollback_time;
    total.total_time += part.total_time;
    if (!part.last_error.empty()) total.last_error = part.last_error;
  }
}

std::vector<StoreMetrics> StoreTotals::Snapshot() const {
  const MutexLock lock(&mutex_);
  std::vector<StoreMetrics> all;
  all.reserve(totals_.size());
  for (const auto& [name, total] : totals_) all.push_back(total);
  return all;
}

}  // namespace vouch::uow
