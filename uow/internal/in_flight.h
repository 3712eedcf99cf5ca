// InFlight: a unit that an engine has accepted and that has not ended. Made on the stack of Run(), it
// is also how a unit within a unit is found out before it waits for itself.
//
// Thread safety: constant once made, but for Unbind(). One bound to its thread is destroyed by that thread, last made
//   first.

#ifndef VOUCH_UOW_INTERNAL_IN_FLIGHT_H_
#define VOUCH_UOW_INTERNAL_IN_FLIGHT_H_

#include <list>
#include <string>
#include <utility>

#include "pool/call_site.h"

namespace vouch::uow {

class Engine;

class InFlight {
 public:
  enum class Thread { kThis, kAny };

  // kThis: its function runs on this thread, so that until its end none other of this engine may
  // begin here.
  InFlight(const Engine& engine, std::string uow_id, pool::CallSite site, Thread thread)
      : engine_(&engine),
        uow_id_(std::move(uow_id)),
        site_(site),
        outer_(running_here),
        bound_(thread == Thread::kThis) {
    if (bound_) running_here = this;
  }
  ~InFlight() { Unbind(); }
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;

  // The unit of `engine` within which this one was made, on the same thread, or null.
  const InFlight* Enclosing() const {
    const InFlight* other = outer_;
    while (other != nullptr && other->engine_ != engine_) other = other->outer_;
    return other;
  }

  // The unit has ended, though not all that comes after it: others may begin on this thread.
  // REQUIRES: those made later on this thread are gone.
  void Unbind() {
    if (bound_) running_here = outer_;
    bound_ = false;
  }

  const std::string& uow_id() const { return uow_id_; }
  pool::CallSite site() const { return site_; }

 private:
  friend class Engine;

  inline static thread_local const InFlight* running_here = nullptr;

  // Constant after construction.
  const Engine* const engine_;
  const std::string uow_id_;
  const pool::CallSite site_;
  const InFlight* const outer_;

  bool bound_;                               // Of its thread.
  std::list<InFlight*>::iterator position_;  // Of the engine.
};

}  // namespace vouch::uow

#endif  // VOUCH_UOW_INTERNAL_IN_FLIGHT_H_
