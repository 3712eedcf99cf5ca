#include "tests/support/power_loss.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <set>
#include <utility>

namespace vouch::test {
namespace {

constexpr std::int64_t kSector = 512;

std::int64_t SizeOf(const std::string& bytes) { return static_cast<std::int64_t>(bytes.size()); }

void Put(std::string& bytes, std::int64_t offset, const char* data, std::int64_t size) {
  const std::int64_t end = offset + size;
  if (SizeOf(bytes) < end) bytes.resize(static_cast<std::size_t>(end), '\0');
  std::memcpy(bytes.data() + offset, data, static_cast<std::size_t>(size));
}

// Calls `visit(sector, begin, end)` for the part of each sector that [offset, offset + size)
// covers.
template <typename Visitor>
void ForEachSector(std::int64_t offset, std::int64_t size, const Visitor& visit) {
  for (std::int64_t at = offset; at < offset + size;) {
    const std::int64_t sector = at / kSector;
    const std::int64_t end = std::min((sector + 1) * kSector, offset + size);
    visit(sector, at, end);
    at = end;
  }
}

bool IsSharedMemory(const std::string& name) { return name.ends_with("-shm"); }

}  // namespace

Disk::Disk(const Files& files) {
  for (const auto& [name, bytes] : files) {
    folder_[name] = std::make_shared<File>(File{.safe = bytes, .unsafe = {}});
  }
  safe_folder_ = folder_;
}

void Disk::Apply(const IoEvent& event) {
  if (IsSharedMemory(event.name)) return;
  std::shared_ptr<File>& file = folder_[event.name];
  if (file == nullptr) {
    // Made by this call, or beside SQLite just before it.
    file = std::make_shared<File>();
    unsafe_.push_back({.name = event.name, .made = file});
  }
  switch (event.kind) {
    case IoEvent::Kind::kOpen:
      for (Change& change : file->unsafe) change.doubtful = false;
      break;
    case IoEvent::Kind::kWrite:
      file->unsafe.push_back({.offset = event.offset, .data = event.data});
      break;
    case IoEvent::Kind::kTruncate:
      file->unsafe.push_back({.offset = event.offset, .truncates = true});
      break;
    case IoEvent::Kind::kSync:
      Sync(*file);
      break;
    case IoEvent::Kind::kFailedSync:
      for (Change& change : file->unsafe) change.doubtful = !change.truncates;
      break;
    case IoEvent::Kind::kDelete:
      unsafe_.push_back({.name = event.name, .made = nullptr});
      folder_.erase(event.name);
      break;
  }
  if (event.directory) SyncFolder();
}

void Disk::Sync(File& file) {
  // What is in doubt becomes safe where it has been written again since: the whole sector is.
  std::set<std::int64_t> rewritten;
  for (const Change& change : file.unsafe) {
    if (change.doubtful) continue;
    ForEachSector(change.offset, SizeOf(change.data),
                  [&](std::int64_t sector, auto, auto) { rewritten.insert(sector); });
  }
  std::vector<Change> doubtful;
  for (const Change& change : file.unsafe) {
    if (change.truncates) {
      file.safe.resize(static_cast<std::size_t>(change.offset), '\0');
      continue;
    }
    ForEachSector(change.offset, SizeOf(change.data),
                  [&](std::int64_t sector, std::int64_t begin, std::int64_t end) {
                    const char* data = change.data.data() + (begin - change.offset);
                    if (!change.doubtful || rewritten.contains(sector)) {
                      Put(file.safe, begin, data, end - begin);
                    } else {
                      doubtful.push_back({.offset = begin,
                                          .data = {data, static_cast<std::size_t>(end - begin)},
                                          .doubtful = true});
                    }
                  });
  }
  file.unsafe = std::move(doubtful);
}

void Disk::SyncFolder() {
  safe_folder_ = folder_;
  unsafe_.clear();
}

std::string Disk::BytesOf(const File& file, Loss loss, Random& random) {
  std::string bytes = file.safe;
  if (loss == Loss::kAll || file.unsafe.empty()) return bytes;
  const bool torn = loss != Loss::kNone;
  const std::size_t changes = file.unsafe.size();

  // Of each sector, and of the size, how many of the changes have arrived.
  std::map<std::int64_t, std::size_t> arrived;
  const std::size_t size_arrived = torn ? random.Uniform<std::size_t>(0, changes) : changes;
  const auto has_arrived = [&](std::int64_t sector, std::size_t change) {
    if (!torn) return true;
    const auto [found, is_new] = arrived.try_emplace(sector, 0);
    if (is_new) found->second = random.Uniform<std::size_t>(0, changes);
    return change < found->second;
  };

  std::int64_t size = SizeOf(file.safe);
  std::set<std::int64_t> lost;  // Sectors of which no change has arrived.
  for (std::size_t i = 0; i < changes; ++i) {
    const Change& change = file.unsafe[i];
    if (i < size_arrived) {
      size = change.truncates ? change.offset : std::max(size, change.offset + SizeOf(change.data));
    }
    if (change.truncates) {
      // What lies beyond is zero when the file grows again.
      const std::int64_t end = SizeOf(bytes);
      ForEachSector(change.offset, std::max<std::int64_t>(0, end - change.offset),
                    [&](std::int64_t sector, std::int64_t begin, std::int64_t until) {
                      if (has_arrived(sector, i)) {
                        std::fill(bytes.begin() + begin, bytes.begin() + until, '\0');
                      }
                    });
      continue;
    }
    ForEachSector(change.offset, SizeOf(change.data),
                  [&](std::int64_t sector, std::int64_t begin, std::int64_t end) {
                    if (has_arrived(sector, i)) {
                      Put(bytes, begin, change.data.data() + (begin - change.offset), end - begin);
                      lost.erase(sector);
                    } else if (begin >= SizeOf(file.safe) && arrived[sector] == 0) {
                      lost.insert(sector);
                    }
                  });
  }
  bytes.resize(static_cast<std::size_t>(size), '\0');
  if (loss == Loss::kGarbage) {
    for (const std::int64_t sector : lost) {
      // Never over what was safe in the same sector: disks are trusted that far (SQLite calls it
      // powersafe overwrite).
      const std::int64_t begin = std::max(sector * kSector, SizeOf(file.safe));
      const std::int64_t end = std::min((sector + 1) * kSector, size);
      if (begin >= end) continue;
      const std::string garbage = random.Bytes(static_cast<std::size_t>(end - begin));
      bytes.replace(static_cast<std::size_t>(begin), garbage.size(), garbage);
    }
  }
  return bytes;
}

Disk::Files Disk::AfterPowerLoss(Loss loss, Random& random) const {
  auto folder = safe_folder_;
  const std::size_t steps = loss == Loss::kNone  ? unsafe_.size()
                            : loss == Loss::kAll ? 0
                                                 : random.Uniform<std::size_t>(0, unsafe_.size());
  for (std::size_t i = 0; i < steps; ++i) {
    if (unsafe_[i].made == nullptr) {
      folder.erase(unsafe_[i].name);
    } else {
      folder[unsafe_[i].name] = unsafe_[i].made;
    }
  }
  Files files;
  for (const auto& [name, file] : folder) files[name] = BytesOf(*file, loss, random);
  return files;
}

Disk::Files ReadFolder(const std::filesystem::path& folder) {
  Disk::Files files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (IsSharedMemory(name)) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    files[name] = {std::istreambuf_iterator<char>(file), {}};
  }
  return files;
}

void WriteFolder(const std::filesystem::path& folder, const Disk::Files& files) {
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::filesystem::remove(entry.path());
  }
  for (const auto& [name, bytes] : files) {
    std::ofstream(folder / name, std::ios::binary) << bytes;
  }
}

}  // namespace vouch::test
