#include "uow/internal/custody.h"

#include <cstring>

namespace vouch::uow::uow_internal {

Custody::StoreIndex Custody::AddStore(std::string_view name) {
  if (last_store_ < stores_.size() && stores_[last_store_].name == name) return last_store_;
  const auto [found, added] =
      store_index_.try_emplace(std::string(name), static_cast<StoreIndex>(stores_.size()));
  if (added) stores_.push_back({.name = std::string(name)});
  last_store_ = found->second;
  return last_store_;
}

std::optional<Custody::StoreIndex> Custody::FindStore(std::string_view name) const {
  const auto found = store_index_.find(std::string(name));
  if (found == store_index_.end()) return std::nullopt;
  return found->second;
}

Custody::Record* Custody::Find(StoreIndex store, std::string_view record_id) {
  const auto found = records_.find(Key(store, record_id));
  return found == records_.end() ? nullptr : &found->second;
}

Custody::Record& Custody::Put(StoreIndex store, std::string_view record_id) {
  return records_[Key(store, record_id)];
}

Custody::StoreIndex Custody::StoreOf(std::string_view key) {
  StoreIndex store;
  std::memcpy(&store, key.data(), sizeof(store));
  return store;
}

const std::string& Custody::Key(StoreIndex store, std::string_view record_id) {
  key_.resize(sizeof(store));
  std::memcpy(key_.data(), &store, sizeof(store));
  key_.append(record_id);
  return key_;
}

}  // namespace vouch::uow::uow_internal
