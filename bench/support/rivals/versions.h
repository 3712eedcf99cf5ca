// Versions of rivals, as people write them.

#ifndef VOUCH_BENCH_SUPPORT_RIVALS_VERSIONS_H_
#define VOUCH_BENCH_SUPPORT_RIVALS_VERSIONS_H_

#include <algorithm>
#include <string>

namespace vouch::bench {

// Boost and SOCI write 1_74.
inline std::string WithDots(std::string version) {
  std::replace(version.begin(), version.end(), '_', '.');
  return version;
}

// Poco writes 0x010B0000.
inline std::string PocoVersion(unsigned version) {
  return std::to_string(version >> 24) + "." + std::to_string(version >> 16 & 0xff) + "." +
         std::to_string(version >> 8 & 0xff);
}

}  // namespace vouch::bench

#endif  // VOUCH_BENCH_SUPPORT_RIVALS_VERSIONS_H_
