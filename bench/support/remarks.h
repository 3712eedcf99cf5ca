// What a published table says beside its numbers. It travels in the context of Google Benchmark's
// JSON, under keys that cmake/bench_table.py knows.

#ifndef VOUCH_BENCH_SUPPORT_REMARKS_H_
#define VOUCH_BENCH_SUPPORT_REMARKS_H_

#include <string>

#include "benchmark/benchmark.h"

namespace vouch::bench {

// Stands above the table of `name`, which is layer/case. `time` is what the benchmark's time is.
inline void DescribeCase(const std::string& name, const std::string& time,
                         const std::string& text) {
  benchmark::AddCustomContext("time " + name, time);
  benchmark::AddCustomContext("case " + name, text);
}

// Stands below the tables of the layer: what a reader must know of a contestant to judge it.
inline void RemarkOn(const std::string& contestant, const std::string& text) {
  benchmark::AddCustomContext("remark " + contestant, text);
}

// A contestant that could not take part, and why.
inline void NotMeasured(const std::string& contestant, const std::string& why) {
  benchmark::AddCustomContext("not measured " + contestant, why);
}

}  // namespace vouch::bench

#endif  // VOUCH_BENCH_SUPPORT_REMARKS_H_
