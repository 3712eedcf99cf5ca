#include "tests/support/fault_vfs.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace vouch::test {
namespace {

using pool::MutexLock;

// Without its folder; null stays empty.
std::string_view BaseName(const char* path) {
  if (path == nullptr) return {};
  const std::string_view whole(path);
  return whole.substr(whole.rfind('/') + 1);
}

bool CanHit(IoFault fault, IoCall call) {
  switch (fault) {
    case IoFault::kError:
      return true;
    case IoFault::kFull:
      return call == IoCall::kWrite || call == IoCall::kShmMap;
    case IoFault::kShortWrite:
      return call == IoCall::kWrite;
  }
  return false;
}

}  // namespace

const char* NameOf(IoCall call) {
  switch (call) {
    case IoCall::kOpen:
      return "open";
    case IoCall::kRead:
      return "read";
    case IoCall::kWrite:
      return "write";
    case IoCall::kTruncate:
      return "truncate";
    case IoCall::kSync:
      return "sync";
    case IoCall::kFileSize:
      return "file size";
    case IoCall::kLock:
      return "lock";
    case IoCall::kShmMap:
      return "shm map";
    case IoCall::kShmLock:
      return "shm lock";
    case IoCall::kDelete:
      return "delete";
    case IoCall::kAccess:
      return "access";
  }
  return "?";
}

// What SQLite is given. The real file follows it in the same memory.
struct FaultVfs::File {
  sqlite3_file base;
  FaultVfs* vfs;
  const char* name;     // SQLite's; it lives as long as the file is open. Null: a temporary file.
  bool sync_directory;  // The unix VFS syncs the folder with the first sync of a new journal.

  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

struct FaultVfs::Methods {
  static File& Self(sqlite3_file* file) { return *reinterpret_cast<File*>(file); }
  static FaultVfs& Self(sqlite3_vfs* vfs) { return *static_cast<FaultVfs*>(vfs->pAppData); }
  static const sqlite3_io_methods& Real(sqlite3_file* file) { return *Self(file).real()->pMethods; }
  static bool Fails(sqlite3_file* file, IoCall call) {
    return Self(file).vfs->Fails(call, Self(file).name);
  }
  static void Record(sqlite3_file* file, IoEvent event) {
    if (Self(file).name == nullptr) return;
    event.name = BaseName(Self(file).name);
    Self(file).vfs->Record(std::move(event));
  }

  static int Open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out) {
    FaultVfs& self = Self(vfs);
    file->pMethods = nullptr;  // Nothing to close.
    if (self.Fails(IoCall::kOpen, name)) return SQLITE_CANTOPEN;
    File& opened = Self(file);
    opened.vfs = &self;
    opened.name = name;
    constexpr int kJournals =
        SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL;
    opened.sync_directory = (flags & SQLITE_OPEN_CREATE) != 0 && (flags & kJournals) != 0;
    const int code = self.real_->xOpen(self.real_, name, opened.real(), flags, out);
    if (opened.real()->pMethods == nullptr) return code;
    static const sqlite3_io_methods kMethods = {
        .iVersion = 3,
        .xClose = Close,
        .xRead = Read,
        .xWrite = Write,
        .xTruncate = Truncate,
        .xSync = Sync,
        .xFileSize = FileSize,
        .xLock = Lock,
        .xUnlock = [](sqlite3_file* f, int lock) { return Real(f).xUnlock(Self(f).real(), lock); },
        .xCheckReservedLock =
            [](sqlite3_file* f, int* held) {
              return Real(f).xCheckReservedLock(Self(f).real(), held);
            },
        .xFileControl = FileControl,
        .xSectorSize = [](sqlite3_file* f) { return Real(f).xSectorSize(Self(f).real()); },
        .xDeviceCharacteristics =
            [](sqlite3_file* f) { return Real(f).xDeviceCharacteristics(Self(f).real()); },
        .xShmMap = ShmMap,
        .xShmLock = ShmLock,
        .xShmBarrier = [](sqlite3_file* f) { Real(f).xShmBarrier(Self(f).real()); },
        .xShmUnmap = [](sqlite3_file* f,
                        int remove) { return Real(f).xShmUnmap(Self(f).real(), remove); },
        // No page is ever to be had from a mapping: SQLite then reads it.
        .xFetch =
            [](sqlite3_file*, sqlite3_int64, int, void** page) {
              *page = nullptr;
              return SQLITE_OK;
            },
        .xUnfetch = [](sqlite3_file*, sqlite3_int64, void*) { return SQLITE_OK; },
    };
    static const sqlite3_io_methods kWithoutSharedMemory = [] {
      sqlite3_io_methods methods = kMethods;
      methods.xShmMap = nullptr;
      return methods;
    }();
    file->pMethods = self.HasSharedMemory() ? &kMethods : &kWithoutSharedMemory;
    Record(file, {.kind = IoEvent::Kind::kOpen, .name = {}});
    return code;
  }

  static int Close(sqlite3_file* file) { return Real(file).xClose(Self(file).real()); }

  static int Read(sqlite3_file* file, void* buffer, int size, sqlite3_int64 offset) {
    if (Fails(file, IoCall::kRead)) return SQLITE_IOERR_READ;
    return Real(file).xRead(Self(file).real(), buffer, size, offset);
  }

  static int Write(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
    int failure = SQLITE_OK;
    if (Fails(file, IoCall::kWrite)) {
      const IoFault fault = Self(file).vfs->Fault();
      if (fault == IoFault::kFull) return SQLITE_FULL;
      failure = SQLITE_IOERR_WRITE;
      if (fault == IoFault::kError) return failure;
      size /= 2;
    }
    const int code = Real(file).xWrite(Self(file).real(), data, size, offset);
    if (code == SQLITE_OK) {
      Record(file, {.kind = IoEvent::Kind::kWrite,
                    .name = {},
                    .offset = offset,
                    .data = {static_cast<const char*>(data), static_cast<std::size_t>(size)}});
    }
    return failure == SQLITE_OK ? code : failure;
  }

  static int Truncate(sqlite3_file* file, sqlite3_int64 size) {
    if (Fails(file, IoCall::kTruncate)) return SQLITE_IOERR_TRUNCATE;
    const int code = Real(file).xTruncate(Self(file).real(), size);
    if (code == SQLITE_OK) {
      Record(file, {.kind = IoEvent::Kind::kTruncate, .name = {}, .offset = size});
    }
    return code;
  }

  static int Sync(sqlite3_file* file, int /*flags*/) {
    File& self = Self(file);
    if (Fails(file, IoCall::kSync)) {
      Record(file, {.kind = IoEvent::Kind::kFailedSync, .name = {}});
      return SQLITE_IOERR_FSYNC;
    }
    Record(file, {.kind = IoEvent::Kind::kSync,
                  .name = {},
                  .directory = std::exchange(self.sync_directory, false)});
    return SQLITE_OK;
  }

  static int FileSize(sqlite3_file* file, sqlite3_int64* size) {
    if (Fails(file, IoCall::kFileSize)) return SQLITE_IOERR_FSTAT;
    return Real(file).xFileSize(Self(file).real(), size);
  }

  static int Lock(sqlite3_file* file, int lock) {
    if (Fails(file, IoCall::kLock)) return SQLITE_IOERR_LOCK;
    return Real(file).xLock(Self(file).real(), lock);
  }

  static int FileControl(sqlite3_file* file, int operation, void* argument) {
    const auto forward = [&] {
      return Real(file).xFileControl(Self(file).real(), operation, argument);
    };
    if (operation != SQLITE_FCNTL_SIZE_HINT) return forward();
    // The unix VFS makes the file that large when it may be mapped.
    if (Fails(file, IoCall::kTruncate)) return SQLITE_IOERR_TRUNCATE;
    sqlite3_int64 before = 0;
    sqlite3_int64 after = 0;
    (void)Real(file).xFileSize(Self(file).real(), &before);
    const int code = forward();
    (void)Real(file).xFileSize(Self(file).real(), &after);
    if (before != after) {
      Record(file, {.kind = IoEvent::Kind::kTruncate, .name = {}, .offset = after});
    }
    return code;
  }

  static int ShmMap(sqlite3_file* file, int page, int size, int extend, void volatile** memory) {
    // What is there already needs no room.
    const bool needs_room = extend != 0 || Self(file).vfs->Fault() != IoFault::kFull;
    if (needs_room && Fails(file, IoCall::kShmMap)) {
      *memory = nullptr;
      return Self(file).vfs->Fault() == IoFault::kFull ? SQLITE_IOERR_SHMSIZE : SQLITE_IOERR_SHMMAP;
    }
    return Real(file).xShmMap(Self(file).real(), page, size, extend, memory);
  }

  static int ShmLock(sqlite3_file* file, int offset, int count, int flags) {
    const bool locks = (flags & SQLITE_SHM_LOCK) != 0;
    if (locks && Fails(file, IoCall::kShmLock)) return SQLITE_IOERR_SHMLOCK;
    return Real(file).xShmLock(Self(file).real(), offset, count, flags);
  }

  static int Delete(sqlite3_vfs* vfs, const char* name, int sync_directory) {
    FaultVfs& self = Self(vfs);
    if (self.Fails(IoCall::kDelete, name)) return SQLITE_IOERR_DELETE;
    const int code = self.real_->xDelete(self.real_, name, 0);
    if (code != SQLITE_OK) return code;
    const bool synced = sync_directory != 0 && !self.Fails(IoCall::kSync, name);
    self.Record(
        {.kind = IoEvent::Kind::kDelete, .name = std::string(BaseName(name)), .directory = synced});
    return sync_directory != 0 && !synced ? SQLITE_IOERR_DIR_FSYNC : SQLITE_OK;
  }

  static int Access(sqlite3_vfs* vfs, const char* name, int flags, int* result) {
    FaultVfs& self = Self(vfs);
    if (self.Fails(IoCall::kAccess, name)) return SQLITE_IOERR_ACCESS;
    return self.real_->xAccess(self.real_, name, flags, result);
  }
};

FaultVfs::FaultVfs() : real_(sqlite3_vfs_find(nullptr)), vfs_(*real_) {
  static_assert(sizeof(File) % alignof(std::max_align_t) == 0, "the real file follows it");
  vfs_.szOsFile = static_cast<int>(sizeof(File)) + real_->szOsFile;
  vfs_.zName = "vouch-fault";
  vfs_.pAppData = this;
  vfs_.xOpen = Methods::Open;
  vfs_.xDelete = Methods::Delete;
  vfs_.xAccess = Methods::Access;
  if (sqlite3_vfs_register(&vfs_, /*makeDflt=*/1) != SQLITE_OK) std::abort();
}

FaultVfs::~FaultVfs() {
  sqlite3_vfs_unregister(&vfs_);
  sqlite3_vfs_register(real_, /*makeDflt=*/1);
}

void FaultVfs::Arm(const FaultPlan& plan) {
  const MutexLock lock(&mutex_);
  plan_ = plan;
  hit_ = 0;
  counts_.fill(0);
  failed_.clear();
}

bool FaultVfs::Fails(IoCall call, const char* file) {
  const MutexLock lock(&mutex_);
  ++counts_[static_cast<std::size_t>(call)];
  if (!CanHit(plan_.fault, call)) return false;
  const bool spread = plan_.spreads && !failed_.empty();
  if (call != plan_.call.value_or(call) && !spread) return false;
  ++hit_;
  const bool fails = plan_.at > 0 && (hit_ == plan_.at || (plan_.sticky && hit_ > plan_.at));
  if (fails && failed_.empty()) {
    failed_ = std::string(NameOf(call)) + " of " + std::string(BaseName(file));
  }
  return fails;
}

void FaultVfs::HideSharedMemory() {
  const MutexLock lock(&mutex_);
  has_shared_memory_ = false;
}

bool FaultVfs::HasSharedMemory() const {
  const MutexLock lock(&mutex_);
  return has_shared_memory_;
}

IoFault FaultVfs::Fault() const {
  const MutexLock lock(&mutex_);
  return plan_.fault;
}

std::int64_t FaultVfs::calls() const {
  const MutexLock lock(&mutex_);
  return hit_;
}

std::int64_t FaultVfs::calls(IoCall call) const {
  const MutexLock lock(&mutex_);
  return counts_[static_cast<std::size_t>(call)];
}

std::string FaultVfs::failed() const {
  const MutexLock lock(&mutex_);
  return failed_;
}

void FaultVfs::StartRecording() {
  const MutexLock lock(&mutex_);
  events_.clear();
}

void FaultVfs::Record(IoEvent event) {
  const MutexLock lock(&mutex_);
  events_.push_back(std::move(event));
}

std::vector<IoEvent> FaultVfs::events() const {
  const MutexLock lock(&mutex_);
  return events_;
}

std::size_t FaultVfs::event_count() const {
  const MutexLock lock(&mutex_);
  return events_.size();
}

}  // namespace vouch::test
