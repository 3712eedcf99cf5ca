#include "storage/statement.h"

namespace vouch::storage {

absl::Status Statement::Run() {
  while (true) {
    VOUCH_ASSIGN_OR_RETURN(const bool row, Step());
    if (!row) return absl::OkStatus();
  }
}

}  // namespace vouch::storage
