// Uses the installed package: its headers, and enough of each library to need the linker.

#include <iostream>

#include "pool/pool_options.h"

int main() {
  vouch::pool::PoolOptions options;
  options.min = options.max + 1;
  if (options.Validate().ok()) {
    std::cerr << "a pool was allowed to keep more than it may have\n";
    return 1;
  }
  return 0;
}
