// The program's main job: `vouch index` over 2,000 files of 4 KiB, into a new database at FULL,
// each file one unit of work over two stores. The time is that of the whole process.

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "bench/support/scratch.h"
#include "benchmark/benchmark.h"

namespace vouch::bench {
namespace {

constexpr int kFiles = 2'000;

bool Run(const std::vector<std::string>& arguments) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_t child = 0;
  if (posix_spawn(&child, VOUCH_PROGRAM, nullptr, nullptr, argv.data(), environ) != 0) return false;
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void Index(benchmark::State& state) {
  const Scratch scratch;
  const std::filesystem::path tree = scratch.path() / "tree";
  for (int i = 0; i < kFiles; ++i) {
    const std::filesystem::path folder = tree / std::to_string(i % 50);
    std::filesystem::create_directories(folder);
    std::ofstream(folder / (std::to_string(i) + ".txt")) << std::string(4096, 'x') << i;
  }
  int round = 0;
  for (auto _ : state) {
    const std::string database = scratch.File(std::to_string(round++) + ".db");
    if (!Run({"vouch", "--db", database, "--quiet", "index", tree.string(), "--threads",
              std::to_string(state.range(0))})) {
      state.SkipWithError("vouch index failed");
    }
  }
  state.counters["files_per_second"] = benchmark::Counter(
      static_cast<double>(state.iterations()) * kFiles, benchmark::Counter::kIsRate);
}
BENCHMARK(Index)
    ->Name("uow/index_2000/vouch")
    ->ArgName("workers")
    ->Arg(1)
    ->Arg(2)
    ->Arg(8)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace vouch::bench
