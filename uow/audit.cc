#include "uow/audit.h"

#include "storage/status_macros.h"
#include "storage/transaction.h"
#include "uow/internal/audit_context.h"
#include "uow/internal/custody.h"
#include "uow/internal/ledger_scan.h"
#include "uow/internal/row_scan.h"

namespace vouch::uow {
namespace {

using storage::Transaction;
using storage::TransactionMode;

void SayWhatIsNotCovered(const AuditOptions& options, AuditReport& report) {
  report.not_covered = {
      "the newest units, if they were cut off together with what they did, and an older copy of "
      "the whole file: keep the head elsewhere and compare",
      "beside the receipts: durations, retry count, error message and time, recovery flag, "
      "signature, when the ledger was created",
      "the schema: views, triggers, generated columns and indexes can change what applications "
      "read; an integrity check compares indexes with their tables",
      "of tables: hidden row ids, sqlite_sequence, the order of rows",
  };
  if (options.quick) report.not_covered.push_back("live rows, which were not read");
}

}  // namespace

const char* NameOf(FindingCode code) {
  switch (code) {
    case FindingCode::kLedgerMissing:
      return "ledger_missing";
    case FindingCode::kUnsupportedFormat:
      return "unsupported_format";
    case FindingCode::kMalformed:
      return "malformed";
    case FindingCode::kSequenceGap:
      return "sequence_gap";
    case FindingCode::kStatusMismatch:
      return "status_mismatch";
    case FindingCode::kReceiptMismatch:
      return "receipt_mismatch";
    case FindingCode::kChainBroken:
      return "chain_broken";
    case FindingCode::kWritesMismatch:
      return "writes_mismatch";
    case FindingCode::kCustodyBroken:
      return "custody_broken";
    case FindingCode::kOrphanWrites:
      return "orphan_writes";
    case FindingCode::kPayloadMismatch:
      return "payload_mismatch";
    case FindingCode::kTreeMismatch:
      return "tree_mismatch";
    case FindingCode::kRowAltered:
      return "row_altered";
    case FindingCode::kRowMissing:
      return "row_missing";
    case FindingCode::kRowUnreceipted:
      return "row_unreceipted";
    case FindingCode::kUnreadable:
      return "unreadable";
  }
  return "";
}

absl::StatusOr<AuditReport> Audit(storage::Connection& reader, const AuditOptions& options) {
  VOUCH_ASSIGN_OR_RETURN(Transaction transaction,
                         Transaction::Begin(reader, TransactionMode::kRead));
  AuditReport report;
  uow_internal::AuditContext context(reader, options, report);
  uow_internal::Custody custody;
  bool complete = false;
  {
    uow_internal::LedgerScan scan(context, custody);
    VOUCH_ASSIGN_OR_RETURN(complete, scan.Run());
  }
  SayWhatIsNotCovered(options, report);
  if (!complete) {
    report.not_covered.push_back("live rows: the ledger could not be read to its end");
  } else if (!options.quick) {
    uow_internal::RowScan scan(context, custody);
    VOUCH_RETURN_IF_ERROR(scan.Run());
  }
  context.ShowProgress();
  report.verified = report.finding_count == 0;
  VOUCH_RETURN_IF_ERROR(transaction.Rollback());
  return report;
}

}  // namespace vouch::uow
