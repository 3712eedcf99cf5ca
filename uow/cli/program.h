// The program `vouch`: its arguments, and which command runs for them.

#ifndef VOUCH_UOW_CLI_PROGRAM_H_
#define VOUCH_UOW_CLI_PROGRAM_H_

namespace vouch::cli {

// Runs the program, and returns its exit code.
int RunProgram(int argc, const char* const* argv);

}  // namespace vouch::cli

#endif  // VOUCH_UOW_CLI_PROGRAM_H_
