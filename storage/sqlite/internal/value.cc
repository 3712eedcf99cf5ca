#include "storage/sqlite/internal/value.h"

#include <sqlite3.h>

namespace vouch::storage::storage_internal {

std::optional<ValueView> ViewOf(sqlite3_value* value) {
  switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER:
      return ValueView::Integer(sqlite3_value_int64(value));
    case SQLITE_FLOAT:
      return ValueView::Real(sqlite3_value_double(value));
    case SQLITE_TEXT:
    case SQLITE_BLOB: {
      const bool is_text = sqlite3_value_type(value) == SQLITE_TEXT;
      const auto* data = static_cast<const char*>(sqlite3_value_blob(value));
      const auto size = static_cast<std::size_t>(sqlite3_value_bytes(value));
      if (data == nullptr && size > 0) return std::nullopt;
      const std::string_view bytes = data == nullptr ? "" : std::string_view(data, size);
      return is_text ? ValueView::Text(bytes) : ValueView::Blob(bytes);
    }
    default:
      return ValueView();
  }
}

void SetResult(sqlite3_context* context, ValueView value) {
  switch (value.type()) {
    case ValueType::kNull:
      return sqlite3_result_null(context);
    case ValueType::kInteger:
      return sqlite3_result_int64(context, value.integer());
    case ValueType::kReal:
      return sqlite3_result_double(context, value.real());
    case ValueType::kText:
      return sqlite3_result_text64(context, value.bytes().data(), value.bytes().size(),
                                   SQLITE_TRANSIENT, SQLITE_UTF8);
    case ValueType::kBlob:
      return sqlite3_result_blob64(context, value.bytes().data(), value.bytes().size(),
                                   SQLITE_TRANSIENT);
  }
}

}  // namespace vouch::storage::storage_internal
