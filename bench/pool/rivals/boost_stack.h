#ifndef VOUCH_BENCH_POOL_RIVALS_BOOST_STACK_H_
#define VOUCH_BENCH_POOL_RIVALS_BOOST_STACK_H_

#include <sched.h>

#include <boost/lockfree/stack.hpp>
#include <memory>
#include <string>
#include <vector>

#include "bench/pool/rivals/lent.h"

namespace vouch::bench {

// BoostStack is a free list on boost::lockfree::stack: the least that a lock-free pool can be. The
// stack has no way to wait; when it is empty this yields the processor and tries again.
template <typename Resource>
class BoostStack {
 public:
  using Lease = Lent<BoostStack, Resource>;

  BoostStack(int size, const std::string& database) : idle_(static_cast<size_t>(size)) {
    for (int i = 0; i < size; ++i) {
      resources_.push_back(std::make_unique<Resource>(database));
      Release(resources_.back().get());
    }
  }

  Lease Acquire() {
    Resource* resource = nullptr;
    while (!idle_.pop(resource)) sched_yield();
    return Lease(this, resource);
  }

 private:
  friend Lease;

  void Release(Resource* resource) { idle_.bounded_push(resource); }

  boost::lockfree::stack<Resource*> idle_;
  // Constant after construction
  std::vector<std::unique_ptr<Resource>> resources_;
};

}  // namespace vouch::bench

#endif  // VOUCH_BENCH_POOL_RIVALS_BOOST_STACK_H_
