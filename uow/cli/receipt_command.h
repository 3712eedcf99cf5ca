// `vouch receipt list` and `vouch receipt show`: what the ledger holds.

#ifndef VOUCH_UOW_CLI_RECEIPT_COMMAND_H_
#define VOUCH_UOW_CLI_RECEIPT_COMMAND_H_

#include <cstdint>
#include <string>

#include "uow/cli/console.h"

namespace vouch::cli {

struct ReceiptListArguments {
  int limit = 20;
  std::int64_t before = 0;  // 0: from the newest.
};

int RunReceiptList(const ReceiptListArguments& arguments, const Settings& settings,
                   Console& console);

// `which` is a unit's id or a sequence number.
int RunReceiptShow(const std::string& which, const Settings& settings, Console& console);

}  // namespace vouch::cli

#endif  // VOUCH_UOW_CLI_RECEIPT_COMMAND_H_
