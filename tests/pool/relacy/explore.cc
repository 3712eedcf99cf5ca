// Runs scenarios under Relacy: first many executions with random scheduling, then all those with at
// most two preemptions (Relacy's context bound). Where these are too many (ScenarioEntry::bound says
// so), all those with at most one or none, and the first of those with two. Prints how many there
// were; on a failure what was wrong, the number of the execution, and all that its threads did. It
// is a failure too if a search that should come to its end does not.
//
//   pool_relacy_tests SCENARIO [--random N] [--exhaustive N] [--bound N] [--expect SYMPTOM]...
//
// --random      so many random executions; their numbers begin at VOUCH_TEST_SEED or anywhere
// --exhaustive  at most so many in an exhaustive search; 0: none
// --bound       instead of the scenario's
// --expect      the pool has a defect on purpose: exits with 0 if a failure is found whose text has
//               a SYMPTOM in it, with 1 if another or none
//
// VOUCH_TEST_LONG makes two million random executions, and goes through twenty million where the
// usual test cuts a search.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "tests/pool/relacy/relacy_platform.h"
#include "tests/pool/relacy/scenario.h"

// An assert() in pool/ ends the execution, and so is reported like any other failure.
extern "C" [[noreturn]] void __assert_fail(const char* assertion, const char* file,
                                           unsigned int line, const char* function) noexcept {
  rl::ctx().fail_test(assertion, rl::test_result_user_assert_failed, {function, file, line});
  std::abort();
}

namespace vouch::pool::pool_internal {
namespace {

constexpr unsigned kLongestExecution = 5000;  // operations; a longer one is a livelock

constexpr uint64_t kCeiling = 20'000'000;

struct Arguments {
  std::string_view scenario;
  uint64_t random = 50'000;
  // An exhaustive search that should come to its end has less than this by far; one that cannot is
  // cut.
  uint64_t ceiling = kCeiling;
  uint64_t cut = 120'000;
  std::optional<unsigned> bound;  // nothing: the scenario's
  uint64_t seed = 0;
  std::vector<std::string_view> expected;  // nothing: no failure
};

struct Outcome {
  bool failed = false;
  bool exhausted = false;
  uint64_t executions = 0;
  double seconds = 0;
  std::string report;  // of a failure
};

const ScenarioEntry* entry = nullptr;  // the one being explored

// Relacy puts itself in the place of operator new and delete, and at each delete of an exhaustive
// search tries both, whether the memory is used again soon and whether it is not. That would double
// all that comes after it, for nothing, as addresses decide nothing here.
class SystemAllocator : private rl::context {
 public:
  static void Use() { rl::ctx().*kDisabled += 1; }
  static void DoNotUse() { rl::ctx().*kDisabled -= 1; }

 private:
  static constexpr int rl::context::*kDisabled = &SystemAllocator::disable_alloc_;
};

template <int kThreads>
class Suite : public rl::test_suite<Suite<kThreads>, kThreads> {
 public:
  void before() {
    SystemAllocator::Use();
    scenario_ = entry->make();
  }
  void thread(unsigned number) { scenario_->Thread(number); }
  void after() {
    RelacyClock::Settle();  // one thread is left
    scenario_->AtEnd();
    scenario_.reset();
    SystemAllocator::DoNotUse();
  }

 private:
  std::unique_ptr<Scenario> scenario_;
};

// Relacy's random scheduler chooses a thread anew before every operation, and so hardly ever lets
// one do twenty operations while another that could go on does none. This one stays with a thread
// for a while; how long on average differs from execution to execution.
template <rl::thread_id_t kThreads>
class RandomScheduler : public rl::random_scheduler<kThreads> {
  using Base = rl::random_scheduler<kThreads>;

 public:
  using Base::Base;
  rl::thread_id_t iteration_begin(rl::iteration_t number) {
    const rl::thread_id_t first = Base::iteration_begin(number);
    stay_ = 1u << this->rand(6, rl::sched_type_user);
    return first;
  }
  rl::thread_id_t schedule(rl::unpark_reason& reason, unsigned yield) {
    const bool can_stay = yield == 0 && this->thread_->state_ == rl::thread_state_running;
    if (can_stay && this->rand(stay_, rl::sched_type_sched) != 0) {
      reason = rl::unpark_reason_normal;
      return this->thread_->index_;
    }
    return Base::schedule(reason, yield);
  }

 private:
  unsigned stay_ = 1;
};

// Relacy's exhaustive scheduler does not look at iteration_count.
template <rl::thread_id_t kThreads>
class ExhaustiveScheduler : public rl::context_bound_scheduler<kThreads> {
  using Base = rl::context_bound_scheduler<kThreads>;

 public:
  using Base::Base;
  bool iteration_end() {
    exhausted = Base::iteration_end();
    return exhausted || this->iter_ == this->params_.iteration_count;
  }

  static inline bool exhausted = false;
};

// Explores from number `first` on, or from the execution that `params.initial_state` describes.
template <int kThreads, typename Scheduler>
Outcome Explore(rl::test_params params, uint64_t first) {
  std::ostream nowhere(nullptr);
  params.progress_stream = &nowhere;
  params.execution_depth_limit = kLongestExecution;
  rl::ostringstream failed_state;
  const auto start = std::chrono::steady_clock::now();
  Outcome outcome;
  outcome.failed = rl::run_test<Suite<kThreads>, Scheduler>(params, failed_state, false) !=
                   rl::test_result_success;
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  outcome.seconds = elapsed.count();
  outcome.executions = params.stop_iteration - first + 1;
  if (outcome.failed) {
    // Once more, this one only and with a record of what happens.
    rl::ostringstream report;
    params.initial_state = failed_state.str();
    params.collect_history = true;
    params.output_stream = &report;
    rl::ostringstream unused;
    rl::run_test<Suite<kThreads>, Scheduler>(params, unused, true);
    outcome.report = report.str().c_str();
  }
  return outcome;
}

template <int kThreads>
Outcome ExploreRandomly(const Arguments& arguments) {
  rl::test_params params;
  params.search_type = rl::sched_random;
  params.iteration_count = arguments.seed + arguments.random - 1;
  params.initial_state = std::to_string(arguments.seed).c_str();
  return Explore<kThreads, RandomScheduler<kThreads>>(params, arguments.seed);
}

template <int kThreads>
Outcome ExploreExhaustively(unsigned bound, uint64_t ceiling) {
  using Scheduler = ExhaustiveScheduler<kThreads>;
  rl::test_params params;
  params.search_type = rl::sched_bound;
  params.context_bound = bound;
  params.iteration_count = ceiling;
  Outcome outcome = Explore<kThreads, Scheduler>(params, 1);
  outcome.exhausted = Scheduler::exhausted;
  return outcome;
}

void Print(const std::string& how, const Outcome& outcome, const char* end) {
  if (outcome.failed) end = ", FAILED";
  std::cout << entry->name << ", " << how << ": " << outcome.executions << " executions in "
            << outcome.seconds << " s" << end << std::endl;
}

// `has_to_end`: it is a failure if there are more.
template <int kThreads>
Outcome SearchAll(unsigned bound, uint64_t ceiling, bool has_to_end) {
  Outcome outcome = ExploreExhaustively<kThreads>(bound, ceiling);
  Print("at most " + std::to_string(bound) + (bound == 1 ? " preemption" : " preemptions"), outcome,
        outcome.exhausted ? ", exhausted" : ", cut");
  if (!outcome.failed && !outcome.exhausted && has_to_end) {
    outcome.failed = true;
    outcome.report = "the search should have come to its end\n";
  }
  return outcome;
}

bool HasExpectedSymptom(const Outcome& outcome, const std::vector<std::string_view>& expected) {
  const std::string symptom =
      outcome.failed ? outcome.report.substr(0, outcome.report.find('\n')) : "no failure";
  bool found = false;
  std::cout << "found " << symptom << ", expected";
  for (const std::string_view one : expected) {
    std::cout << " [" << one << "]";
    found = found || (outcome.failed && symptom.find(one) != std::string::npos);
  }
  std::cout << std::endl;
  return found;
}

// The exit code.
template <int kThreads>
int Run(const Arguments& arguments) {
  Outcome outcome;
  if (arguments.random > 0) {
    std::cout << "repeat with VOUCH_TEST_SEED=" << arguments.seed << std::endl;
    outcome = ExploreRandomly<kThreads>(arguments);
    Print("random", outcome, "");
  }
  const std::optional<unsigned> bound =
      arguments.bound.has_value() ? arguments.bound : entry->bound;
  if (!outcome.failed && arguments.ceiling > 0 && bound.has_value()) {
    outcome = SearchAll<kThreads>(*bound, arguments.ceiling, /*has_to_end=*/true);
  }
  if (!outcome.failed && arguments.ceiling > 0 && bound != kContextBound) {
    outcome = SearchAll<kThreads>(kContextBound, arguments.cut, /*has_to_end=*/false);
  }
  if (arguments.expected.empty()) {
    std::cout << outcome.report;
    return outcome.failed ? 1 : 0;
  }
  return HasExpectedSymptom(outcome, arguments.expected) ? 0 : 1;
}

uint64_t Seed() {
  const char* const given = std::getenv("VOUCH_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
}

int Main(int argc, char** argv) {
  Arguments arguments;
  arguments.seed = Seed();
  if (std::getenv("VOUCH_TEST_LONG") != nullptr) {
    arguments.random = 2'000'000;
    arguments.cut = kCeiling;
  }
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const char* const value = i + 1 < argc ? argv[i + 1] : "";
    if (argument == "--random") {
      arguments.random = std::strtoull(value, nullptr, 10), ++i;
    } else if (argument == "--exhaustive") {
      arguments.ceiling = arguments.cut = std::strtoull(value, nullptr, 10), ++i;
    } else if (argument == "--bound") {
      arguments.bound = static_cast<unsigned>(std::strtoul(value, nullptr, 10)), ++i;
    } else if (argument == "--expect") {
      arguments.expected.emplace_back(value), ++i;
    } else {
      arguments.scenario = argument;
    }
  }
  for (const ScenarioEntry& candidate : AllScenarios()) {
    if (candidate.name == arguments.scenario) entry = &candidate;
  }
  if (entry == nullptr) {
    std::cerr << "which scenario?" << std::endl;
    for (const ScenarioEntry& one : AllScenarios()) std::cerr << "  " << one.name << std::endl;
    return 2;
  }
  return entry->threads == 2 ? Run<2>(arguments) : Run<3>(arguments);
}

}  // namespace
}  // namespace vouch::pool::pool_internal

int main(int argc, char** argv) { return vouch::pool::pool_internal::Main(argc, argv); }
