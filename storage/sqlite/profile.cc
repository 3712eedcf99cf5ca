#include "storage/sqlite/profile.h"

#include <sqlite3.h>

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "storage/error.h"
#include "storage/sqlite/error.h"
#include "storage/status_macros.h"

namespace vouch::storage {
namespace {

// Runs a PRAGMA and returns the first column of its first row as text, "" without a row.
absl::StatusOr<std::string> RunPragma(sqlite3* db, const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  int code = sqlite3_prepare_v2(db, sql.c_str(), static_cast<int>(sql.size()), &statement, nullptr);
  std::string value;
  if (code == SQLITE_OK) {
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
      if (text != nullptr) value = text;
      while (code == SQLITE_ROW) code = sqlite3_step(statement);
    }
  }
  absl::Status status;
  if (code != SQLITE_OK && code != SQLITE_DONE) status = SqliteError(db, code, "profile", sql);
  sqlite3_finalize(statement);
  if (!status.ok()) return status;
  return value;
}

// Whether the file system lets connections share memory, which a write-ahead log needs.
bool HasSharedMemory(sqlite3* db) {
  sqlite3_file* file = nullptr;
  if (sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK) return true;
  if (file == nullptr || file->pMethods == nullptr) return true;
  return file->pMethods->iVersion >= 2 && file->pMethods->xShmMap != nullptr;
}

constexpr char kNoSharedMemory[] =
    "; write-ahead logging needs shared memory, which network file systems do not give: move the "
    "file to a local disk, or open it with JournalMode::kDelete";

absl::Status Set(sqlite3* db, std::string_view name, const std::string& value) {
  return RunPragma(db, absl::StrCat("PRAGMA ", std::string(name), " = ", value)).status();
}

absl::Status SetAndReadBack(sqlite3* db, std::string_view name, const std::string& value) {
  VOUCH_RETURN_IF_ERROR(Set(db, name, value));
  VOUCH_ASSIGN_OR_RETURN(const std::string actual,
                         RunPragma(db, absl::StrCat("PRAGMA ", std::string(name))));
  if (actual == value) return absl::OkStatus();
  std::string hint;
  if (name == "journal_mode" && value == "wal") {
    hint = kNoSharedMemory;
  }
  return absl::FailedPreconditionError(absl::StrCat("profile: ", std::string(name), " is ", actual,
                                                    ", not ", value, " as set", hint));
}

absl::Status ApplyAll(sqlite3* db, const Profile& profile, ProfileScope scope) {
  const auto number = [](auto value) { return absl::StrCat(static_cast<std::int64_t>(value)); };
  if (scope.created && !scope.read_only) {
    VOUCH_RETURN_IF_ERROR(SetAndReadBack(db, "auto_vacuum", number(profile.auto_vacuum)));
  }
  if (!scope.in_memory && !scope.read_only) {
    VOUCH_RETURN_IF_ERROR(SetAndReadBack(
        db, "journal_mode", profile.journal_mode == JournalMode::kWal ? "wal" : "delete"));
  }
  if (!scope.in_memory) {
    VOUCH_RETURN_IF_ERROR(SetAndReadBack(db, "mmap_size", number(profile.mmap_size_bytes)));
    VOUCH_RETURN_IF_ERROR(
        SetAndReadBack(db, "journal_size_limit", number(profile.journal_size_limit_bytes)));
  }
  VOUCH_RETURN_IF_ERROR(SetAndReadBack(db, "synchronous", number(profile.synchronous)));
  VOUCH_RETURN_IF_ERROR(SetAndReadBack(db, "foreign_keys", profile.foreign_keys ? "1" : "0"));
  VOUCH_RETURN_IF_ERROR(SetAndReadBack(db, "cache_size", number(profile.cache_size)));
  return SetAndReadBack(db, "temp_store", number(profile.temp_store));
}

// What SQLite itself sets when it is not told otherwise.
Profile Unasked() {
  return {.cache_size = -2000,
          .temp_store = TempStore::kDefault,
          .mmap_size_bytes = 0,
          .auto_vacuum = AutoVacuum::kNone};
}

}  // namespace

Profile Profile::Minimal() {
  Profile profile = Unasked();
  profile.synchronous = Synchronous::kNormal;
  return profile;
}

Profile Profile::SqliteDefault() {
  Profile profile = Unasked();
  profile.journal_mode = JournalMode::kDelete;
  profile.journal_size_limit_bytes = -1;
  return profile;
}

absl::Status ApplyProfile(sqlite3* db, const Profile& profile, ProfileScope scope) {
  const absl::Status status = ApplyAll(db, profile, scope);
  // A file that has a write-ahead log already cannot even be read without shared memory.
  if ((NativeCode(status).value_or(0) & 0xFF) != SQLITE_CANTOPEN || HasSharedMemory(db)) {
    return status;
  }
  return WithNativeCode(
      absl::Status(status.code(), absl::StrCat(std::string(status.message()), kNoSharedMemory)),
      SQLITE_CANTOPEN);
}

}  // namespace vouch::storage
