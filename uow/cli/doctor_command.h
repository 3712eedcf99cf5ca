// `vouch doctor`: what is linked, which known bugs apply, settings read back, what is exposed, and
// whether the units of work that the database records keep their contract (uow/contract.h), for
// which it reads them all. Whether they are true is for `vouch audit`.
//
// Thread safety: one thread.
// Returns the exit code: kFailed when something has to be repaired. A database that is not there is
// a note: the library is examined all the same.

#ifndef VOUCH_UOW_CLI_DOCTOR_COMMAND_H_
#define VOUCH_UOW_CLI_DOCTOR_COMMAND_H_

#include "uow/cli/console.h"

namespace vouch::cli {

int RunDoctor(const Settings& settings, Console& console);

}  // namespace vouch::cli

#endif  // VOUCH_UOW_CLI_DOCTOR_COMMAND_H_
