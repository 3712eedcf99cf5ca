// Receipt: the proof of one unit of work, as it is returned and as it is read back.
//
//   VOUCH_ASSIGN_OR_RETURN(Receipt receipt, engine->Run({}, transfer));
//   Log(receipt.uow_id, storage::HexOf(receipt.hash));
//
// A receipt's bytes are described in uow/format.h; their SHA-256 is the receipt's hash, and each
// receipt names the hash of the one before, so that a ledger is a chain.
//
// Thread safety: plain data; the functions use their connection, one thread at a time.
// Errors: ReadReceipt: kNotFound, there is no such unit. kDataLoss: what is stored is no receipt.
// Cost: reading one is two point lookups and one scan of its writes.

#ifndef VOUCH_UOW_RECEIPT_H_
#define VOUCH_UOW_RECEIPT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/connection.h"
#include "storage/sha256.h"
#include "uow/format.h"

namespace vouch::uow {

struct Receipt {
  std::string uow_id = {};
  std::int64_t seq = 0;
  UnitStatus status = UnitStatus::kCommitted;
  std::string committed = {};  // When; empty unless it is.
  storage::Digest prev{};
  storage::Digest hash{};
  // The exact bytes whose SHA-256 is `hash`.
  std::string bytes = {};

  std::int64_t stores = 0;
  std::int64_t writes = 0;
  std::int64_t bytes_written = 0;
  int retries = 0;
  // From the call of Run or Begin to just before COMMIT, and of COMMIT itself (zero in a receipt
  // that was read back as already committed).
  absl::Duration execution_time = {};
  absl::Duration commit_time = {};
  // True: this id had been committed before; its receipt is returned and nothing was done.
  bool was_duplicate = false;
  // Committed, but these participants' own commit failed (uow/participant.h). Not stored.
  std::vector<std::string> store_errors = {};
};

// What is stored of a unit, as `receipt show` prints it.
struct StoredReceipt {
  Receipt receipt = {};  // With `bytes` rebuilt from the columns, and `hash` that of the bytes.
  std::string stored_hash = {};  // What the ledger says the hash is.
  std::vector<WriteRecord> writes = {};
};

// By unit id (the committed row of that id, else the newest) or by sequence number.
absl::StatusOr<StoredReceipt> ReadReceipt(storage::Connection& connection, std::string_view uow_id);
absl::StatusOr<StoredReceipt> ReadReceipt(storage::Connection& connection, std::int64_t seq);

struct ReceiptLine {
  std::int64_t seq = 0;
  std::string uow_id = {};
  std::string status = {};
  std::string created = {};
  std::int64_t stores = 0;
  std::int64_t bytes_written = 0;
  std::string hash = {};
  std::string error_type = {};
};

// The newest `limit` receipts before `before_seq` (0: from the end), newest first.
absl::StatusOr<std::vector<ReceiptLine>> ListReceipts(storage::Connection& connection, int limit,
                                                      std::int64_t before_seq = 0);

}  // namespace vouch::uow

#endif  // VOUCH_UOW_RECEIPT_H_
