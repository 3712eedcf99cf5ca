#ifndef VOUCH_STORAGE_MIGRATIONS_INTERNAL_VIEW_H_
#define VOUCH_STORAGE_MIGRATIONS_INTERNAL_VIEW_H_

#include <string_view>

#include "absl/strings/string_view.h"

namespace vouch::storage::migrations_internal {

// `text` as Abseil's functions take it: in packaged versions their view is a type of its own.
inline absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace vouch::storage::migrations_internal

#endif  // VOUCH_STORAGE_MIGRATIONS_INTERNAL_VIEW_H_
