#include "storage/sqlite/internal/log_tail.h"

#include <sqlite3.h>

#include <array>
#include <cstdint>
#include <cstring>

namespace vouch::storage::storage_internal {
namespace {

// https://www.sqlite.org/walformat.html
constexpr int kLogHeaderBytes = 32;
constexpr int kFrameHeaderBytes = 24;
constexpr int kSaltBytes = 8;
constexpr int kIndexRegionBytes = 32'768;

std::uint32_t BigEndian(const unsigned char* bytes) {
  return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 |
         std::uint32_t{bytes[2]} << 8 | std::uint32_t{bytes[3]};
}

// What the index of the log begins with, in the machine's byte order but for the salt.
struct IndexHeader {
  std::uint32_t version, unused, change;
  unsigned char initialized, big_endian;
  std::uint16_t page_size;  // 1: 65536
  std::uint32_t max_frame;  // The last that is committed.
  std::uint32_t pages, checksum[2];
  unsigned char salt[kSaltBytes];  // Of the frames of this use of the file.
};
static_assert(sizeof(IndexHeader) == 40);

bool ReadIndex(sqlite3* db, IndexHeader& header) {
  sqlite3_file* file = nullptr;
  if (sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK ||
      file == nullptr || file->pMethods == nullptr || file->pMethods->iVersion < 2 ||
      file->pMethods->xShmMap == nullptr) {
    return false;
  }
  void volatile* index = nullptr;  // The connection has it mapped already.
  if (file->pMethods->xShmMap(file, 0, kIndexRegionBytes, 0, &index) != SQLITE_OK ||
      index == nullptr) {
    return false;
  }
  std::memcpy(&header, const_cast<void*>(index), sizeof(header));
  return true;
}

bool IsLog(sqlite3_file* file) {
  constexpr std::uint32_t kMagic = 0x377f0682;  // The lowest bit says in which order it sums up.
  std::array<unsigned char, kLogHeaderBytes> header;
  return file->pMethods->xRead(file, header.data(), kLogHeaderBytes, 0) == SQLITE_OK &&
         (BigEndian(header.data()) & ~1U) == kMagic;
}

}  // namespace

bool LogTailMayCommit(sqlite3* db) {
  sqlite3_file* log = nullptr;
  if (sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) != SQLITE_OK ||
      log == nullptr || log->pMethods == nullptr || !IsLog(log)) {
    return true;
  }
  sqlite3_int64 size = 0;
  IndexHeader index;
  if (log->pMethods->xFileSize(log, &size) != SQLITE_OK || !ReadIndex(db, index)) return true;
  const sqlite3_int64 frame_bytes =
      kFrameHeaderBytes + (index.page_size == 1 ? 65'536 : sqlite3_int64{index.page_size});
  for (sqlite3_int64 at = kLogHeaderBytes + index.max_frame * frame_bytes; at + frame_bytes <= size;
       at += frame_bytes) {
    std::array<unsigned char, kFrameHeaderBytes> frame;
    if (log->pMethods->xRead(log, frame.data(), kFrameHeaderBytes, at) != SQLITE_OK) return true;
    // Of an earlier use of the file: it follows on none of this one's.
    if (std::memcmp(&frame[8], index.salt, kSaltBytes) != 0) return false;
    if (BigEndian(&frame[4]) != 0) return true;  // The last of a transaction.
  }
  return false;
}

}  // namespace vouch::storage::storage_internal
