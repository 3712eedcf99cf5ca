#include "storage/sqlite/internal/value.h"

#include <sqlite3.h>

namespace vouch::storage::storage_internal {

ValueView ViewOf(sqlite3_value* value) {
  switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER:
      return ValueView::Integer(sqlite3_value_int64(value));
    case SQLITE_FLOAT:
      return ValueView::Real(sqlite3_value_double(value));
    case SQLITE_TEXT: {
      const auto* text = reinterpret_cast<const char*>(sqlite3_value_text(value));
      return ValueView::Text({text, static_cast<std::size_t>(sqlite3_value_bytes(value))});
    }
    case SQLITE_BLOB: {
      const auto* blob = static_cast<const char*>(sqlite3_value_blob(value));
      return ValueView::Blob({blob, static_cast<std::size_t>(sqlite3_value_bytes(value))});
    }
    default:
      return {};
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
