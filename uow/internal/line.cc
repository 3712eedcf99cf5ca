#include "uow/internal/line.h"

#include <algorithm>
#include <cassert>

namespace vouch::uow {

using pool::MutexLock;

Line::Event Line::Enter(Place& place, TimePoint deadline, const std::stop_token& stop) {
  {
    const MutexLock lock(&mutex_);
    assert(place.state_ == Place::State::kOut);
    if (!taken_) {
      taken_ = true;
      place.state_ = Place::State::kTurn;
      return Event::kTurn;
    }
    place.stopped_ = place.stays_ = false;
    Append(place);
  }
  // Made and destroyed without the lock: the token may call at once, and destruction waits for that.
  const std::stop_callback on_stop(stop, [&] {
    const MutexLock lock(&mutex_);
    place.stopped_ = true;
    place.changed_.Signal();
  });
  const MutexLock lock(&mutex_);
  while (true) {
    const Event event = Wait(place, deadline);
    const bool may_leave = place.state_ == Place::State::kWaiting && !place.stays_;
    if (event == Event::kTurn || event == Event::kTold) return event;
    if (!may_leave) {
      deadline = TimePoint::max();
      continue;
    }
    Remove(place);
    place.state_ = Place::State::kOut;
    return event;
  }
}

Line::Event Line::Await(Place& own, TimePoint until) {
  const MutexLock lock(&mutex_);
  return Wait(own, until);
}

Line::Event Line::Wait(Place& place, TimePoint until) {
  while (true) {
    if (place.state_ == Place::State::kTurn) return Event::kTurn;
    if (place.state_ == Place::State::kTold) return Event::kTold;
    if (place.stopped_ && place.state_ == Place::State::kWaiting && !place.stays_) {
      return Event::kCancelled;
    }
    if (until == TimePoint::max()) {
      place.changed_.Wait(&mutex_);
      continue;
    }
    const TimePoint now = std::chrono::steady_clock::now();
    if (now >= until) return Event::kDeadline;
    place.changed_.WaitFor(&mutex_, absl::FromChrono(until - now));
  }
}

Line::Place* Line::TakeNext() {
  const MutexLock lock(&mutex_);
  Place* const next = first_;
  if (next == nullptr) return nullptr;
  Remove(*next);
  next->state_ = Place::State::kParked;
  return next;
}

void Line::HandTo(Place& own, Place& next) {
  const MutexLock lock(&mutex_);
  assert(own.state_ == Place::State::kTurn);
  own.state_ = Place::State::kParked;
  Give(next);
}

void Line::HandOn(Place& own) {
  const MutexLock lock(&mutex_);
  if (own.state_ == Place::State::kTurn) own.state_ = Place::State::kOut;
  if (first_ == nullptr) {
    taken_ = false;
    return;
  }
  Place& next = *first_;
  Remove(next);
  Give(next);
}

void Line::Tell(Place& place) {
  const MutexLock lock(&mutex_);
  assert(place.state_ == Place::State::kParked);
  place.state_ = Place::State::kTold;
  // Under the lock: its thread may be gone with the place as soon as it sees the state.
  place.changed_.Signal();
}

void Line::PutBack(std::span<Place* const> places) {
  const MutexLock lock(&mutex_);
  for (auto at = places.rbegin(); at != places.rend(); ++at) {
    Place* const place = *at;
    assert(place->state_ == Place::State::kParked || place->state_ == Place::State::kTurn);
    place->state_ = Place::State::kWaiting;
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
  place.state_ = Place::State::kWaiting;
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

void Line::Give(Place& place) {
  place.state_ = Place::State::kTurn;
  place.changed_.Signal();
}

}  // namespace vouch::uow
