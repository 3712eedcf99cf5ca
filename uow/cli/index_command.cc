#include "uow/cli/index_command.h"

#include <fcntl.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "storage/clock.h"
#include "storage/migrations/sets.h"
#include "storage/sqlite/file.h"
#include "storage/status_macros.h"
#include "uow/cli/indexer.h"
#include "uow/cli/json.h"
#include "uow/cli/printable.h"
#include "uow/cli/progress.h"
#include "uow/cli/stop_signal.h"
#include "uow/cli/text_table.h"
#include "uow/cli/walker.h"
#include "uow/engine.h"
#include "uow/ulid.h"

namespace vouch::cli {
namespace {

int ThreadsOf(const IndexArguments& arguments) {
  if (arguments.threads > 0) return arguments.threads;
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, kMostThreads);
}

// The file descriptor that $VOUCH_ACK_FD names, -1 when it names none that is open.
int AcknowledgeFd() {
  const char* text = std::getenv("VOUCH_ACK_FD");
  int fd = -1;
  if (text == nullptr || !absl::SimpleAtoi(text, &fd) || fd < 0) return -1;
  return ::fcntl(fd, F_GETFD) < 0 ? -1 : fd;
}

uow::EngineOptions EngineOptionsOf(const IndexArguments& arguments, const Settings& settings,
                                   const std::string& database, const Console& console) {
  uow::EngineOptions options;
  options.path = database;
  options.stores = IndexStores(arguments.activity_table);
  options.migrations = {storage::MemoryMigrations()};
  options.synchronous = arguments.synchronous;
  options.max_readers = ThreadsOf(arguments) + 1;  // The workers, and the look for the vanished.
  options.busy_timeout = settings.wait;
  options.unit_timeout = std::max(options.unit_timeout, 6 * settings.wait);
  options.log = [&console](uow::LogLevel level, std::string_view message) {
    if (level != uow::LogLevel::kInfo) console.Error(message);
  };
  return options;
}

double PerSecond(std::int64_t count, absl::Duration elapsed) {
  return static_cast<double>(count) / std::max(absl::ToDoubleSeconds(elapsed), 1e-9);
}

std::string Rounded(double number) { return WithCommas(static_cast<std::int64_t>(number + 0.5)); }

std::string TextOf(const IndexReport& report) {
  const IndexCounts& counts = report.counts;
  TextTable table({TextTable::Align::kLeft, TextTable::Align::kRight});
  table.Add({"files seen", WithCommas(counts.seen)});
  table.Add({"indexed", WithCommas(counts.created + counts.updated)});
  table.Add({"unchanged", WithCommas(counts.unchanged)});
  table.Add({"vanished", WithCommas(counts.vanished)});
  table.Add({"failed", WithCommas(counts.failed)});
  table.Add({"units of work", WithCommas(counts.units)});
  table.Add({"bytes read", WithCommas(counts.bytes)});
  table.Add({"time", ShortDuration(report.elapsed)});
  table.Add({"files/s", Rounded(PerSecond(counts.seen, report.elapsed))});
  table.Add({"units/s", Rounded(PerSecond(counts.units, report.elapsed))});
  table.Add({"unit p50", ShortDuration(report.unit_times.Percentile(50))});
  table.Add({"unit p99", ShortDuration(report.unit_times.Percentile(99))});
  table.Add({"acquire p50", ShortDuration(report.acquire_waits.Percentile(50))});
  table.Add({"acquire p99", ShortDuration(report.acquire_waits.Percentile(99))});
  return table.Render();
}

Json PercentilesOf(const Samples& samples) {
  const auto microseconds = [&](double percent) {
    return absl::ToDoubleMicroseconds(samples.Percentile(percent));
  };
  return {{"samples", samples.size()}, {"p50_us", microseconds(50)}, {"p99_us", microseconds(99)}};
}

Json JsonOf(const IndexReport& report, const std::string& database, const std::string& outcome) {
  const IndexCounts& counts = report.counts;
  Json failures = Json::array();
  for (const auto& failure : report.failures) {
    failures.push_back({{"path", failure.path}, {"message", failure.message}});
  }
  Json object = {{"verb", "index"},
                 {"database", database},
                 {"outcome", outcome},
                 {"files_seen", counts.seen},
                 {"indexed", counts.created + counts.updated},
                 {"created", counts.created},
                 {"updated", counts.updated},
                 {"unchanged", counts.unchanged},
                 {"vanished", counts.vanished},
                 {"failed", counts.failed},
                 {"units", counts.units},
                 {"bytes_read", counts.bytes},
                 {"seconds", absl::ToDoubleSeconds(report.elapsed)},
                 {"files_per_second", PerSecond(counts.seen, report.elapsed)},
                 {"units_per_second", PerSecond(counts.units, report.elapsed)},
                 {"unit_time", PercentilesOf(report.unit_times)},
                 {"acquire_wait", PercentilesOf(report.acquire_waits)},
                 {"failures", failures}};
  if (!report.error.ok()) object["error"] = ErrorToJson(report.error);
  return object;
}

// Prints what was done, and returns the exit code.
int Print(const IndexReport& report, int signal, const std::string& database, bool keep_going,
          Console& console) {
  const bool failed = !report.error.ok() || !report.failures.empty();
  const char* outcome = signal != 0 ? "interrupted" : failed ? "failed" : "done";
  console.Result(JsonOf(report, database, outcome), TextOf(report));
  for (const auto& failure : report.failures) {
    console.Error(absl::StrCat(failure.path, ": ", failure.message));
  }
  if (!report.error.ok()) console.Explain(report.error);
  if (signal != 0) {
    console.Note("interrupted; what is committed stays, and the next run goes on from here");
    return 128 + signal;
  }
  if (failed && report.error.ok() && !keep_going) {
    console.Note("stopped there; --keep-going goes on with the other files");
  }
  return failed ? kFailed : kDone;
}

absl::StatusOr<std::unique_ptr<uow::Engine>> OpenEngine(const IndexArguments& arguments,
                                                        const Settings& settings,
                                                        const std::string& database,
                                                        const Console& console) {
  VOUCH_ASSIGN_OR_RETURN(
      auto engine, uow::Engine::Open(EngineOptionsOf(arguments, settings, database, console)));
  VOUCH_ASSIGN_OR_RETURN(const storage::ReadLease reader, engine->Read());
  VOUCH_RETURN_IF_ERROR(Catalog(arguments.activity_table).Check(*reader));
  return engine;
}

Progress ProgressOf(const Indexer& indexer) {
  const Indexer::Snapshot now = indexer.snapshot();
  return {.verb = "index",
          .done = now.taken,
          .total = now.found,
          .detail = absl::StrCat(WithCommas(now.counts.units), " units, ",
                                 WithCommas(now.counts.failed), " failed")};
}

}  // namespace

int RunIndex(const IndexArguments& arguments, const Settings& settings, Console& console) {
  const auto folders = ResolveFolders(arguments.folders);
  if (!folders.ok()) return console.Fail(folders.status(), kUsage);
  const auto database = storage::PrepareDatabaseFile(settings.database, /*create=*/true);
  if (!database.ok()) return console.Fail(database.status(), kUsage);

  StopSignal stop(
      [&console] { console.Note("finishing the units in flight; once more to stop at once"); });
  const auto engine = OpenEngine(arguments, settings, database->path, console);
  if (!engine.ok()) return console.Fail(engine.status(), CodeForOpening(engine.status()));

  Indexer indexer(**engine,
                  {.database = database->path,
                   .folders = *folders,
                   .threads = ThreadsOf(arguments),
                   .keep_going = arguments.keep_going,
                   .activity_table = arguments.activity_table,
                   .correlation_id = uow::UlidGenerator(storage::WallClock::System()).Next(),
                   .acknowledge_fd = AcknowledgeFd()});
  IndexReport report;
  {
    const ProgressLine line(console.shows_progress(), [&indexer] { return ProgressOf(indexer); });
    report = indexer.Run(stop.token());
  }
  report.error.Update((*engine)->Close(absl::Seconds(30)));
  return Print(report, stop.signal(), database->path, arguments.keep_going, console);
}

}  // namespace vouch::cli
