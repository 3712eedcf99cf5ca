// WriteReceipt: a receipt in the form of the contract `write_receipt`, for programs that know that
// form.
//
//   VOUCH_ASSIGN_OR_RETURN(WriteReceipt receipt, ReadWriteReceipt(reader, uow_id));
//   VOUCH_ASSIGN_OR_RETURN(std::string json, ToJson(receipt));
//
//   VOUCH_ASSIGN_OR_RETURN(WriteReceipt theirs, ParseWriteReceipt(json));   // on the other side
//   if (!VerifyIntegrity(theirs)) Refuse();
//
// It is an export. The receipts of the ledger are those of uow/receipt.h, in the bytes of
// uow/format.h: they name every record, from which state to which, and the receipt before. A write
// receipt names stores and sizes only, hashes a few of its fields, and is chained to nothing: it
// shows that it was not damaged on its way, and no more. So it is not stored (unit_of_work and
// uow_writes are the receipts' table and append-only by the ledger's chain), and it is made only of
// units whose own receipt verifies.
//
// The hash is SHA-256 over JSON text, in lower-case hex: the fields marked below and no others,
// names sorted at every level, no white space, everything but ASCII as \uXXXX (a character beyond
// U+FFFF as a surrogate pair), absent ones null.
//
// Thread safety: plain data; ReadWriteReceipt as its connection, one thread at a time.
// Errors: kInvalidArgument: a text is not UTF-8 and so has no place in JSON; ParseWriteReceipt: the
//   JSON is not a write receipt, and the message says what is wrong first. ReadWriteReceipt:
//   kNotFound: there is no such unit; kDataLoss: its receipt in the ledger does not verify.
// Cost: a JSON text of some 200 bytes and 100 a store; reading one, as ReadReceipt.

#ifndef VOUCH_UOW_WRITE_RECEIPT_H_
#define VOUCH_UOW_WRITE_RECEIPT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/connection.h"
#include "storage/sha256.h"

namespace vouch::uow {

struct WriteReceipt {
  struct Store {
    std::string name = {};                      // hashed
    std::string ts = {};                        // hashed
    std::optional<std::string> record_id = {};  // hashed
    std::string operation_type = "commit";      // hashed; or "rollback"
    std::int64_t bytes_written = 0;             // hashed
    std::int64_t duration_ms = 0;
    std::int64_t retry_count = 0;

    friend bool operator==(const Store&, const Store&) = default;
  };

  std::optional<std::string> envelope_id = {};  // hashed
  bool committed = false;                       // hashed
  std::vector<Store> stores = {};               // hashed
  std::optional<std::string> error = {};
  std::string uow_id = {};                       // hashed
  std::string created_ts = {};                   // hashed
  std::optional<std::string> committed_ts = {};  // hashed
  std::string receipt_hash = {};
  std::optional<std::string> signature = {};
  std::int64_t total_duration_ms = 0;
  std::int64_t total_stores = 0;
  std::int64_t total_writes = 0;
  std::string contract_version = {};  // hashed

  friend bool operator==(const WriteReceipt&, const WriteReceipt&) = default;
};

// The text whose SHA-256 is the hash, and the hash.
absl::StatusOr<std::string> HashedText(const WriteReceipt& receipt);
absl::StatusOr<storage::Digest> HashOf(const WriteReceipt& receipt);

// Whether `receipt_hash` is the hash of the rest. False without one; either case is read.
bool VerifyIntegrity(const WriteReceipt& receipt);

absl::StatusOr<std::string> ToJson(const WriteReceipt& receipt);
// A document that uow/contract_document.h finds nothing wrong with. Whether its hash is right is for
// VerifyIntegrity().
absl::StatusOr<WriteReceipt> ParseWriteReceipt(std::string_view json);

// The newest unit of this id, with its hash. `signature` is absent: the one in the ledger is over
// the ledger's own receipt.
absl::StatusOr<WriteReceipt> ReadWriteReceipt(storage::Connection& connection,
                                              std::string_view uow_id);

}  // namespace vouch::uow

#endif  // VOUCH_UOW_WRITE_RECEIPT_H_
