// `vouch audit`: proves that the database is what its receipts say, or names what is not.

#ifndef VOUCH_UOW_CLI_AUDIT_COMMAND_H_
#define VOUCH_UOW_CLI_AUDIT_COMMAND_H_

#include <string>

#include "uow/audit.h"
#include "uow/cli/console.h"

namespace vouch::cli {

struct AuditArguments {
  bool quick = false;
};

int RunAudit(const AuditArguments& arguments, const Settings& settings, Console& console);

// kDone: verified. kFailed: it is not. kCannotVerify: all that was found is a format that this
// program does not know.
ExitCode CodeForAudit(const uow::AuditReport& report);

}  // namespace vouch::cli

#endif  // VOUCH_UOW_CLI_AUDIT_COMMAND_H_
