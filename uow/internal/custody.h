// Custody: the last checksum of every record that a ledger has had, filled by an audit's pass over
// the writes and compared in its pass over the rows.
//
// Thread safety: one thread at a time.
// Ownership: pointers to records last until the next Put().
// Cost: some 200 bytes a record; finding one does not allocate.

#ifndef VOUCH_UOW_INTERNAL_CUSTODY_H_
#define VOUCH_UOW_INTERNAL_CUSTODY_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "storage/sha256.h"

namespace vouch::uow::uow_internal {

class Custody {
 public:
  using StoreIndex = std::uint32_t;

  struct Record {
    std::optional<storage::Digest> checksum;  // Nothing: the record was deleted.
    std::int64_t seq = 0;                     // Of the last unit that wrote it.
    bool live = false;                        // A row has been found for it.
  };
  struct Store {
    std::string name;
    bool has_upsert = false;
    std::int64_t last_seq = 0;  // The last unit that wrote to it.
  };

  // The store's index, new if it was not there.
  StoreIndex AddStore(std::string_view name);
  std::optional<StoreIndex> FindStore(std::string_view name) const;
  Store& store(StoreIndex index) { return stores_[index]; }
  const std::vector<Store>& stores() const { return stores_; }

  // Null when there never was such a record.
  Record* Find(StoreIndex store, std::string_view record_id);
  Record& Put(StoreIndex store, std::string_view record_id);
  std::size_t size() const { return records_.size(); }

  // Calls visit(store index, record id, record) for each, in no order.
  template <typename Visit>
  void ForEach(const Visit& visit) const {
    for (const auto& [key, record] : records_) {
      visit(StoreOf(key), std::string_view(key).substr(sizeof(StoreIndex)), record);
    }
  }

 private:
  static StoreIndex StoreOf(std::string_view key);
  const std::string& Key(StoreIndex store, std::string_view record_id);

  std::vector<Store> stores_;
  absl::flat_hash_map<std::string, StoreIndex> store_index_;
  // The key is the store's index, in the bytes of this machine, and the record id.
  absl::flat_hash_map<std::string, Record> records_;
  std::string key_;            // Reused.
  StoreIndex last_store_ = 0;  // Writes come in runs of one store.
};

}  // namespace vouch::uow::uow_internal

#endif  // VOUCH_UOW_INTERNAL_CUSTODY_H_
