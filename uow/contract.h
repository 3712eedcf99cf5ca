// Contract: the rules that every recorded unit of work keeps, checked in a whole database at once.
//
//   VOUCH_ASSIGN_OR_RETURN(ContractReport report, CheckContract(connection));
//   for (const ContractViolation& violation : report.violations) Show(violation.message);
//
// The rules, version 1.1.0 (kContractVersion), of the table unit_of_work:
//
//   execution and commit times, where there are any, are not negative
//   a unit that failed says by which type of error
//   a receipt hash, where there is one, is a SHA-256 in 64 hex digits of either case
//   a band, where there is one, is GREEN, AMBER, RED or BLACK
//   the contract's version is n.n.n
//   every unit has an id and a time of creation; every write in uow_writes names its store
//
// The contract asks whether a record makes sense, and of any database that has the table: one of
// vouch's, or one that another program made, whose columns need not be declared as ours are. A
// column that is not there is a violation and not an error, and the rules about it are not applied.
// Whether what is recorded is true is the audit's question (uow/audit.h), and of vouch's databases
// only. One unit alone, as a JSON document: uow/contract_document.h.
//
// Thread safety: pure data; CheckContract as its connection, one thread at a time.
// Errors: those of reading. A violation is none.
// Cost: one pass over unit_of_work and one over uow_writes, about 1 µs a row; memory for the
//   violations, of which there is at most one a rule and column.

#ifndef VOUCH_UOW_CONTRACT_H_
#define VOUCH_UOW_CONTRACT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/connection.h"

namespace vouch::uow {

// NameOf gives each the stable name in the comment.
enum class ContractRule : std::uint8_t {
  kTableMissing,    // table_missing: there is no table unit_of_work; a view is none
  kColumnMissing,   // column_missing
  kWrongType,       // wrong_type: a value of another storage class than its column's
  kNegativeTime,    // negative_time
  kNoErrorType,     // no_error_type: of a unit that failed
  kBadReceiptHash,  // bad_receipt_hash
  kBadBand,         // bad_band
  kBadVersion,      // bad_contract_version
  kNoUnitId,        // no_unit_id
  kNoCreationTime,  // no_creation_time
  kUnnamedStore,    // unnamed_store: of a write
};
const char* NameOf(ContractRule rule);

struct ContractViolation {
  ContractRule rule;
  // The column, or the table, that it is about.
  std::string field = {};
  // How many rows, and the id of the first unit of them, where there is one.
  std::int64_t count = 1;
  std::string example = {};
  std::string message = {};  // A sentence that stands on its own.

  friend bool operator==(const ContractViolation&, const ContractViolation&) = default;
};

struct ContractReport {
  std::int64_t units = 0;   // Read, and
  std::int64_t writes = 0;  // as well.
  std::vector<ContractViolation> violations = {};

  bool complies() const { return violations.empty(); }
};

absl::StatusOr<ContractReport> CheckContract(storage::Connection& connection);

}  // namespace vouch::uow

#endif  // VOUCH_UOW_CONTRACT_H_
