// Audit: reads a whole ledger and says whether the database is what its receipts say.
//
//   VOUCH_ASSIGN_OR_RETURN(AuditReport report, Audit(reader, {}));
//   if (!report.verified) for (const Finding& finding : report.findings) Show(finding.message);
//
// One pass over the receipts in their order, inside one read transaction: the storage class and the
// grammar of every column before it is hashed (else a NULL could pass for "-", a blob for a text,
// a line break for two fields), every receipt recomputed from the columns and its writes, the chain
// from each receipt to the one before, and custody: what a unit says a record was before it must be
// what the last unit left. Then one pass over the live rows of every store's tables, each against
// its last checksum. Nothing is taken from an index: an index can disagree with its table.
//
// What it cannot see in a file alone: that the newest units were cut off together with everything
// they did, or that the whole file is an older copy. For that, keep report.head somewhere else.
// What it did not read or does not cover is listed in the report.
//
// Stores. With options.stores empty they are learnt from the ledger: a record id that is a row's
// names its table, so a table belongs to the store that last wrote a row to it, and `main`, if the
// ledger has it, also holds every other table that qualifies. A store whose record ids are not all
// those of rows, or that has an upsert, has no tables: custody is checked, there is no live data to
// compare. With options.stores given, they are all there are; `main` without tables stands for
// every table that qualifies and is in no other store, any other store without tables has none. A
// record that is in none of the tables read is missing.
//
// Thread safety: any thread; the connection one thread at a time.
// Errors: findings are not errors. A damaged page met while reading is the finding `unreadable`:
//   damage is what an audit is for, and what can still be read is still checked (but rows are not
//   compared with a ledger that could not be read to its end). Any other failure of the database is
//   returned, and so is kFailedPrecondition from beginning a transaction inside one.
// Cost: blocks for the whole reading, about 8 µs a unit of one write and 2 µs a row; keeps some 200
//   bytes in memory for each record that the ledger has ever had, and the read transaction open,
//   which keeps a write-ahead log from being reset.

#ifndef VOUCH_UOW_AUDIT_H_
#define VOUCH_UOW_AUDIT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/connection.h"
#include "storage/sha256.h"
#include "uow/store.h"

namespace vouch::uow {

// NameOf gives each the stable name in the comment.
enum class FindingCode : std::uint8_t {
  kLedgerMissing,  // ledger_missing: a table of the ledger, a column or its one row is not there
  kUnsupportedFormat,  // unsupported_format: cannot verify; not a sign of tampering
  kMalformed,          // malformed: a column has another storage class or grammar than it may
  kSequenceGap,        // sequence_gap: receipts are missing
  kStatusMismatch,     // status_mismatch: columns that do not go with the unit's status
  kReceiptMismatch,    // receipt_mismatch: the columns and writes do not give the receipt hash, or
                       //   the hash of the unit before was changed
  kChainBroken,        // chain_broken: the receipt before cannot be read, so this one has no anchor
  kWritesMismatch,     // writes_mismatch: ordinals with gaps; stores or bytes that do not add up
  kCustodyBroken,      // custody_broken: the record before is not what the last unit left
  kOrphanWrites,       // orphan_writes: writes of a unit that does not exist
  kPayloadMismatch,    // payload_mismatch: a kept payload is not the one its write describes
  kTreeMismatch,       // tree_mismatch: a stored node of the ledger's tree is not what it should be
  kRowAltered,         // row_altered: a live row is not what its last unit left
  kRowMissing,         // row_missing: a row is gone that no unit deleted
  kRowUnreceipted,     // row_unreceipted: a row that no unit wrote
  kUnreadable,         // unreadable: the database is damaged where it was read
};
const char* NameOf(FindingCode code);

struct Finding {
  FindingCode code;
  // The receipt it is about; for a row, the last receipt that wrote it.
  std::optional<std::int64_t> seq = std::nullopt;
  std::string store = {};
  std::string record_id = {};
  std::string message = {};  // A sentence that stands on its own.
};

struct AuditOptions {
  // As EngineOptions has them; see above for what empty ones mean.
  std::vector<StoreOptions> stores = {};
  std::vector<std::string> unreceipted_tables = {};
  // Does not read live rows.
  bool quick = false;
  // How many findings are kept; the others are counted.
  std::size_t max_findings = 1000;
  // Called from time to time with the receipts and rows read so far and in all.
  std::function<void(std::int64_t done, std::int64_t total)> progress = {};
};

struct AuditReport {
  // Nothing was found in what was read.
  bool verified = false;

  std::vector<Finding> findings;
  std::int64_t finding_count = 0;
  // The first receipt with a finding of its own, be it only that it is missing.
  std::optional<std::int64_t> first_bad_seq;

  // What this ledger is now: keep it elsewhere, and nobody can cut off or rewrite what came before.
  struct Head {
    std::string ledger_id;
    std::int64_t seq = 0;  // 0: no receipt yet.
    std::optional<storage::Digest> receipt_hash;
    // Over the receipts 1 … seq; nothing when one of them could not be read.
    std::optional<storage::Digest> tree_head;
  };
  Head head;

  std::int64_t receipts = 0;
  std::int64_t writes = 0;
  std::int64_t records = 0;  // That the ledger has ever had.
  std::int64_t payloads = 0;
  std::int64_t rows = 0;

  struct Table {
    std::string name;
    std::string store;
    std::int64_t rows = 0;
  };
  std::vector<Table> tables;  // Whose rows were compared.
  struct SkippedTable {
    std::string name;
    std::string reason;
    std::optional<std::int64_t> rows;  // Nothing when they could not be counted.
  };
  std::vector<SkippedTable> skipped_tables;
  std::vector<std::string> stores_without_tables;  // Whose custody alone was checked.

  std::vector<std::string> not_covered;  // What no receipt speaks of, or this audit did not read.
  std::vector<std::string> notes;        // Worth knowing; no sign of tampering.
};

// REQUIRES: `reader` is not in a transaction.
absl::StatusOr<AuditReport> Audit(storage::Connection& reader, const AuditOptions& options);

}  // namespace vouch::uow

#endif  // VOUCH_UOW_AUDIT_H_
