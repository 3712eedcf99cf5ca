// LogTail: what a COMMIT that the disk was too full for has left in the write-ahead log.
//
// A transaction is in the log when its last frame, which says that it is one, is there whole. A write
// that found no room has left less than that, unless what it was to overwrite happened to be the same
// bytes. Nothing can add to it later, so here looking does tell.
//
// Thread safety: the connection's: one thread at a time. Others may write meanwhile: then more is
//   found than there is of this transaction, never less.
// Cost: reads the 24 bytes before each page of the transaction.

#ifndef VOUCH_STORAGE_SQLITE_INTERNAL_LOG_TAIL_H_
#define VOUCH_STORAGE_SQLITE_INTERNAL_LOG_TAIL_H_

struct sqlite3;

namespace vouch::storage::storage_internal {

// Whether the log of "main" may hold a whole transaction behind the last that is committed. True also
// if that cannot be found out, or there is no log.
bool LogTailMayCommit(sqlite3* db);

}  // namespace vouch::storage::storage_internal

#endif  // VOUCH_STORAGE_SQLITE_INTERNAL_LOG_TAIL_H_
