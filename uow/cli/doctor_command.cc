#include "uow/cli/doctor_command.h"

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "storage/sqlite/doctor.h"
#include "storage/sqlite/file.h"
#include "storage/sqlite/profile.h"
#include "storage/sqlite/version.h"
#include "storage/status_macros.h"
#include "uow/cli/json.h"
#include "uow/cli/printable.h"
#include "uow/cli/stable_read.h"
#include "uow/cli/text_table.h"
#include "uow/contract.h"

namespace vouch::cli {
namespace {

using storage::DoctorFinding;
using storage::DoctorReport;
using storage::Profile;

constexpr const char* kThreading[] = {"single-thread", "serialized", "multi-thread"};

Json LibraryOf(const DoctorReport& report) {
  const storage::LibraryFacts& library = report.library;
  return {{"version", storage::FormatSqliteVersion(library.version)},
          {"source_id", library.source_id},
          {"wal_reset_bug", report.wal_reset_bug},
          {"threading", kThreading[library.threading]},
          {"compile_options", library.compile_options}};
}

Json JsonOf(const DoctorReport& report, const std::string& database) {
  Json settings = Json::array();
  for (const storage::ReadBackSetting& setting : report.settings) {
    settings.push_back({{"name", setting.name},
                        {"value", setting.value},
                        {"expected", setting.expected.empty() ? Json() : Json(setting.expected)}});
  }
  Json findings = Json::array();
  for (const DoctorFinding& finding : report.findings) {
    findings.push_back(
        {{"kind", NameOf(finding.kind)}, {"code", finding.code}, {"text", finding.text}});
  }
  return {{"verb", "doctor"},
          {"database", database.empty() ? Json() : Json(database)},
          {"sqlite", LibraryOf(report)},
          {"settings", settings},
          {"findings", findings}};
}

std::string TextOf(const DoctorReport& report) {
  using enum TextTable::Align;
  std::string text;
  for (const DoctorFinding& finding : report.findings) {
    absl::StrAppend(&text, NameOf(finding.kind), ": ", Printable(finding.text), "\n");
  }
  if (report.settings.empty()) return text;
  TextTable table({kLeft, kRight});
  for (const storage::ReadBackSetting& setting : report.settings) {
    table.Add({setting.name, Printable(setting.value)});
  }
  return absl::StrCat(text, "\n", table.Render());
}

// Adds what the contract of units of work says of a database that has any.
absl::Status ExamineContract(storage::Connection& connection, DoctorReport& report) {
  VOUCH_ASSIGN_OR_RETURN(const uow::ContractReport contract, uow::CheckContract(connection));
  for (const uow::ContractViolation& violation : contract.violations) {
    if (violation.rule == uow::ContractRule::kTableMissing) return absl::OkStatus();
    report.findings.push_back({DoctorFinding::Kind::kProblem, "contract", violation.message});
  }
  if (contract.complies()) {
    report.findings.push_back({DoctorFinding::Kind::kFine, "contract",
                               absl::StrCat(contract.units, " units of work keep the contract")});
  }
  return absl::OkStatus();
}

absl::Status ExamineDatabase(const std::string& path, const Settings& settings,
                             DoctorReport& report) {
  const Profile profile = Profile::Balanced();
  ExamineLog(path, profile, report);
  const DoctorReport before = report;
  return StableRead(path, settings.wait, [&](storage::Connection& reader) {
    report = before;
    VOUCH_RETURN_IF_ERROR(ExamineSettings(reader, profile, report));
    return ExamineContract(reader, report);
  });
}

}  // namespace

int RunDoctor(const Settings& settings, Console& console) {
  DoctorReport report = storage::ExamineLibrary();
  std::string path;
  const auto database = storage::PrepareDatabaseFile(settings.database, /*create=*/false);
  if (database.ok()) {
    path = database->path;
    ExamineEnvironment(path, report);
    const absl::Status status = ExamineDatabase(path, settings, report);
    if (!status.ok()) return console.Fail(status, CodeForOpening(status));
  } else if (absl::IsNotFound(database.status())) {
    report.findings.push_back({DoctorFinding::Kind::kNote, "no_database",
                               absl::StrCat("there is no database ", settings.database)});
    ExamineEnvironment(settings.database, report);
  } else {
    return console.Fail(database.status(), kUsage);
  }
  console.Result(JsonOf(report, path), TextOf(report));
  return report.has_problem() ? kFailed : kDone;
}

}  // namespace vouch::cli
