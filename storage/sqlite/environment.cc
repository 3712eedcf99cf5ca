#include "storage/sqlite/environment.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/sqlite/version.h"

namespace vouch::storage {
namespace {

constexpr std::uint64_t kMegabyte = 1'000'000;
constexpr std::uint64_t kNeededBytes = 500 * kMegabyte;
constexpr std::uint64_t kRecommendedBytes = 10'000 * kMegabyte;

constexpr char kNetworkAdvice[] =
    "locks and shared memory do not reach other machines: put the database on a local disk";
constexpr char kShareAdvice[] =
    "the host's folder is shared without its locks: put the database on the guest's own disk";
constexpr char kMemoryAdvice[] = "the database is gone after a restart: put it on a disk";
constexpr char kModeAdvice[] =
    "it keeps no modes and no owners: everybody here may read the database";

struct FileSystem {
  std::uint64_t magic;
  const char* name;
  Verdict verdict;
  const char* advice;
};

// From linux/magic.h and statfs(2).
constexpr FileSystem kFileSystems[] = {
    {0xEF53, "ext4", Verdict::kOk, ""},
    {0x58465342, "xfs", Verdict::kOk, ""},
    {0x9123683E, "btrfs", Verdict::kOk, ""},
    {0x2FC12FC1, "zfs", Verdict::kOk, ""},
    {0xF2F52010, "f2fs", Verdict::kOk, ""},
    {0xCA451A4E, "bcachefs", Verdict::kOk, ""},
    {0x794C7630, "overlay", Verdict::kWarning,
     "the uppermost layer of a container goes with it: put the database on a volume"},
    {0x01021994, "tmpfs", Verdict::kWarning, kMemoryAdvice},
    {0x858458F6, "ramfs", Verdict::kWarning, kMemoryAdvice},
    {0x4D44, "vfat", Verdict::kWarning, kModeAdvice},
    {0x2011BAB0, "exfat", Verdict::kWarning, kModeAdvice},
    {0x65735546, "fuse", Verdict::kWarning,
     "a program serves it: make sure that it is local, and that it keeps locks and syncs"},
    {0x6969, "nfs", Verdict::kBad, kNetworkAdvice},
    {0x517B, "smb", Verdict::kBad, kNetworkAdvice},
    {0xFF534D42, "cifs", Verdict::kBad, kNetworkAdvice},
    {0xFE534D42, "smb2", Verdict::kBad, kNetworkAdvice},
    {0x5346414F, "afs", Verdict::kBad, kNetworkAdvice},
    {0x6B414653, "afs", Verdict::kBad, kNetworkAdvice},
    {0x73757245, "coda", Verdict::kBad, kNetworkAdvice},
    {0x564C, "ncp", Verdict::kBad, kNetworkAdvice},
    {0x00C36400, "ceph", Verdict::kBad, kNetworkAdvice},
    {0x0BD00BD0, "lustre", Verdict::kBad, kNetworkAdvice},
    {0x47504653, "gpfs", Verdict::kBad, kNetworkAdvice},
    {0x7461636F, "ocfs2", Verdict::kBad, kNetworkAdvice},
    {0x01161970, "gfs2", Verdict::kBad, kNetworkAdvice},
    {0x01021997, "9p", Verdict::kBad, kShareAdvice},
    {0x786F4256, "vboxsf", Verdict::kBad, kShareAdvice},
    {0xBACBACBC, "vmhgfs", Verdict::kBad, kShareAdvice},
};

std::string Octal(mode_t mode) {
  std::string text = "0";
  for (int shift = 9; shift >= 0; shift -= 3) {
    const auto digit = static_cast<int>((mode >> shift) & 7U);
    if (shift < 9 || digit != 0) absl::StrAppend(&text, digit);
  }
  return text;
}

std::string Describe(const Ownership& what) {
  std::string text = absl::StrCat("mode ", Octal(what.mode));
  if (what.owner != what.user) absl::StrAppend(&text, ", owner ", what.owner);
  return text;
}

EnvironmentFinding Unmeasured(const char* name, int error) {
  return {name, Verdict::kBad, std::strerror(error), "name a folder that is there and may be read"};
}

std::string FolderOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

int MeasureVolume(const std::string& folder, SystemProbe::Volume* volume) {
  struct statvfs space;
  struct statfs kind;
  if (::statvfs(folder.c_str(), &space) != 0) return errno;
  if (::statfs(folder.c_str(), &kind) != 0) return errno;
  volume->free_bytes = std::uint64_t{space.f_bavail} * space.f_frsize;
  // f_type is signed on some machines, and the magic numbers have 32 bits.
  volume->magic = static_cast<std::uint64_t>(kind.f_type) & 0xFFFFFFFF;
  volume->read_only = (space.f_flag & ST_RDONLY) != 0;
  return 0;
}

}  // namespace

absl::Status CheckSqliteVersion(int version) {
  if (version >= kMinSqliteVersion) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("open: SQLite ", FormatSqliteVersion(version), " is linked; vouch needs ",
                   FormatSqliteVersion(kMinSqliteVersion), " or later"));
}

EnvironmentFinding JudgeDiskSpace(std::uint64_t free_bytes) {
  EnvironmentFinding finding = {"disk_space", Verdict::kOk,
                                absl::StrCat(free_bytes / kMegabyte, " MB free"), ""};
  if (free_bytes < kNeededBytes) {
    finding.verdict = Verdict::kBad;
    finding.advice = "free at least 500 MB";
  } else if (free_bytes < kRecommendedBytes) {
    finding.verdict = Verdict::kWarning;
    finding.advice = "10 GB are recommended: backups, VACUUM and the log need room beside the data";
  }
  return finding;
}

EnvironmentFinding JudgeFileSystem(std::uint64_t magic, bool read_only) {
  const auto* known = std::find_if(std::begin(kFileSystems), std::end(kFileSystems),
                                   [&](const FileSystem& one) { return one.magic == magic; });
  EnvironmentFinding finding = {"file_system", Verdict::kWarning,
                                absl::StrCat("unknown, 0x", absl::Hex(magic)),
                                "make sure that it is local, and that it keeps locks and syncs"};
  if (known != std::end(kFileSystems)) {
    finding = {"file_system", known->verdict, known->name, known->advice};
  }
  if (read_only) {
    finding.verdict = Verdict::kBad;
    finding.found += ", mounted for reading";
    finding.advice = "mount it for writing, or choose another place";
  }
  return finding;
}

EnvironmentFinding JudgeFolder(const Ownership& folder) {
  EnvironmentFinding finding = {"folder", Verdict::kOk, Describe(folder), ""};
  const bool others_write = (folder.mode & S_IWOTH) != 0;
  const bool sticky = (folder.mode & S_ISVTX) != 0;
  if (others_write && !sticky) {
    finding.verdict = Verdict::kBad;
    finding.advice = "everybody may replace the database: chmod 0700";
  } else if (!folder.may_use) {
    finding.verdict = Verdict::kBad;
    finding.advice = "files cannot be made in it: chown it to the user that runs vouch";
  } else if (folder.owner != folder.user && folder.owner != 0) {
    finding.verdict = Verdict::kWarning;
    finding.advice = "its owner may replace the database: chown it to the user that runs vouch";
  } else if (others_write) {
    finding.verdict = Verdict::kWarning;
    finding.advice = "everybody may make files in it: give the database a folder of its own, 0700";
  } else if ((folder.mode & S_IWGRP) != 0) {
    finding.verdict = Verdict::kWarning;
    finding.advice = "its group may replace the database: chmod 0700";
  } else if ((folder.mode & (S_IRWXG | S_IRWXO)) != 0) {
    finding.verdict = Verdict::kWarning;
    finding.advice = "others may look into it: chmod 0700";
  }
  return finding;
}

EnvironmentFinding JudgeFile(const Ownership& file) {
  EnvironmentFinding finding = {"file", Verdict::kOk, Describe(file), ""};
  if (!S_ISREG(file.mode)) {
    finding.verdict = Verdict::kBad;
    finding.advice = "this is not a regular file: name another";
  } else if ((file.mode & S_IWOTH) != 0) {
    finding.verdict = Verdict::kBad;
    finding.advice = "everybody may change it: chmod 0600";
  } else if (!file.may_use) {
    finding.verdict = Verdict::kBad;
    finding.advice = "it may not be written: chown it to the user that runs vouch";
  } else if ((file.mode & S_IROTH) != 0) {
    finding.verdict = Verdict::kWarning;
    finding.advice = "everybody may read it: chmod 0600";
  } else if (file.owner != file.user) {
    finding.verdict = Verdict::kWarning;
    finding.advice = "another user owns it: chown it to the user that runs vouch";
  } else if ((file.mode & S_IRWXG) != 0) {
    finding.verdict = Verdict::kWarning;
    finding.advice = "its group may use it: chmod 0600, unless that is meant";
  }
  return finding;
}

SystemProbe SystemProbe::Real() {
  return {.volume = MeasureVolume,
          .stat = [](const std::string& path,
                     struct stat* info) { return ::lstat(path.c_str(), info) == 0 ? 0 : errno; },
          .may_use =
              [](const std::string& path, bool folder) {
                const int wanted = folder ? R_OK | W_OK | X_OK : R_OK | W_OK;
                return ::faccessat(AT_FDCWD, path.c_str(), wanted, AT_EACCESS) == 0;
              },
          .user = ::geteuid()};
}

std::vector<EnvironmentFinding> CheckEnvironment(const std::string& path,
                                                 const SystemProbe& probe) {
  std::vector<EnvironmentFinding> findings;
  const std::string folder = FolderOf(path);
  SystemProbe::Volume volume;
  if (const int error = probe.volume(folder, &volume); error != 0) {
    findings.push_back(Unmeasured("disk_space", error));
    findings.push_back(Unmeasured("file_system", error));
  } else {
    findings.push_back(JudgeDiskSpace(volume.free_bytes));
    findings.push_back(JudgeFileSystem(volume.magic, volume.read_only));
  }
  struct stat info = {};
  // "/." so that a link to a folder is the folder.
  if (const int error = probe.stat(folder + "/.", &info); error != 0) {
    findings.push_back(Unmeasured("folder", error));
  } else {
    findings.push_back(
        JudgeFolder({info.st_mode, info.st_uid, probe.user, probe.may_use(folder, true)}));
  }
  const int error = probe.stat(path, &info);
  if (error == 0) {
    findings.push_back(
        JudgeFile({info.st_mode, info.st_uid, probe.user, probe.may_use(path, false)}));
  } else if (error != ENOENT) {
    findings.push_back(Unmeasured("file", error));
  }
  return findings;
}

}  // namespace vouch::storage
