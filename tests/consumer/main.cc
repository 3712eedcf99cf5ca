// A program of somebody else's: it uses the installed headers and libraries, and nothing besides.

#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "pool/pool.h"

namespace {

absl::Status LendAString() {
  auto pool = vouch::pool::Pool<std::string>::Create(
      vouch::pool::PoolOptions(), [] { return std::make_unique<std::string>("a resource"); });
  if (!pool.ok()) return pool.status();
  auto lease = (*pool)->Acquire(absl::Milliseconds(250));
  if (!lease.ok()) return lease.status();
  return **lease == "a resource" ? absl::OkStatus() : absl::InternalError("another resource");
}

}  // namespace

int main() {
  const absl::Status status = LendAString();
  std::cout << "pool: " << status << "\n";
  return status.ok() ? EXIT_SUCCESS : EXIT_FAILURE;
}
