#ifndef VOUCH_BENCH_STORAGE_RIVALS_SOCI_H_
#define VOUCH_BENCH_STORAGE_RIVALS_SOCI_H_

#include <soci/soci.h>

#include <cstdint>
#include <string>

#include "bench/storage/table.h"

namespace vouch::bench {

// SociSession is soci::session as its manual shows it: a statement each time.
class SociSession {
 public:
  explicit SociSession(const std::string& path) : session_("sqlite3", path) {
    for (const char* setting : kSettings) session_ << setting;
  }

  std::string Select(long long key) {
    std::string text;
    session_ << kSelect, soci::use(key), soci::into(text);
    return text;
  }
  int64_t Range(long long key) {
    int64_t bytes = 0;
    soci::rowset<std::string> rows = (session_.prepare << kRange, soci::use(key));
    for (const std::string& text : rows) bytes += static_cast<int64_t>(text.size());
    return bytes;
  }

 private:
  soci::session session_;
};

}  // namespace vouch::bench

#endif  // VOUCH_BENCH_STORAGE_RIVALS_SOCI_H_
