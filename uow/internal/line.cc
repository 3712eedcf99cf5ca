#include "uow/internal/line.h"

#include <algorithm>
#include <cassert>

#include "pool/park.h"

namespace vouch::uow {

using pool::MutexLock;

// Its thread may be gone, and the place with it, as soon as it can see the state.
void Line::Place::SetAndWake(State state) {
  const std::atomic<std::uint32_t>* const word = &state_;
  Set(state);
  pool::Unpark(word);
}

Line::Event Line::Enter(Place& place, TimePoint deadline, const std::stop_token& stop) {
  {
    const MutexLock lock(&mutex_);
    assert(place.Is(Place::kOut));
    if (!taken_) {
      taken_ = true;
      place.Set(Place::kTurn);
      return Event::kTurn;
    }
    place.stays_ = false;
    Append(place);
  }
  // Made and destroyed without the lock: the token may call at once, and destruction waits for that.
  const std::stop_callback on_stop(stop, [&] {
    const MutexLock lock(&mutex_);
    if (place.MayLeave()) place.SetAndWake(Place::kCancelled);
  });
  while (true) {
    const Event event = Wait(place, deadline);
    if (event == Event::kTurn || event == Event::kTold) return event;
    const MutexLock lock(&mutex_);
    if (place.MayLeave()) {
      Remove(place);
      place.Set(Place::kOut);
      return event;
    }
    // Taken in the meantime: nothing but the turn or being told ends its waiting any more.
    deadline = TimePoint::max();
  }
}

Line::Event Line::Await(Place& own, TimePoint until) { return Wait(own, until); }

Line::Event Line::Wait(Place& place, TimePoint until) {
  const std::int64_t deadline_ns =
      until == TimePoint::max() ? pool::kForever
                                : std::chrono::nanoseconds(until.time_since_epoch()).count();
  while (true) {
    const std::uint32_t state = place.state_.load(std::memory_order_acquire);
    if (state == Place::kTurn) return Event::kTurn;
    if (state == Place::kTold) return Event::kTold;
    if (state == Place::kCancelled) return Event::kCancelled;
    if (!pool::Park(place.state_, state, deadline_ns)) return Event::kDeadline;
  }
}

Line::Place* Line::TakeNext() {
  const MutexLock lock(&mutex_);
  Place* const next = first_;
  if (next == nullptr) return nullptr;
  Remove(*next);
  next->Set(Place::kParked);
  return next;
}

void Line::HandTo(Place& own, Place& next) {
  assert(own.Is(Place::kTurn) && next.Is(Place::kParked));
  own.Set(Place::kParked);
  next.SetAndWake(Place::kTurn);
}

void Line::HandOn(Place& own) {
  Place* next = nullptr;
  {
    const MutexLock lock(&mutex_);
    if (own.Is(Place::kTurn)) own.Set(Place::kOut);
    next = first_;
    if (next == nullptr) {
      taken_ = false;
      return;
    }
    Remove(*next);
    // Nobody else may take it out now.
    next->Set(Place::kParked);
  }
  next->SetAndWake(Place::kTurn);
}

void Line::Tell(Place& place) {
  assert(place.Is(Place::kParked));
  place.SetAndWake(Place::kTold);
}

void Line::PutBack(std::span<Place* const> places) {
  const MutexLock lock(&mutex_);
  for (auto at = places.rbegin(); at != places.rend(); ++at) {
    Place* const place = *at;
    assert(place->Is(Place::kParked) || place->Is(Place::kTurn));
    place->Set(Place::kWaiting);
    place->stays_ = true;
    place->previous_ = nullptr;
    place->next_ = first_;
    (first_ == nullptr ? last_ : first_->previous_) = place;
    first_ = place;
    ++waiting_;
  }
}

std::size_t Line::waiting() const {
  const MutexLock lock(&mutex_);
  return waiting_;
}

void Line::Append(Place& place) {
  place.Set(Place::kWaiting);
  place.next_ = nullptr;
  place.previous_ = last_;
  (last_ == nullptr ? first_ : last_->next_) = &place;
  last_ = &place;
  ++waiting_;
}

void Line::Remove(Place& place) {
  (place.previous_ == nullptr ? first_ : place.previous_->next_) = place.next_;
  (place.next_ == nullptr ? last_ : place.next_->previous_) = place.previous_;
  --waiting_;
}

}  // namespace vouch::uow
