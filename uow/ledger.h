// Ledger: appends receipts to the ledger's tables, within the transaction of the unit itself.
//
//   unit_of_work   one row a unit: its receipt's fields, and what is recorded beside them
//   uow_writes     one row a write
//   uow_ledger     one row: the ledger's own id
//
// The head (the last sequence number and receipt hash) is kept in memory and read again only when
// another connection has committed since.
//
// Thread safety: the holder of the writer, one thread at a time.
// Errors: those of the database. kFailedPrecondition: the tables are not what a ledger's are.
//   kAlreadyExists from Append: this id has been committed.
// Cost: two inserted rows for a unit with one write; the statements come from the connection's
//   cache and the buffers are reused. However many writes there are, one is in memory.

#ifndef VOUCH_UOW_LEDGER_H_
#define VOUCH_UOW_LEDGER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/sha256.h"
#include "storage/sqlite/connection.h"
#include "uow/format.h"
#include "uow/receipt.h"

namespace vouch::uow {

// The version of the rules that Contract validation goes by.
inline constexpr std::string_view kContractVersion = "1.1.0";

// What a unit wrote to one store.
struct WrittenPart {
  std::int64_t writes = 0;
  std::int64_t bytes = 0;
};

// Tells a unit's writes to the sink in their order, once.
using WriteSource = absl::FunctionRef<absl::Status(WriteSink sink)>;
inline absl::Status NoWrites(WriteSink /*sink*/) { return absl::OkStatus(); }

// One unit as it is recorded. Empty texts are absent.
struct UnitRecord {
  std::string uow_id = {};
  UnitStatus status = UnitStatus::kCommitted;
  std::string created = {};
  std::string envelope_id = {};
  std::string space_id = {};
  std::string actor_id = {};
  std::string device_id = {};
  std::string correlation_id = {};
  std::optional<Band> band = {};

  // What was written, by store; added up when the unit is appended.
  std::map<std::string, WrittenPart, std::less<>> parts = {};
  int retries = 0;
  absl::Duration execution_time = {};

  // Of a unit that failed.
  std::string error_type = {};
  std::string error_message = {};
  std::string failed_store = {};
  std::string error_time = {};
  bool recovery_attempted = false;
};

class Ledger {
 public:
  // Reads the ledger's id, creating it when this is a new ledger, and the head.
  // REQUIRES: a write transaction.
  absl::Status Open(storage::SqliteConnection& connection, std::string_view new_id,
                    std::string_view now);

  // Before anything else in a transaction: looks whether another connection has written.
  // True: it has, so that whatever else was kept in memory may be out of date.
  absl::StatusOr<bool> Refresh(storage::SqliteConnection& connection);

  // Appends one receipt. `committed` is its time, of units that are; `writes` tells what they wrote,
  // which is stored as it is told, and counted in record.parts.
  absl::StatusOr<Receipt> Append(storage::SqliteConnection& connection, UnitRecord& record,
                                 std::string_view committed, WriteSource writes = NoWrites);

  // Notes how long the COMMIT of `first` to `last` took, which could not be known within it.
  absl::Status RecordCommitTime(storage::SqliteConnection& connection, std::int64_t first,
                                std::int64_t last, absl::Duration time);

  // The sequence number that `uow_id` was committed under, if it was.
  absl::StatusOr<std::optional<std::int64_t>> FindCommitted(storage::SqliteConnection& connection,
                                                            std::string_view uow_id);

  // Whether this very try of a unit, with as many retries, is there as failed or rolled back.
  absl::StatusOr<bool> HasFailure(storage::SqliteConnection& connection, const UnitRecord& record);

  // What was appended since Refresh() is, or is not, part of the ledger now.
  void Committed() { committed_ = head_; }
  void Abandoned() { head_ = committed_; }

  const std::string& id() const { return id_; }

 private:
  struct Head {
    std::int64_t seq = 0;
    storage::Digest hash{};
  };

  absl::Status ReadHead(storage::SqliteConnection& connection);
  // Stores the writes of unit `fields.seq`, and fills in what the receipt says of them.
  absl::Status AppendWrites(storage::SqliteConnection& connection, WriteSource writes,
                            UnitRecord& record, ReceiptFields& fields);
  absl::Status InsertUnit(storage::SqliteConnection& connection, const UnitRecord& record,
                          const ReceiptFields& fields, const std::string& hash);

  std::string id_;
  Head head_;                                 // With what the open transaction has appended.
  Head committed_;                            // Without.
  std::optional<std::int64_t> data_version_;  // When committed_ was read,
  std::uint64_t connection_ = 0;              // and of which connection: its serial number.

  // Reused from unit to unit.
  storage::Sha256 hash_;
  TreeHasher tree_;
  std::string buffer_;
};

}  // namespace vouch::uow

#endif  // VOUCH_UOW_LEDGER_H_
