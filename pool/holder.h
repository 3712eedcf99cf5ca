#ifndef VOUCH_POOL_HOLDER_H_
#define VOUCH_POOL_HOLDER_H_

#include <string>

#include "absl/time/time.h"
#include "pool/call_site.h"

namespace vouch::pool {

// Who holds a lease. Read while the holder goes on; all fields are of one lease.
//
// Thread safety: a value. Ownership: site.file is a string literal; the label is a copy.
struct Holder {
  CallSite site = {};  // where it was acquired
  std::string label;   // AcquireOptions::label, if one was given
  // The lease is at least this old. Exact unless it was acquired the fast way; then it counts from
  // when the pool first noticed it (zero: not yet), but for one in 256, which is exact too.
  absl::Duration age = absl::ZeroDuration();
};

}  // namespace vouch::pool

#endif  // VOUCH_POOL_HOLDER_H_
