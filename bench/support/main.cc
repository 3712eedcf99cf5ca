// The main() of every benchmark binary: Google Benchmark's own, and in the context of each result
// what a reader needs to judge it: the machine, and the versions that were measured.

#include <openssl/crypto.h>
#include <sqlite3.h>
#include <sys/utsname.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

#include "absl/base/config.h"
#include "benchmark/benchmark.h"
#include "storage/sqlite/process.h"

namespace {

// The first "model name" of /proc/cpuinfo, which some architectures do not have.
std::string CpuModel() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

std::string Kernel() {
  utsname name{};
  uname(&name);
  return std::string(name.sysname) + " " + name.release + " " + name.machine;
}

// The type of the mount that holds the temporary directory, where benchmarks put their databases.
std::string Filesystem() {
  const std::string path = std::filesystem::canonical(std::filesystem::temp_directory_path());
  std::ifstream mounts("/proc/self/mounts");
  std::string type = "unknown";
  std::string longest;
  for (std::string device, point, kind, rest;
       mounts >> device >> point >> kind && std::getline(mounts, rest);) {
    const bool holds = point == "/" || path == point || path.rfind(point + "/", 0) == 0;
    if (holds && point.size() >= longest.size()) {
      longest = point;
      type = kind;
    }
  }
  return type;
}

std::string Compiler() {
#if defined(__clang__)
  return "Clang " __clang_version__;
#else
  return "GCC " __VERSION__;
#endif
}

}  // namespace

int main(int argc, char** argv) {
  // As the program does it; the rivals in this process gain by it as well.
  if (const absl::Status status = vouch::storage::ConfigureProcess(); !status.ok()) {
    std::cerr << status << '\n';
    return 1;
  }
  benchmark::AddCustomContext("cpu", CpuModel());
  benchmark::AddCustomContext("kernel", Kernel());
  benchmark::AddCustomContext("filesystem", Filesystem());
  benchmark::AddCustomContext("compiler", Compiler());
  benchmark::AddCustomContext("sqlite", sqlite3_libversion());
  benchmark::AddCustomContext("sqlite_memory_statistics", "off");
  benchmark::AddCustomContext("openssl", OpenSSL_version(OPENSSL_VERSION_STRING));
  benchmark::AddCustomContext("abseil", std::to_string(ABSL_LTS_RELEASE_VERSION));
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
