#include <cstdio>
#include <exception>

#include "storage/sqlite/process.h"
#include "uow/cli/program.h"

int main(int argc, char** argv) {
  try {
    if (const absl::Status status = vouch::storage::ConfigureProcess(); !status.ok()) {
      (void)std::fprintf(stderr, "vouch: %s\n", status.ToString().c_str());
      return 1;
    }
    return vouch::cli::RunProgram(argc, argv);
  } catch (const std::exception& error) {
    (void)std::fprintf(stderr, "vouch: %s\n", error.what());
    return 1;
  }
}
