#include <cstdio>
#include <exception>

#include "uow/cli/program.h"

int main(int argc, char** argv) {
  try {
    return vouch::cli::RunProgram(argc, argv);
  } catch (const std::exception& error) {
    (void)std::fprintf(stderr, "vouch: %s\n", error.what());
    return 1;
  }
}
