#ifndef VOUCH_POOL_PARK_H_
#define VOUCH_POOL_PARK_H_

#include <atomic>
#include <cstdint>

namespace vouch::pool {

// Sleeping on a word of memory, as Linux's futex has it.
//
//   std::atomic<uint32_t> word{0};
//   …
//   while (word.load(std::memory_order_acquire) == 0) Park(word, 0, kForever);
//   …
//   word.store(1, std::memory_order_release);  // On another thread.
//   Unpark(&word);
//
// Thread safety: any thread. Memory ordering: none; the word's own operations order.
// Cost: a system call each.

// A point in time that never comes.
inline constexpr std::int64_t kForever = INT64_MAX;

// Sleeps while `word` is `expected`, until Unpark(&word) or `deadline_ns` of CLOCK_MONOTONIC. False
// if the deadline has passed. May return true for no reason: the caller tests its condition again.
//
// [park] The test of `word` and falling asleep are one step against Unpark: a thread that changes
// `word` and then calls Unpark() is never missed.
bool Park(std::atomic<std::uint32_t>& word, std::uint32_t expected, std::int64_t deadline_ns);

// Wakes all that are parked on `word`, which is a name for them only and is not read: who sees the
// change of the word may have ended its life before this is called. A sleeper on other memory that
// is by then at this address wakes for no reason.
void Unpark(const std::atomic<std::uint32_t>* word);

}  // namespace vouch::pool

#endif  // VOUCH_POOL_PARK_H_
