#ifndef VOUCH_POOL_INTERNAL_THREAD_HINT_H_
#define VOUCH_POOL_INTERNAL_THREAD_HINT_H_

#include <atomic>
#include <cstdint>

namespace vouch::pool::pool_internal {

// ThreadHint remembers, for the calling thread, the slot it had last in each of a few pools: its
// caches are warm there, and threads that keep to different slots do not meet. It also numbers the
// threads.
//
// A hint is a number and the id of the pool it is about, never a pointer: pool ids are not used
// again, so a hint that outlives its pool is merely never asked for. Two pools whose ids fall on
// the same entry overwrite each other's, which costs a scan and nothing else.
//
// A hint is also a promise that the fast way is open to this thread: it is forgotten in a forked
// child and while a hook of the pool runs, so that the fast way need not ask for either.
//
// Thread safety: any thread; each sees its own. No cost beyond a thread-local load.
class ThreadHint {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  // An id that no other pool of this process has or will have. 2^64 do not run out.
  static uint64_t NewPoolId() {
    // Relaxed: only the number's being different matters.
    static std::atomic<uint64_t> last{0};
    return last.fetch_add(1, std::memory_order_relaxed) + 1;
  }

  // The slot this thread had last, or kNone.
  static uint32_t Find(uint64_t pool_id) {
    const Entry& entry = table_[pool_id % kEntries];
    return entry.pool_id == pool_id ? entry.slot : kNone;
  }

  // Where this thread should look first: the slot it had last, else one that spreads newcomers
  // over `size` slots.
  static uint32_t Start(uint64_t pool_id, uint32_t size) {
    const uint32_t slot = Find(pool_id);
    return slot != kNone ? slot : Self() % size;
  }

  static void Set(uint64_t pool_id, uint32_t slot) {
    Self();  // so that KnownSelf() knows it wherever there is a hint
    table_[pool_id % kEntries] = Entry{pool_id, slot};
  }

  static void Forget(uint64_t pool_id) {
    Entry& entry = table_[pool_id % kEntries];
    if (entry.pool_id == pool_id) entry = Entry{0, 0};
  }
  static void ForgetAll() {
    for (Entry& entry : table_) entry = Entry{0, 0};
  }

  // This thread's number, from 1 on; another thread gets the same one after 2^32 threads.
  static uint32_t Self() {
    static std::atomic<uint32_t> last{0};
    while (number_ == 0) number_ = last.fetch_add(1, std::memory_order_relaxed) + 1;
    return number_;
  }

  // The same without a test, for a thread that has a hint.
  static uint32_t KnownSelf() { return number_; }

 private:
  static constexpr uint64_t kEntries = 8;
  struct Entry {
    uint64_t pool_id;  // 0: nothing yet
    uint32_t slot;
  };

  // Zeroed with the thread's storage: no constructor to run, so no guard on the way to them.
  static inline constinit thread_local Entry table_[kEntries] = {};
  static inline constinit thread_local uint32_t number_ = 0;
};

}  // namespace vouch::pool::pool_internal

#endif  // VOUCH_POOL_INTERNAL_THREAD_HINT_H_
