#include "uow/cli/catalog.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/clock.h"
#include "storage/error.h"
#include "storage/sha256.h"
#include "storage/status_macros.h"
#include "uow/cli/json.h"
#include "uow/table.h"

namespace vouch::cli {
namespace {

const char* NameOf(Change change) {
  switch (change) {
    case Change::kNone:
      break;
    case Change::kCreated:
      return "created";
    case Change::kUpdated:
      return "updated";
    case Change::kVanished:
      return "vanished";
  }
  return "none";
}

std::string MetadataOf(const Document& document) {
  return ToText(
      Json{{"size", document.size}, {"mtime", storage::FormatUtcMillis(document.modified)}});
}

// As QueryValue, but nothing when there is no row.
template <typename T>
absl::StatusOr<std::optional<T>> QueryOptional(uow::UnitOfWork& unit, std::string_view sql,
                                               const std::string& argument) {
  auto value = unit.QueryValue<T>(sql, argument);
  if (absl::IsNotFound(value.status())) return std::nullopt;
  if (!value.ok()) return value.status();
  return std::optional<T>(*std::move(value));
}

}  // namespace

std::vector<uow::StoreOptions> IndexStores(const std::string& activity_table) {
  return {{.name = "documents", .tables = {kDocumentTable}, .database = {}},
          {.name = "activity", .tables = {activity_table}, .database = {}}};
}

Catalog::Catalog(const std::string& activity_table)
    : activity_table_(activity_table),
      insert_activity_(absl::StrCat("INSERT INTO ", uow::QuoteIdentifier(activity_table),
                                    "(timestamp, action_type, action_data, result)"
                                    " VALUES (?1, 'document_index', ?2, ?3)")) {}

absl::Status Catalog::Check(storage::Connection& reader) const {
  const auto query =
      reader.Prepare(absl::StrCat("SELECT timestamp, action_type, action_data, result FROM ",
                                  uow::QuoteIdentifier(activity_table_)));
  if (query.ok()) return absl::OkStatus();
  return storage::Annotate(
      query.status(), absl::StrCat("index: table ", activity_table_, " cannot note activity: "));
}

absl::StatusOr<std::optional<StoredDocument>> Catalog::Find(storage::Connection& reader,
                                                            const std::string& path) const {
  VOUCH_ASSIGN_OR_RETURN(
      const storage::StatementPtr query,
      reader.Prepare("SELECT content_hash, sync_status FROM document_index WHERE file_path = ?1"));
  VOUCH_RETURN_IF_ERROR(query->BindBorrowed(path));
  VOUCH_ASSIGN_OR_RETURN(const bool found, query->Step());
  if (!found) return std::nullopt;
  return StoredDocument{.hash = query->Get<std::string>(0),
                        .synced = query->Get<std::string_view>(1) == "synced"};
}

absl::StatusOr<std::vector<std::string>> Catalog::List(storage::Connection& reader,
                                                       const PathRange& range,
                                                       const std::string& after, int limit) const {
  VOUCH_ASSIGN_OR_RETURN(
      const storage::StatementPtr query,
      reader.Prepare("SELECT file_path FROM document_index"
                     " WHERE file_path >= ?1 AND file_path < ?2 AND file_path > ?3"
                     " AND sync_status IS NOT 'stale' ORDER BY file_path LIMIT ?4"));
  VOUCH_RETURN_IF_ERROR(
      query->BindBorrowed(std::max(range.first, after), range.past, after, limit));
  std::vector<std::string> paths;
  for (;;) {
    VOUCH_ASSIGN_OR_RETURN(const bool row, query->Step());
    if (!row) return paths;
    paths.push_back(query->Get<std::string>(0));
  }
}

absl::StatusOr<Change> Catalog::Save(uow::UnitOfWork& unit, const Document& document,
                                     const std::string& now) const {
  const std::string hash = storage::HexOf(document.hash);
  const auto type = MediaTypeOf(document.path);
  const std::string metadata = MetadataOf(document);
  VOUCH_ASSIGN_OR_RETURN(
      const auto id,
      QueryOptional<std::int64_t>(unit, "SELECT id FROM document_index WHERE file_path = ?1",
                                  document.path));
  const Change change = id.has_value() ? Change::kUpdated : Change::kCreated;
  if (id.has_value()) {
    VOUCH_RETURN_IF_ERROR(unit.Execute(
        "UPDATE document_index SET document_type = ?2, content_hash = ?3, metadata = ?4,"
        " last_synced_at = ?5, sync_status = 'synced', updated_at = ?5 WHERE id = ?1",
        *id, type, hash, metadata, now));
  } else {
    VOUCH_RETURN_IF_ERROR(unit.Execute(
        "INSERT INTO document_index(file_path, title, document_type, content_hash, metadata,"
        " last_synced_at, sync_status, created_at, updated_at)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'synced', ?6, ?6)",
        document.path, FileName(document.path), type, hash, metadata, now));
  }
  VOUCH_RETURN_IF_ERROR(Note(unit, now, document.path, hash, change));
  return change;
}

absl::StatusOr<Change> Catalog::MarkVanished(uow::UnitOfWork& unit, const std::string& path,
                                             const std::string& now) const {
  VOUCH_ASSIGN_OR_RETURN(
      const auto hash,
      QueryOptional<std::string>(unit,
                                 "SELECT content_hash FROM document_index"
                                 " WHERE file_path = ?1 AND sync_status IS NOT 'stale'",
                                 path));
  if (!hash.has_value()) return Change::kNone;  // Another process was faster.
  VOUCH_RETURN_IF_ERROR(unit.Execute(
      "UPDATE document_index SET sync_status = 'stale', updated_at = ?2,"
      " metadata = json_set(coalesce(metadata, '{}'), '$.vanished_at', ?2) WHERE file_path = ?1",
      path, now));
  VOUCH_RETURN_IF_ERROR(Note(unit, now, path, *hash, Change::kVanished));
  return Change::kVanished;
}

absl::Status Catalog::Note(uow::UnitOfWork& unit, const std::string& now, const std::string& path,
                           const std::string& hash, Change change) const {
  return unit.Execute(insert_activity_, now, ToText(Json{{"path", path}, {"hash", hash}}),
                      NameOf(change));
}

}  // namespace vouch::cli
