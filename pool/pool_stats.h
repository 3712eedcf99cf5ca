#ifndef VOUCH_POOL_POOL_STATS_H_
#define VOUCH_POOL_POOL_STATS_H_

#include <cstdint>

namespace vouch::pool {

// What a Pool is doing and has done. Each number was true at some moment of the call, not all at
// the same one; they are for people and dashboards and decide nothing.
struct PoolStats {
  // Now.
  int capacity = 0;  // PoolOptions::max
  int size = 0;      // resources open
  int idle = 0;      // open and available
  int leased = 0;    // slots owned by somebody, who may still be opening the resource
  int waiting = 0;   // threads in the line

  // Since the pool was created.
  uint64_t acquired = 0;       // leases given out
  uint64_t waited = 0;         // acquires that stood in the line
  uint64_t handed_off = 0;     // slots given directly to a waiter
  uint64_t timed_out = 0;      // acquires that ended with kDeadlineExceeded
  uint64_t refused = 0;        // acquires that ended with kResourceExhausted
  uint64_t opened = 0;         // resources opened
  uint64_t open_failures = 0;  // times the factory failed
  struct Closed {
    uint64_t idle = 0;      // unused for idle_timeout
    uint64_t lifetime = 0;  // older than max_lifetime
    uint64_t broken = 0;    // Lease::MarkBroken()
    uint64_t shutdown = 0;  // Close()
  } closed;                 // resources closed, and why
};

}  // namespace vouch::pool

#endif  // VOUCH_POOL_POOL_STATS_H_
