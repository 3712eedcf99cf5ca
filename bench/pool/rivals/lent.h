#ifndef VOUCH_BENCH_POOL_RIVALS_LENT_H_
#define VOUCH_BENCH_POOL_RIVALS_LENT_H_

#include <utility>

namespace vouch::bench {

// A resource of a pool that has Release(Resource*), until destruction. Empty after a timeout.
template <typename Pool, typename Resource>
class Lent {
 public:
  Lent() = default;
  Lent(Pool* pool, Resource* resource) : pool_(pool), resource_(resource) {}
  Lent(Lent&& other) noexcept
      : pool_(other.pool_), resource_(std::exchange(other.resource_, nullptr)) {}
  Lent& operator=(Lent&&) = delete;
  ~Lent() {
    if (resource_ != nullptr) pool_->Release(resource_);
  }
  explicit operator bool() const { return resource_ != nullptr; }
  Resource* operator->() const { return resource_; }

 private:
  Pool* pool_ = nullptr;
  Resource* resource_ = nullptr;
};

}  // namespace vouch::bench

#endif  // VOUCH_BENCH_POOL_RIVALS_LENT_H_
