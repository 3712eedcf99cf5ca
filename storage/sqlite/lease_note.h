// LeaseNote: who uses a connection at the moment, for other threads to read, and their wish that
// this use should end.
//
//   holder's thread                        any other thread
//   note.Begin(site, label);
//   … note.stopped()? then end …          const LeaseNote::View view = note.Look();
//   note.End();                            if (view.leased()) note.Stop(view.lease);
//
// Each use has a number, odd while it lasts. A wish names the number, so that it can never hit the
// next user: if the use has ended meanwhile nothing happens.
//
// Thread safety: Begin, End, SetSnapshot and stopped() by the holder; Look and Stop by any thread.
// Memory ordering: the parts of a View that is returned belong to one use.
// Cost: a few plain stores a lease; stopped() is two loads.

#ifndef VOUCH_STORAGE_SQLITE_LEASE_NOTE_H_
#define VOUCH_STORAGE_SQLITE_LEASE_NOTE_H_

#include <atomic>
#include <cstdint>

#include "pool/call_site.h"

namespace vouch::storage {

class LeaseNote {
 public:
  struct View {
    std::uint64_t lease = 0;
    pool::CallSite site = {};
    const char* label = nullptr;  // A literal, or null.
    bool snapshot = false;        // Within a transaction.

    bool leased() const { return lease % 2 == 1; }
  };

  LeaseNote() = default;
  LeaseNote(const LeaseNote&) = delete;
  LeaseNote& operator=(const LeaseNote&) = delete;

  // REQUIRES: Begin and End take turns. `label` is null or lives for ever.
  void Begin(pool::CallSite site, const char* label) {
    // [lease-note] W1
    file_.store(site.file, std::memory_order_release);
    line_.store(site.line, std::memory_order_release);
    label_.store(label, std::memory_order_release);
    Advance();  // [lease-note] W2
  }
  void End() {
    snapshot_.store(false, std::memory_order_relaxed);
    Advance();  // [lease-note] W0
  }
  void SetSnapshot(bool snapshot) { snapshot_.store(snapshot, std::memory_order_relaxed); }

  // Whether somebody wished that the present use should end.
  bool stopped() const {
    return stopped_.load(std::memory_order_relaxed) == lease_.load(std::memory_order_relaxed);
  }

  View Look() const {
    for (;;) {
      View view;
      view.lease = lease_.load(std::memory_order_acquire);  // [lease-note] R1
      view.site = {file_.load(std::memory_order_acquire), line_.load(std::memory_order_acquire)};
      view.label = label_.load(std::memory_order_acquire);  // [lease-note] R2
      view.snapshot = snapshot_.load(std::memory_order_relaxed);
      if (lease_.load(std::memory_order_relaxed) == view.lease) return view;  // [lease-note] R3
    }
  }
  void Stop(std::uint64_t lease) { stopped_.store(lease, std::memory_order_relaxed); }
  bool IsStopped(std::uint64_t lease) const {
    return stopped_.load(std::memory_order_relaxed) == lease;
  }

 private:
  static constexpr std::uint64_t kNobody = ~std::uint64_t{0};

  void Advance() {
    lease_.store(lease_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

  // lease_: the number of the present use, odd, or of the pause after it, even.
  //   Written by: the holder. Read by: any.
  //   Orders: [lease-note] a sequence lock without a writer's half-way state. W2 is release and R1
  //   acquire: who sees a use sees what Begin wrote before. W1 are release and R2 acquire: who sees
  //   a part of the next use's text sees W0, the end of the one before, and so R3 differs from R1.
  // file_, line_, label_: see above. snapshot_ is advisory: a wrong value names one reader before
  //   another.
  // stopped_: Written by any thread, read by the holder. Relaxed: it carries nothing but itself, and
  //   is seen a moment later at the latest.
  std::atomic<std::uint64_t> lease_{0};
  std::atomic<const char*> file_{""};
  std::atomic<int> line_{0};
  std::atomic<const char*> label_{nullptr};
  std::atomic<bool> snapshot_{false};
  std::atomic<std::uint64_t> stopped_{kNobody};
};

}  // namespace vouch::storage

#endif  // VOUCH_STORAGE_SQLITE_LEASE_NOTE_H_
