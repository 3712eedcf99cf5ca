#include "storage/sqlite/doctor.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "storage/sqlite/auto_vacuum.h"
#include "storage/sqlite/version.h"
#include "storage/status_macros.h"

namespace vouch::storage {
namespace {

using Kind = DoctorFinding::Kind;

DoctorFinding AboutVersion(const LibraryFacts& facts) {
  const std::string version = FormatSqliteVersion(facts.version);
  if (facts.version < kMinSqliteVersion) {
    return {Kind::kProblem, "sqlite_version",
            absl::StrCat("SQLite ", version, " is linked, vouch needs ",
                         FormatSqliteVersion(kMinSqliteVersion), " at least")};
  }
  if (facts.version < facts.header_version) {
    return {Kind::kProblem, "sqlite_version",
            absl::StrCat("SQLite ", version, " is linked, older than the ",
                         FormatSqliteVersion(facts.header_version), " vouch was compiled with")};
  }
  return {Kind::kFine, "sqlite_version", absl::StrCat("SQLite ", version, " is linked")};
}

DoctorFinding AboutWalReset(const LibraryFacts& facts) {
  const std::string version = FormatSqliteVersion(facts.version);
  if (!HasWalResetBug(facts.version)) {
    return {Kind::kFine, "wal_reset_bug",
            absl::StrCat("SQLite ", version, " does not have the WAL-reset bug")};
  }
  return {Kind::kNote, "wal_reset_bug",
          absl::StrCat("SQLite ", version,
                       " has the WAL-reset bug: a checkpoint beside a write that begins the log "
                       "anew can lose committed changes (fixed in 3.51.3, 3.50.7 and 3.44.6). "
                       "vouch's checkpoints hold the write lock, so vouch processes are safe from "
                       "each other. Exposed are other programs that write to the same database "
                       "and checkpoint, as SQLite does by itself: update SQLite, or let them set "
                       "PRAGMA wal_autocheckpoint = 0")};
}

DoctorFinding AboutThreading(const LibraryFacts& facts) {
  switch (facts.threading) {
    case 0:
      return {Kind::kProblem, "threading",
              "SQLite was compiled for one thread (THREADSAFE=0); vouch uses several"};
    case 1:
      return {Kind::kFine, "threading",
              "SQLite was compiled serialized; vouch opens its connections without their mutexes"};
    default:
      return {Kind::kFine, "threading", "SQLite was compiled multi-thread"};
  }
}

bool Has(const LibraryFacts& facts, std::string_view option) {
  return std::any_of(facts.compile_options.begin(), facts.compile_options.end(),
                     [&](const std::string& have) {
                       return have == option || have == std::string(option) + "=1";
                     });
}

void AddCompileOptions(const LibraryFacts& facts, std::vector<DoctorFinding>& findings) {
  const auto add = [&](bool applies, Kind kind, const char* text) {
    if (applies) findings.push_back({kind, "compile_option", text});
  };
  add(!Has(facts, "ENABLE_PREUPDATE_HOOK"), Kind::kProblem,
      "ENABLE_PREUPDATE_HOOK is missing: what a unit of work changes cannot be recorded");
  add(Has(facts, "OMIT_WAL"), Kind::kProblem, "OMIT_WAL: there is no write-ahead log");
  add(Has(facts, "ENABLE_UNLOCK_NOTIFY"), Kind::kNote,
      "ENABLE_UNLOCK_NOTIFY: statements outside a transaction take a mutex of the whole process; "
      "read several within one snapshot");
  add(!Has(facts, "DEFAULT_MEMSTATUS=0"), Kind::kNote,
      "memory statistics are on by default: each allocation takes a mutex of the whole process "
      "unless the program switches them off");
  add(Has(facts, "USE_URI"), Kind::kNote,
      "USE_URI: names that begin with \"file:\" are taken as URIs; vouch passes absolute paths, "
      "other programs may not");
  add(Has(facts, "SECURE_DELETE"), Kind::kNote,
      "SECURE_DELETE: what is deleted is overwritten with zeros, which costs log pages");
}

absl::StatusOr<std::string> ReadSetting(Connection& connection, const char* name) {
  VOUCH_ASSIGN_OR_RETURN(const StatementPtr query,
                         connection.Prepare(absl::StrCat("PRAGMA ", name)));
  VOUCH_ASSIGN_OR_RETURN(const bool row, query->Step());
  if (!row) return std::string();
  const ValueView value = query->column(0);
  return value.type() == ValueType::kInteger ? absl::StrCat(value.integer())
                                             : std::string(query->Get<std::string_view>(0));
}

Kind KindOf(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOk:
      return Kind::kFine;
    case Verdict::kWarning:
      return Kind::kNote;
    case Verdict::kBad:
      return Kind::kProblem;
  }
  return Kind::kProblem;
}

constexpr const char* kAutoVacuums[] = {"none", "full", "incremental"};

// The file's, whatever the profile asks for: it was made with it.
absl::Status ExamineAutoVacuum(Connection& connection, const Profile& profile,
                               DoctorReport& report) {
  VOUCH_ASSIGN_OR_RETURN(const AutoVacuum mode, AutoVacuumOf(connection));
  report.settings.push_back({"auto_vacuum", absl::StrCat(static_cast<int>(mode)), ""});
  if (mode == profile.auto_vacuum) return absl::OkStatus();
  report.findings.push_back(
      {Kind::kNote, "auto_vacuum",
       absl::StrCat("auto_vacuum is ", kAutoVacuums[static_cast<int>(mode)], ", not ",
                    kAutoVacuums[static_cast<int>(profile.auto_vacuum)],
                    ": the file was made so, and keeps it until it is written anew as a whole "
                    "(PRAGMA auto_vacuum = ",
                    static_cast<int>(profile.auto_vacuum), "; VACUUM, with nobody else in it)")});
  return absl::OkStatus();
}

}  // namespace

const char* NameOf(DoctorFinding::Kind kind) {
  switch (kind) {
    case Kind::kFine:
      return "fine";
    case Kind::kNote:
      return "note";
    case Kind::kProblem:
      return "problem";
  }
  return "";
}

bool DoctorReport::has_problem() const {
  return std::any_of(findings.begin(), findings.end(),
                     [](const DoctorFinding& finding) { return finding.kind == Kind::kProblem; });
}

LibraryFacts LinkedLibrary() {
  LibraryFacts facts = {.version = SqliteVersion(),
                        .header_version = SQLITE_VERSION_NUMBER,
                        .source_id = sqlite3_sourceid(),
                        .threading = sqlite3_threadsafe()};
  for (int i = 0; const char* option = sqlite3_compileoption_get(i); ++i) {
    facts.compile_options.emplace_back(option);
  }
  return facts;
}

std::vector<DoctorFinding> FindingsAbout(const LibraryFacts& facts) {
  std::vector<DoctorFinding> findings = {AboutVersion(facts), AboutWalReset(facts),
                                         AboutThreading(facts)};
  AddCompileOptions(facts, findings);
  return findings;
}

DoctorReport ExamineLibrary() {
  DoctorReport report;
  report.library = LinkedLibrary();
  report.wal_reset_bug = HasWalResetBug(report.library.version);
  report.findings = FindingsAbout(report.library);
  return report;
}

absl::Status ExamineSettings(Connection& connection, const Profile& profile, DoctorReport& report) {
  const auto number = [](auto value) { return absl::StrCat(static_cast<std::int64_t>(value)); };
  // One that reads a file as immutable locks nothing, and says so; it does not look for a log.
  VOUCH_ASSIGN_OR_RETURN(const std::string locking, ReadSetting(connection, "main.locking_mode"));
  const std::string journal = profile.journal_mode == JournalMode::kWal ? "wal" : "delete";
  const std::pair<const char*, std::string> settings[] = {
      {"journal_mode", locking == "exclusive" ? "" : journal},
      {"synchronous", number(profile.synchronous)},
      {"foreign_keys", profile.foreign_keys ? "1" : "0"},
      {"cache_size", number(profile.cache_size)},
      {"temp_store", number(profile.temp_store)},
      {"mmap_size", number(profile.mmap_size_bytes)},
      {"journal_size_limit", number(profile.journal_size_limit_bytes)},
      {"wal_autocheckpoint", "0"},  // Checkpoints are the governor's.
      {"page_size", ""},
      {"user_version", ""},
      {"application_id", ""},
  };
  for (const auto& [name, expected] : settings) {
    VOUCH_ASSIGN_OR_RETURN(std::string value, ReadSetting(connection, name));
    if (!expected.empty() && value != expected) {
      report.findings.push_back(
          {Kind::kProblem, "setting", absl::StrCat(name, " is ", value, ", not ", expected)});
    }
    report.settings.push_back({name, std::move(value), expected});
  }
  return ExamineAutoVacuum(connection, profile, report);
}

void ExamineEnvironment(const std::string& path, DoctorReport& report, const SystemProbe& probe) {
  for (const EnvironmentFinding& finding : CheckEnvironment(path, probe)) {
    std::string text =
        absl::StrCat(absl::StrReplaceAll(finding.name, {{"_", " "}}), ": ", finding.found,
                     finding.advice.empty() ? "" : "; ", finding.advice);
    report.findings.push_back({KindOf(finding.verdict), finding.name, std::move(text)});
  }
}

void ExamineLog(const std::string& path, const Profile& profile, DoctorReport& report) {
  struct stat info;
  const std::string log = path + "-wal";
  const std::int64_t limit = profile.journal_size_limit_bytes;
  if (limit < 0 || ::stat(log.c_str(), &info) != 0 || info.st_size <= limit) return;
  report.findings.push_back(
      {Kind::kNote, "log_size",
       absl::StrCat(log, " has ", info.st_size, " bytes, more than the ", limit,
                    " it is cut to: something keeps it from being moved into the database")});
}

}  // namespace vouch::storage
