#ifndef VOUCH_POOL_CALL_SITE_H_
#define VOUCH_POOL_CALL_SITE_H_

#include <type_traits>

namespace vouch::pool {

// Where in the program a call stands. As a default argument it names the caller:
//
//   void Acquire(CallSite site = CallSite::Current());
//
// It is what std::source_location would be; Clang 14 does not have that yet.
//
// Thread safety: a value. Ownership: `file` points to a string literal and is never freed.
struct CallSite {
  const char* file = "";
  int line = 0;

  static constexpr CallSite Current(const char* file = __builtin_FILE(),
                                    int line = __builtin_LINE()) {
    return CallSite{file, line};
  }
};

static_assert(std::is_trivially_copyable_v<CallSite>);

}  // namespace vouch::pool

#endif  // VOUCH_POOL_CALL_SITE_H_
