// Doctor: what is to be known about the SQLite that is linked, and about a database, before one
// trusts it: what the program `vouch doctor` prints and a health endpoint can return.
//
//   DoctorReport report = ExamineLibrary();
//   ExamineEnvironment("/srv/app.db", report);
//   VOUCH_RETURN_IF_ERROR(ExamineSettings(connection, Profile::Balanced(), report));
//   for (const DoctorFinding& finding : report.findings) …
//
// Each finding has a code that stays the same, for programs, and a text for people:
//
//   sqlite_version    which one is linked; too old is a problem
//   wal_reset_bug     whether it has it, and what remains exposed (storage/sqlite/version.h)
//   threading         how it was compiled to be used by threads
//   compile_option    one that costs, or that is missing
//   setting           of a connection, that is not the profile's
//   auto_vacuum       freed pages stay in the file (storage/sqlite/auto_vacuum.h)
//   disk_space, file_system, folder, file
//                     where the file is to live (storage/sqlite/environment.h)
//   log_size          the log is larger than what it is cut to
//
// Thread safety: any thread; ExamineSettings as its connection.
// Errors: those of reading. What is found is no error.

#ifndef VOUCH_STORAGE_SQLITE_DOCTOR_H_
#define VOUCH_STORAGE_SQLITE_DOCTOR_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "storage/connection.h"
#include "storage/sqlite/environment.h"
#include "storage/sqlite/profile.h"

namespace vouch::storage {

struct DoctorFinding {
  enum class Kind {
    kFine,
    kNote,     // To be known.
    kProblem,  // To be repaired.
  };
  Kind kind = Kind::kFine;
  std::string code;
  std::string text;

  friend bool operator==(const DoctorFinding&, const DoctorFinding&) = default;
};
// "fine", "note" or "problem".
const char* NameOf(DoctorFinding::Kind kind);

// What a library tells about itself.
struct LibraryFacts {
  int version = 0;         // That is linked,
  int header_version = 0;  // and that vouch was compiled with.
  std::string source_id = {};
  int threading = 1;                              // 0 single-threaded, 1 serialized, 2 multi-thread
  std::vector<std::string> compile_options = {};  // Without "SQLITE_".
};
LibraryFacts LinkedLibrary();
// Pure: what the facts mean.
std::vector<DoctorFinding> FindingsAbout(const LibraryFacts& facts);

struct ReadBackSetting {
  std::string name;
  std::string value;
  std::string expected;  // Empty: whatever it is.

  friend bool operator==(const ReadBackSetting&, const ReadBackSetting&) = default;
};

struct DoctorReport {
  LibraryFacts library;
  bool wal_reset_bug = false;
  std::vector<ReadBackSetting> settings;
  std::vector<DoctorFinding> findings;

  bool has_problem() const;
};

// The report of the library that is linked.
DoctorReport ExamineLibrary();

// Adds the settings of a connection, which has to be a file's, as they read back, and a problem for
// each that is not `profile`'s; of auto_vacuum, which the file keeps, a note.
absl::Status ExamineSettings(Connection& connection, const Profile& profile, DoctorReport& report);

// Adds what CheckEnvironment() finds. The file need not be there.
void ExamineEnvironment(const std::string& path, DoctorReport& report,
                        const SystemProbe& probe = SystemProbe::Real());

// Adds what is notable about the file's log. Opens nothing.
void ExamineLog(const std::string& path, const Profile& profile, DoctorReport& report);

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_SQLITE_DOCTOR_H_
