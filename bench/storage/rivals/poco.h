#ifndef VOUCH_BENCH_STORAGE_RIVALS_POCO_H_
#define VOUCH_BENCH_STORAGE_RIVALS_POCO_H_

#include <Poco/Data/SQLite/Connector.h>
#include <Poco/Data/Session.h>
#include <Poco/Data/Statement.h>

#include <cstdint>
#include <string>
#include <vector>

#include "bench/storage/table.h"

namespace vouch::bench {

// PocoSession is Poco::Data::Session as its manual shows it: a statement each time.
class PocoSession {
 public:
  explicit PocoSession(const std::string& path)
      : session_((Poco::Data::SQLite::Connector::registerConnector(), "SQLite"), path) {
    for (const char* setting : kSettings) session_ << setting, Poco::Data::Keywords::now;
  }

  std::string Select(int64_t key) {
    using Poco::Data::Keywords::into, Poco::Data::Keywords::now, Poco::Data::Keywords::use;
    std::string text;
    session_ << kSelect, use(key), into(text), now;
    return text;
  }
  int64_t Range(int64_t key) {
    using Poco::Data::Keywords::into, Poco::Data::Keywords::now, Poco::Data::Keywords::use;
    std::vector<std::string> texts;
    session_ << kRange, use(key), into(texts), now;
    int64_t bytes = 0;
    for (const std::string& text : texts) bytes += static_cast<int64_t>(text.size());
    return bytes;
  }

 private:
  Poco::Data::Session session_;
};

}  // namespace vouch::bench

#endif  // VOUCH_BENCH_STORAGE_RIVALS_POCO_H_
