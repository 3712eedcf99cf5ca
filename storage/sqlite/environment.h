// What a database file finds where it is to live: the disk, the file system, the modes. What there
// is to say of the library that is linked: storage/sqlite/doctor.h.
//
//   for (const EnvironmentFinding& finding : CheckEnvironment("/srv/app/app.db")) {
//     std::cout << finding.name << ": " << finding.found << "; " << finding.advice << "\n";
//   }
//
// The judgements are pure functions of what was measured. Measuring is behind SystemProbe.
//
// Thread safety: any thread. Errors: none; what cannot be measured is a finding.
// Cost: a few system calls. Writes nothing.

#ifndef VOUCH_STORAGE_SQLITE_ENVIRONMENT_H_
#define VOUCH_STORAGE_SQLITE_ENVIRONMENT_H_

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace vouch::storage {

enum class Verdict {
  kOk,
  kWarning,  // Works; the advice says what it costs.
  kBad,      // Does not work, or loses or exposes data.
};

struct EnvironmentFinding {
  std::string name;  // "disk_space", "file_system", "folder" or "file".
  Verdict verdict = Verdict::kOk;
  std::string found;   // With the numbers: "412 MB free".
  std::string advice;  // What to do; empty when kOk.

  friend bool operator==(const EnvironmentFinding&, const EnvironmentFinding&) = default;
};

// Versions as sqlite3_libversion_number() tells them: 3040001 is 3.40.1.
inline constexpr int kMinSqliteVersion = 3'038'000;

// kFailedPrecondition: the linked library is older than what vouch needs.
absl::Status CheckSqliteVersion(int version);

// Of what is free to this user: 500 MB are needed, 10 GB recommended.
EnvironmentFinding JudgeDiskSpace(std::uint64_t free_bytes);
// `magic` as statfs() tells it in f_type.
EnvironmentFinding JudgeFileSystem(std::uint64_t magic, bool read_only);
struct Ownership {
  mode_t mode = 0;
  uid_t owner = 0;
  uid_t user = 0;       // Who is asking.
  bool may_use = true;  // The system lets the user write (a folder: and make files in it).
};
EnvironmentFinding JudgeFolder(const Ownership& folder);
EnvironmentFinding JudgeFile(const Ownership& file);

// The system as CheckEnvironment() sees it. Each function returns 0 or an errno.
struct SystemProbe {
  struct Volume {
    std::uint64_t free_bytes = 0;
    std::uint64_t magic = 0;
    bool read_only = false;
  };
  std::function<int(const std::string& folder, Volume* volume)> volume;
  std::function<int(const std::string& path, struct stat* info)> stat;
  std::function<bool(const std::string& path, bool folder)> may_use;
  uid_t user = 0;

  static SystemProbe Real();
};

// The findings for a database at `path`, which need not be there; its folder should be.
std::vector<EnvironmentFinding> CheckEnvironment(const std::string& path,
                                                 const SystemProbe& probe = SystemProbe::Real());

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_SQLITE_ENVIRONMENT_H_
