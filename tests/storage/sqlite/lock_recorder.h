// LockRecorder: SQLite's default file system, watching who moves pages into a database file.
//
//   LockRecorder recorder;              // the default for files opened from now on
//   … use databases, also in processes forked from this one …
//   EXPECT_EQ(recorder.violations(), 0);
//
// A page of a database file is written by a checkpoint, as long as the database keeps a log. So:
//   - a write to the database file is right while the connection that makes it holds the log's write
//     lock, which nobody else can hold then, or the database file all for itself;
//   - a write to the log is right under the same condition.
// If both are kept no checkpoint ever overlaps a write, by any connection of any process.
//
// Besides, the holder of the write lock is kept in memory that all processes share, so that the
// recorder would notice if two held it at once.
//
// Thread safety: any thread, any process; construction and destruction excepted.
// Ownership: files opened through it must be closed before it is destroyed. One at a time, and one
//   database.

#ifndef VOUCH_TESTS_STORAGE_SQLITE_LOCK_RECORDER_H_
#define VOUCH_TESTS_STORAGE_SQLITE_LOCK_RECORDER_H_

#include <sqlite3.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <new>

namespace vouch::storage::testing_support {

class LockRecorder {
 public:
  LockRecorder() : real_(sqlite3_vfs_find(nullptr)), vfs_(*real_) {
    void* memory =
        ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    shared_ = new (memory) Shared;
    vfs_.szOsFile = static_cast<int>(sizeof(File)) + real_->szOsFile;
    vfs_.zName = "lock-recorder";
    vfs_.pAppData = this;
    vfs_.xOpen = &Open;
    sqlite3_vfs_register(&vfs_, /*makeDflt=*/1);
  }
  ~LockRecorder() {
    sqlite3_vfs_unregister(&vfs_);
    sqlite3_vfs_register(real_, /*makeDflt=*/1);
    ::munmap(shared_, sizeof(Shared));
  }
  LockRecorder(const LockRecorder&) = delete;
  LockRecorder& operator=(const LockRecorder&) = delete;

  // Pages moved beside somebody's write, or written to the log without the lock; locks held twice.
  std::int64_t violations() const { return shared_->violations; }
  // Pages moved, and pieces of the log written, under the write lock.
  std::int64_t moves() const { return shared_->moves; }
  std::int64_t log_writes() const { return shared_->log_writes; }
  // Times the write lock went from one process to another.
  std::int64_t turns() const { return shared_->turns; }

 private:
  // As the format of the log's index numbers them.
  static constexpr int kWriteLock = 0;

  struct Shared {
    std::atomic<std::int64_t> violations{0};
    std::atomic<std::int64_t> moves{0};
    std::atomic<std::int64_t> log_writes{0};
    std::atomic<std::int64_t> turns{0};
    std::atomic<bool> write_locked{false};
    std::atomic<pid_t> last_process{0};
  };
  struct File {
    sqlite3_file base;
    LockRecorder* recorder;
    sqlite3_file* real;
    File* database;  // Of a log: the file it belongs to. Null until that is known.
    bool is_database;
    bool is_log;
    bool has_write_lock;  // Of a database.
    int lock;             // Of a database: SQLITE_LOCK_…
  };

  static File& Of(sqlite3_file* file) { return *reinterpret_cast<File*>(file); }
  static sqlite3_file* Real(sqlite3_file* file) { return Of(file).real; }

  static int Open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out) {
    auto* const recorder = static_cast<LockRecorder*>(vfs->pAppData);
    auto* const real = reinterpret_cast<sqlite3_file*>(&Of(file) + 1);
    Of(file) = {.base = {.pMethods = nullptr},
                .recorder = recorder,
                .real = real,
                .database = nullptr,
                .is_database = (flags & SQLITE_OPEN_MAIN_DB) != 0,
                .is_log = (flags & SQLITE_OPEN_WAL) != 0,
                .has_write_lock = false,
                .lock = SQLITE_LOCK_NONE};
    if (Of(file).is_log) {
      // The log is opened by the connection that has opened its database, with the same name object.
      Of(file).database = reinterpret_cast<File*>(sqlite3_database_file_object(name));
    }
    const int code = recorder->real_->xOpen(recorder->real_, name, real, flags, out);
    if (real->pMethods != nullptr) file->pMethods = &kMethods;
    return code;
  }

  static int Write(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
    const File& self = Of(file);
    const File* const database = self.is_log ? self.database : &self;
    if (self.is_log || self.is_database) {
      const bool right = database->has_write_lock || database->lock == SQLITE_LOCK_EXCLUSIVE;
      Shared& shared = *self.recorder->shared_;
      ++(!right ? shared.violations : self.is_log ? shared.log_writes : shared.moves);
    }
    return Real(file)->pMethods->xWrite(Real(file), data, size, offset);
  }

  static int ShmLock(sqlite3_file* file, int offset, int count, int flags) {
    File& self = Of(file);
    const bool about_writing =
        offset <= kWriteLock && kWriteLock < offset + count && (flags & SQLITE_SHM_EXCLUSIVE) != 0;
    const bool gives_up = about_writing && (flags & SQLITE_SHM_UNLOCK) != 0;
    Shared& shared = *self.recorder->shared_;
    if (gives_up && self.has_write_lock) {
      self.has_write_lock = false;
      shared.write_locked = false;
    }
    const int code = Real(file)->pMethods->xShmLock(Real(file), offset, count, flags);
    if (!about_writing || gives_up || code != SQLITE_OK) return code;
    self.has_write_lock = true;
    if (shared.write_locked.exchange(true)) ++shared.violations;
    if (shared.last_process.exchange(::getpid()) != ::getpid()) ++shared.turns;
    return code;
  }

  static int Lock(sqlite3_file* file, int level) {
    const int code = Real(file)->pMethods->xLock(Real(file), level);
    if (code == SQLITE_OK && level > Of(file).lock) Of(file).lock = level;
    return code;
  }
  static int Unlock(sqlite3_file* file, int level) {
    Of(file).lock = level;
    return Real(file)->pMethods->xUnlock(Real(file), level);
  }

  static const sqlite3_io_methods kMethods;

  sqlite3_vfs* const real_;
  sqlite3_vfs vfs_;
  Shared* shared_;
};

// The rest only passes on.
inline const sqlite3_io_methods LockRecorder::kMethods = {
    .iVersion = 3,
    .xClose = [](sqlite3_file* file) { return Real(file)->pMethods->xClose(Real(file)); },
    .xRead =
        [](sqlite3_file* file, void* data, int size, sqlite3_int64 offset) {
          return Real(file)->pMethods->xRead(Real(file), data, size, offset);
        },
    .xWrite = &Write,
    .xTruncate =
        [](sqlite3_file* file, sqlite3_int64 size) {
          return Real(file)->pMethods->xTruncate(Real(file), size);
        },
    .xSync = [](sqlite3_file* file,
                int flags) { return Real(file)->pMethods->xSync(Real(file), flags); },
    .xFileSize =
        [](sqlite3_file* file, sqlite3_int64* size) {
          return Real(file)->pMethods->xFileSize(Real(file), size);
        },
    .xLock = &Lock,
    .xUnlock = &Unlock,
    .xCheckReservedLock =
        [](sqlite3_file* file, int* out) {
          return Real(file)->pMethods->xCheckReservedLock(Real(file), out);
        },
    .xFileControl =
        [](sqlite3_file* file, int op, void* argument) {
          return Real(file)->pMethods->xFileControl(Real(file), op, argument);
        },
    .xSectorSize = [](sqlite3_file* file) { return Real(file)->pMethods->xSectorSize(Real(file)); },
    .xDeviceCharacteristics =
        [](sqlite3_file* file) { return Real(file)->pMethods->xDeviceCharacteristics(Real(file)); },
    .xShmMap =
        [](sqlite3_file* file, int page, int size, int extend, void volatile** out) {
          return Real(file)->pMethods->xShmMap(Real(file), page, size, extend, out);
        },
    .xShmLock = &ShmLock,
    .xShmBarrier = [](sqlite3_file* file) { Real(file)->pMethods->xShmBarrier(Real(file)); },
    .xShmUnmap = [](sqlite3_file* file,
                    int remove) { return Real(file)->pMethods->xShmUnmap(Real(file), remove); },
    .xFetch =
        [](sqlite3_file* file, sqlite3_int64 offset, int size, void** out) {
          return Real(file)->pMethods->xFetch(Real(file), offset, size, out);
        },
    .xUnfetch = [](sqlite3_file* file, sqlite3_int64 offset,
                   void* page) { return Real(file)->pMethods->xUnfetch(Real(file), offset, page); },
};

}  // namespace vouch::storage::testing_support

#endif  // VOUCH_TESTS_STORAGE_SQLITE_LOCK_RECORDER_H_
