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
  // The lease is at least this old. Exact if it is timed (PoolStats::hold says which are); else it
  // counts from when the pool first noticed it (zero: not yet).
  absl::Duration age = absl::ZeroDuration();
};

}  // namespace vouch::pool

#endif  // VOUCH_POOL_HOLDER_H_
