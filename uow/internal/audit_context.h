// AuditContext: what the parts of an audit share: where findings and progress go.
//
// Thread safety: one thread at a time.
// Ownership: borrows all it is given.

#ifndef VOUCH_UOW_INTERNAL_AUDIT_CONTEXT_H_
#define VOUCH_UOW_INTERNAL_AUDIT_CONTEXT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "storage/connection.h"
#include "uow/audit.h"

namespace vouch::uow::uow_internal {

class AuditContext {
 public:
  AuditContext(storage::Connection& reader, const AuditOptions& audit_options,
               AuditReport& audit_report)
      : connection(reader), options(audit_options), report(audit_report) {}

  // A finding about one receipt, which takes part in first_bad_seq.
  void AddToReceipt(std::int64_t seq, Finding finding) {
    finding.seq = seq;
    if (!report.first_bad_seq || seq < *report.first_bad_seq) report.first_bad_seq = seq;
    Add(std::move(finding));
  }

  // A finding about anything else.
  void Add(Finding finding) {
    ++report.finding_count;
    if (report.findings.size() < options.max_findings) {
      report.findings.push_back(std::move(finding));
    }
  }

  // Makes damage to the database a finding; any other error is returned.
  absl::Status AddIfDamage(const absl::Status& status, std::string where) {
    if (status.code() != absl::StatusCode::kDataLoss) return status;
    Add({.code = FindingCode::kUnreadable,
         .message = std::move(where) + " cannot be read: " + std::string(status.message())});
    return absl::OkStatus();
  }

  void CountDone() {
    if (++done_ % 1024 == 0) ShowProgress();
  }
  void ShowProgress() {
    if (options.progress) options.progress(done_, done_ > total_ ? done_ : total_);
  }
  void AddTotal(std::int64_t more) { total_ += more; }

  storage::Connection& connection;
  const AuditOptions& options;
  AuditReport& report;

 private:
  std::int64_t done_ = 0;
  std::int64_t total_ = 0;
};

}  // namespace vouch::uow::uow_internal

#endif  // VOUCH_UOW_INTERNAL_AUDIT_CONTEXT_H_
