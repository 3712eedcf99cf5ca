// SQLite's values as views, and views as results of functions.
//
// Thread safety: the connection's.
// Ownership: a view lasts as long as SQLite keeps the value: during the call it was given to.

#ifndef VOUCH_STORAGE_SQLITE_INTERNAL_VALUE_H_
#define VOUCH_STORAGE_SQLITE_INTERNAL_VALUE_H_

#include <optional>

#include "storage/value.h"

struct sqlite3_context;
struct sqlite3_value;

namespace vouch::storage::storage_internal {

// Nothing when there was no memory for it. Text is read as the blob it is stored as: for text
// SQLite wants a NUL byte at the end, needs memory for that, and without it would say that it is
// empty.
std::optional<ValueView> ViewOf(sqlite3_value* value);

// Copies `value` into the result of a function call.
void SetResult(sqlite3_context* context, ValueView value);

}  // namespace vouch::storage::storage_internal

#endif  // VOUCH_STORAGE_SQLITE_INTERNAL_VALUE_H_
