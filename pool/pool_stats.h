#ifndef VOUCH_POOL_POOL_STATS_H_
#define VOUCH_POOL_POOL_STATS_H_

#include <cstdint>

#include "pool/histogram.h"

namespace vouch::pool {

// What a Pool is doing and has done. Each number was true at some moment of the call, not all at
// the same one; they are for people and dashboards and decide nothing.
//
// Thread safety: a value. Cost: a fast lease costs the pool one counter, kept in the slot; the rest is
// counted where threads wait anyway. Pool::stats() reads every slot and copies two distributions of
// 2.5 KB.
struct PoolStats {
  // Now.
  int min = 0;       // PoolOptions::min, or what Resize() made of it
  int capacity = 0;  // PoolOptions::max, or what Resize() made of it
  int size = 0;      // resources open
  int idle = 0;      // open and available
  // Slots owned by somebody: leases, and also resources that are being opened or closed by an acquire
  // or a release, or are on their way to who acquires next. Pool::holders() has the leases.
  int leased = 0;
  int opening = 0;         // resources being opened, or about to be
  int waiting = 0;         // acquires in the line
  bool suspended = false;  // Suspend() without Resume()

  // Since the pool was created.
  uint64_t acquired = 0;             // leases given out
  uint64_t waited = 0;               // acquires that stood in the line
  uint64_t handed_off = 0;           // slots given directly to a waiter
  uint64_t timed_out = 0;            // acquires that ended with kDeadlineExceeded
  uint64_t stopped = 0;              // … with kCancelled
  uint64_t refused = 0;              // … with kResourceExhausted
  uint64_t deadlocks = 0;            // … refused because they would have waited for ever
  uint64_t opened = 0;               // resources opened
  uint64_t open_failures = 0;        // times the factory failed
  uint64_t validation_failures = 0;  // times PoolHooks::validate failed
  uint64_t detached = 0;             // Lease::Detach()
  uint64_t leaks = 0;                // leases out for longer than PoolOptions::leak_threshold
  struct Closed {
    uint64_t idle = 0;      // unused for idle_timeout
    uint64_t lifetime = 0;  // older than max_lifetime
    uint64_t broken = 0;    // Lease::MarkBroken()
    uint64_t invalid = 0;   // PoolHooks::validate failed
    uint64_t rejected = 0;  // another hook refused it
    uint64_t resize = 0;    // Resize() made the pool smaller
    uint64_t shutdown = 0;  // Close()
  } closed;                 // resources closed, and why

  // How long acquires stood in the line; those that did not are not in it.
  Distribution wait;

  // How long the leases that have ended were held, each counted once. Those that were waited for or
  // have a label are timed, and a slot's first. Of the others one in 256 is, or, as long as these
  // last less than a microsecond, one in 2,048: the second of a slot to begin with. It stands for
  // those of the same slot that follow, up to the next such one. Where a slot has none yet, the last
  // timed one stands in. `max` is the longest of the timed ones.
  Distribution hold;

  // The part of the time, from 0 to 1, that a slot was leased on average. Follows from `hold`, the
  // present capacity and the pool's age: leases that are out are not in it yet.
  double utilisation = 0;
};

}  // namespace vouch::pool

#endif  // VOUCH_POOL_POOL_STATS_H_
