#ifndef VOUCH_POOL_INTERNAL_THREAD_HINT_H_
#define VOUCH_POOL_INTERNAL_THREAD_HINT_H_

#include <atomic>
#include <cstdint>

namespace vouch::pool::pool_internal {

// ThreadHint remembers, for the calling thread, the slot it had last in each of a few pools: its
// caches are warm there, and threads that keep to different slots do not meet.
//
// A hint is a number and the id of the pool it is about, never a pointer: pool ids are not used
// again, so a hint that outlives its pool is merely never asked for. Two pools whose ids fall on
// the same entry overwrite each other's, which costs a scan and nothing else.
//
// Thread safety: any thread; each sees its own. No cost beyond a thread-local load.
class ThreadHint {
 public:
  // An id that no other pool of this process has or will have. 2^64 do not run out.
  static uint64_t NewPoolId() {
    // Relaxed: only the number's being different matters.
    static std::atomic<uint64_t> last{0};
    return last.fetch_add(1, std::memory_order_relaxed) + 1;
  }

  // Where this thread should look first, below `size`.
  static uint32_t Get(uint64_t pool_id, uint32_t size) {
    const Entry& entry = table_[pool_id % kEntries];
    if (entry.pool_id == pool_id) [[likely]]
      return entry.slot;
    return ThreadNumber() % size;
  }

  static void Set(uint64_t pool_id, uint32_t slot) {
    table_[pool_id % kEntries] = Entry{pool_id, slot};
  }

 private:
  static constexpr uint64_t kEntries = 8;
  struct Entry {
    uint64_t pool_id;  // 0: nothing yet
    uint32_t slot;
  };

  // Spreads threads that come for the first time.
  static uint32_t ThreadNumber() {
    static std::atomic<uint32_t> last{0};
    if (number_ == 0) number_ = last.fetch_add(1, std::memory_order_relaxed) + 1;
    return number_;
  }

  // Zeroed with the thread's storage: no constructor to run, so no guard on the way to them.
  static inline constinit thread_local Entry table_[kEntries] = {};
  static inline constinit thread_local uint32_t number_ = 0;
};

}  // namespace vouch::pool::pool_internal

#endif  // VOUCH_POOL_INTERNAL_THREAD_HINT_H_
