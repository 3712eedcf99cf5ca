// Capture: what a unit of work changed, told by the database itself.
//
// While a unit runs, SQLite announces each row before it changes (storage/sqlite/changes.h). Of
// every record the state before the unit and the state now are kept as checksums; the difference,
// taken at the end, are the unit's writes: one a record, in the order of their first change. A
// record that is as it was has no write.
//
// An announcement is not a fact: a statement that fails, or a savepoint that is rolled back, takes
// rows back without a word. After either, the touched records are read again at the end, so that a
// checksum always equals what a fresh SELECT gives.
//
// Thread safety: one thread at a time, the one that runs the unit.
// Ownership: borrows the StoreMap, which must outlive it.
// Cost: about 1 µs a row, for encoding and hashing it; 150 bytes a touched record.

#ifndef VOUCH_UOW_CAPTURE_H_
#define VOUCH_UOW_CAPTURE_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/sha256.h"
#include "storage/sqlite/changes.h"
#include "storage/sqlite/connection.h"
#include "storage/value.h"
#include "uow/format.h"
#include "uow/store.h"

namespace vouch::uow {

// A write of an explicit store, of which no row tells. `after`: how many records had been touched when
// it was declared, which gives it its place among the writes.
struct DeclaredWrite {
  std::size_t after = 0;
  WriteRecord write;
};

class Capture final : public storage::ChangeSink {
 public:
  explicit Capture(const StoreMap& stores) : stores_(stores) {}
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  void OnChange(const storage::RowChange& change) override;
  void OnUndone() override { must_reread_ = true; }

  // The unit's writes, with those `declared`, in their order. kPermissionDenied: it changed a table
  // that is in no store.
  // kResourceExhausted: memory ran out while a row was read; what it was is lost.
  // REQUIRES: `connection` is where the changes were made, in the same transaction.
  absl::StatusOr<std::vector<WriteRecord>> Finish(storage::SqliteConnection& connection,
                                                  std::vector<DeclaredWrite> declared = {});

  // How many records have been touched so far.
  std::size_t touched() const { return records_.size(); }

  // The store of the last row that changed, or null.
  const std::string* last_store() const { return last_store_; }

 private:
  struct State {
    std::optional<storage::Digest> checksum = {};  // Nothing: the record does not exist.
    std::int64_t bytes = 0;
  };
  struct Record {
    const StoreTable* table;
    std::string id;
    std::optional<storage::Digest> prior = {};
    State now = {};
  };

  Record& Touch(const StoreTable& table, std::string_view id, bool existed, const State& before);
  State StateOf(const StoreTable& table);
  absl::Status Reread(storage::SqliteConnection& connection, Record& record);

  const StoreMap& stores_;
  std::deque<Record> records_;                            // In the order of their first change.
  absl::flat_hash_map<std::string_view, Record*> by_id_;  // Keys are the records' own ids.
  std::string refused_;  // The table that may not be changed, if there was one.
  const std::string* last_store_ = nullptr;
  bool must_reread_ = false;
  bool out_of_memory_ = false;

  // Reused from row to row.
  std::vector<storage::ValueView> values_;
  std::string id_;
  std::string new_id_;
  std::string row_;
  storage::Sha256 hash_;
};

}  // namespace vouch::uow

#endif  // VOUCH_UOW_CAPTURE_H_
