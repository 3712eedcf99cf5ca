#ifndef VOUCH_TESTS_POOL_RELACY_SCENARIO_H_
#define VOUCH_TESTS_POOL_RELACY_SCENARIO_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace vouch::pool::pool_internal {

// What a few threads do with a pool. A new one is made for every execution; then each thread calls
// Thread(), from number 0 on; when all have returned, one of them calls AtEnd().
class Scenario {
 public:
  virtual ~Scenario() = default;
  virtual void Thread(uint32_t number) = 0;
  virtual void AtEnd() = 0;
};

// How many preemptions an exhaustive search tries in an execution, where that does not take too
// long.
constexpr unsigned kContextBound = 2;

struct ScenarioEntry {
  const char* name;
  int threads;  // 2 or 3
  std::unique_ptr<Scenario> (*make)();
  // The search for all executions with at most so many preemptions has to come to its end. Nothing:
  // even with none there are too many.
  std::optional<unsigned> bound;
};

// All of them, in the order of the file that defines them.
const std::vector<ScenarioEntry>& AllScenarios();

}  // namespace vouch::pool::pool_internal

#endif  // VOUCH_TESTS_POOL_RELACY_SCENARIO_H_
