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
// Memory: as many touched records are kept as take `max_bytes`. Whenever there are more, all go to a
// temporary file (storage/sqlite/spill.h) and the memory is used anew: a record touched again after
// that is taken for a new one. At the end the file is sorted; of one record the first state before
// and the last state after are put together, and the writes are told one by one, without ever being
// in memory together. So a unit of any size takes `max_bytes`, 8 MiB for the file, and twice its
// largest row.
//
// Thread safety: one thread at a time, the one that runs the unit.
// Ownership: borrows the StoreMap, which must outlive it.
// Cost: about 1 µs a row, for encoding and hashing it; 200 bytes a touched record in memory. Of those
//   that go to the file, 3 µs more, and 150 bytes on the disk, thrice that at the end.

#ifndef VOUCH_UOW_CAPTURE_H_
#define VOUCH_UOW_CAPTURE_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "storage/sha256.h"
#include "storage/sqlite/changes.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/spill.h"
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
  Capture(const StoreMap& stores, std::int64_t max_bytes)
      : stores_(stores), max_bytes_(max_bytes) {}
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  void OnChange(const storage::RowChange& change) override;
  void OnUndone() override { must_reread_ = true; }

  // Whether the unit may be stored. kPermissionDenied: it changed a table that is in no store.
  // kResourceExhausted: memory ran out while a row was read, or there was no room for the temporary
  // file; what the unit changed is not known.
  absl::Status Check() const;

  // Tells the unit's writes, with those `declared`, in their order, until `sink` returns an error.
  // REQUIRES: Check() is OK; `connection` is where the changes were made, in the same transaction.
  //   Once.
  absl::Status Tell(storage::SqliteConnection& connection,
                    const std::vector<DeclaredWrite>& declared, WriteSink sink);

  // How many records have been touched so far; one that was again after it went to the temporary
  // file counts twice.
  std::size_t touched() const { return spilled_ + records_.size(); }

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
  absl::Status Spill();
  // Calls tell(position, record) for each record in the order of its first change. The position is
  // what touched() was then.
  absl::Status ForEachRecord(absl::FunctionRef<absl::Status(std::size_t, Record&)> tell);

  const StoreMap& stores_;
  const std::int64_t max_bytes_;
  std::deque<Record> records_;                            // In the order of their first change.
  absl::flat_hash_map<std::string_view, Record*> by_id_;  // Keys are the records' own ids.
  std::string refused_;  // The table that may not be changed, if there was one.
  const std::string* last_store_ = nullptr;
  bool must_reread_ = false;
  bool out_of_memory_ = false;

  std::int64_t held_bytes_ = 0;            // What records_ and by_id_ take.
  std::unique_ptr<storage::Spill> spill_;  // The records before those, once there were too many.
  std::size_t spilled_ = 0;                // How many.
  absl::Status spill_status_;              // An error: records are lost.

  // Reused from row to row.
  std::vector<storage::ValueView> values_;
  std::string id_;
  std::string new_id_;
  std::string row_;
  storage::Sha256 hash_;
};

}  // namespace vouch::uow

#endif  // VOUCH_UOW_CAPTURE_H_
