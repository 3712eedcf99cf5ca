// Console: what the program says, to people on two streams or to programs as one JSON object.
//
// Results go to the standard output, everything else to the standard error, each message as
// "vouch: <message>". With --json the result is one object instead of a text; with --quiet only
// errors are said (an object that was asked for is still given).
//
// Thread safety: one thread at a time, except Error() and Note(), which any thread may call.

#ifndef VOUCH_UOW_CLI_CONSOLE_H_
#define VOUCH_UOW_CLI_CONSOLE_H_

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace vouch::cli {

// What every verb is told.
struct Settings {
  std::string database = "vouch.db";
  bool json = false;
  bool quiet = false;
  // How long to wait for a lock that another process holds.
  absl::Duration wait = absl::Seconds(5);
};

enum ExitCode : int {
  kDone = 0,
  kFailed = 1,        // Or found bad.
  kUsage = 2,         // Wrong arguments, folder or database.
  kCannotVerify = 4,  // An audit of a format this program does not know.
};

class Console {
 public:
  explicit Console(const Settings& settings) : json_(settings.json), quiet_(settings.quiet) {}
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  // Prints the result, in the one form or the other.
  void Result(const nlohmann::ordered_json& object, std::string_view text);
  // Prints bytes as they are, whatever was asked for.
  void Bytes(std::string_view bytes);

  void Error(std::string_view message) const;
  void Note(std::string_view message) const;

  // Says why something failed, and what can be done when that is known.
  void Explain(const absl::Status& status) const;
  // The same for the whole verb; returns `code`.
  int Fail(const absl::Status& status, ExitCode code = kFailed);

  bool json() const { return json_; }
  // Whether somebody is watching who wants to see progress.
  bool shows_progress() const;

  // To be called last: `code`, or kFailed when the output could not be written.
  int Finish(int code) const;

 private:
  const bool json_;
  const bool quiet_;
  bool printed_ = false;
};

// The exit code for an error of opening a database: kUsage when another path is what is needed.
ExitCode CodeForOpening(const absl::Status& status);

}  // namespace vouch::cli

#endif  // VOUCH_UOW_CLI_CONSOLE_H_
