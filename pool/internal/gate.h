#ifndef VOUCH_POOL_INTERNAL_GATE_H_
#define VOUCH_POOL_INTERNAL_GATE_H_

#include <cstdint>

namespace vouch::pool::pool_internal {

// Gate is what the pool as a whole allows, in one word, so that a releaser learns all of it by one
// load: whether the pool is closed, whether it is suspended, and how many slots it may use.
//
//     31                  2           1         0
//    [ limit: 30 bits | suspended | closed ]
//
// Where a slot rests that nobody owns follows from the gate alone (VerdictOn). Whoever changes the
// gate then moves the slots that rest elsewhere; see [gate] in handoff.h.
//
// Thread safety: a value.
class Gate {
 public:
  enum class Verdict {
    kOpen,      // it may be available
    kWithhold,  // it is kept back until the pool is resumed
    kRetire,    // it is not used any more
  };

  static constexpr Gate Open(uint32_t limit) { return Gate(limit << kLimitShift); }
  constexpr explicit Gate(uint32_t word) : word_(word) {}

  constexpr Gate Closed() const { return Gate(word_ | kClosed); }
  constexpr Gate Suspended() const { return Gate(word_ | kSuspended); }
  constexpr Gate Resumed() const { return Gate(word_ & ~kSuspended); }
  constexpr Gate WithLimit(uint32_t limit) const {
    return Gate((word_ & (kClosed | kSuspended)) | limit << kLimitShift);
  }

  constexpr uint32_t word() const { return word_; }
  constexpr bool closed() const { return (word_ & kClosed) != 0; }
  constexpr bool suspended() const { return (word_ & kSuspended) != 0; }
  constexpr uint32_t limit() const { return word_ >> kLimitShift; }

  constexpr Verdict VerdictOn(uint32_t index) const {
    if (closed() || index >= limit()) return Verdict::kRetire;
    return suspended() ? Verdict::kWithhold : Verdict::kOpen;
  }

 private:
  static constexpr uint32_t kClosed = 1;
  static constexpr uint32_t kSuspended = 2;
  static constexpr uint32_t kLimitShift = 2;

  uint32_t word_;
};

}  // namespace vouch::pool::pool_internal

#endif  // VOUCH_POOL_INTERNAL_GATE_H_
