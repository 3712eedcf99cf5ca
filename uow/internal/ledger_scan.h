// LedgerScan: an audit's pass over the ledger: unit_of_work and uow_writes, merged by two cursors
// in the order of seq, beside them the kept payloads, and the stored nodes of the tree at the end.
//
// Thread safety: one thread at a time.
// Ownership: borrows the context and the custody map, which it fills.
// Invariants:
//   1. A receipt is hashed only if every column of it and of its writes had its grammar.
//   2. What a malformed row held is not compared with anything; the finding stands for it.
//   3. The chain goes on from the stored receipt hash, so that one altered receipt is one finding.

#ifndef VOUCH_UOW_INTERNAL_LEDGER_SCAN_H_
#define VOUCH_UOW_INTERNAL_LEDGER_SCAN_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/sha256.h"
#include "storage/statement.h"
#include "uow/format.h"
#include "uow/internal/audit_context.h"
#include "uow/internal/custody.h"

namespace vouch::uow::uow_internal {

class LedgerScan {
 public:
  LedgerScan(AuditContext& context, Custody& custody) : context_(context), custody_(custody) {}

  // Whether the ledger was read to its end, so that rows can be compared with it.
  absl::StatusOr<bool> Run();

 private:
  // A cursor over a table whose key is (seq, ordinal). Rows whose key is malformed are reported
  // and passed over.
  struct Cursor {
    const char* table;
    storage::StatementPtr statement = nullptr;
    bool at_end = true;
    std::int64_t seq = 0;
    std::int64_t ordinal = 0;
  };
  // What the writes of one unit come to.
  struct Sums {
    std::int64_t count = 0;
    std::int64_t stores = 0;
    std::int64_t bytes = 0;
    bool well_formed = true;
  };

  absl::Status ReadLedger();
  absl::StatusOr<bool> FindTables();
  absl::StatusOr<bool> HasTable(std::string_view table, std::span<const std::string_view> columns,
                                bool required);
  absl::StatusOr<bool> ReadLedgerRow();
  absl::Status ReadUnits();
  absl::Status ReadUnit(const storage::Statement& row);
  void CheckSequence(std::int64_t seq);
  void CheckUnit(std::int64_t seq, const storage::Statement& row, const Sums& sums);
  void CheckStatus(const ReceiptFields& receipt, const Sums& sums);
  void CheckSums(const ReceiptFields& receipt, const Sums& sums);
  std::optional<storage::Digest> CheckReceipt(ReceiptFields& receipt,
                                              const std::optional<storage::Digest>& stored);
  storage::Digest HashReceipt(ReceiptFields& receipt, const storage::Digest& prev);
  void NoteTime(const ReceiptFields& receipt);

  absl::Status Open(Cursor& cursor, std::span<const std::string_view> columns);
  absl::Status Advance(Cursor& cursor);
  // Reads the writes before unit `seq`, or all that are left: they are no unit's.
  absl::Status ReadOrphans(std::optional<std::int64_t> seq);
  absl::StatusOr<Sums> ReadWrites(std::int64_t seq);
  absl::Status ReadWrite(Sums& sums);
  void CheckCustody(std::int64_t seq, const WriteFields& write);
  absl::Status CheckPayload(std::int64_t seq, const WriteFields& write);
  // Reads the payloads before write (seq, ordinal), or all that are left: they are no write's.
  absl::Status ReadStrayPayloads(std::optional<std::pair<std::int64_t, std::int64_t>> write);

  void AddNode(int level, std::uint64_t index, const storage::Digest& hash);
  absl::Status CompareTree();
  void Finish();

  void AddToUnit(FindingCode code, std::int64_t seq, std::string_view message);
  void AddToWrite(FindingCode code, std::int64_t seq, const WriteFields& write,
                  std::string_view message);

  AuditContext& context_;
  Custody& custody_;
  std::string ledger_id_;
  bool complete_ = false;
  bool has_payloads_ = false;
  bool has_tree_ = false;

  Cursor writes_{.table = "uow_writes"};
  Cursor payloads_{.table = "uow_payloads"};

  std::int64_t next_seq_ = 1;
  // The receipt hash of seq next_seq_ − 1 as stored, and as recomputed when it was. Neither: there
  // is nothing to follow.
  std::optional<storage::Digest> previous_stored_ = storage::Digest{};
  std::optional<storage::Digest> previous_computed_;

  // Over all receipts so far; of no use once one of them could not be recomputed.
  TreeHasher tree_;
  bool tree_is_whole_ = true;
  absl::flat_hash_map<std::pair<std::int64_t, std::int64_t>, storage::Digest> nodes_;

  std::string last_committed_;  // The time; to note clocks that stepped back.
  std::int64_t steps_back_ = 0;
  std::int64_t first_step_back_ = 0;

  // Reused from unit to unit.
  TreeHasher write_tree_;
  std::string bytes_;
  storage::Sha256 hash_;
};

}  // namespace vouch::uow::uow_internal

#endif  // VOUCH_UOW_INTERNAL_LEDGER_SCAN_H_
