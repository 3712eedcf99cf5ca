// Ulid: the 26-character id of a unit of work or a ledger, and the generator of new ones.
//
//   UlidGenerator ids(storage::WallClock::System());
//   std::string id = ids.Next();                  // "01KAJ0000000000000000000VC"
//
// A ULID is 128 bits: 48 of Unix time in milliseconds, then 80 random ones. It is written in
// Crockford's base 32 (digits and upper-case letters but I, L, O and U), most significant first, so
// ids sort by time as text and a key on them appends. 26 characters would hold 130 bits, so the
// first is at most '7'. There is one spelling: lower case and look-alikes are refused, for two
// spellings of one id would be two ids in a receipt.
//
// Thread safety: any thread. Ids of one generator strictly increase in the order of their Next()
//   calls, also within a millisecond and when the clock steps back: the last id is then counted up.
// Ownership: the generator borrows its clock.
// Errors: none. Without randomness from OpenSSL the process ends: an id used twice is worse.
// Cost: a clock read and, once a millisecond, 10 random bytes; one short lock.

#ifndef VOUCH_UOW_ULID_H_
#define VOUCH_UOW_ULID_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "pool/mutex.h"
#include "storage/clock.h"

namespace vouch::uow {

inline constexpr std::size_t kUlidLength = 26;

// Whether `text` is a ULID in its one spelling.
bool IsUlid(std::string_view text);

class UlidGenerator {
 public:
  explicit UlidGenerator(storage::WallClock& clock) : clock_(clock) {}
  UlidGenerator(const UlidGenerator&) = delete;
  UlidGenerator& operator=(const UlidGenerator&) = delete;

  std::string Next();

 private:
  // The 128 bits, most significant byte first.
  using Bits = std::array<std::uint8_t, 16>;

  // Constant after construction.
  storage::WallClock& clock_;

  pool::Mutex mutex_;
  // The time that was last drawn for, -1 before the first, and the last id. The time inside last_
  // is later than last_millis_ once counting up has carried into it.
  std::int64_t last_millis_ ABSL_GUARDED_BY(mutex_) = -1;
  Bits last_ ABSL_GUARDED_BY(mutex_){};
};

}  // namespace vouch::uow

#endif  // VOUCH_UOW_ULID_H_
