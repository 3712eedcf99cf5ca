#include "uow/cli/audit_command.h"

#include <algorithm>
#include <atomic>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/sha256.h"
#include "storage/sqlite/file.h"
#include "storage/status_macros.h"
#include "uow/cli/catalog.h"
#include "uow/cli/json.h"
#include "uow/cli/printable.h"
#include "uow/cli/progress.h"
#include "uow/cli/stable_read.h"
#include "uow/cli/text_table.h"

namespace vouch::cli {
namespace {

using uow::AuditReport;
using uow::Finding;

// The stores that `vouch index` writes, when the ledger holds nothing else: then also a table that
// no unit has written yet is compared. None when it was written by others: the audit learns their
// stores from the ledger.
std::vector<uow::StoreOptions> KnownStores(storage::Connection& reader) {
  const auto others = reader.QueryValue<bool>(
      "SELECT EXISTS (SELECT 1 FROM uow_writes WHERE NOT ("
      "(store = 'documents' AND record_id >= 'document_index/' AND record_id < 'document_index0')"
      " OR (store = 'activity' AND record_id >= 'audit/' AND record_id < 'audit0')))");
  const auto tables = reader.QueryValue<int>(
      "SELECT count(*) FROM sqlite_schema"
      " WHERE type = 'table' AND name IN ('document_index', 'audit')");
  if (!others.ok() || *others || !tables.ok() || *tables != 2) return {};
  return IndexStores(kDefaultActivityTable);
}

// Done and total of a running audit; written by it, read by the progress line. Relaxed: the two
// are only shown.
struct Counter {
  std::atomic<std::int64_t> done{0};
  std::atomic<std::int64_t> total{0};
};

absl::StatusOr<AuditReport> AuditFile(const std::string& path, bool quick, absl::Duration wait,
                                      Counter& counter) {
  AuditReport report;
  VOUCH_RETURN_IF_ERROR(StableRead(path, wait, [&](storage::Connection& reader) -> absl::Status {
    uow::AuditOptions options;
    options.stores = KnownStores(reader);
    options.quick = quick;
    options.progress = [&counter](std::int64_t done, std::int64_t total) {
      counter.done.store(done, std::memory_order_relaxed);
      counter.total.store(total, std::memory_order_relaxed);
    };
    VOUCH_ASSIGN_OR_RETURN(report, uow::Audit(reader, options));
    return absl::OkStatus();
  }));
  return report;
}

std::string HexOrDash(const std::optional<storage::Digest>& digest) {
  return digest.has_value() ? storage::HexOf(*digest) : "-";
}

// ---- Text -----------------------------------------------------------------------------------

void AppendVerdict(std::string& out, const AuditReport& report) {
  if (report.verified) {
    absl::StrAppend(&out, "verified\n\n");
    return;
  }
  absl::StrAppend(&out, WithCommas(report.finding_count),
                  report.finding_count == 1 ? " finding" : " findings");
  if (report.first_bad_seq.has_value()) {
    absl::StrAppend(&out, ", the first at seq ", *report.first_bad_seq);
  }
  absl::StrAppend(&out, "\n\n");
  for (const Finding& finding : report.findings) {
    absl::StrAppend(&out, NameOf(finding.code));
    if (finding.seq.has_value()) absl::StrAppend(&out, "  seq ", *finding.seq);
    if (!finding.store.empty()) absl::StrAppend(&out, "  ", Printable(finding.store));
    if (!finding.record_id.empty()) absl::StrAppend(&out, "  ", Printable(finding.record_id));
    absl::StrAppend(&out, "\n  ", Printable(finding.message), "\n");
  }
  const auto shown = static_cast<std::int64_t>(report.findings.size());
  if (report.finding_count > shown) {
    absl::StrAppend(&out, "and ", WithCommas(report.finding_count - shown), " more\n");
  }
  absl::StrAppend(&out, "\n");
}

void AppendCoverage(std::string& out, const AuditReport& report) {
  TextTable table({TextTable::Align::kLeft, TextTable::Align::kRight, TextTable::Align::kLeft});
  table.Add({"receipts", WithCommas(report.receipts), ""});
  table.Add({"writes", WithCommas(report.writes), ""});
  table.Add({"records", WithCommas(report.records), ""});
  table.Add({"rows", WithCommas(report.rows), ""});
  for (const auto& read : report.tables) {
    table.Add({absl::StrCat("  ", Printable(read.name)), WithCommas(read.rows),
               absl::StrCat("store ", Printable(read.store))});
  }
  for (const auto& skipped : report.skipped_tables) {
    table.Add({absl::StrCat("  ", Printable(skipped.name)),
               skipped.rows.has_value() ? WithCommas(*skipped.rows) : "-",
               absl::StrCat("not read: ", Printable(skipped.reason))});
  }
  out += table.Render();
  out += "\n";
}

void AppendList(std::string& out, std::string_view title, const std::vector<std::string>& lines) {
  if (lines.empty()) return;
  out.append(title).append("\n");
  for (const std::string& line : lines) absl::StrAppend(&out, "  ", Printable(line), "\n");
  out += "\n";
}

void AppendHead(std::string& out, const AuditReport::Head& head) {
  TextTable table({TextTable::Align::kLeft, TextTable::Align::kLeft});
  table.Add({"ledger", Printable(head.ledger_id)});
  table.Add({"seq", absl::StrCat(head.seq)});
  table.Add({"receipt", HexOrDash(head.receipt_hash)});
  table.Add({"tree", HexOrDash(head.tree_head)});
  absl::StrAppend(&out, "head\n", table.Render());
}

std::string TextOf(const AuditReport& report) {
  std::string out;
  AppendVerdict(out, report);
  AppendCoverage(out, report);
  AppendList(out, "stores whose custody alone was checked", report.stores_without_tables);
  AppendList(out, "not covered", report.not_covered);
  AppendList(out, "notes", report.notes);
  AppendHead(out, report.head);
  return out;
}

// ---- JSON -----------------------------------------------------------------------------------

Json JsonOf(const Finding& finding) {
  return {{"code", NameOf(finding.code)},
          {"seq", NumberOrNull(finding.seq)},
          {"store", finding.store},
          {"record", finding.record_id},
          {"message", finding.message}};
}

Json JsonOf(const AuditReport& report, const std::string& database, bool quick) {
  Json findings = Json::array();
  for (const Finding& finding : report.findings) findings.push_back(JsonOf(finding));
  Json tables = Json::array();
  for (const auto& table : report.tables) {
    tables.push_back({{"name", table.name}, {"store", table.store}, {"rows", table.rows}});
  }
  Json skipped = Json::array();
  for (const auto& table : report.skipped_tables) {
    skipped.push_back(
        {{"name", table.name}, {"reason", table.reason}, {"rows", NumberOrNull(table.rows)}});
  }
  return {{"verb", "audit"},
          {"database", database},
          {"quick", quick},
          {"verified", report.verified},
          {"finding_count", report.finding_count},
          {"first_bad_seq", NumberOrNull(report.first_bad_seq)},
          {"findings", findings},
          {"head",
           {{"ledger", report.head.ledger_id},
            {"seq", report.head.seq},
            {"receipt", HexOrNull(report.head.receipt_hash)},
            {"tree", HexOrNull(report.head.tree_head)}}},
          {"receipts", report.receipts},
          {"writes", report.writes},
          {"records", report.records},
          {"rows", report.rows},
          {"tables", tables},
          {"skipped_tables", skipped},
          {"stores_without_tables", report.stores_without_tables},
          {"not_covered", report.not_covered},
          {"notes", report.notes}};
}

}  // namespace

ExitCode CodeForAudit(const AuditReport& report) {
  if (report.verified) return kDone;
  const bool only_format =
      !report.findings.empty() &&
      report.finding_count == static_cast<std::int64_t>(report.findings.size()) &&
      std::all_of(report.findings.begin(), report.findings.end(), [](const Finding& finding) {
        return finding.code == uow::FindingCode::kUnsupportedFormat;
      });
  return only_format ? kCannotVerify : kFailed;
}

int RunAudit(const AuditArguments& arguments, const Settings& settings, Console& console) {
  const auto database = storage::PrepareDatabaseFile(settings.database, /*create=*/false);
  if (!database.ok()) return console.Fail(database.status(), kUsage);
  Counter counter;
  absl::StatusOr<AuditReport> report;
  {
    const ProgressLine line(console.shows_progress(), [&counter]() -> Progress {
      return {.verb = "audit",
              .done = counter.done.load(std::memory_order_relaxed),
              .total = counter.total.load(std::memory_order_relaxed)};
    });
    report = AuditFile(database->path, arguments.quick, settings.wait, counter);
  }
  if (!report.ok()) return console.Fail(report.status(), CodeForOpening(report.status()));
  console.Result(JsonOf(*report, database->path, arguments.quick), TextOf(*report));
  const ExitCode code = CodeForAudit(*report);
  if (code == kCannotVerify) console.Error("audit: this program does not know the ledger's format");
  if (code == kFailed) {
    console.Error(absl::StrCat("audit: not verified, ", WithCommas(report->finding_count),
                               report->finding_count == 1 ? " finding" : " findings"));
  }
  return code;
}

}  // namespace vouch::cli
