// Catalog: the rows that indexing reads and writes.
//
// Two stores: `documents` is the table document_index, one row a file; `activity` is the table
// `audit`, one row for each unit of work that changed a document.
//
// Thread safety: immutable; the connections and units one thread at a time.
// Errors: those of the database.

#ifndef VOUCH_UOW_CLI_CATALOG_H_
#define VOUCH_UOW_CLI_CATALOG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/connection.h"
#include "uow/cli/document.h"
#include "uow/cli/path_range.h"
#include "uow/store.h"
#include "uow/unit_of_work.h"

namespace vouch::cli {

inline constexpr char kDocumentTable[] = "document_index";
inline constexpr char kDefaultActivityTable[] = "audit";

// The stores of an engine that indexes.
std::vector<uow::StoreOptions> IndexStores(const std::string& activity_table);

// What the database knows of a file.
struct StoredDocument {
  std::string hash;
  bool synced = false;
};

// What a unit did to a document.
enum class Change { kNone, kCreated, kUpdated, kVanished };

class Catalog {
 public:
  explicit Catalog(const std::string& activity_table);

  // kInvalidArgument: the activity table lacks columns.
  absl::Status Check(storage::Connection& reader) const;

  absl::StatusOr<std::optional<StoredDocument>> Find(storage::Connection& reader,
                                                     const std::string& path) const;

  // Up to `limit` paths in `range` after `after`, in order, of documents that are not stale.
  absl::StatusOr<std::vector<std::string>> List(storage::Connection& reader, const PathRange& range,
                                                const std::string& after, int limit) const;

  // Within a unit. `now` is its time, as stored.
  absl::StatusOr<Change> Save(uow::UnitOfWork& unit, const Document& document,
                              const std::string& now) const;
  absl::StatusOr<Change> MarkVanished(uow::UnitOfWork& unit, const std::string& path,
                                      const std::string& now) const;

 private:
  absl::Status Note(uow::UnitOfWork& unit, const std::string& now, const std::string& path,
                    const std::string& hash, Change change) const;

  const std::string activity_table_;
  const std::string insert_activity_;
};

}  // namespace vouch::cli

#endif  // VOUCH_UOW_CLI_CATALOG_H_
