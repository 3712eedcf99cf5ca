// The row alone, without any record of it.

#ifndef VOUCH_BENCH_UOW_RIVALS_BARE_H_
#define VOUCH_BENCH_UOW_RIVALS_BARE_H_

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bench/storage/rivals/bare_writer.h"
#include "bench/uow/contestants.h"

namespace vouch::bench {

class BareBusyTimeout {
 public:
  using Earlier = BareBusyTimeout;

  BareBusyTimeout(const std::string& path, bool full, int threads) {
    BareSqlite(path, full).Run("CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, x)");
    for (int i = 0; i < threads; ++i) {
      writers_.push_back(std::make_unique<BareWriter>(
          path, full,
          "INSERT INTO t(x) VALUES ('a hundred bytes of text, which is what a small row of a "
          "service''s table has in it, more or less')"));
    }
  }

  // Tries again when the file was locked for all of its busy_timeout.
  void Commit(int thread) {
    while (!writers_[static_cast<std::size_t>(thread)]->Commit()) {
    }
  }

 private:
  std::vector<std::unique_ptr<BareWriter>> writers_;
};

class BareMutex : public BareBusyTimeout {
 public:
  using BareBusyTimeout::BareBusyTimeout;

  void Commit(int thread) {
    const std::lock_guard lock(mutex_);
    BareBusyTimeout::Commit(thread);
  }

 private:
  std::mutex mutex_;
};

}  // namespace vouch::bench

#endif  // VOUCH_BENCH_UOW_RIVALS_BARE_H_
