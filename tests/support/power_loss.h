// Disk: what a folder may hold after a loss of power, worked out from what was written and synced.
//
//   Disk disk;                                  // an empty folder
//   for (const IoEvent& event : vfs.events()) {
//     disk.Apply(event);
//     Disk::Files files = disk.AfterPowerLoss(Loss::kTorn, random);
//     … a database that opens these files must find every committed unit whole …
//   }
//
// The model is as unkind as POSIX allows:
//   - A sync makes a file's own bytes safe. What was written since is lost or there in pieces of a
//     sector: each of them is, independently of the others and thus in any order, as it was after
//     some number of the writes since the sync. The size likewise.
//   - Making and deleting a file are safe when the folder has been synced; until then any number of
//     the first such steps has happened. A file that is not in the folder is lost with its bytes.
//   - A sync that failed is not made good by a later one: the kernel may have marked the pages
//   clean.
//     What it should have made safe stays in doubt until it is written again, or the file is opened
//     again. (The last is kinder than Linux: who recovers a log whose sync has failed reads it from
//     memory, and nothing tells that it is not on the disk. No database is safe from that.)
//
// A database's shared memory (-shm) is no part of it: it is made anew by the first who opens.
//
// Thread safety: one thread at a time.

#ifndef VOUCH_TESTS_SUPPORT_POWER_LOSS_H_
#define VOUCH_TESTS_SUPPORT_POWER_LOSS_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/fault_vfs.h"
#include "tests/support/random.h"

namespace vouch::test {

// What happens to what was not synced.
enum class Loss {
  kNone,     // The process died, the kernel did not: everything written is there.
  kAll,      // Nothing of it is.
  kTorn,     // Some sectors.
  kGarbage,  // Some sectors, and where a file grew over lost ones, any bytes.
};

class Disk {
 public:
  using Files = std::map<std::string, std::string>;  // Bytes by name.

  Disk() = default;
  // These files, safe.
  explicit Disk(const Files& files);
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  void Apply(const IoEvent& event);
  Files AfterPowerLoss(Loss loss, Random& random) const;

 private:
  struct Change {
    std::int64_t offset = 0;
    std::string data = {};
    bool truncates = false;  // To `offset`.
    bool doubtful = false;   // A sync of it failed.
  };
  struct File {
    std::string safe;
    std::vector<Change> unsafe;  // In the order in which they were made.
  };
  struct FolderChange {
    std::string name;
    std::shared_ptr<File> made;  // Null: deleted.
  };

  static void Sync(File& file);
  static std::string BytesOf(const File& file, Loss loss, Random& random);
  void SyncFolder();

  std::map<std::string, std::shared_ptr<File>> folder_;  // As it is now.
  std::map<std::string, std::shared_ptr<File>> safe_folder_;
  std::vector<FolderChange> unsafe_;
};

// All files in `folder` but shared memory; and the opposite, into a folder emptied for it.
Disk::Files ReadFolder(const std::filesystem::path& folder);
void WriteFolder(const std::filesystem::path& folder, const Disk::Files& files);

}  // namespace vouch::test

#endif  // VOUCH_TESTS_SUPPORT_POWER_LOSS_H_
