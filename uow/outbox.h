// Outbox: messages that a unit of work leaves behind, delivered when it is committed and only then.
//
//   engine->Run({}, [&](UnitOfWork& unit) -> absl::Status {
//     VOUCH_RETURN_IF_ERROR(unit.Execute("INSERT INTO orders(id, item) VALUES (?1, ?2)", 7, "tea"));
//     return Outbox::Enqueue(unit, {.topic = "orders", .key = "7", .payload = R"({"id":7})"});
//   });
//
//   Outbox outbox(*engine);
//   VOUCH_RETURN_IF_ERROR(outbox.Start([&](const OutboxDelivery& message) {
//     return broker.Publish(message.topic, message.payload, message.DeduplicationKey());
//   }));
//
// A message is a row of the table uow_outbox, written in the transaction of its unit: there are both
// or neither, whatever crashes. A dispatcher claims rows, hands them to a handler, and removes what
// the handler has accepted:
//
//     Enqueue() ──> due ──claimed──> with a handler ──OK──────────────────────> removed
//                    ^                     │  │
//                    │                     │  └──error, attempts are used up──> dead ──Discard()──>
//                    ├──error, after a wait┘                                     │
//                    ├──the claim's time is up (the dispatcher was killed)       │
//                    └───────────────────────────────Requeue()───────────────────┘
//
// Delivery is at least once: whoever is killed between the handler's OK and the row's removal, or
// whose handler takes longer than the lease, delivers again. DeduplicationKey() is the same every
// time and of no other message: the hash of the receipt of the message's unit, and the message's
// place in the unit.
//
// Order: messages of one stream (topic and key) are delivered in the order in which their units were
// committed, each after the one before was accepted or is dead; while one waits to be tried again,
// so do those behind it. Streams do not wait for each other, and are served in turn. A dead message
// that is queued again comes where it was, before whatever of its stream is still to be delivered.
//
// Several dispatchers, in one process or in several, may serve one database: a claimed row is left
// alone until it is removed, released, or the claim's time is up. Claims are timed by the wall
// clock: one that steps forward can have a message delivered twice, one that steps back delays it.
// A message whose claim ran out is claimed alone the next time, so that one that kills its dispatcher
// uses up its own attempts and not those of its neighbours.
//
// What the receipt says of messages: nothing. The table is vouch's own and not captured (a message is
// removed when it is delivered, and what a receipt lists must stay), and neither claiming, delivering
// nor giving up is a unit: they change nothing that an application stored, may be repeated without
// harm, and as units would double the ledger. Instead a message is delivered only if the ledger has
// the committed unit it names; a row that was put there without one is dead at once. Where messages
// themselves have to be proved, insert them into a table of a store and enqueue their keys.
//
// Thread safety: any thread, all methods.
// Ownership: the engine must outlive the outbox. ~Outbox waits for a handler that is running.
// Errors: those of the database, and kFailedPrecondition once the engine is closed. A handler's
//   error, or exception, is the message's affair: it is kept with it and not returned.
// Cost: two commits a DispatchOnce() that delivers something, none when nothing is due; a handler runs
//   without the writer, and may run units itself. Looking for what is due reads the first message of
//   each stream, about 5 µs each.

#ifndef VOUCH_UOW_OUTBOX_H_
#define VOUCH_UOW_OUTBOX_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "pool/mutex.h"
#include "storage/sha256.h"
#include "storage/sqlite/connection.h"
#include "uow/engine.h"
#include "uow/retry.h"
#include "uow/unit_of_work.h"

namespace vouch::uow {

// What is enqueued.
struct OutboxMessage {
  std::string topic = {};
  std::string key = {};                             // Empty: one stream for all of the topic.
  std::string payload = {};                         // Any bytes.
  std::map<std::string, std::string> headers = {};  // UTF-8.
};

// What a handler is given.
struct OutboxDelivery {
  std::int64_t id = 0;  // For Requeue() and Discard(). Used again once the message is removed.
  std::string topic = {};
  std::string key = {};
  std::string payload = {};
  std::map<std::string, std::string> headers = {};

  // The unit it comes from, and its place among the unit's messages, from 0.
  std::string uow_id = {};
  std::int64_t seq = 0;
  storage::Digest receipt_hash{};
  std::int64_t ordinal = 0;
  int attempt = 1;  // From 1; of a dead message the last one that there was.

  // "<receipt hash>/<ordinal>"
  std::string DeduplicationKey() const;
};

struct OutboxOptions {
  // How many messages are claimed at once. After a crash so many may be delivered again.
  int batch = 32;
  // For how long they are claimed: more than the handler takes for all of a batch. A message whose
  // turn comes later than that is left for the next claim.
  absl::Duration lease = absl::Seconds(60);
  // After max_retries + 1 attempts a message is dead.
  RetryOptions retry = {
      .max_retries = 9, .first_delay = absl::Seconds(1), .max_delay = absl::Hours(1)};
  // How often Start() looks for what nobody has told it of.
  absl::Duration poll_interval = absl::Seconds(1);
  // Called by Start()'s thread with what DispatchOnce() returned, errors included.
  std::function<void(const absl::Status&)> on_error = {};

  absl::Status Validate() const;
};

// What one DispatchOnce() has done.
struct OutboxResult {
  int delivered = 0;  // And removed.
  int failed = 0;     // To be tried again.
  int died = 0;
  int released = 0;  // Claimed, but not handed over: one before it failed, or it was time to stop.
  // Handed over, and then found claimed by another: they took too long, and come twice.
  int overtaken = 0;
};

struct DeadLetter {
  OutboxDelivery message = {};  // Without receipt, when the ledger has no committed unit for it.
  std::string since = {};
  std::string last_error = {};
};

class Outbox {
 public:
  using Handler = std::function<absl::Status(const OutboxDelivery&)>;

  // Leaves a message in the unit: delivered once the unit is committed, gone if it is not.
  // kInvalidArgument: there is no topic, or a header is not UTF-8.
  static absl::Status Enqueue(UnitOfWork& unit, const OutboxMessage& message);

  // REQUIRES: options.Validate() is OK.
  explicit Outbox(Engine& engine, OutboxOptions options = {});
  ~Outbox();
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  // Claims up to a batch of the messages that are due, hands them to `handler` one after another on
  // this thread, and records what became of them. Once `stop` is requested no more are handed over.
  // An error says that nothing was claimed, or that what became of it could not be recorded: then
  // what was handed over comes again when the claim has run out.
  absl::StatusOr<OutboxResult> DispatchOnce(
      absl::FunctionRef<absl::Status(const OutboxDelivery&)> handler, std::stop_token stop = {});

  // Dispatches on a thread of its own until Stop(). kFailedPrecondition: it does already.
  absl::Status Start(Handler handler);
  // Waits for the handler that is running, so not from there; what was claimed beyond it is released.
  void Stop();
  // Has the thread look now: call it after a unit that enqueued something was committed.
  void Wake();

  // In the order of their ids, after `after_id`.
  absl::StatusOr<std::vector<DeadLetter>> ListDead(int limit, std::int64_t after_id = 0);
  // Has a dead message tried again, as often as a new one, or removes it for good.
  // kNotFound: there is no dead message of this id.
  absl::Status Requeue(std::int64_t id);
  absl::Status Discard(std::int64_t id);

  struct Backlog {
    std::int64_t waiting = 0;  // Claimed ones included.
    std::int64_t dead = 0;
  };
  absl::StatusOr<Backlog> CountBacklog();

 private:
  absl::Status Write(absl::FunctionRef<absl::Status(storage::SqliteConnection&)> body);
  absl::Status ChangeDead(std::int64_t id, std::string_view sql);
  void Serve(const Handler& handler, std::stop_token stop);

  // Constant after construction.
  Engine& engine_;
  const OutboxOptions options_;

  pool::Mutex mutex_;
  pool::CondVar wake_;
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
  // The stream that was served last; the next claim begins after it. Empty: before the first.
  std::string last_topic_ ABSL_GUARDED_BY(mutex_);
  std::string last_key_ ABSL_GUARDED_BY(mutex_);

  pool::Mutex thread_mutex_;  // Taken before mutex_.
  std::jthread thread_ ABSL_GUARDED_BY(thread_mutex_);
};

}  // namespace vouch::uow

#endif  // VOUCH_UOW_OUTBOX_H_
